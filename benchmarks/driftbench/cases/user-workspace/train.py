"""Standardise columns."""

from pathlib import Path

import numpy as np
from joblib import dump

rng = np.random.default_rng(0)
data = rng.normal(3, 2, size=(100, 4))
model = {"mean": data.mean(axis=0), "scale": data.std(axis=0)}
folder = Path("outputs")
folder.mkdir(exist_ok=True)
np.savetxt(folder / "scaled.txt", (data - model["mean"]) / model["scale"])
dump(model, folder / "scaler.joblib")
