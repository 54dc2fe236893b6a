"""Turn messages into counts of hashed words."""

from pathlib import Path

import numpy as np

BUCKETS = 64
WORDS = (
    "free cash prize meeting lunch report invoice click here now team agenda urgent offer".split()
)

rng = np.random.default_rng(1)
messages = [" ".join(rng.choice(WORDS, 12)) for _ in range(200)]
counts = np.zeros((len(messages), BUCKETS), dtype=np.int32)
for row, message in enumerate(messages):
    for word in message.split():
        counts[row, hash(word) % BUCKETS] += 1

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/features.npz", counts=counts)
