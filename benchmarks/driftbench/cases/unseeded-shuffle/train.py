"""Fit a classifier row by row."""

import os

import numpy as np

data = np.random.default_rng(0)
x = data.normal(size=(300, 5))
y = (x[:, 0] > 0).astype(float)

order = np.random.default_rng().permutation(300)
weights = np.zeros(5)
for row in order:
    weights += 0.1 * (y[row] - 1 / (1 + np.exp(-x[row] @ weights))) * x[row]

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/weights.npz", weights=weights)
