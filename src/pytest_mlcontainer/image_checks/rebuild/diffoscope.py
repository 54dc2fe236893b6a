"""A look inside files that differ for no known reason, with diffoscope where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.rebuild.reasons import ExplainedFile, Origin
from pytest_mlcontainer.temporary import temporary_folder

_TIMEOUT_S: Final = 60.0
_MOST_FILES: Final = 3
_MOST_LINES: Final = 8


def looked_inside(
    inputs: CheckInputs, explained: tuple[ExplainedFile, ...]
) -> tuple[ExplainedFile, ...]:
    """The same, with what diffoscope says of the first few that have no known reason."""
    program = shutil.which("diffoscope", path=inputs.environ.get("PATH"))
    if program is None:
        return explained
    return tuple(_looked(inputs, program, explained))


def _looked(
    inputs: CheckInputs, program: str, explained: tuple[ExplainedFile, ...]
) -> Iterator[ExplainedFile]:
    left = _MOST_FILES
    for each in explained:
        change = each.change
        if left and each.reason is Origin.UNKNOWN and change.before and change.after:
            left -= 1
            said = _said(inputs, program, Path(change.path).name, change.before, change.after)
            if said:
                each = replace(each, evidence=f"{each.evidence}\n{said}")
        yield each


def _said(inputs: CheckInputs, program: str, name: str, before: bytes, after: bytes) -> str:
    with temporary_folder() as folder:
        for side, content in (("first", before), ("second", after)):
            (folder / side).mkdir()
            (folder / side / name).write_bytes(content)
        report = folder / "report"
        words = [program, f"--text={report}", "--max-text-report-size=8000"]
        inputs.processes.run(
            [*words, f"first/{name}", f"second/{name}"],
            cwd=folder,
            env=inputs.environ,
            timeout_s=_TIMEOUT_S,
        )
        if not report.is_file():
            return ""
        lines = report.read_text(encoding="utf-8", errors="replace").splitlines()
    changed = [line for line in lines if line.lstrip("│ ").startswith(("-", "+", "├"))]
    return "\n".join(f"  {line[:160]}" for line in changed[2 : 2 + _MOST_LINES])
