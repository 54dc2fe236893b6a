"""The example projects do on this machine's own platform what their pages say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PASS = ("neural-network", "onnx-export", "gradient-boosting", "served-model", "text-search")


@dataclass(frozen=True)
class Ended:
    """What pytest came to in an example's folder."""

    code: int
    printed: str
    report: dict[str, object]


def run(name: str, folder: Path, *words: str) -> Ended:
    """pytest in a copy of an example, on linux/amd64 alone, with the images removed after it."""
    project, report = folder / name, folder / "report"
    shutil.copytree(EXAMPLES / name, project)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--container", "--container-platform=linux/amd64",
         f"--container-report={report}", "-o", "addopts=", "-p", "no:randomly",
         "-p", "no:cacheprovider", *words],
        cwd=project, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    found = json.loads((report / "report.json").read_text())
    return Ended(ended.returncode, ended.stdout + ended.stderr, found)


@pytest.mark.parametrize("name", PASS)
def test_an_example_passes_and_repeats_itself(
    name: str, tmp_path: Path, engine: docker.APIClient
) -> None:
    ended = run(name, tmp_path, "--container-repeat=2")

    assert ended.code == 0, ended.printed
    if name == "served-model":
        assert "test_flowers.py" in ended.printed
    else:
        assert "linux/amd64 vs other repeats" in ended.printed
        assert "drift" not in ended.printed


def test_the_drifting_one_passes_until_something_is_varied(
    tmp_path: Path, engine: docker.APIClient
) -> None:
    calm = run("drifting", tmp_path / "calm")
    assert calm.code == 0, calm.printed

    varied = run("drifting", tmp_path / "varied", "--container-vary=file-order,timezone")

    assert varied.code == 1, varied.printed
    assert "cause: file-order" in varied.printed
    assert "sorted(...) around os.listdir, glob and iterdir" in varied.printed
