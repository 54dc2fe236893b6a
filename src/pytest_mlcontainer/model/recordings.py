"""Runs whose Python code is watched: what is asked of the recorder, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceLine:
    """A statement of the project's own code.

    Args:
        file: path below the working directory, or below that of installed packages, or an
            absolute one in the container.
        line, end: of the source, from 1.
        function: dotted name of the function or class that it stands in; "" at a module's top.
        text: the statement, on one line, cut when it is long.
        calls: dotted names of what it calls, as written.
    """

    file: str
    line: int
    end: int
    function: str = ""
    text: str = ""
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aim:
    """A statement at which values are kept, or put in place, each time that it is executed.

    Args:
        number: by which its values are known.
        stream: name of the process, as the recorder gives it.
        file: as the recorder tells it: below the working directory, where it lies there.
        names: of the values.
        program: arguments of the process, where these tell it from others beside it, that may have
            its name in another run; () where its name does.
    """

    number: int
    stream: str
    file: str
    line: int
    names: tuple[str, ...]
    program: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """What the recorder does in a run.

    Args:
        packages: import names of installed packages that are the project's own code.
        aims: places at which something is done.
        values: a file with the values to put at the aims; None to keep those that are there.
        records: whether everything is recorded; else nothing but what the aims need.
        dense: whether the beginning is recorded whole, as far as there is room, and not the rest.
        changes: names of changes that are made of what Python does, to try a mend from outside:
            `sort-listings`, `seed`, `fix-processors`.
    """

    packages: tuple[str, ...] = ()
    aims: tuple[Aim, ...] = ()
    values: Path | None = None
    records: bool = True
    dense: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sides:
    """A value on both sides, as text.

    Args:
        name: as the source has it: `self.weights`; `return` of what a function returns.
        distance: of the two, relative to the expected one's Euclidean norm, estimated for large
            arrays; None where that has no meaning.
    """

    name: str
    expected: str
    actual: str
    distance: float | None = None


@dataclass(frozen=True)
class Step:
    """One statement on the way from the origin to the outputs.

    Args:
        read, bound: the largest relative distance among what it read, and what it bound; None
            where none can be measured.
    """

    place: SourceLine
    read: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Location:
    """Where two runs of a program part.

    Args:
        proven: the origin's values were exchanged in a run, and the outputs agreed then.
        origins: statements whose inputs agree and whose results do not, in order of execution;
            several where none alone accounts for the drift.
        values: at the first origin.
        kind: how the difference comes in, in a few words: "the order of a folder's listing".
        mend: what usually stops it; "" where nothing is known.
        amplifier: where small becomes large.
        decision: where it becomes another decision.
        steps: the way from the origin to the outputs, thinned.
        runs: how many were made for it.
        notes: what has to be known of the answer: what was not seen, why nothing is claimed.
    """

    proven: bool = False
    origins: tuple[SourceLine, ...] = ()
    values: tuple[Sides, ...] = ()
    kind: str = ""
    mend: str = ""
    amplifier: Step | None = None
    decision: SourceLine | None = None
    steps: tuple[Step, ...] = ()
    runs: int = 0
    notes: tuple[str, ...] = ()
