"""Two trees of values, leaf by leaf: what JSON, YAML and TOML are once they are read.

A tree is made of dict, list, `Tagged`, and leaves: str, int, float, bool, None. An item is the path
to a leaf: `accuracy`, `metrics.auc`, `history[3].loss`. A rectangular list (of lists …) of numbers,
of strings or of booleans is one item with an index, so `losses` is compared as an array. There is
one type of number: 1 and 1.0 are the same value, with a note. The order of keys does not count.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytest_mlcontainer.compare.matching.curves import split, wanted
from pytest_mlcontainer.compare.matching.left_open import may_be_free
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.tables.record_lists import (
    are_records,
    meet_records,
    say_lengths,
    say_met,
    say_moved,
    without,
)
from pytest_mlcontainer.compare.tables.training_logs import clocks_in_lists, clocks_in_records
from pytest_mlcontainer.compare.text.numeric_text import NOTE, read_numbers
from pytest_mlcontainer.compare.text.patterns import ONLY_MASKED, Masks
from pytest_mlcontainer.compare.trees.nodes import (
    PairNode,
    lines_of,
    met_by_id,
    path_to,
    record_lines,
    say_ids,
    shared_keys,
    shared_places,
    without_uuids,
)
from pytest_mlcontainer.compare.trees.renumbered import with_renumbered
from pytest_mlcontainer.compare.trees.tree_arrays import compare_values
from pytest_mlcontainer.compare.trees.tree_values import (
    Grid,
    Tagged,
    bytes_of,
    count_items,
    describe,
    grid_of,
    kind_of_leaf,
    plainly_equal,
    show,
    step_to,
)
from pytest_mlcontainer.compare.values.excused import excused
from pytest_mlcontainer.compare.values.few import MOST, FewValues
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift, join_notes
from pytest_mlcontainer.compare.values.numbers_in_text import (
    BY_NUMBERS,
    agree_by_numbers,
    tolerates_numbers,
)
from pytest_mlcontainer.compare.values.wholes import compare_few_with_wholes
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from pytest_mlcontainer.wording import first_of

_NAMED = 50
_READ_IN_VAIN_BYTES = 1 << 28
_ATTEMPT_BYTES = 200
_FIELD = re.compile(r"(.*)\[[0-9]+\](\..+)", re.DOTALL)


def compare_trees(
    output: str, actual: Any, expected: Any, book: RuleBook, most_few: int = MOST
) -> Iterator[Difference]:
    """One difference for each leaf, in the reference's order; without recursion, so of any depth.

    Args:
        actual, expected: trees; lists and dicts in them may be shared, but hold no cycle.
        most_few: up to so many values beside each other are compared without making arrays.
    """
    return _TreeComparison(output, book, most_few).compare(PairNode("", (), actual, expected))


class _TreeComparison:
    """One comparison. `_unnamed` counts the identical items that a report can still name."""

    def __init__(self, output: str, book: RuleBook, most_few: int) -> None:
        self._output = output
        self._most_few = most_few
        self._book = book
        self._ruled = bool(book.for_output(output))
        self._curved = wanted(output, book)
        self._masks = Masks()
        self._few = FewValues()
        self._met: set[str] = set()  # lists of records that a rule let meet in any order
        self._unnamed = _NAMED
        self._left_bytes = _READ_IN_VAIN_BYTES
        # Of lists of records by the list and field, of other lists by their own name and "".
        self._clocks: dict[tuple[str, str], bool] = {}

    def compare(self, top: PairNode) -> Iterator[Difference]:
        for found in with_renumbered(self._compare(top), top.actual, top.expected):
            clock = None if found.verdict.passes else self._clock(found.item)
            yield found if clock is None else replace(found, clock=clock)

    def _clock(self, item: str) -> bool | None:
        """Whether a clock gave a list beside others, or a field of records; None for all else."""
        field = _FIELD.fullmatch(item)
        of_list = self._clocks.get((item, ""))
        return of_list if field is None else self._clocks.get((field[1], field[2]), of_list)

    def _compare(self, top: PairNode) -> Iterator[Difference]:
        waiting = [iter((top,))]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                continue
            kinds = type(node.actual), type(node.expected)
            if kinds[0] is not kinds[1] or kinds[0] not in (dict, list, Tagged):
                yield from self._compare_leaf(node)
            elif self._is_skipped(node):
                same = Difference(self._output, node.item, Verdict.IDENTICAL, size=1)
                yield from itertools.repeat(same, count_items(node.expected))
            elif kinds[0] is dict:
                node, found = self._prepare(node)
                yield from found
                yield from self._compare_keys(node)
                clocks = clocks_in_lists(node.actual, node.expected)
                self._clocks |= {(path_to(node, name), ""): True for name in clocks}
                waiting.append(shared_keys(node))
            elif kinds[0] is Tagged:
                yield from self._compare_tags(node)
                value = node.actual.value, node.expected.value
                waiting.append(iter((node._replace(actual=value[0], expected=value[1]),)))
            else:
                yield from self._compare_lists(node, waiting)

    def _prepare(self, node: PairNode) -> tuple[PairNode, tuple[Difference, ...]]:
        """Keys under the names that both sides have in common, and without those of curves."""
        under = f"{node.item}." if node.item else ""
        rename = self._book.rename(self._output, node.actual, node.expected, under)
        node, found = node._replace(actual=rename[0], expected=rename[1]), rename[2]
        if node.actual.keys() != node.expected.keys():
            node, said = self._meet_ids(node)
            found = (*found, *said)
        if not self._curved:
            return node, found
        lines = [lines_of(node, side) for side in (node.actual, node.expected)]
        above = (node.item, *node.above) if node.item else node.above
        curves, taken = split(self._output, lines[0], lines[1], self._book, above)
        sides = [
            {key: value for key, value in side.items() if path_to(node, key) not in taken}
            for side in (node.actual, node.expected)
        ]
        return node._replace(actual=sides[0], expected=sides[1]), (*found, *curves)

    def _meet_ids(self, node: PairNode) -> tuple[PairNode, tuple[Difference, ...]]:
        """Keys that are ids of a run, as a rule's patterns say or as random UUIDs are, in order."""
        patterns = self._find(node).tolerance.patterns
        mask = (lambda key: self._masks.mask(key, patterns)) if patterns else without_uuids
        met = met_by_id(node.actual, node.expected, mask)
        if met is None:
            return node, ()
        said = (
            () if patterns else self._drift(node, say_ids(self._book.key(self._output, node.item)))
        )
        found = tuple(replace(each, excuses=("uuid",)) for each in said)
        return node._replace(actual=met), found

    def _prepare_records(self, node: PairNode) -> tuple[PairNode, tuple[Difference, ...], str]:
        """The records without the fields that are curves, and how those differ.

        The last is what is said of the list instead of walking on into it: "" to do that.
        """
        curves: tuple[Difference, ...] = ()
        if self._curved:
            prefix = f"{node.item}[*]."
            lines = [record_lines(side, prefix) for side in (node.actual, node.expected)]
            above = (node.item, *node.above) if node.item else node.above
            curves, taken = split(self._output, lines[0], lines[1], self._book, above)
            sides = [without(side, taken, prefix) for side in (node.actual, node.expected)]
            if not any(map(any, sides)):
                return node._replace(actual=[], expected=[]), curves, ""
            node = node._replace(actual=sides[0], expected=sides[1])
        tolerance = self._find(node).tolerance
        met = meet_records(node.actual, node.expected, tolerance)
        if met is not None:
            node = node._replace(actual=met.actual)
            if met.alone:
                return node, curves, f"records have no counterpart: {first_of(met.alone, 3)}"
            if tolerance.unordered:
                self._met.add(node.item)
            by = met.by and say_met(self._book.key(self._output, node.item), met.by)
            return node, (*curves, *(self._drift(node, by) if by else ())), ""
        both = self._output, node.item, node.actual, node.expected
        if len(node.actual) != len(node.expected):
            return node, curves, say_lengths(*both)
        return node, curves, "" if self._ruled else say_moved(*both)

    def _is_skipped(self, node: PairNode) -> bool:
        """Whether both hold the same, down to types, NaN and the sign of zero, and no rule asks.

        The names of the first few identical items go into reports, so those are walked to. What is
        read in vain is bounded: a deep tree would be read again at each of its levels.
        """
        if self._ruled or self._unnamed > 0:
            return False
        if self._left_bytes <= 0:
            return False
        expected = bytes_of(node.expected)
        if expected and expected == bytes_of(node.actual):
            return True
        self._left_bytes -= len(expected) + _ATTEMPT_BYTES
        return False

    def _compare_lists(
        self, node: PairNode, waiting: list[Iterator[PairNode]]
    ) -> Iterator[Difference]:
        grids = grid_of(node.actual), grid_of(node.expected)
        if grids[0] is not None and grids[1] is not None:
            yield from self._compare_grids(node, grids[0], grids[1])
            return
        if are_records(node.actual) and are_records(node.expected):
            node, found, note = self._prepare_records(node)
            yield from found
            if note:
                yield from self._drift(node, note)
                self._book.leave_unread(self._output)
                return
            clocks = clocks_in_records(node.actual, node.expected).items()
            self._clocks |= {(node.item, step_to(name)): clock for name, clock in clocks}
        lengths = len(node.actual), len(node.expected)
        if lengths[0] != lengths[1]:
            yield from self._drift(node, f"a list of {lengths[0]}, expected a list of {lengths[1]}")
        waiting.append(shared_places(node))

    def _compare_keys(self, node: PairNode) -> Iterator[Difference]:
        for key, value in node.expected.items():
            if key not in node.actual:
                child = node.child(step_to(key), None, value)
                yield from self._drift(child, f"missing in the actual run; expected {show(value)}")
        for key, value in node.actual.items():
            if key not in node.expected:
                child = node.child(step_to(key), value, None)
                yield from self._drift(child, f"only in the actual run: {show(value)}")

    def _compare_tags(self, node: PairNode) -> Iterator[Difference]:
        actual, expected = node.actual.tag, node.expected.tag
        if actual != expected:
            yield from self._drift(node, f"the type {actual}, expected {expected}")

    def _compare_leaf(self, node: PairNode) -> Iterator[Difference]:
        actual, expected = node.actual, node.expected
        kinds = kind_of_leaf(actual), kind_of_leaf(expected)
        if kinds[0] != kinds[1]:
            yield from self._drift(node, f"{describe(actual)}, expected {describe(expected)}")
        else:
            applied = self._find(node)
            if applied.tolerance.ignore:
                return
            if plainly_equal(actual, expected) and not self._is_metric(applied):
                yield self._identical(node, 1)
            else:
                yield from self._compare_scalars(node, kinds[0], applied)

    def _compare_scalars(
        self, node: PairNode, kind: str, applied: AppliedTolerance
    ) -> Iterator[Difference]:
        place = self._place(node)
        grids = Grid([node.actual], (), kind), Grid([node.expected], (), kind)
        yield from self._compare_alike(place, *grids, applied)

    def _compare_grids(self, node: PairNode, actual: Grid, expected: Grid) -> Iterator[Difference]:
        kinds = {actual.kind, expected.kind} - {"nothing"}
        if len(kinds) > 1:
            yield from self._drift(node, f"a list of {actual.kind}, expected {expected.kind}")
            return
        applied = self._find(node)
        if applied.tolerance.ignore:
            return
        place = self._place(node)
        if actual.shape == expected.shape and kinds:
            if applied.tolerance.equal_nan and not self._is_metric(applied):
                both = bytes_of(actual.leaves), bytes_of(expected.leaves)
                if both[0] and both[0] == both[1]:
                    yield self._identical(node, len(expected.leaves))
                    return
            yield from self._compare_alike(place, actual, expected, applied)
        else:
            yield from self._compare_many(place, actual, expected, applied)

    def _compare_alike(
        self, place: ItemLocation, actual: Grid, expected: Grid, applied: AppliedTolerance
    ) -> Iterator[Difference]:
        """Two grids of one kind and shape; numbers in strings as what they are."""
        tolerance = applied.tolerance
        if actual.kind == expected.kind == "strings" and _may_be_numbers(tolerance):
            sides = actual.leaves, expected.leaves
            met = read_numbers(*sides, expected.shape, tolerates_numbers(tolerance))
            if met is not None:
                place = replace(place, note=NOTE)
                actual = Grid([*met.actual], met.shape, "numbers")
                expected = Grid([*met.expected], met.shape, "numbers")
            elif tolerance.agreement is None:
                yield from self._compare_alike_texts(place, actual, expected, applied)
                return
        yield from self._compare_known(place, actual, expected, applied)

    def _compare_alike_texts(
        self, place: ItemLocation, actual: Grid, expected: Grid, applied: AppliedTolerance
    ) -> Iterator[Difference]:
        """Strings; those that differ in numbers alone, within the tolerance, are equivalent."""
        pairs = list(zip(actual.leaves, expected.leaves, strict=True))
        near = [
            left != right and agree_by_numbers(left, right, applied.tolerance)
            for left, right in pairs
        ]
        if not any(near):
            yield from self._compare_known(place, actual, expected, applied)
            return
        same = [right if close else left for (left, right), close in zip(pairs, near, strict=True)]
        for found in self._compare_known(place, replace(actual, leaves=same), expected, applied):
            mere = found.verdict is Verdict.IDENTICAL
            verdict = Verdict.EQUIVALENT if mere else found.verdict
            differing = found.differing + sum(near)
            note = join_notes(found.note, BY_NUMBERS)
            yield replace(found, verdict=verdict, differing=differing, note=note)

    def _compare_known(
        self, place: ItemLocation, actual: Grid, expected: Grid, applied: AppliedTolerance
    ) -> Iterator[Difference]:
        """Two grids of one kind and shape."""
        sides = actual.leaves, expected.leaves
        few = self._few_answer(expected.kind, place, sides, expected.shape, applied)
        if few is not None and few.verdict is Verdict.DRIFT and applied.rule is None:
            few = None if may_be_free(*sides) else few
        each = self._compare_many(place, actual, expected, applied) if few is None else (few,)
        for found in each:
            if expected.kind == "strings":
                found = excused(found, zip(*sides, strict=True), place, self._book)
            yield found

    def _few_answer(
        self,
        kind: str,
        place: ItemLocation,
        sides: tuple[list[Any], list[Any]],
        shape: tuple[int, ...],
        applied: AppliedTolerance,
    ) -> Difference | None:
        if len(sides[1]) > self._most_few:
            return None
        if kind == "numbers":
            return compare_few_with_wholes(self._few, place, sides, shape, applied)
        if kind == "strings" and not applied.tolerance.patterns:
            return self._few.compare_texts(place, *sides, shape, applied)
        return None

    def _compare_many(
        self, place: ItemLocation, actual: Grid, expected: Grid, applied: AppliedTolerance
    ) -> Iterator[Difference]:
        if expected.kind != "strings" or not applied.tolerance.patterns:
            yield from compare_values(place, actual, expected, self._book)
            return
        masked = [self._masked(grid, applied) for grid in (actual, expected)]
        for each in compare_values(place, masked[0], masked[1], self._book):
            mere = each.verdict is Verdict.IDENTICAL and actual.leaves != expected.leaves
            yield replace(each, verdict=Verdict.EQUIVALENT, note=ONLY_MASKED) if mere else each

    def _is_metric(self, applied: AppliedTolerance) -> bool:
        """Whether somebody wants the values, also those that are the same."""
        return applied.tolerance.equivalence is not None and self._book.study.on_metric is not None

    def _place(self, node: PairNode) -> ItemLocation:
        met = "" in self._met or not self._met.isdisjoint(node.above)
        return ItemLocation(self._output, node.item, node.above, met=met)

    def _masked(self, grid: Grid, applied: AppliedTolerance) -> Grid:
        patterns = applied.tolerance.patterns
        return replace(grid, leaves=[self._masks.mask(leaf, patterns) for leaf in grid.leaves])

    def _identical(self, node: PairNode, size: int) -> Difference:
        self._unnamed -= 1
        return Difference(self._output, node.item, Verdict.IDENTICAL, size=size)

    def _drift(self, node: PairNode, note: str) -> Iterator[Difference]:
        return drift(self._output, node.item, note, self._book, node.above)

    def _find(self, node: PairNode) -> AppliedTolerance:
        return self._book.find(self._output, node.item, node.above)


def _may_be_numbers(tolerance: Tolerance) -> bool:
    """Whether a rule leaves it open that strings are compared as numbers."""
    return not (tolerance.exact or tolerance.patterns or tolerance.free)
