"""What a case wrote, for the baselines: twice as it is, and on two other machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.driftbench.images import Staged

FIRST, SECOND, OTHERS = "first", "second", ("other", "another")
# POSIX hides every locale, and a copy of the folder can be written to where the folder cannot.
_APART = ("encoding", "workdir")

# The product's fixtures are the simplest way to run a project under given variations. What is
# held against what is up to the baselines.
_TEST = """\
import json, os, pathlib, shutil

ASKED = json.loads(os.environ["DRIFTBENCH_ASKED"])

def test_runs(run_entrypoint):
    for name, arguments in ASKED["runs"].items():
        run = run_entrypoint(ASKED["entrypoint"], check=False, **arguments)
        folder = pathlib.Path(ASKED["folder"]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for output in run.outputs:
            path = folder / output.name.strip("/").replace("/", "__")
            shutil.copyfile(output.path, path)
"""


def write_outputs(staged: Staged, folder: Path, varied: tuple[str, ...]) -> None:
    """Fill `folder` with the folders `first`, `second` and those of `OTHERS`, each a run's outputs.

    Args:
        varied: names of variations that have an effect here; between them the others have all of
            them. Of a pair of images there is one other, the second image. A run that failed has
            fewer outputs than others.

    Raises:
        RuntimeError: the runs could not be made.
    """
    plain: dict[str, object] = {FIRST: {"repeat": 0}, SECOND: {"repeat": 1}}
    if staged.images:
        a, b = staged.images
        _run(staged, folder, plain, f"--container-image={a}")
        _run(staged, folder, {OTHERS[0]: {"repeat": 0}}, f"--container-image={b}")
        return
    groups = (
        [name for name in varied if name not in _APART],
        [name for name in varied if name in _APART],
    )
    sides = zip(OTHERS, groups, strict=True)
    _run(staged, folder, {**plain, **{side: {"vary": names} for side, names in sides if names}})


def _run(staged: Staged, folder: Path, runs: dict[str, object], *options: str) -> None:
    test = staged.project / "test_driftbench.py"
    test.write_text(_TEST)
    asked = {"entrypoint": staged.case.entrypoint, "folder": str(folder), "runs": runs}
    with tempfile.TemporaryDirectory(prefix="driftbench-") as cache:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", str(test), "-q", "--container", *options),
                *("-p", "no:cacheprovider", "-p", "no:randomly"),
            ],
            cwd=staged.project,
            env={
                **os.environ,
                "MLCONTAINER_CACHE_DIR": cache,
                "DRIFTBENCH_ASKED": json.dumps(asked),
            },
            capture_output=True,
            text=True,
        )
    test.unlink()
    if done.returncode != 0:
        raise RuntimeError(f"{staged.case.name} could not be run:\n{done.stdout[-2000:]}")
