"""Split recordings into training and test sets that stay the same when files are added."""

import os
import zlib

import numpy as np

train, test = [], []
for number in range(80):
    path = os.path.abspath(os.path.join("recordings", f"{number:03d}.wav"))
    (test if zlib.crc32(path.encode()) % 5 == 0 else train).append(number)

signal = np.sin(np.arange(80))
os.makedirs("outputs", exist_ok=True)
np.savez("outputs/split.npz", test=test, mean=signal[train].mean())
