"""Concatenate the parts of a data set."""

import os

os.makedirs("outputs", exist_ok=True)
with open("outputs/all.csv", "w") as out:
    out.write("value\n")
    for name in sorted(os.listdir("parts")):
        with open(os.path.join("parts", name)) as part:
            out.write(part.read())
