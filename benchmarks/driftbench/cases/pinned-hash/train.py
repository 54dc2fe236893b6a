"""Hash words into buckets."""

import json
import os

buckets = [0] * 32
for word in "all the world is a stage and all the men and women merely players".split():
    buckets[hash(word) % 32] += 1

os.makedirs("outputs", exist_ok=True)
with open("outputs/buckets.json", "w") as file:
    json.dump(buckets, file)
