"""Fit rates by a general solver."""

import numpy as np
from model import Objective
from output import save
from scipy.optimize import minimize

rng = np.random.default_rng(4)
features = rng.normal(size=(400, 60)) * np.logspace(0, 4, 60)
target = features @ rng.normal(size=60) + rng.normal(size=400)
objective = Objective(features, target)
found = minimize(objective, np.zeros(60), jac=True, method="L-BFGS-B", options={"maxiter": 150})
save({"weights": found.x.tolist(), "value": float(found.fun)})
