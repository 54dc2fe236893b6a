"""Find the number of customer groups."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

rng = np.random.default_rng(3)
points = np.concatenate([rng.normal(centre, 0.4, (120, 3)) for centre in (0, 3, 6, 9)])
rows = [
    {"k": k, "inertia": KMeans(k, n_init=2, random_state=0).fit(points).inertia_} for k in (2, 3, 4)
]

Path("outputs").mkdir(exist_ok=True)
pd.DataFrame(rows).to_csv("outputs/elbow.csv", index=False)
