"""Changes of what Python does, tried on programs of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inside.recorded import Watched, watch


def _changed(folder: Path, program: str, *changes: str) -> Watched:
    done = watch(folder, program, changes=changes, records=False)
    assert done.code == 0, done.stderr
    assert done.stderr == ""
    return done


MADE = """
import os
os.mkdir("d")
for name in ("b", "d", "a", "c", "e", "0"):
    open("d/" + name, "w").close()
"""
WAYS = {
    "os.listdir": "os.listdir('d')",
    "os.scandir": "[e.name for e in os.scandir('d')]",
    "with os.scandir": "(lambda s: [e.name for e in s.__enter__()] + [s.close()][1:])"
    "(os.scandir('d'))",
    "glob": "[p[2:] for p in __import__('glob').glob('d/*')]",
    "pathlib": "[p.name for p in __import__('pathlib').Path('d').iterdir()]",
    "rglob": "[p.name for p in __import__('pathlib').Path('d').rglob('*')]",
    "os.walk": "next(os.walk('d'))[2]",
}


@pytest.mark.parametrize("way", WAYS)
def test_listings_are_sorted_however_they_are_asked_for(tmp_path: Path, way: str) -> None:
    done = _changed(tmp_path, f"{MADE}\nprint({WAYS[way]})", "sort-listings")
    assert done.stdout.strip() == str(sorted("bdace0"))


DRAWN = """
import json, random, sys, time
import numpy as np
random.seed(time.time_ns())
np.random.seed(time.time_ns() % 2**32)
values = [
    random.random(), random.Random().random(), random.Random(time.time_ns()).random(),
    np.random.rand(), np.random.default_rng().random(), np.random.RandomState().rand(),
    np.random.default_rng(time.time_ns()).random(),
    np.random.default_rng(np.random.PCG64(time.time_ns() and 5)).random(),
]
print(json.dumps(values))
"""


def test_generators_begin_with_a_constant_whatever_they_are_given(tmp_path: Path) -> None:
    first, second = (json.loads(_changed(tmp_path, DRAWN, "seed").stdout) for _ in range(2))
    assert first == second
    plain = json.loads(watch(tmp_path, DRAWN, records=False).stdout)
    assert all(mine != other for mine, other in zip(first[:7], plain[:7], strict=True))


def test_a_generator_that_was_seeded_elsewhere_stays_it(tmp_path: Path) -> None:
    program = "import numpy as np\nprint(np.random.default_rng(np.random.PCG64(5)).random())"
    assert _changed(tmp_path, program, "seed").stdout == watch(tmp_path, program).stdout


def test_generators_of_children_begin_with_it_too(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import random; print(random.random())'])"
    )
    first, second = (_changed(tmp_path, program, "seed").stdout for _ in range(2))
    assert first == second != ""


def test_generators_of_the_system_have_no_seed(tmp_path: Path) -> None:
    program = "import random\nprint(random.SystemRandom().random())"
    assert _changed(tmp_path, program, "seed").stdout != _changed(tmp_path, program, "seed").stdout


def test_the_number_of_processors_is_a_constant(tmp_path: Path) -> None:
    program = (
        "import multiprocessing, os\n"
        "print(os.cpu_count(), multiprocessing.cpu_count(), len(os.sched_getaffinity(0)))"
    )
    assert _changed(tmp_path, program, "fix-processors").stdout.split() == ["4", "4", "4"]


def test_nothing_is_recorded_beside(tmp_path: Path) -> None:
    """A change is tried in a run that is not watched."""
    done = _changed(tmp_path, "x = 1\n", "sort-listings")
    assert list(done.folder.glob("*.jsonl")) == []
