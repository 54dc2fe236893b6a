"""Failures as GitHub Actions shows them: beside the line that they come from.

See "Workflow commands for GitHub Actions" in its documentation:
`::error file=…,line=…,title=…::text`, with `%`, line ends, and in properties `:` and `,` written as
`%25` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.report.escape import escape

_MOST: Final = 10  # GitHub shows ten of a step, and drops the others
_LINES: Final = 12
_TITLE: Final = 120


@dataclass(frozen=True)
class Annotation:
    """One failure.

    Args:
        file: from the top of the checkout, with slashes.
        line: from 1 on.
        text: in lines, the first of which is its title.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        first, *more = self.text.splitlines() or [""]
        title = _property(escape(first, _TITLE))
        text = "%0A".join(_data(escape(line)) for line in [first, *more][:_LINES])
        return f"::error file={_property(self.file)},line={self.line},title={title}::{text}"


def commands(annotations: list[Annotation]) -> list[str]:
    """The lines to be printed; the last one says how many more there are."""
    lines = [str(each) for each in annotations[:_MOST]]
    more = len(annotations) - _MOST
    return [*lines, f"and {more:,} more failures"] if more > 0 else lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
