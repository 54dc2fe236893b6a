"""Bootstrap the error of a median."""

import platform
from pathlib import Path

import numpy as np

data = np.random.default_rng(12).lognormal(size=400)
seed = int.from_bytes(platform.node().encode(), "big") % 2**63
rng = np.random.default_rng(seed)
medians = np.median(rng.choice(data, (200, 400)), axis=1)

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/bootstrap.npz", medians=medians, error=medians.std())
