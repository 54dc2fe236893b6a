"""What GitHub Actions is told of a session: annotations, and the summary of the job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath

import pytest

from pytest_mlcontainer.model import CheckReport
from pytest_mlcontainer.plugin.explained import ExplainedText
from pytest_mlcontainer.report.checks import finding_lines
from pytest_mlcontainer.report.github import Annotation, commands


class GitHub:
    """Collects failures of tests that run containers.

    Args:
        root: of pytest, to which places of tests are relative.
        environ: environment variables; `GITHUB_ACTIONS` says whether this is such a job.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._annotations: list[Annotation] = []

    @property
    def is_here(self) -> bool:
        """Whether this is a job of GitHub Actions."""
        return self._environ.get("GITHUB_ACTIONS") == "true"

    def collect(self, report: pytest.TestReport, checks: Iterable[CheckReport] = ()) -> None:
        """Note a failure that is told in our own words, not an assertion of somebody's test.

        Args:
            checks: of the image, that the test made; what fails in a file is noted there.
        """
        if not (self.is_here and report.failed and isinstance(report.longrepr, ExplainedText)):
            return
        file, line, _name = report.location
        found = [each for check in checks for each in check.failing if each.line is not None]
        for each in found:
            place = PurePath(file).parent / each.place
            text = "\n".join(finding_lines(each))
            self._annotations.append(Annotation(self._from_checkout(place), each.line or 1, text))
        if not found:
            place = self._from_checkout(PurePath(file))
            self._annotations.append(Annotation(place, (line or 0) + 1, str(report.longrepr)))

    def commands(self) -> list[str]:
        """The lines that make annotations of them."""
        return commands(self._annotations)

    def summarise(self, text: str) -> None:
        """Add Markdown to the summary of the job; without one, or where it is full, to nothing."""
        file = self._environ.get("GITHUB_STEP_SUMMARY")
        if self.is_here and file:
            with suppress(OSError), Path(file).open("a", encoding="utf-8") as summary:
                summary.write(text)

    def _from_checkout(self, file: PurePath) -> str:
        top = Path(self._environ.get("GITHUB_WORKSPACE") or self._root)
        place = self._root / file
        shown = place.relative_to(top) if place.is_relative_to(top) else file
        return shown.as_posix()
