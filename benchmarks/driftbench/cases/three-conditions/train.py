"""Count frequent pairs, exactly or by sampling."""

import itertools
import json
import os
from pathlib import Path


def limit():
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            text = Path(path).read_text().strip()
            return int(text) if text.isdigit() else 2**62
    return 2**62


def strategy():
    room = os.statvfs("/dev/shm")
    if len(os.sched_getaffinity(0)) > 1 or limit() >= 2 * 2**30:
        return "exact"
    return "sampled" if room.f_bavail * room.f_frsize > 2**29 else "exact"


baskets = [sorted({(n * k) % 11 for k in (3, 5, 7)}) for n in range(200)]
used = baskets if strategy() == "exact" else baskets[::4]
pairs = {}
for basket in used:
    for pair in itertools.combinations(basket, 2):
        pairs["-".join(map(str, pair))] = pairs.get("-".join(map(str, pair)), 0) + 1
Path("outputs").mkdir(exist_ok=True)
Path("outputs/pairs.json").write_text(json.dumps(pairs, sort_keys=True))
