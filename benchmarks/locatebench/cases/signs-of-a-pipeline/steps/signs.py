import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Signs(TransformerMixin, BaseEstimator):
    """1 where positive."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return (np.asarray(X) > 0).astype(int)
