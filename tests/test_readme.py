"""The README, executed as written: the wheel in an empty environment, then its commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^(?:<!-- (.*?) -->\n)?```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

DOCKERFILE = "FROM python:3.13-slim\nWORKDIR /app\nCOPY *.py ./\n"
TRAIN = """\
import json, os
os.makedirs("outputs", exist_ok=True)
json.dump({"accuracy": 0.93}, open("outputs/metrics.json", "w"))
"""
# An npz without NumPy, which would have to be installed by emulation.
PREDICT = """\
import json, struct, zipfile
accuracy = json.load(open("outputs/metrics.json"))["accuracy"]
header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"
header += b" " * (117 - len(header)) + b"\\n"
array = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header
with zipfile.ZipFile("outputs/predictions.npz", "w") as file:
    file.writestr("score.npy", array + struct.pack("<2d", accuracy, 1 - accuracy))
"""


def blocks() -> list[tuple[str, str, str]]:
    """Instruction, language and text of each block."""
    return BLOCK.findall((ROOT / "README.md").read_text())


def commands(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment variables of a user with an empty virtual environment and our built wheel."""
    place = tmp_path_factory.mktemp("stranger")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--out-dir", place / "wheels"], cwd=ROOT, check=True
    )
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    yield {
        **env,
        "PATH": f"{place / 'venv' / 'bin'}:{env['PATH']}",
        "PIP_FIND_LINKS": str(place / "wheels"),
        "MLCONTAINER_CACHE_DIR": str(place / "cache"),
        "QEMU_CPU": "neoverse-n1",
    }
    shutil.rmtree(place, ignore_errors=True)


def test_the_two_30_second_examples_work_for_a_stranger(
    stranger: dict[str, str], tmp_path: Path, engine: docker.APIClient, leaves_nothing: None
) -> None:
    for name, text in (("Dockerfile", DOCKERFILE), ("train.py", TRAIN), ("predict.py", PREDICT)):
        (tmp_path / name).write_text(text)
    printed = []

    for instruction, _language, text in blocks():
        if instruction.startswith("file: "):
            place = tmp_path / instruction.removeprefix("file: ")
            place.parent.mkdir(exist_ok=True)
            place.write_text(text)
        elif instruction == "run":
            printed += [run(command, tmp_path, stranger) for command in commands(text)]

    # The Dockerfile, 2 images with 2 checks each, 4 runs, 2 comparisons; the tests come after it.
    assert "13 passed" in printed[1]
    assert "2 passed" in printed[2]


def test_make_demo_shows_what_agrees_and_what_drifts() -> None:
    printed = run("make demo", ROOT, dict(os.environ))

    assert "4 comparisons" in printed
    assert re.search(r"infer +linux/arm64\*? vs linux/amd64 +(equivalent|identical)", printed)
    assert re.search(r"train +linux/arm64\*? vs linux/amd64 +drift", printed)
    for line in sample_output():
        assert re.sub(r"[\d.,e+-]+", "", line).strip() in re.sub(r"[\d.,e+-]+", "", printed)


def test_make_test_sets_everything_up_and_passes() -> None:
    # All of it would run this very test again, as would what this make was told on its own line.
    inherited = {name: text for name, text in os.environ.items() if name != "MAKEFLAGS"}
    one_file = {**inherited, "TESTS": "tests/pipeline/test_matrix.py", "WORKERS": "1"}

    assert "passed" in run("make test", ROOT, one_file)


def test_every_block_of_the_readme_is_covered_here() -> None:
    kinds = [(instruction, language) for instruction, language, _text in blocks()]

    assert kinds == [
        ("file: pyproject.toml", "toml"),
        ("run", "console"),
        ("file: tests/test_model.py", "python"),
        ("run", "console"),
        ("", "console"),
        ("", "text"),
        ("run", "console"),
        ("", "text"),
    ]
    assert commands(blocks()[4][2]) == ["make demo", "make test"]


def sample_output() -> list[str]:
    """The lines of the README's sample of the demo that hold on every pair of CPUs."""
    lines = blocks()[5][2].splitlines()
    return [line for line in lines if "busy_coef" in line or "environments differ" in line]
