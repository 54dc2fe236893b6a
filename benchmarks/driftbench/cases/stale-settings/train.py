"""Fit a ridge line with the project's settings."""

import json
from pathlib import Path

settings = json.loads(Path("settings.json").read_text())
x = [n / 10 for n in range(50)]
y = [2 * value + (n * 7) % 5 for n, value in enumerate(x)]
slope = sum(a * b for a, b in zip(x, y)) / (sum(a * a for a in x) + settings["ridge"])
Path("outputs").mkdir(exist_ok=True)
Path("outputs/model.json").write_text(json.dumps({"slope": slope}))
