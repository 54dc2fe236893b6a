"""The line of configuration that would accept a difference, and what that would hide."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from pytest_mlcontainer.item_kinds import (
    is_identifier,
    is_in_order,
    is_index,
    is_integer,
    is_labels,
    is_pointers,
)
from pytest_mlcontainer.model import BY_DTYPE, Difference, Verdict
from pytest_mlcontainer.model.clock_names import (
    is_date_of_run,
    is_host,
    is_id,
    is_measured,
    is_process,
)

_MOST_RELATIVE = 0.1
_ROOM = 2.0
_LEAST_AGREEMENT = 0.9
_SMALL_INTEGERS = 1 << 16  # pixels, levels, counts: of those a bound is a whole number
_TELLING = 0.25
_HARMLESS = 1e-7  # a bound as small hides nothing, whatever the values are
_EXACT_IN_DOUBLES = 1 << 53
_TIMES = re.compile(
    r"(^|[._])(time|timestamp|datetime|date|created|started|finished|elapsed|duration|runtime|"
    r"seconds|millis)(_at|_on|_s|_ms|_us|_ns|_sec|_seconds|_utc)?$|_(time|timestamp|at)(_m?s)?$",
    re.I,
)
_LONG_NUMBER = re.compile(r"[0-9]{9,300}(\.0)?")  # an id as likely as a count
_DECIMAL = re.compile(r"[0-9]{1,300}\.[0-9]{1,300}(?:[eE][-+]?[0-9]{1,3})?")
_NUMBER = re.compile(r"[0-9]{1,300}")
_COLUMN = re.compile(r"[0-9]{1,9}")  # of a table of numbers alone, whose columns have no names
_FREE = {
    "sign": "which sign a vector has",
    "order": "which of the vectors comes first",
    "labels": "which label is called what",
}
_SINCE_1970 = re.compile(r"1[4-9][0-9]{8}(?:[0-9]{3}){0,3}(?:\.[0-9]+)?")


@dataclass(frozen=True)
class Acceptance:
    """A proposed line of configuration.

    Args:
        name: the output and item, or pattern, that it is for.
        key: the rule's key, with its value in `text` as TOML.
        hides: what is no longer seen then.
        width: how much it lets pass, for rules with the same key.
    """

    name: str
    key: str
    text: str
    hides: str
    width: float = 0.0

    @property
    def line(self) -> str:
        """As it would stand in `[tool.mlcontainer.entrypoints.NAME.compare]`."""
        return f"{json.dumps(self.name, ensure_ascii=False)} = {{ {self.key} = {self.text} }}"


def acceptance(difference: Difference, size: float | None = None) -> Acceptance | None:
    """The narrowest rule that would let this pass; None where no bound would.

    With measured noise of repeats it is a calibrated tolerance, for a single number a margin, for
    an array the smaller kind of bound that does: relative where that says something, else absolute;
    for labels the share that has to agree.

    Args:
        size: the magnitude of values of its kind; None to go by its own.
    """
    if difference.verdict not in (Verdict.DRIFT, Verdict.NONDETERMINISTIC) or difference.excuses:
        return None
    if difference.free.startswith("unordered") and is_in_order(difference):
        return None  # and no bound, which would let any order pass, and any values
    if _since_1970(difference) and _is_of_another_zone(difference):
        return None  # and no bound, which for such large numbers is one of days
    size = _size(difference) if size is None else size
    found = (
        _of_time(difference)
        or _of_run(difference)
        or _of_free(difference)
        or _bound(difference, size)
    )
    return _of_any_dtype(difference, found) if difference.rule == BY_DTYPE else found


def accept_together(pattern: str, differences: Sequence[Difference]) -> Acceptance | None:
    """One rule for all that a pattern names: the widest of theirs; None where they need rules of
    several kinds, or one of them has none."""
    size = median(map(_size, differences))
    found = [each for each in (acceptance(each, size) for each in differences) if each is not None]
    if len(found) < len(differences) or len({each.key for each in found}) != 1:
        return None
    return replace(max(found, key=lambda each: each.width), name=pattern)


def _of_time(difference: Difference) -> Acceptance | None:
    """A time or duration is another one in every run: no bound for it would say anything."""
    if difference.clock is False:
        return None
    item, is_text = difference.item, difference.max_abs is None
    lone = difference.size == 1 and (is_date_of_run(item) if is_text else _TIMES.search(item))
    moment = _since_1970(difference)
    if lone or difference.is_measured or moment:
        by = "its name" if difference.clock is None else "its name and the columns beside it"
        by = "its numbers" if moment and _COLUMN.fullmatch(difference.item) else by
        hides = f"whatever is there, which by {by} a clock or the system gives"
        return Acceptance(difference.where, "ignore", "true", hides)
    return None


def _of_run(difference: Difference) -> Acceptance | None:
    """What is called an id of the run, a process or a host is another one in every run, too."""
    if difference.max_abs is None:
        if not difference.differing or not (is_id(difference.item) or is_host(difference.item)):
            return None
    elif not is_process(difference.item):
        return None
    hides = "whatever is there, which by its name tells one run from another"
    return Acceptance(difference.where, "ignore", "true", hides)


def _of_free(difference: Difference) -> Acceptance | None:
    """What a method leaves open says no bound: one that is wide enough would let anything pass."""
    if not difference.free:
        return None
    key, _is, text = difference.free.partition(" = ")
    hides = " and ".join(hidden for name, hidden in _FREE.items() if f'"{name}"' in text)
    return Acceptance(difference.where, key, text, hides or "in which order its elements stand")


def _since_1970(difference: Difference) -> bool:
    """Whether many values are called as a time alone may be, or are a column without a name as in
    MLflow's files of metrics, and are seconds of today on."""
    item = difference.item
    if not (_COLUMN.fullmatch(item) or is_measured(item, 1)) or difference.max_abs is None:
        return False
    worst = difference.worst_actual, difference.worst_expected
    return all(_SINCE_1970.fullmatch(text) for text in worst)


def _is_of_another_zone(difference: Difference) -> bool:
    """Whether the time furthest off is so by whole quarters of an hour, as no clock is."""
    digits = len(difference.worst_expected.partition(".")[0])  # 10 of seconds, 13 of milliseconds
    quarter = 900 * 10.0 ** (digits - 10)
    return difference.max_abs is not None and difference.max_abs % quarter == 0


def _of_any_dtype(difference: Difference, values: Acceptance | None) -> Acceptance | None:
    """What accepts another dtype, and what accepts the values, which are measured all the same."""
    hides = "any other dtype"
    if values is None:
        if difference.differing:
            return None
        return Acceptance(difference.where, "dtype", '"any"', hides)
    both = f"{hides}, and {values.hides}"
    return replace(values, key=f'dtype = "any", {values.key}', hides=both)


def _bound(difference: Difference, size: float) -> Acceptance | None:
    off, relative, name = difference.max_abs, difference.max_rel, difference.where
    names = is_identifier(difference) or is_index(difference) or is_pointers(difference)
    if names or _is_beyond_doubles(difference):
        return _share(difference)
    if is_labels(difference):  # numbers, too: between two classes there is no distance
        return _agreement(difference)
    if off is None or not math.isfinite(off) or not off:
        return _agreement(difference)
    if difference.unit == "lines" and off * _ROOM > _TELLING * _smallest(difference):
        return None  # it would hold for every number of the text
    if difference.unit == "lines" and not _are_decimal(difference):
        return None  # a day or a count that moved by one: how small others are is not known
    if difference.noise is not None and 0 < off <= difference.noise:
        if _hides_all(2 * difference.noise, size):
            return None  # repeats have nothing in common, so that any values would pass
        hides = "changes no larger than what repeats of the reference differ by"
        return Acceptance(name, "tolerance", '"calibrated"', hides)
    if difference.size == 1:
        margin = _round_up(off * _ROOM)
        if _hides_all(margin, size):
            return None
        hides = f"changes of up to {margin:g}, in either direction"
        return Acceptance(name, "margin", f"{margin:g}", hides, margin)
    if is_integer(difference) and off <= _largest(difference) <= _SMALL_INTEGERS:
        return _whole_numbers(difference, off)
    worst = difference.worst_actual, difference.worst_expected
    if difference.size > 1 and all(map(_LONG_NUMBER.fullmatch, worst)):
        return _share(difference)
    if relative is not None and 0 < relative * _ROOM <= _MOST_RELATIVE:
        rtol = _round_up(relative * _ROOM)
        hides = f"changes of up to {rtol:g} of each value"
        return Acceptance(name, "rtol", f"{rtol:g}", hides, rtol)
    atol = _round_up(off * _ROOM)
    if difference.unit != "lines" and _hides_all(atol, size):
        return _share(difference)
    hides = f"changes of up to {atol:g}, however small the value is"
    if difference.typical:
        hides += f"; half of those that differ are below {difference.typical:.2g}"
    return Acceptance(name, "atol", f"{atol:g}", hides, atol)


def _hides_all(bound: float, size: float) -> bool:
    """Whether a bound is larger than the values are, so that any other would pass."""
    return bound > max(_HARMLESS, size)


def _size(difference: Difference) -> float:
    """What is typical of the magnitudes of its values, or the largest; infinite if not known."""
    try:
        largest = _largest(difference) or abs(float(difference.worst_expected))
    except ValueError:
        largest = math.inf
    return min(difference.typical or math.inf, largest)


def _is_beyond_doubles(difference: Difference) -> bool:
    """Whether its whole numbers are too large for measures, which are doubles: they are ids."""
    return is_integer(difference) and abs(int(difference.worst_expected)) >= _EXACT_IN_DOUBLES


def _are_decimal(difference: Difference) -> bool:
    """Whether each line that is shown has a decimal."""
    return all(_DECIMAL.search(each.expected) for each in difference.elements)


def _smallest(difference: Difference) -> float:
    """The smallest number but 0 in the lines that are shown: a decimal, where there are any."""
    lines = [each.expected for each in difference.elements]
    numbers = [float(text) for line in lines for text in _NUMBER.findall(line)]
    decimals = [float(text) for line in lines for text in _DECIMAL.findall(line)]
    return min(filter(None, decimals or numbers), default=math.inf)


def _largest(difference: Difference) -> float:
    """The largest finite |expected|; 0 where that is not known."""
    off, of_scale = difference.max_abs, difference.scale_error
    return off / of_scale if off and of_scale else 0.0


def _whole_numbers(difference: Difference, off: float) -> Acceptance | None:
    """Of pixels and other small integers: how many steps they may be off.

    A bound that is a good part of all that they can be would hide anything, as of a mask that is 0
    or 255; there it is the share that has to agree.
    """
    largest = _largest(difference)
    if off > _TELLING * largest:
        return _share(difference)
    unit = 10 ** max(len(f"{off:.0f}") - 2, 0)
    atol = math.ceil(off / unit) * unit
    hides = f"changes of up to {atol}, where values are up to {largest:.0f}"
    return Acceptance(difference.where, "atol", str(atol), hides, atol)


def _agreement(difference: Difference) -> Acceptance | None:
    if difference.max_abs is not None and not is_labels(difference):
        return None
    return _share(difference)


def _share(difference: Difference) -> Acceptance | None:
    if difference.unit != "elements" or not difference.size:
        return None
    agreeing = 1 - difference.differing / difference.size
    share = math.floor(agreeing * 1000) / 1000
    if not difference.differing or share < _LEAST_AGREEMENT:
        return None
    hides = f"any other value in {1 - share:.1%} of the elements"
    return Acceptance(difference.where, "agreement", f"{share:g}", hides, -share)


def _round_up(value: float) -> float:
    """To one digit that counts."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / power * (1 - 1e-12)) * power:.1g}")
