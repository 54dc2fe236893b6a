"""The most frequent terms of a corpus, as a vocabulary."""

import json
import os

import numpy as np


def vocabulary(counts, size):
    order = np.argsort(counts)[::-1]
    return [int(term) for term in order[:size]]


rng = np.random.default_rng(24)
counts = rng.poisson(3, size=5000)
os.makedirs("outputs", exist_ok=True)
with open("outputs/vocabulary.json", "w") as file:
    json.dump(vocabulary(counts, 800), file)
