"""Classify with a forest, in parallel."""

import json
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

rng = np.random.default_rng(1)
features = rng.normal(size=(300, 8))
label = (features[:, 0] * features[:, 1] > 0).astype(int)
model = RandomForestClassifier(20, n_jobs=-1, random_state=0).fit(features[:200], label[:200])

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/votes.npz", votes=model.predict_proba(features[200:]))
Path("outputs/metrics.json").write_text(
    json.dumps({"accuracy": model.score(features[200:], label[200:])})
)
