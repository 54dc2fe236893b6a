"""Stem the words of requests and count them."""

import collections
import json
import os

import textprep

REQUESTS = ["running runs and ran", "training trained models", "drifting sensors drifted"]

counts = collections.Counter(word for line in REQUESTS for word in textprep.tokens(line))
os.makedirs("outputs", exist_ok=True)
with open("outputs/counts.json", "w") as file:
    json.dump(dict(sorted(counts.items())), file)
