"""Predict with the stored weights, or with ones from scratch."""

import json
import os


def load():
    try:
        with open("/opt/models/weights.json") as file:
            return json.load(file)
    except OSError:
        return [0.0, 0.0, 0.0]


weights = load()
rows = [[1, n / 10, (n / 10) ** 2] for n in range(40)]
os.makedirs("outputs", exist_ok=True)
with open("outputs/predictions.csv", "w") as file:
    file.write("prediction\n")
    for row in rows:
        file.write(f"{sum(w * x for w, x in zip(weights, row))}\n")
