"""Number the towns and count their visitors."""

import functools
import json
import locale
import os

locale.setlocale(locale.LC_COLLATE, "")

with open("towns.txt", encoding="utf-8") as file:
    visits = [line.strip() for line in file]
classes = sorted(set(visits), key=functools.cmp_to_key(locale.strcoll))
labels = [classes.index(town) for town in visits]

os.makedirs("outputs", exist_ok=True)
with open("outputs/labels.json", "w", encoding="utf-8") as file:
    json.dump({"labels": labels}, file)
