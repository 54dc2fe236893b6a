"""The line of configuration that would accept a difference, and what that would hide."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from pytest_mlcontainer.item_kinds import is_labels
from pytest_mlcontainer.model import Difference, Verdict

_MOST_RELATIVE = 0.1
_ROOM = 2.0
_LEAST_AGREEMENT = 0.9
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][-+]?\d+)?")
_TIMES = re.compile(
    r"(^|[._])(time|timestamp|datetime|date|created|started|finished|elapsed|duration|runtime|"
    r"seconds|millis)(_at|_on|_s|_ms|_us|_ns|_sec|_seconds|_utc)?$|_(time|timestamp|at)(_m?s)?$",
    re.I,
)


@dataclass(frozen=True)
class Acceptance:
    """A proposed line of configuration.

    Args:
        line: as it would stand in `[tool.mlcontainer.entrypoints.NAME.compare]`.
        hides: what is no longer seen then.
    """

    line: str
    hides: str


def acceptance(difference: Difference) -> Acceptance | None:
    """The narrowest rule that would let this pass; None where no bound would.

    With measured noise of repeats it is a calibrated tolerance, for a single number a margin, for
    an array the smaller kind of bound that does: relative where that says something, else absolute;
    for labels the share that has to agree.
    """
    if difference.verdict not in (Verdict.DRIFT, Verdict.NONDETERMINISTIC) or difference.excuses:
        return None
    found = _of_time(difference) or _bound(difference)
    if found is None:
        return None
    return Acceptance(f"{json.dumps(difference.where, ensure_ascii=False)} = {found[0]}", found[1])


def _of_time(difference: Difference) -> tuple[str, str] | None:
    """A time or duration is another one in every run: no bound for it would say anything."""
    if difference.size == 1 and _TIMES.search(difference.item):
        return "{ ignore = true }", "whatever is there, which by its name is a time"
    return None


def _bound(difference: Difference) -> tuple[str, str] | None:
    if difference.unit == "lines" and not _differ_in_numbers_alone(difference):
        return None
    off, relative = difference.max_abs, difference.max_rel
    if is_labels(difference):  # numbers, too: between two classes there is no distance
        return _agreement(difference)
    if off is None or not math.isfinite(off) or not off:
        return _agreement(difference)
    if difference.noise is not None and 0 < off <= difference.noise:
        what = "changes no larger than what repeats of the reference differ by"
        return '{ tolerance = "calibrated" }', what
    if difference.size == 1:
        margin = _round_up(off * _ROOM)
        return f"{{ margin = {margin:g} }}", f"changes of up to {margin:g}, in either direction"
    if relative is not None and 0 < relative * _ROOM <= _MOST_RELATIVE:
        rtol = _round_up(relative * _ROOM)
        return f"{{ rtol = {rtol:g} }}", f"changes of up to {rtol:g} of each value"
    atol = _round_up(off * _ROOM)
    hides = f"changes of up to {atol:g}, however small the value is"
    if difference.typical:
        hides += f"; half of those that differ are below {difference.typical:.2g}"
    return f"{{ atol = {atol:g} }}", hides


def _differ_in_numbers_alone(difference: Difference) -> bool:
    """Whether all lines that differ are known, and would be the same with other numbers."""
    shown = difference.elements
    return difference.differing <= len(shown) and all(
        _NUMBER.sub("0", each.actual) == _NUMBER.sub("0", each.expected)
        and "…" not in each.actual + each.expected
        for each in shown
    )


def _agreement(difference: Difference) -> tuple[str, str] | None:
    if difference.unit != "elements" or not difference.size:
        return None
    if difference.max_abs is not None and not is_labels(difference):
        return None
    agreeing = 1 - difference.differing / difference.size
    share = math.floor(agreeing * 1000) / 1000
    if not difference.differing or share < _LEAST_AGREEMENT:
        return None
    return f"{{ agreement = {share:g} }}", f"any other value in {1 - share:.1%} of the elements"


def _round_up(value: float) -> float:
    """To one digit that counts."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / power * (1 - 1e-12)) * power:.1g}")
