"""Drive a random recurrent network and keep the states that a read-out would be trained on."""

import os

import numpy as np

rng = np.random.default_rng(0)
size = 128
weights = rng.normal(size=(size, size)) * 1.8 / np.sqrt(size)
state = rng.normal(size=size)
states = []
for _ in range(900):
    state = np.tanh(weights @ state)
    states.append(state[:16])

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/states.npz", states=np.stack(states))
