"""A failure in our own words, as pytest's reports carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pytest

_MARK = "mlcontainer_explained"


class LineWriter(Protocol):
    """What pytest gives a text that draws itself; its own class is private."""

    def line(self, s: str = "") -> None: ...


@dataclass(frozen=True)
class Headline:
    """What pytest calls a crash: the one line for its summary and for JUnit."""

    message: str


class ExplainedText:
    """A text whose first line alone stands in the summary, on CI too.

    pytest takes all of a plain text there as soon as `CI` is set, so that a log would say each
    failure twice (its `running_on_ci` turns the cut to one line off).
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.reprcrash: Headline = Headline(text.partition("\n")[0])

    def __str__(self) -> str:
        return self._text

    def toterminal(self, writer: LineWriter) -> None:
        for line in self._text.split("\n"):
            writer.line(line)


def mark(report: pytest.TestReport) -> None:
    """Note on a report that its text is ours; pytest-xdist carries the note and the text."""
    report.__dict__[_MARK] = True


def restore(report: pytest.TestReport) -> None:
    """Where the report is shown: give a text of ours its headline."""
    if getattr(report, _MARK, False) and isinstance(report.longrepr, str):
        report.__dict__["longrepr"] = ExplainedText(report.longrepr)
