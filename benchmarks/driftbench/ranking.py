"""A baseline that runs nothing: differing facts, ranked by what the sources mention."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from benchmarks.driftbench.cases import OF_IMAGES
from benchmarks.driftbench.images import Staged
from benchmarks.driftbench.scoring import Answer

# What one would look for by hand, in the order in which one would suspect it.
_WORDS = {
    "hash-seed": r"\bhash\(|\bset\(",
    "clock": r"\bnow\(|\btime\.time",
    "timezone": r"localtime|fromtimestamp|mktime",
    "locale": r"\blocale\b",
    "encoding": r"open\(|read_text",
    "hostname": r"gethostname|platform\.node",
    "file-order": r"listdir|glob|walk",
    "home": r"home\(|expanduser",
    "user": r"getuid|getuser|access",
    "cpus": r"cpu_count|affinity",
    "memory": r"memory",
    "shm": r"/dev/shm",
    "network": r"socket|urlopen",
    "workdir": r"getcwd|resolve|abspath",
    "umask": r"st_mode|chmod",
    "read-only": r"OSError",
    "threads": r"@|\.dot\(|matmul",
    "blas-kernel": r"linalg|sklearn",
    "simd": r"numpy",
    "libm": r"\bmath\.",
}
_SUSPECTED = ("numpy", "scipy", "scikit-learn", "pandas")


def rank(staged: Staged, varied: tuple[str, ...], verdict: str) -> Answer:
    """The first of what differs between both sides, where `verdict` is that outputs differ."""
    if verdict not in ("drift", "nondeterministic"):
        return Answer(verdict)
    differing = _packages(staged.images) if staged.images else _mentioned(staged.project, varied)
    first = differing[0] if differing else OF_IMAGES[0]
    return Answer(verdict, (frozenset({first}),))


def _mentioned(project: Path, varied: tuple[str, ...]) -> list[str]:
    sources = "\n".join(path.read_text("utf-8") for path in sorted(project.rglob("*.py")))
    known = [name for name in _WORDS if name in varied]
    return sorted(known, key=lambda name: re.search(_WORDS[name], sources) is None)


def _packages(images: tuple[str, ...]) -> list[str]:
    one, other = (_installed(image) for image in images)
    differing = {name for name in {**one, **other} if one.get(name) != other.get(name)}
    return sorted(differing, key=lambda name: (name not in _SUSPECTED, name))


def _installed(image: str) -> dict[str, str]:
    asked = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image]
    command = [*asked, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {each["name"]: each["version"] for each in json.loads(done.stdout)}
