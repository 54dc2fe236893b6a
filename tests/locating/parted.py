"""A program run for two lots, where their runs part, and what exchanged values make of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.locating.answer import LocationCandidate, find
from tests.inside.recorded import Watched, watch

LOT: Final = "int(os.environ['LOT'])"
"""What a program has to ask for to differ between its lots."""
SIDES: Final = ({"LOT": "1"}, {"LOT": "2"})


@dataclass(frozen=True)
class Parted:
    """Both sides' runs, what was found, and what the actual side writes with values exchanged."""

    expected: Watched
    actual: Watched
    found: LocationCandidate
    exchanged: str

    @property
    def lines(self) -> list[int]:
        """Of the origins."""
        return [each.line for each in self.found.location.origins]


def part(folder: Path, program: str) -> Parted:
    """Run a program for both lots, and prove where they part."""
    expected, actual = (watch(folder, program, env=env) for env in SIDES)
    assert (expected.code, actual.code) == (0, 0), expected.stderr + actual.stderr
    assert expected.stdout != actual.stdout
    found = find(expected.streams, actual.streams, ("stdout",))
    kept = watch(folder, program, env=SIDES[0], aims=found.kept, records=False)
    values = kept.folder / "values.pickle"
    put = watch(folder, program, env=SIDES[1], aims=found.origins, values=values, records=False)
    assert put.code == 0, put.stderr
    return Parted(expected, actual, found, put.stdout)


def part_at(folder: Path, program: str, plain: str, changed: str) -> tuple[Parted, int]:
    """The same, of a program changed in one place, and the line of the change."""
    assert plain in program
    program = program.replace(plain, changed)
    line = next(n for n, text in enumerate(program.splitlines(), 1) if changed in text)
    return part(folder, program), line
