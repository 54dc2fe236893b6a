"""Export a data set with a manifest for the archive."""

import json
import os
import stat

os.makedirs("outputs", exist_ok=True)
manifest = []
for part in range(3):
    path = f"outputs/part-{part}.txt"
    with open(path, "w") as file:
        file.writelines(f"{n * n % 97}\n" for n in range(part * 50, part * 50 + 50))
    seen = os.stat(path)
    manifest.append({"name": path, "size": seen.st_size, "mode": stat.filemode(seen.st_mode)})
with open("outputs/manifest.json", "w") as file:
    json.dump(manifest, file)
