"""A baseline: pytest-regressions, as a project would use it, on what the cases wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from benchmarks.driftbench.outputs import FIRST, OTHERS, SECOND
from benchmarks.driftbench.scoring import Answer

NAME = "pytest-regressions"
_NEEDS = ("pytest-regressions==2.8.3", "numpy", "pandas", "pyyaml", "pillow")

# One test for each output, with the fixture that its format asks for; that for data frames takes
# no text.
_TEST = """\
import json, os, pathlib
import numpy as np, pandas as pd, pytest

RUNS, SIDE = pathlib.Path(os.environ["DRIFTBENCH_RUNS"]), os.environ["DRIFTBENCH_SIDE"]
FILES = sorted(
    (case.name, path.name) for case in RUNS.iterdir() for path in (case / "first").iterdir()
)

@pytest.mark.parametrize(("case", "name"), FILES, ids=[f"{c}::{n}" for c, n in FILES])
def test_output(case, name, request):
    path, base = RUNS / case / SIDE / name, f"{case}--{name}"
    if not path.parent.is_dir():
        pytest.skip("there is one other machine")
    fixture = request.getfixturevalue
    if path.suffix == ".npz":
        with np.load(path) as archive:
            fixture("ndarrays_regression").check(dict(archive), basename=base)
    elif path.suffix == ".npy":
        fixture("ndarrays_regression").check({"array": np.load(path)}, basename=base)
    elif path.suffix in (".csv", ".tsv"):
        frame = pd.read_csv(path, sep="\\t" if path.suffix == ".tsv" else ",")
        numbers = frame.select_dtypes("number")
        if len(numbers.columns):
            fixture("dataframe_regression").check(numbers, basename=base)
        texts = frame.select_dtypes(exclude="number")
        if len(texts.columns):
            columns = {name: [str(cell) for cell in texts[name]] for name in texts}
            fixture("data_regression").check(columns, basename=f"{base}-texts")
    elif path.suffix == ".json":
        loaded = json.loads(path.read_text())
        fixture("data_regression").check(
            loaded if isinstance(loaded, dict) else {"list": loaded}, basename=base
        )
    elif path.suffix == ".png":
        fixture("image_regression").check(path.read_bytes(), basename=base)
    else:
        fixture("file_regression").check(
            path.read_bytes(), binary=True, extension=path.suffix, basename=base
        )
"""


def install(folder: Path) -> Path:
    """An environment of its own, so that its plugins meet no other test; the Python in it.

    Raises:
        CalledProcessError: the index cannot be reached, or does not have it.
    """
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    asked = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*asked, *_NEEDS], check=True, capture_output=True, text=True)
    return python


def judge(python: Path, runs: Path, work: Path) -> Mapping[str, Answer]:
    """An answer for each case whose outputs are in `runs`, by the name of the case."""
    (work / "test_outputs.py").write_text(_TEST)
    _outcomes(python, runs, work, FIRST, "--regen-all")
    noisy = _outcomes(python, runs, work, SECOND)
    drifting = set[str]().union(*(_outcomes(python, runs, work, side) for side in OTHERS))
    answers = {}
    for case, sides in {path.name: len(list(path.iterdir())) for path in runs.iterdir()}.items():
        verdict = "drift" if case in drifting else "identical"
        answers[case] = Answer("nondeterministic" if case in noisy else verdict, runs=sides)
    return answers


def _outcomes(python: Path, runs: Path, work: Path, side: str, *options: str) -> set[str]:
    """Names of the cases of which a test fails."""
    results = work / f"{side}.xml"
    subprocess.run(
        [
            *(str(python), "-m", "pytest", "-q", f"--junitxml={results}", *options),
            *("-p", "no:cacheprovider", "-o", "junit_family=xunit2", str(work)),
        ],
        cwd=work,
        env={**os.environ, "DRIFTBENCH_RUNS": str(runs), "DRIFTBENCH_SIDE": side},
        capture_output=True,
        text=True,
    )
    tests = ElementTree.parse(results).iter("testcase")
    failed = [test.get("name", "") for test in tests if test.find("failure") is not None]
    return {name.partition("[")[2].partition("::")[0] for name in failed}
