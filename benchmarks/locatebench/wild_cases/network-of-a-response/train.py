"""A response surface by a small network."""

import os
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)
rng = np.random.default_rng(13108)
indep = rng.uniform(-100, 100, size=(3000, 4))
dep = (indep[:, 0] * indep[:, 1]) / 10 + 50 * (indep[:, 2] > 0) + indep[:, 3]
net = MLPRegressor(solver="lbfgs", random_state=1, max_iter=150)
net.fit(indep, dep)

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/response.npz", score=net.score(indep, dep), predicted=net.predict(indep[:200]))
