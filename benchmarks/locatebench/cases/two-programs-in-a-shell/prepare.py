"""List the shards."""

import json
import os

names = os.listdir("shards")
os.makedirs("work", exist_ok=True)
with open("work/names.json", "w") as file:
    json.dump(names, file)
