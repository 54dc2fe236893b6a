"""Summarise a corpus."""

import json
import os

words = "drift noise seed model seed drift data data data".split()
counts = {word: words.count(word) for word in set(words)}

os.makedirs("outputs", exist_ok=True)
with open("outputs/counts.json", "w") as file:
    json.dump(counts, file)
