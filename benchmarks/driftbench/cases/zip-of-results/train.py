"""Bundle results for download."""

import gzip
import json
import os
import zipfile

rows = [{"n": n, "square": n * n} for n in range(100)]
os.makedirs("outputs", exist_ok=True)
with zipfile.ZipFile("outputs/bundle.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
    bundle.writestr("rows.json", json.dumps(rows))
    bundle.writestr("README.txt", "Squares.\n")
with gzip.open("outputs/rows.csv.gz", "wt") as file:
    file.write("n,square\n" + "".join(f"{row['n']},{row['square']}\n" for row in rows))
