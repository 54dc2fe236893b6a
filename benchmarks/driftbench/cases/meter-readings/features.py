"""Turn meter readings into seconds and consumption per hour."""

import json
import time
from pathlib import Path

lines = Path("readings.txt").read_text(encoding="utf-8").splitlines()
points = []
for line in lines:
    stamp, value = line.split(";")
    points.append((time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M")), float(value)))

rates = [
    {"at": later, "rate": (b - a) / (later - earlier) * 3600}
    for (earlier, a), (later, b) in zip(points, points[1:])
]
Path("outputs").mkdir(exist_ok=True)
Path("outputs/rates.jsonl").write_text("".join(json.dumps(rate) + "\n" for rate in rates))
