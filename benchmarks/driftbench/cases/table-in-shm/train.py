"""Look up item vectors in a table that processes share."""

import os
from pathlib import Path

import numpy as np

NEEDED = 200 * 2**20

room = os.statvfs("/dev/shm")
kind = np.float32 if room.f_bavail * room.f_frsize >= NEEDED else np.float16
table = np.random.default_rng(0).normal(size=(200, 32)).astype(kind)
users = np.random.default_rng(1).normal(size=(20, 32)).astype(np.float32)
scores = (users[:, None, :] * table[None].astype(np.float32)).sum(axis=2)

Path("outputs").mkdir(exist_ok=True)
np.savetxt(
    "outputs/scores.csv",
    scores,
    delimiter=",",
    header=",".join(f"i{n}" for n in range(200)),
    comments="",
)
