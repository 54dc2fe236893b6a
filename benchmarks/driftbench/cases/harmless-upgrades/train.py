"""Normalise a table."""

from pathlib import Path

import numpy as np
import reportkit

table = np.random.default_rng(0).normal(size=(50, 3))
Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/table.npz", table=(table - table.mean(axis=0)) / table.std(axis=0))
print("=" * reportkit.WIDTH)
