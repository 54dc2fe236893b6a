import os
from dataclasses import dataclass


@dataclass
class Config:
    """How the data is cut."""

    folds: int = 5


def folds_of(most):
    found = os.cpu_count() or 1
    return min(found, most)
