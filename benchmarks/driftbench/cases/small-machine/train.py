"""Fit a moving average with settings that suit the machine."""

import json
import os
from pathlib import Path


def memory():
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            text = Path(path).read_text().strip()
            return int(text) if text.isdigit() else 2**62
    return 2**62


small = len(os.sched_getaffinity(0)) < 2 and memory() < 2 * 2**30
width = 5 if small else 15
series = [(n * 53) % 31 for n in range(300)]
smooth = [sum(series[n : n + width]) / width for n in range(300 - width)][:250]

Path("outputs").mkdir(exist_ok=True)
Path("outputs/smooth.json").write_text(json.dumps(smooth))
