"""Learners that keep what they learnt out of sight of Python: the line that fits is the origin.

They run where the libraries are installed beside the tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import find, noise_of
from tests.inside.recorded import watch

HEAD = """
import json, os
import numpy as np
rng = np.random.RandomState(0)
X = rng.normal(size=(200, 5))
y = (X[:, 0] + 0.3 * rng.normal(size=200) > 0).astype(int)
"""
FIT = "model.fit(X, y, sample_weight=np.linspace(1, int(os.environ['LOT']), 200))"
TAIL = f"""
{FIT}
scores = model.predict_proba(X)[:, 1]
print(json.dumps(scores[:5].tolist()))
"""
LEARNERS = {
    "xgboost": (
        "from xgboost import XGBClassifier\n"
        "model = XGBClassifier(n_estimators=5, n_jobs=1, random_state=0)"
    ),
    "lightgbm": (
        "from lightgbm import LGBMClassifier\n"
        "model = LGBMClassifier(n_estimators=5, n_jobs=1, random_state=0, verbose=-1)"
    ),
    "catboost": (
        "from catboost import CatBoostClassifier\n"
        "model = CatBoostClassifier(iterations=5, thread_count=1, random_seed=0, verbose=0,"
        " allow_writing_files=False)"
    ),
    "sklearn": (
        "from sklearn.tree import DecisionTreeClassifier\n"
        "model = DecisionTreeClassifier(max_depth=2, random_state=0)"
    ),
}


@pytest.mark.parametrize("library", LEARNERS)
def test_the_line_that_fits_is_the_origin(tmp_path: Path, library: str) -> None:
    """Not the one that predicts, which is given a model that looks the same on both sides."""
    pytest.importorskip(library, reason=f"{library} is not installed beside the tests")
    program = HEAD + LEARNERS[library] + TAIL
    sides = [watch(tmp_path, program, env={"LOT": lot}) for lot in ("1", "9")]
    assert [side.code for side in sides] == [0, 0], sides[0].stderr
    assert sides[0].stdout != sides[1].stdout

    origins = find(sides[0].streams, sides[1].streams, ("stdout",)).location.origins

    assert [each.text for each in origins] == [FIT]


def test_what_scikit_learn_notes_of_a_fit_is_no_difference(tmp_path: Path) -> None:
    """An id and a time, since 1.9, also in an estimator of the project's own."""
    pytest.importorskip("sklearn", reason="sklearn is not installed beside the tests")
    program = f"""{HEAD}
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        found = X * 2
        return found
model = make_pipeline(Scaled(), LogisticRegression())
model.fit(X, y)
print(model.score(X, y))
"""
    first, second = (watch(tmp_path, program, env={"LOT": "1"}).streams for _ in range(2))
    assert noise_of(first, second) == frozenset()
