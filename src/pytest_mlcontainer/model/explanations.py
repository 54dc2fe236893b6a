"""Why results drift: causes, and all else that a search for them found."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mlcontainer.model.basics import Pairs


@dataclass(frozen=True)
class MovedItem:
    """An item that drifts, in short; `where`, and numbers as those of a difference."""

    where: str
    max_abs: float | None = None
    max_rel: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Cause:
    """A smallest set of changes that makes a drift come and go, and how that was shown.

    Args:
        names: of the changes, sorted; `randomness` alone where no change of the environment does.
        runs: how many runs show it: with just these changes, and with all others but these.
        evidence: in a sentence.
        moves: of several causes, the worst few items that this one alone makes drift.
        moves_more: how many there are besides these.
    """

    names: tuple[str, ...]
    runs: int
    evidence: str
    moves: tuple[MovedItem, ...] = ()
    moves_more: int = 0


@dataclass(frozen=True)
class SearchFinding:
    """Something other than a cause that a search found.

    Args:
        kind: `crash` (fails under these changes), `flaky`, `amplifier` (what makes a small
            difference large), `part` (of a drift between platforms, what explains some of it),
            `apart` (what a clock or an id makes; its names are of patterns).
        names: of the changes; empty where it is none of them.
        text: in a sentence.
        advice: what usually helps; "" where nothing is known. `source` is where that is from.
    """

    kind: str
    names: tuple[str, ...]
    text: str
    advice: str = ""
    source: str = ""


@dataclass(frozen=True)
class SearchTrial:
    """What came of a search's runs with one set of changes, each held against a run without any.

    Args:
        names: of the changes, sorted; none for a run with nothing changed.
        agreed, drifted, failed: how many runs did.
    """

    names: tuple[str, ...]
    agreed: int = 0
    drifted: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Explanation:
    """How an outcome was explained: what was tried, and what was found beside causes.

    Args:
        runs: all that were made for it.
        tried: variations that took effect, with their settings: `threads=1`.
        not_exercised: names of variations, with the reason why each counts as not tried.
        findings: what was found beside causes.
        materiality: what the drift amounts to: labels flipped, a metric moved, or only bits.
        open: what is not known, in sentences.
        suspects: names among which the cause is, where it could not be narrowed further.
        trials: in the order in which they were made first; not known of every search.
    """

    runs: int = 0
    tried: tuple[str, ...] = ()
    not_exercised: Pairs = ()
    findings: tuple[SearchFinding, ...] = ()
    materiality: str = ""
    open: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    trials: tuple[SearchTrial, ...] = ()
