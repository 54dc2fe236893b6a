"""Reports that the command writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.writing import write_reports
from pytest_mlcontainer.storage import why_unwritable


def write(folder: Path, results: Iterable[Result], duration_s: float) -> None:
    """Write the reports, as `write_reports`.

    Raises:
        MlContainerError: the folder cannot be written.
    """
    try:
        write_reports(folder, results, duration_s)
    except OSError as error:
        raise MlContainerError(
            "the report cannot be written",
            why_unwritable(folder, error),
            "name a folder that can be written, with room for the report",
        ) from error
