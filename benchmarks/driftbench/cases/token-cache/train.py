"""Tokenise with a cached vocabulary."""

import json
import os
from pathlib import Path

TEXT = "to train is to count what we see and to see is to count what we train " * 5
CACHE = Path("cache/vocabulary.json")


def vocabulary():
    words = sorted(set(TEXT.split()))
    try:
        CACHE.parent.mkdir(exist_ok=True)
        CACHE.write_text(json.dumps(words))
    except OSError:
        # Without a cache it has to be small enough to build every time.
        words = words[:4]
    return {word: number for number, word in enumerate(words)}


numbers = vocabulary()
ids = [numbers.get(word, -1) for word in TEXT.split()]
os.makedirs("outputs", exist_ok=True)
Path("outputs/ids.json").write_text(json.dumps(ids))
