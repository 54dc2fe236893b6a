"""What the product says of a case, by its own command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.driftbench.images import Staged
from benchmarks.driftbench.scoring import Answer

_MOST_SECONDS = 1800
# The script that an installation of the package makes, without relying on where it is.
_COMMAND = "import sys; from pytest_mlcontainer.cli import main; sys.exit(main())"


def ask(staged: Staged, *options: str) -> tuple[Answer, tuple[str, ...]]:
    """The answer, and the names of variations that took effect.

    Nothing is known from earlier: the cache is a new one each time.

    Args:
        options: further ones of pytest; not for a pair of images, which it does not compare.
    """
    with tempfile.TemporaryDirectory(prefix="driftbench-") as folder:
        report = Path(folder) / "report"
        started = time.monotonic()
        try:
            done = subprocess.run(
                _command(staged, report, options),
                cwd=staged.project,
                env={**os.environ, "MLCONTAINER_CACHE_DIR": str(Path(folder) / "cache")},
                capture_output=True,
                text=True,
                timeout=_MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Answer("timeout", seconds=_MOST_SECONDS), ()
        seconds = time.monotonic() - started
        if not (report / "report.json").exists():
            said = (done.stderr or done.stdout).strip().splitlines() or [""]
            return Answer(f"failed: {said[-1][:200]}", seconds=seconds), ()
        return read_report(json.loads((report / "report.json").read_text()), staged, seconds)


def _command(staged: Staged, report: Path, options: tuple[str, ...]) -> list[str]:
    project = staged.project / "pyproject.toml"
    if staged.images:
        a, b = staged.images
        asked = [sys.executable, "-c", _COMMAND, "explain", "--image", a, "--image", b]
        return [*asked, "--config", str(project), "--report", str(report)]
    chosen = ("-k", "agrees") if staged.case.kind == "platforms" else ()
    return [
        *(sys.executable, "-m", "pytest", str(project), "-q", "-p", "no:cacheprovider", *chosen),
        *("-p", "no:randomly", "--container", "--container-vary", f"--container-report={report}"),
        *options,
    ]


def read_report(
    report: dict[str, Any], staged: Staged, seconds: float
) -> tuple[Answer, tuple[str, ...]]:
    """The answer of a report.json, and the names of variations that took effect."""
    for result in report["results"]:
        explained = result["explanation"]
        if result["entrypoint"] == staged.case.entrypoint and explained is not None:
            causes = tuple(frozenset(cause["names"]) for cause in result["causes"])
            tried = tuple(dict.fromkeys(each.partition("=")[0] for each in explained["tried"]))
            where = result["location"] or {"origins": [], "proven": False}
            lines = tuple(f"{each['file']}:{each['line']}" for each in where["origins"])
            runs, verdict = explained["runs"], result["verdict"]
            return Answer(verdict, causes, runs, seconds, lines, where["proven"]), tried
    failures = [failure["what"] for failure in report["failures"]]
    return Answer(f"failed: {'; '.join(failures)[:200]}", seconds=seconds), ()
