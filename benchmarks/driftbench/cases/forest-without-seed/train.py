"""Rank features by their importance."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

rng = np.random.default_rng(1)
features = pd.DataFrame(rng.normal(size=(200, 6)), columns=list("abcdef"))
label = (features["a"] + features["b"] ** 2 > 1).astype(int)
model = RandomForestClassifier(15).fit(features, label)

Path("outputs").mkdir(exist_ok=True)
importance = pd.Series(model.feature_importances_, features.columns, name="importance")
importance.to_csv("outputs/importance.csv", index_label="feature")
