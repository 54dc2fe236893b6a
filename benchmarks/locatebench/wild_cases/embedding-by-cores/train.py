"""Embed points of a few groups in the plane."""

import os

import numpy as np
from tsne import Embedding

rng = np.random.default_rng(22)
points = rng.normal(size=(120, 8)) + np.repeat(np.eye(8)[:4] * 3, 30, axis=0)
distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
near = np.exp(-distances / 4).astype(np.float32)
places = Embedding().fit(near, 200)

os.makedirs("outputs", exist_ok=True)
np.save("outputs/places.npy", places)
