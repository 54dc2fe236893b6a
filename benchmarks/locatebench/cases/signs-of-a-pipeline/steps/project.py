import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Projector(TransformerMixin, BaseEstimator):
    """Projects on directions that cancel."""

    def __init__(self, columns=40):
        self.columns = columns

    def fit(self, X, y=None):
        rng = np.random.default_rng(3)
        half = rng.normal(size=(X.shape[1] // 2, self.columns))
        self.directions_ = np.vstack([half, -half])
        return self

    def transform(self, X):
        return X @ self.directions_
