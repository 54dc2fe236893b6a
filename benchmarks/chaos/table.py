"""The table of faults: one row for each, with its worst figure against its bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HEADINGS = ("fault", "trials", "survived", "worst", "bar")


@dataclass(frozen=True)
class Row:
    """What came of one fault.

    Args:
        fault: what was done, in words.
        trials: how often; `survived` says in how many of them everything held.
        worst: the worst figure of all trials, with its unit.
        bar: what it is held against.
        problems: what did not hold, one line each, with what is needed to repeat it.
    """

    fault: str
    trials: int
    survived: int
    worst: str
    bar: str
    problems: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        return self.trials > 0 and self.survived == self.trials


def markdown(rows: Sequence[Row]) -> str:
    """The table, and below it what did not hold."""
    lines = [_line(_HEADINGS), _line(("---",) * len(_HEADINGS)), *(_line(_cells(r)) for r in rows)]
    failed = [f"- {row.fault}: {problem}" for row in rows for problem in row.problems]
    return "\n".join((*lines, *(["", *failed] if failed else [])))


def plain(rows: Iterable[Row]) -> str:
    """The table for a terminal, in columns."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in (0, 4) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    return row.fault, str(row.trials), str(row.survived), row.worst, row.bar


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
