"""Simulate bursting neurons, without any library."""

import json
import math
import os
import random

generator = random.Random(4)
cells = [generator.uniform(0.2, 1.5) for _ in range(300)]
for _ in range(250):
    cells = [cell * math.exp(2.9 * (1 - cell)) for cell in cells]

os.makedirs("outputs", exist_ok=True)
with open("outputs/cells.json", "w") as file:
    json.dump({"potential": cells, "mean": sum(cells) / len(cells)}, file, indent=1)
