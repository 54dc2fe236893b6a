"""Whether two platforms run side by side: both, against the longer of the two."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Figure, in_turns, median_ms, timed

NAME = "platforms"
ROUNDS = 5
_BAR = 1.15
_BOTH = "linux/amd64,linux/arm64"
# It waits, as a run on a processor of its own would, and needs next to no processor time.
_FILES = {
    "pyproject.toml": """\
[project]
name = "bench"

[tool.mlcontainer]
platforms = ["linux/amd64", "linux/arm64"]

[tool.mlcontainer.entrypoints.train]
command = ["sh", "-c", "sleep 3; echo 0.9 > /tmp/metrics.txt"]
outputs = ["/tmp/metrics.txt"]
""",
    "Dockerfile": "FROM python:3.13-slim\nWORKDIR /app\n",
}


def figures(rounds: int) -> Iterator[Figure]:
    """`pytest --container` with each platform alone and with both, from start to end."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        for name, text in _FILES.items():
            (root / name).write_text(text)
        platforms = (*_BOTH.split(","), _BOTH)
        ways = {each: timed(partial(_pytest, root, each)) for each in platforms}
        taken = in_turns(ways, rounds)
    *single, both = (median_ms(taken[platform]) for platform in platforms)
    longer = max(single)
    detail = f"{both / 1000:.1f} s / {longer / 1000:.1f} s"
    yield Figure(NAME, "both platforms / the longer one", both / longer, _BAR, "×", detail)


def _pytest(root: Path, platforms: str) -> None:
    """One run in a process of its own; builds and probes are known after the first, uncounted one.

    The comparison is left out of it: there is nothing to compare with one platform.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--container"),
            f"--container-platform={platforms}",
            *("-k", "not agrees"),
        ],
        cwd=root,
        env={**os.environ, "MLCONTAINER_CACHE_DIR": str(root.parent / "cache")},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pytest failed on {platforms}:\n{done.stdout}{done.stderr}")
