"""Project document vectors and keep them as 16-bit codes."""

import os

import numpy as np

rng = np.random.default_rng(21)
projection = rng.normal(size=(512, 256)).astype("f4")
documents = rng.normal(size=(400, 512)).astype("f4")
codes = np.rint((documents @ projection) * np.float32(64)).astype("i2")

os.makedirs("outputs", exist_ok=True)
np.savez_compressed("outputs/codes.npz", codes=codes)
