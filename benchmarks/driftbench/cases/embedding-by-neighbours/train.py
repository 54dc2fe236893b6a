"""Lay out a data set in the plane."""

from pathlib import Path

import numpy as np
from sklearn.manifold import TSNE

rng = np.random.default_rng(0)
points = rng.normal(size=(120, 12))
points[:40] += 3
layout = TSNE(random_state=0, init="random", perplexity=12, max_iter=300).fit_transform(points)

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/layout.npz", layout=layout)
