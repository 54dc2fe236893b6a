"""Repeats of one run → their noise floor, and the bound calibrated from it.

The noise floor of an item is the largest error between any two of the runs that were compared.

The calibrated bound. Of N runs under conditions that must not matter, d_ik is the largest absolute
error of an item between runs i and k. Then

    S^2   = (sum of d_ik^2 over all pairs) / (N * (N - 1))
    bound = max(t * sqrt(2) * S, largest d_ik)

with t the quantile of Student's distribution for N - 1 degrees of freedom that a value exceeds, on
either side, with probability 0.01. For a single number S^2 is the sample variance, written by
pairs; for an array it is no less than that of any element, because each d_ik is a maximum over the
elements. The difference of two runs has the standard deviation sqrt(2) * S, so that a further run
that differs from the reference by nothing but such noise, if that is normal, exceeds the bound with
a probability below 0.01 (by simulation 0.004 for a number and 4 to 10 runs, for an array of 1000
none in 3000 cases). A difference that was seen among the runs never exceeds it. Of fewer than 4
runs the quantile is so large that the bound says too little, so there is none.

That the spread of results under changes that must not matter bounds what another machine may change
is the idea of Chatelain et al., A numerical variability approach to results stability tests and its
application to neuroimaging (arXiv:2307.01373). They change the rounding of each operation at
random, and judge element by element; here named settings of the libraries are changed, of which
there are few, so one bound holds for a whole item, with a quantile for so few runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.compare.collect import collect_items, worst_first
from pytest_mlcontainer.compare.numeric.tolerance import Calibration
from pytest_mlcontainer.compare.readers.apart import DifferencesAndNotes
from pytest_mlcontainer.compare.rules.study import Item, Study
from pytest_mlcontainer.compare.sources import UnreadableError, make_pair, same_bytes
from pytest_mlcontainer.model import Difference, Output, Verdict

Outputs = tuple[Output, ...]
Compare = Callable[[Outputs, Outputs, Study], DifferencesAndNotes]

# Quantiles of Student's distribution at 0.995, for 1, 2, … degrees of freedom.
_STUDENT: Final = (
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169,
    3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845,
)  # fmt: skip


@dataclass
class _Noise:
    """One item over all pairs of runs.

    Args:
        largest: error; infinite where two values have no distance.
        squares: sum of the squared errors, each as often as runs have those two values.
        beyond: whether two of them are further apart than the rules allow.
    """

    largest: float = 0.0
    squares: float = 0.0
    beyond: bool = False


_NONE: Final = _Noise()
_FEW_PAIRS: Final = 15  # of six results: what is compared in any case


@dataclass(frozen=True)
class RepeatSpread:
    """How far repeats of one run are apart.

    Args:
        runs: how many there are.
        distinct: how many of them wrote other files than the ones before.
        like_first: numbers of the runs that wrote the same files as the first.
        differences: of each item the worst over the pairs compared, as many as one comparison
            lists.
        notes: on what was not compared or not listed.
        items: those that differ between any two runs; all others are identical in all.
    """

    runs: int
    distinct: int
    like_first: tuple[int, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    items: Mapping[Item, _Noise]

    def floor(self, difference: Difference) -> float | None:
        """The largest error between runs in this item; None where it differs without a distance."""
        output, item = difference.output, difference.item
        if item or (output, "") in self.items:
            largest = self.items.get((output, item), _NONE).largest
        else:
            inside = (noise.largest for (name, _), noise in self.items.items() if name == output)
            largest = max(inside, default=0.0)
        return largest if math.isfinite(largest) else None

    def disagrees(self, difference: Difference) -> bool:
        """Whether runs are further apart in this item than the rules allow."""
        return self.items.get((difference.output, difference.item), _NONE).beyond

    def calibration(self, item: Item) -> Calibration:
        """The bound that follows from the runs; infinite where they differ without a distance."""
        noise = self.items.get(item, _NONE)
        return Calibration(calibrated_bound(noise.squares, noise.largest, self.runs), self.runs)


LEAST_RUNS: Final = 4


def calibrated_bound(squares: float, largest: float, runs: int) -> float:
    """The bound from the sum of the squared errors of all pairs of runs, and the largest error."""
    if not largest:
        return 0.0
    quantile = _STUDENT[min(runs - 1, len(_STUDENT)) - 1]
    return max(quantile * math.sqrt(2 * squares / (runs * (runs - 1))), largest)


def measure_spread(
    results: Sequence[Outputs], labels: Sequence[str], compare: Compare, *, every_pair: bool = False
) -> RepeatSpread:
    """Compare runs with each other: each with each, until that they disagree is settled.

    More than a few different results are all held against the first. If one of them disagrees, no
    further pair can make that better: then all are also held against the one that is furthest from
    the first, which finds how far a single number lies apart, and the number of comparisons grows
    with that of runs and not with its square.

    Args:
        results: of at least two runs.
        labels: what to call each run in notes: `repeat 2`, `threads=1`.
        compare: compares two of them, by the rules that hold for them.
        every_pair: leave none out; a calibrated bound takes the errors of all.
    """
    groups = _same_files(results)
    measuring = _Measuring(results, labels, compare, groups)
    count = len(groups)
    total = count * (count - 1) // 2
    if every_pair or total <= _FEW_PAIRS:
        for first, second in list(itertools.combinations(range(count), 2)) or [(0, 0)]:
            measuring.look(first, second)
    else:
        measuring.until_settled()
    differences, cut = shorten(measuring.worst)
    if measuring.pairs < total:
        cut = (
            f"{measuring.pairs} of {total} pairs of different results were compared, which settles "
            "that they disagree",
            *cut,
        )
    notes = (*measuring.notes, *cut)
    alike = tuple(groups[0][1:])
    return RepeatSpread(len(results), count, alike, differences, notes, measuring.items)


class _Measuring:
    def __init__(
        self,
        results: Sequence[Outputs],
        labels: Sequence[str],
        compare: Compare,
        groups: Sequence[Sequence[int]],
    ) -> None:
        self._results = results
        self._labels = labels
        self._compare = compare
        self._groups = groups
        self.items: dict[Item, _Noise] = {}
        self.worst: tuple[Difference, ...] = ()
        self.notes: dict[str, None] = {}
        self.pairs = 0

    def look(self, first: int, second: int) -> float:
        """Compare two groups of equal results; gives how far they are apart, of their scale."""
        left, right = self._groups[first], self._groups[second]
        count, errors = len(left) * len(right), [0.0]

        def note(difference: Difference) -> None:
            _add(self.items, count, difference)
            errors.append(_error_of(difference))

        found, said = self._compare(
            self._results[right[0]], self._results[left[0]], Study(on_difference=note)
        )
        self.notes |= dict.fromkeys(said)
        label = f"{self._labels[right[0]]} and {self._labels[left[0]]}"
        self.worst = keep_worst([("", self.worst), (label, found)])
        self.pairs += 1
        return max(errors)

    def until_settled(self) -> None:
        others = range(1, len(self._groups))
        apart = {number: self.look(0, number) for number in others}
        if self._disagree:
            furthest = max(apart, key=lambda number: apart[number])
            for number in others:
                if number != furthest:
                    self.look(*sorted((furthest, number)))
            return
        for first, second in itertools.combinations(others, 2):
            self.look(first, second)
            if self._disagree:
                return

    @property
    def _disagree(self) -> bool:
        return any(noise.beyond for noise in self.items.values())


def _error_of(difference: Difference) -> float:
    """Of its scale where that is known; infinite for what has no distance."""
    if not _differs(difference):
        return 0.0
    if difference.max_abs is None:
        return math.inf
    return difference.max_abs if difference.scale_error is None else difference.scale_error


def keep_worst(parts: Iterable[tuple[str, Iterable[Difference]]]) -> tuple[Difference, ...]:
    """Of several comparisons of the same, each item where it is furthest off.

    Args:
        parts: what to call each comparison in a note, "" for nothing, and what it found.
    """
    worst: dict[Item, Difference] = {}
    for label, found in parts:
        for each in found:
            item = each.output, each.item
            if item not in worst or worst_first(each) < worst_first(worst[item]):
                worst[item] = add_note(each, label) if _differs(each) else each
    differing = {each.output for each in worst.values() if _differs(each)}
    # "The files are the same" held for some of the comparisons only.
    return tuple(
        each
        for each in worst.values()
        if _differs(each) or each.item or each.output not in differing
    )


def shorten(differences: Iterable[Difference]) -> DifferencesAndNotes:
    """As many differences for each output as one comparison lists, and notes on the others."""
    by_output: dict[str, list[Difference]] = {}
    for each in differences:
        by_output.setdefault(each.output, []).append(each)
    listed: list[Difference] = []
    notes: list[str] = []
    for output, found in by_output.items():
        kept, cut = collect_items(output, found, folds=False)
        listed += kept
        notes += cut
    return tuple(sorted(listed, key=worst_first)), tuple(notes)


def add_note(difference: Difference, note: str) -> Difference:
    """The same with a note more."""
    notes = (each for each in (difference.note, note) if each)
    return replace(difference, note="; ".join(notes))


def _differs(difference: Difference) -> bool:
    return difference.verdict is not Verdict.IDENTICAL


def _add(items: dict[Item, _Noise], count: int, difference: Difference) -> None:
    if not _differs(difference):
        return
    noise = items.setdefault((difference.output, difference.item), _Noise())
    error = math.inf if difference.max_abs is None else difference.max_abs
    noise.largest = max(noise.largest, error)
    # A product, because ** raises where it overflows.
    noise.squares += count * error * error
    noise.beyond |= difference.verdict is Verdict.DRIFT


def _same_files(results: Sequence[Outputs]) -> list[list[int]]:
    """Numbers of the runs, those together whose files are all the same, byte for byte."""
    groups: list[list[int]] = []
    for number, outputs in enumerate(results):
        alike = (group for group in groups if _are_same(results[group[0]], outputs))
        group = next(alike, None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    return groups


def _are_same(left: Outputs, right: Outputs) -> bool:
    if [(each.name, each.size_bytes) for each in left] != [
        (each.name, each.size_bytes) for each in right
    ]:
        return False
    try:
        return all(
            same_bytes(make_pair(mine.name, mine, theirs)) is not None
            for mine, theirs in zip(left, right, strict=True)
        )
    except UnreadableError:
        return False  # comparing them says what is wrong
