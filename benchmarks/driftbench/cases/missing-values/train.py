"""Gaps in a series, tagged in the payload of NaN."""

import os

import numpy as np

series = np.linspace(0, 1, 200)
run = int.from_bytes(os.urandom(4), "little")
tagged = np.full(20, 0x7FF8_0000_0000_0000 | run, dtype=np.uint64).view(np.float64)
series[::10] = tagged

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/series.npz", series=series)
