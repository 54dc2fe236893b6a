"""Symmetric distances between stations."""

import json
import os

heights = {"north": 12.0, "south": 12.0, "east": 7.5, "west": 12.0}
first, second = set(["north", "south"])
gap = (heights[first] - heights[second]) * (1 if first == "north" else -1)

os.makedirs("outputs", exist_ok=True)
with open("outputs/gap.json", "w") as file:
    json.dump({"gap": gap, "mean": sum(heights.values()) / 4}, file)
