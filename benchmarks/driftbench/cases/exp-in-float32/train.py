"""Temperature-scaled probabilities."""

import os

import numpy as np

logits = np.random.default_rng(0).normal(size=(500, 10)).astype("f4")
scaled = np.exp(logits / np.float32(1.7))
probabilities = scaled / scaled.sum(axis=1, keepdims=True)

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/probabilities.npz", p=probabilities, log=np.log(probabilities))
