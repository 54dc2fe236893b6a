"""Train a perceptron from a random start and report its accuracy."""

import json
import os

import numpy as np

data = np.random.default_rng(0)
x = data.normal(size=(2000, 4))
y = np.where(x @ [2.0, -1.0, 0.5, 0.0] > 0, 1, -1)
start = np.random.default_rng()
weights = start.normal(size=4)
for row in start.permutation(2000):
    if y[row] * (x[row] @ weights) <= 0:
        weights += y[row] * x[row]

os.makedirs("outputs", exist_ok=True)
with open("outputs/metrics.json", "w") as file:
    json.dump({"accuracy": float(np.mean(np.sign(x @ weights) == y))}, file)
