"""Project fish stocks over sixty seasons with the Ricker model, for many starting stocks."""

from pathlib import Path

import numpy as np

SEASONS = 60
GROWTH = np.float32(2.9)

stock = np.random.default_rng(7).uniform(0.2, 1.5, 500).astype(np.float32)
history = np.empty((SEASONS, stock.size), np.float32)
for season in range(SEASONS):
    stock = stock * np.exp(GROWTH * (1 - stock))
    history[season] = stock

out = Path("outputs")
out.mkdir(exist_ok=True)
np.save(out / "history.npy", history)
