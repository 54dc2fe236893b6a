"""Fit a line by stochastic gradient descent, in batches that fit into memory."""

from pathlib import Path

import numpy as np

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available():
    for path in LIMITS:
        try:
            text = Path(path).read_text().strip()
        except FileNotFoundError:
            continue
        if text.isdigit():
            return int(text)
    return 2**63


batch = min(64, max(8, available() // 2**26))
rng = np.random.default_rng(6)
x = rng.normal(size=(2048, 4))
y = x @ [1.0, -2.0, 0.5, 3.0] + rng.normal(size=2048)
weights = np.zeros(4)
for start in range(0, 2048, batch):
    rows = slice(start, start + batch)
    weights -= 0.05 * x[rows].T @ (x[rows] @ weights - y[rows]) / batch

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/weights.npz", weights=weights)
