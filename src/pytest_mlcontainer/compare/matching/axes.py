"""What others are drawn over, by its name, so that a rule for curves can be proposed."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.model import Difference

# As the usual libraries call it; first come, first proposed.
AXES: Final = (
    "fpr",
    "recall",
    "false_positive_rate",
    "x",
    "mean_predicted_value",
    "prob_pred",
    "far",
    "threshold",
    "thresholds",
)
_LENGTHS = re.compile(r"shape \([0-9]+,\), expected \([0-9]+,\)")
_LAST = re.compile(r"[^./]*$")


def named_axis(names: Iterable[str]) -> str:
    """The first of `AXES` among names of two and more items; "" for none."""
    known = {*names}
    return next((axis for axis in AXES if axis in known and len(known) > 1), "")


def say_curve(key: str, axis: str) -> str:
    """The rule that compares the items as curves; "" without an axis."""
    rule = f"{json.dumps(key, ensure_ascii=False)} = {{ curve = {json.dumps(axis)} }}"
    return f"if they are the points of a curve, compare them as one: {rule}" * bool(axis)


def is_monotone(values: Sequence[float]) -> bool:
    """Whether numbers only rise or only fall."""
    finite = [value for value in values if math.isfinite(value)]
    steps = [after - before for before, after in itertools.pairwise(finite)]
    return any(steps) and (min(steps) >= 0 or max(steps) <= 0)


def with_curves(differences: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """The differences, with that rule where lists beside each other have other lengths.

    Args:
        differences: of one output.
    """
    beside: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in differences:
        if _LENGTHS.fullmatch(each.note):
            last = _LAST.search(each.item)
            assert last is not None
            beside[each.note, each.item[: last.start()]].append(last[0])
    told = {}
    for (_note, prefix), names in beside.items():
        axis = named_axis(names)
        where = f"{differences[0].output}:{prefix}*" if prefix else differences[0].output
        told[prefix + axis] = say_curve(where, axis)
    return tuple(
        replace(each, note=f"{each.note}; {told[each.item]}") if told.get(each.item) else each
        for each in differences
    )
