"""Forecast with as much history as fits."""

import json
import os


def limit():
    """Bytes this process group may use; the machine's where there is no limit."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            with open(path) as file:
                text = file.read().strip()
            return os.sysconf("SC_PHYS_PAGES") * 4096 if text == "max" else int(text)
    return os.sysconf("SC_PHYS_PAGES") * 4096


series = [(n * 29) % 23 + n / 10 for n in range(400)]
window = 120 if limit() >= 3 * 2**29 else 30
forecast = []
for end in range(300, 400):
    past = series[end - window : end]
    forecast.append(sum(past) / len(past))

os.makedirs("outputs", exist_ok=True)
with open("outputs/forecast.json", "w") as file:
    json.dump(forecast, file)
