"""Character features of names, for matching records."""

from pathlib import Path

import numpy as np


def read(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return path.read_text(encoding="latin-1")


names = read(Path("/data/names.txt")).splitlines()
features = np.zeros((len(names), 256), dtype=np.int16)
for row, name in enumerate(names):
    for character in name:
        features[row, ord(character) % 256] += 1
Path("outputs").mkdir(exist_ok=True)
np.save("outputs/features.npy", features)
