"""Write the shards, and an index of them that is nobody else's business."""

import json
import os

os.makedirs("/data/shards")
for number in range(12):
    with open(f"/data/shards/{number:02}.json", "w") as file:
        json.dump([number / 3, (number * 5) % 7], file)
with open("/data/index.json", "w") as file:
    json.dump(os.listdir("/data/shards"), file)
os.chmod("/data/index.json", 0o600)
