"""Score applicants by logistic regression."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore", ConvergenceWarning)
rng = np.random.default_rng(5)
income = rng.lognormal(10, 1, size=(1500, 30))
ratios = rng.normal(size=(1500, 30))
features = np.hstack([income, ratios])
default = (ratios[:, 0] + income[:, 0] / 1e5 + rng.normal(size=1500) > 0.5).astype(int)
model = LogisticRegression(max_iter=300).fit(features, default)

Path("outputs").mkdir(exist_ok=True)
scores = pd.DataFrame({"score": model.predict_proba(features)[:, 1]})
scores.to_csv("outputs/scores.csv", index_label="applicant")
