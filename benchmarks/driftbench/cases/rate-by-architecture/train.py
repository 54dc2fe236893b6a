"""Fit a weight to scaled data."""

import json
import os

import columnscale
import tinylearn

x = columnscale.scale([n % 17 for n in range(100)])
y = [3 * value + 0.1 for value in x]
os.makedirs("outputs", exist_ok=True)
with open("outputs/weight.json", "w") as file:
    json.dump({"weight": tinylearn.fit(x, y)}, file)
