"""How long the names of towns are, by country."""

import json
import os

from tap import rows

lengths = {}
for row in rows("towns.csv"):
    lengths.setdefault(row["country"], []).append([row["town"], len(row["town"])])
os.makedirs("outputs", exist_ok=True)
with open("outputs/towns.json", "w") as file:
    json.dump(lengths, file)
