"""Rank the items of a shop by their average rating."""

import json
import os

import numpy as np

rng = np.random.default_rng(3)
ratings = rng.integers(1, 51, 6000) / 10
ranking = np.argsort(-ratings)[:100]

os.makedirs("outputs", exist_ok=True)
with open("outputs/top.json", "w") as file:
    json.dump([{"item": int(item), "rating": float(ratings[item])} for item in ranking], file)
