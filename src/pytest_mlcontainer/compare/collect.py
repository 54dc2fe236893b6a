"""All differences of one output → a bounded number of them, the worst first."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from pytest_mlcontainer.model import NOT_LISTED, Difference, Verdict

KEPT = 50
DRAWN = 40  # items of one output; the pages show hardly more
_FEW_ELEMENTS = 5
_ROOM = 4
_NAMED = 5
ONE_SIDE = ("only in the actual run", "missing in the actual run")


def collect_items(
    output: str, differences: Iterable[Difference], folds: bool
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Keep the worst, count the rest.

    Args:
        folds: make all identical items one difference whose `size` is their number; without it
            that happens only past `KEPT` of them.

    Returns:
        The differences, and notes on what was counted only.
    """
    worst: list[Difference] = []
    identical: list[Difference] = []
    same = 0
    dropped: Counter[Verdict] = Counter()
    for difference in differences:
        if difference.verdict is Verdict.IDENTICAL and not difference.note:
            same += 1
            if len(identical) < KEPT:
                identical.append(difference)
            continue
        worst.append(difference)
        if len(worst) > _ROOM * KEPT:
            worst = _prune(worst, dropped)
    prefixed = () if dropped else _say_prefix(output, worst)
    worst = _prune(worst, dropped)
    if same > KEPT or (folds and same):
        identical = [_fold(output, identical, same)]
    return (*worst, *identical), (*prefixed, *_notes(output, dropped))


def _say_prefix(output: str, found: list[Difference]) -> tuple[str, ...]:
    """A note where the items of one side alone are those of the other, with the same before all
    their names, as `module.` of a model that was trained on several GPUs.
    """
    sides = [{each.item for each in found if each.note.startswith(note)} for note in ONE_SIDE]
    if len(sides[0]) < 2 or len(sides[0]) != len(sides[1]):
        return ()
    for longer, shorter in (sides, sides[::-1]):
        first, bare = (min(names, key=_by_length) for names in (longer, shorter))
        prefix = first.removesuffix(bare)
        if prefix and {prefix + name for name in shorter} == longer:
            rule = f"names = {{ '^{re.escape(prefix)}' = \"\" }}"
            what = f"{prefix} stands before {len(longer)} names of one run alone"
            return (f"{output}: {what}; they meet where the entrypoint has {rule}",)
    return ()


def _by_length(name: str) -> tuple[int, str]:
    return len(name), name


def worst_first(difference: Difference) -> tuple[int, bool, float]:
    """Sort key: by verdict, then by how far off; what has no number counts as furthest. What a
    clock gave or a generator of ids comes behind results, which are what a summary has to show.
    """
    severity, distance = badness(difference)
    no_result = bool(difference.excuses or difference.renames) or difference.is_measured
    return -severity, no_result, -distance


def badness(difference: Difference) -> tuple[int, float]:
    """How bad it is beside others, larger for what is worse."""
    distances = (difference.scale_error, difference.max_rel, difference.max_abs)
    distance = next((number for number in distances if number is not None), math.inf)
    return difference.verdict.severity, distance


def _prune(worst: list[Difference], dropped: Counter[Verdict]) -> list[Difference]:
    worst = sorted(worst, key=worst_first)
    dropped.update(difference.verdict for difference in worst[KEPT:])
    return [*worst[:DRAWN], *map(_in_short, worst[DRAWN:KEPT])]


def _in_short(difference: Difference) -> Difference:
    """Without what is kept of the worst alone."""
    return replace(difference, plots=None, elements=difference.elements[:_FEW_ELEMENTS])


def _fold(output: str, identical: list[Difference], count: int) -> Difference:
    names = [difference.item for difference in identical[:_NAMED] if difference.item]
    if count == 1 and not names:
        return identical[0]
    more = ", …" if count > len(names) else ""
    what = "1 item is" if count == 1 else f"{count} items are"
    note = f"{what} identical: {', '.join(names)}{more}"
    return Difference(output, "", Verdict.IDENTICAL, size=count, note=note, unit="items")


def _notes(output: str, dropped: Counter[Verdict]) -> tuple[str, ...]:
    if not dropped:
        return ()
    parts = [f"{dropped[verdict]} {verdict.value}" for verdict in Verdict if dropped[verdict]]
    return (f"{output}: the worst {KEPT} items are listed{NOT_LISTED}{', '.join(parts)}",)
