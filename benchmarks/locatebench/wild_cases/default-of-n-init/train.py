"""Quantise the colours of a picture."""

import os
import warnings

import numpy as np
from sklearn.cluster import KMeans

warnings.simplefilter("ignore", FutureWarning)
rng = np.random.default_rng(25022)
colours = rng.uniform(size=(2500, 3))
quantiser = KMeans(n_clusters=24, random_state=0).fit(colours)

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/palette.npz", palette=quantiser.cluster_centers_, error=quantiser.inertia_)
