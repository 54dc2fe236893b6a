"""Whether a drift matters, from its differences alone: labels flipped, a metric moved, or bits."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pytest_mlcontainer.item_kinds import (
    is_bits,
    is_boolean,
    is_discrete,
    is_float,
    is_integer,
    is_labels,
    is_metric,
    is_probability,
    is_weights,
    own_name,
)
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.wording import first_and_count, truncate

_CLAUSES = 2
_MANY = 9.5  # from here on, percent of a scale are hard to read
_NAMED = 2
_TEXT = 40
_LEAST_MOVE = 1e-4
_OTHER_NAME = "another name in either run"
_ONE_SIDE = ("only in the actual run", "missing in the actual run")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")
_ROWS = re.compile(r"rows: (\d+), expected (\d+)")
_OTHER = re.compile(r"(shape|dtype) (.+?), expected (.+?)(?:;|$)")


def materiality(differences: Iterable[Difference]) -> str:
    """What these amount to in one or two short clauses, the most material first.

    Where something does not pass, what passes counts only for labels and metrics, which a reader
    wants to know of anyway. Names in it are as containers wrote them.

    Returns:
        "" where nothing differs.
    """
    differing = [each for each in differences if each.differing or not each.verdict.passes]
    failing = [each for each in differing if not each.verdict.passes]
    said = list(_clauses(failing or differing, differing))
    return ", ".join(said[:_CLAUSES])


def _clauses(chosen: Sequence[Difference], differing: Sequence[Difference]) -> Iterator[str]:
    yield from _files(chosen)
    yield from _not_finite(chosen)
    yield from _labels(differing)
    yield from _metrics(differing)
    yield from _structure(chosen)
    order = [each for each in chosen if is_reordered(each)]
    yield from _order(order)
    rest = [each for each in chosen if each not in order and not is_labels(each)]
    yield from _choices(rest)
    yield from _numbers(rest)
    yield from _text(rest)
    yield from _bits(rest)


def is_reordered(difference: Difference) -> bool:
    """Whether all that differs is known, and is the same values at other places.

    Two labels that flip in opposite directions look so, too: of labels, most have to be at other
    places, and no value may be there twice.
    """
    elements = difference.elements
    expected = [each.expected for each in elements]
    if not 1 < difference.differing <= len(elements) or len(set(expected)) < len(expected):
        return False
    if is_boolean(difference) or (
        is_labels(difference) and difference.differing < difference.size / 2
    ):
        return False
    return sorted(each.actual for each in elements) == sorted(expected)


def _files(chosen: Sequence[Difference]) -> Iterator[str]:
    for note, says in zip(_ONE_SIDE, ("new", "missing"), strict=True):
        found = [each for each in chosen if each.note.startswith(note)]
        if found:
            noun = "item" if any(each.item for each in found) else "output"
            be = " is" if len(found) == 1 else "s are"
            yield f"{len(found):,} {noun}{be} {says} ({_names(found)})"
    for each in chosen:
        if _OTHER_NAME in each.note:
            yield each.note.partition(" in either run")[0] + f" ({each.output})"
    unread = [each for each in chosen if each.verdict is Verdict.FAILED]
    if unread:
        what = _names(unread) if len(unread) <= _NAMED else f"{len(unread):,} items"
        yield f"{what} cannot be compared"


def _not_finite(chosen: Sequence[Difference]) -> Iterator[str]:
    found = [
        each
        for each in chosen
        if is_float(each) and each.max_abs is not None and not math.isfinite(each.max_abs)
    ]
    if found:
        yield f"NaN or infinite values on one side only in {_names(found)}"


def _labels(differing: Sequence[Difference]) -> Iterator[str]:
    found = [each for each in differing if is_labels(each) and not is_reordered(each)]
    if not found:
        return
    worst = max(found, key=lambda each: each.differing / max(1, each.size))
    noun = "values" if is_boolean(worst) else "labels"
    where = f" in {worst.where}" if len(found) > 1 or noun == "values" else ""
    yield f"{worst.differing:,} of {worst.size:,} {noun} flipped{where}"


def _metrics(differing: Sequence[Difference]) -> Iterator[str]:
    found = [
        each
        for each in differing
        if is_metric(each)
        and not is_bits(each)
        and (not each.verdict.passes or (each.max_rel or 0.0) >= _LEAST_MOVE)
    ]
    found.sort(key=lambda each: (each.verdict.passes, -(each.max_rel or 0.0)))
    # Of one metric at many steps, the step that moved most.
    names = Counter(own_name(each) for each in found)
    worst = {own_name(each): each for each in reversed(found)}
    shown = sorted(worst.values(), key=found.index)[:_NAMED]
    said = [
        f"{name if names[name] == 1 else truncate(each.item, _TEXT)} "
        f"{_move(each.worst_expected, each.worst_actual)}"
        for each in shown
        for name in (own_name(each),)
    ]
    more = len(found) - len(said)
    if more:
        said.append(f"{more:,} more {'metric' if more == 1 else 'metrics'}")
    if said:
        yield " and ".join(said) if len(said) < 3 else f"{said[0]}, {said[1]} and {said[2]}"


def _move(expected: str, actual: str) -> str:
    """Both numbers with as many digits as tell them apart, three at least."""
    try:
        left, right = float(expected), float(actual)
    except ValueError:
        return f"{truncate(expected, _TEXT)} → {truncate(actual, _TEXT)}"
    digits = 3
    while digits < 17 and f"{left:.{digits}g}" == f"{right:.{digits}g}":
        digits += 1
    return f"{left:.{digits}g} → {right:.{digits}g}"


def _structure(chosen: Sequence[Difference]) -> Iterator[str]:
    for each in chosen:
        rows = _ROWS.search(each.note)
        if rows:
            yield f"{int(rows[1]):,} instead of {int(rows[2]):,} rows in {each.where}"
            return
    for each in chosen:
        other = _OTHER.search(each.note)
        if other:
            noun = "shape" if other[1] == "shape" else "type"
            same = " with the same values" if "the values are the same" in each.note else ""
            change = f"{truncate(other[2], _TEXT)} instead of {truncate(other[3], _TEXT)}"
            yield f"another {noun} of {each.where}: {change}{same}"
            return


def _order(found: Sequence[Difference]) -> Iterator[str]:
    if found:
        noun = "lines" if found[0].unit == "lines" else "values"
        yield f"the same {noun} in another order in {_names(found)}"


def _choices(rest: Sequence[Difference]) -> Iterator[str]:
    """Single texts and whole numbers, which something was chosen by; then arrays of such."""
    single = [each for each in rest if each.size == 1 and (is_discrete(each) or is_integer(each))]
    for each in single[:1]:
        change = f"{truncate(each.worst_expected, _TEXT)} → {truncate(each.worst_actual, _TEXT)}"
        more = f" and {len(single) - 1:,} more" if len(single) > 1 else ""
        yield f"{own_name(each)} {change}{more}"
    many = [each for each in rest if each.size > 1 and (is_discrete(each) or is_integer(each))]
    if many:
        worst = max(many, key=lambda each: each.differing / each.size)
        noun = "texts" if is_discrete(worst) else "whole numbers"
        yield f"{worst.differing:,} of {worst.size:,} {noun} changed in {worst.where}"


def _numbers(rest: Sequence[Difference]) -> Iterator[str]:
    moved = [
        each
        for each in rest
        if is_float(each)
        and not is_bits(each)
        and not is_metric(each)
        and math.isfinite(each.max_abs or 0.0)
    ]
    likely = [each for each in moved if is_probability(each)]
    if likely:
        most = max(each.max_abs or 0.0 for each in likely)
        yield f"predicted probabilities moved by at most {most:.2g}"
    weights = [each for each in moved if is_weights(each) and each not in likely]
    others = [each for each in moved if each not in likely and each not in weights]
    for noun, found in (("weights", weights), ("numbers", others)):
        if found:
            worst = max(found, key=lambda each: each.scale_error or 0.0)
            where = f" in {worst.where}" if noun == "numbers" else ""
            yield f"{noun} moved by {_share(worst)}{where}"


def _share(difference: Difference) -> str:
    of_scale = difference.scale_error
    if of_scale is None:
        return f"up to {difference.max_abs or 0.0:.2g}"
    if of_scale >= 1e-3:
        if of_scale >= _MANY:
            return f"up to {of_scale:,.0f} times their scale"
        return f"up to {of_scale * 100:.3g}% of their scale"
    return f"up to {of_scale:.1g} of their scale"


def _text(rest: Sequence[Difference]) -> Iterator[str]:
    text = [each for each in rest if each.unit == "lines"]
    if text:
        first = text[0]
        what = "only line ends" if "only line ends differ" in first.note else "only text"
        if what == "only text" and _differs_in_numbers(first):
            what = "only numbers in text"
        if not first.differing:
            what = "only the encoding"
        lines = f": {first.differing:,} of {first.size:,} lines" if first.differing else ""
        yield f"{what} of {_names(text)}{lines if len(text) == 1 else ''}"
    raw = [each for each in rest if each.unit == "bytes"]
    if raw:
        yield f"bytes of {_names(raw)}, whose meaning is not known"


def _differs_in_numbers(difference: Difference) -> bool:
    """Whether lines that are shown are the same but for their numbers."""
    return bool(difference.elements) and all(
        _NUMBER.sub("#", each.actual) == _NUMBER.sub("#", each.expected)
        for each in difference.elements
    )


def _bits(rest: Sequence[Difference]) -> Iterator[str]:
    found = [each for each in rest if is_bits(each)]
    if found:
        ulp = max(each.max_ulp or 0 for each in found)
        scale = max(each.scale_error or 0.0 for each in found)
        by = f"at most {ulp:,} ULP" if ulp <= 100 else f"at most {scale:.1g} of their scale"
        yield f"{'only ' if len(found) == len(rest) else ''}the last bits of numbers ({by})"


def _names(found: Sequence[Difference]) -> str:
    return first_and_count([truncate(each.where, 80) for each in found], _NAMED)
