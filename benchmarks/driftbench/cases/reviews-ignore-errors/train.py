"""Count the words of reviews."""

import collections
import json
import os

with open("reviews.txt", errors="ignore") as file:
    words = collections.Counter(file.read().lower().split())

os.makedirs("outputs", exist_ok=True)
with open("outputs/words.json", "w") as file:
    json.dump(dict(sorted(words.items())), file)
