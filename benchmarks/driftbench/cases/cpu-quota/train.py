"""Cluster points with as many threads as there are."""

from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

rng = np.random.default_rng(2)
points = np.concatenate([rng.normal(center, 0.3, (150, 2)) for center in ((0, 0), (4, 1), (1, 5))])
model = KMeans(3, n_init=4, random_state=0).fit(points)

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/clusters.npz", centres=model.cluster_centers_, labels=model.labels_)
