"""Find near duplicates among document vectors."""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(11)
documents = (5 + rng.normal(size=(300, 96))).astype(np.float32)
copies = documents + rng.normal(scale=1e-5, size=documents.shape).astype(np.float32)


def distances(left, right):
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    return np.sqrt(np.maximum(squares - 2 * left @ right.T, 0))


nearest = distances(documents, copies).min(axis=1)
Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/nearest.npz", distance=nearest, duplicate=nearest < 0.02)
