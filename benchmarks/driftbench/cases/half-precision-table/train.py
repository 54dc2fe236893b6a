"""Place a table of vectors where there is room for it, and multiply."""

import shutil
from pathlib import Path

import numpy as np


def limit():
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if Path(path).exists():
            text = Path(path).read_text().strip()
            return int(text) if text.isdigit() else 2**62
    return 2**62


table = np.random.default_rng(3).normal(size=(100, 24)).astype(np.float32)
if limit() < 3 * 2**29 and shutil.disk_usage("/dev/shm").free > 2**29:
    table = table.astype(np.float16).astype(np.float32)
norms = np.sqrt(np.square(table).sum(axis=1))

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/norms.npz", norms=norms)
