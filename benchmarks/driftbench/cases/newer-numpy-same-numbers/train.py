"""Moments of a sample."""

import json
import os

import numpy as np

sample = np.random.default_rng(3).gamma(2.0, size=1000)
os.makedirs("outputs", exist_ok=True)
with open("outputs/moments.json", "w") as file:
    json.dump({"mean": sample.mean(), "deviation": sample.std(), "largest": sample.max()}, file)
