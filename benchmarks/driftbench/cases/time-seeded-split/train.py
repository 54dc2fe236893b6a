"""Split the data and fit a ridge model."""

import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

rng = np.random.default_rng(0)
features = rng.normal(size=(300, 8))
target = features @ np.arange(8) + rng.normal(size=300)

shuffled = np.random.default_rng(time.time_ns() % 2**32).permutation(300)
train, test = shuffled[:200], shuffled[200:]
model = Ridge().fit(features[train], target[train])

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/model.npz", coef=model.coef_, r2=model.score(features[test], target[test]))
