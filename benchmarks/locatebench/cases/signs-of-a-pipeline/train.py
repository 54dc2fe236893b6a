"""Hash rows by the signs of projections."""

import numpy as np
from output import save
from sklearn.pipeline import Pipeline
from steps.project import Projector
from steps.signs import Signs

rng = np.random.default_rng(1)
half = rng.normal(size=(60, 150))
rows = np.hstack([half, half])
model = Pipeline([("project", Projector()), ("signs", Signs())])
codes = model.fit_transform(rows)
save({"ones": codes.sum(axis=1).tolist()})
