import numpy as np


class Scorer:
    """Weights a long history."""

    def __init__(self, size):
        rng = np.random.default_rng(4)
        self.weights = rng.normal(size=size)

    def score(self, history):
        return float(history @ self.weights)
