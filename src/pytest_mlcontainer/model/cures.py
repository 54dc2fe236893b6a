"""What stops a drift: settings that are printed, changes of a line, and how that was shown."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from statistics import median

from pytest_mlcontainer.model.recordings import SourceLine


@dataclass(frozen=True)
class CureSetting:
    """A variable that keeps results from depending on something.

    Args:
        name: of the variable.
        value: the same for all platforms, or, with `platforms`, for these alone.
        family: the variation that it answers to; `randomness` for what draws lots.
        source: where it is documented.
        platforms: as text; empty where the value holds for all of the comparison.
        is_there: the image or the configuration sets it already.
    """

    name: str
    value: str
    family: str
    source: str
    platforms: tuple[str, ...] = ()
    is_there: bool = False


@dataclass(frozen=True)
class CureChange:
    """A change of the project's own code, as it was tried from outside.

    Args:
        name: of the intervention: `sort-listings`.
        what: what to change, in a few words.
        tried: what was done instead, in a few words.
    """

    name: str
    what: str
    tried: str


@dataclass(frozen=True)
class CurePrice:
    """How long runs of one side take.

    Args:
        side: the platform, as text.
        cured, plain: wall clock of each run, in seconds, with the cure and without it.
    """

    side: str
    cured: tuple[float, ...]
    plain: tuple[float, ...]

    @property
    def ratio(self) -> float | None:
        """Median with ÷ median without; None where either is not known."""
        if not self.cured or not self.plain or median(self.plain) <= 0:
            return None
        return median(self.cured) / median(self.plain)


class CureKind(enum.Enum):
    """What came of looking for a cure."""

    SETTINGS = "settings"  # these settings alone
    CHANGE = "change"  # a change of the code, tried from outside, with settings or without
    ADVICE = "advice"  # nothing that was tried helps; what usually does is only said
    NOTHING = "nothing"  # and nothing is known that would


@dataclass(frozen=True)
class Cure:
    """What makes platforms, repeats or the two sides of a drift agree.

    Args:
        settings, changes: the smallest set that was found, each of them needed; of ADVICE and
            NOTHING none.
        place: the line to change, where one was located.
        advice: what usually helps there; "" where nothing is known.
        agreeing: runs of each side that agreed with all others, with the cure.
        sides: 2, or 1 where it is repeats that disagree.
        together: whether both sides are one and the same then, as the settings leave nothing of
            what made them differ.
        needless: what was tried beside it and is not needed.
        vain: what was tried and does not help.
        broken: sets under which the program fails, or writes nothing to compare, with why.
        is_smallest: whether each part was left out in a run, and the drift came back.
        prices: for each side.
        runs: how many were made for it.
        notes: what has to be known of the answer.
    """

    kind: CureKind
    settings: tuple[CureSetting, ...] = ()
    changes: tuple[CureChange, ...] = ()
    place: SourceLine | None = None
    advice: str = ""
    agreeing: int = 0
    sides: int = 2
    together: bool = False
    needless: tuple[str, ...] = ()
    vain: tuple[str, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    is_smallest: bool = True
    prices: tuple[CurePrice, ...] = ()
    runs: int = 0
    notes: tuple[str, ...] = ()
