"""Outcome → output → places inside it → numbers: built once, drawn by every presenter.

Terminal, JSON, HTML and Markdown show what is here and count nothing themselves, so that they
cannot disagree. The tree is bounded, whatever was compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_mlcontainer.model import Difference, Element, Outcome, Verdict
from pytest_mlcontainer.report.sides import name_the_run

LISTED = 500
BINS = 64
FEW_ELEMENTS = 5
_DEEPEST = 12
_TOKEN = re.compile(r"\[[^\[\]]*\]|[./]?[^./\[]+|[./\[]", re.DOTALL)
_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}

Counts = tuple[tuple[Verdict, int], ...]
Bins = tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class ReportLeaf:
    """One compared item, and its path in the tree.

    Args:
        path: the output, then the item in parts: joined they are its name.
        elements: those to show, the worst first; the worst alone where no others are known.
    """

    difference: Difference
    path: tuple[str, ...]
    elements: tuple[Element, ...]

    @property
    def passes(self) -> bool:
        return self.difference.verdict.passes

    @property
    def has_more(self) -> bool:
        """Whether there is more to show of it than its numbers and its worst few elements."""
        return self.difference.plots is not None or len(self.elements) > FEW_ELEMENTS


@dataclass(frozen=True)
class Node:
    """A place that holds others, or something that was compared.

    Args:
        label: its name inside the place above; parts that hold just one other are one label.
        verdict: the worst below.
        counts: items below by verdict, the worst first.
        leaves: what is said of this very place.
    """

    label: str
    verdict: Verdict
    counts: Counts
    leaves: tuple[ReportLeaf, ...]
    children: tuple[Node, ...]

    @property
    def passes(self) -> bool:
        return self.verdict.passes

    @property
    def output(self) -> str:
        """The output that it is or belongs to."""
        return self.leaves[0].path[0] if self.leaves else self.children[0].output


@dataclass(frozen=True)
class Tree:
    """One comparison as a tree.

    Args:
        outcome: the comparison, with the differences that are listed.
        counts: all items by verdict, the worst first, those that are not listed too.
        unlisted: items that are only counted.
        leaves: what is listed, the worst first.
        outputs: the same as a tree.
    """

    outcome: Outcome
    counts: Counts
    unlisted: Counts
    leaves: tuple[ReportLeaf, ...]
    outputs: tuple[Node, ...]

    @property
    def failing(self) -> tuple[ReportLeaf, ...]:
        """What does not pass, the worst first."""
        return tuple(leaf for leaf in self.leaves if not leaf.passes)

    @property
    def failing_count(self) -> int:
        """Items that do not pass, those that are not listed too."""
        return sum(count for verdict, count in self.counts if not verdict.passes)


@dataclass
class _Place:
    leaves: list[ReportLeaf] = field(default_factory=list)
    children: dict[str, _Place] = field(default_factory=dict)


def cut(outcome: Outcome) -> tuple[Outcome, Counts]:
    """The outcome with the worst `LISTED` differences, and the count of the others.

    Their histograms have at most `BINS` bins.
    """
    ordered: Sequence[Difference] = outcome.differences
    if len(ordered) > LISTED:
        ordered = sorted(ordered, key=lambda each: -_RANK[each.verdict])
    listed = tuple(
        each
        if len(each.histogram) <= BINS
        else replace(each, histogram=merge_bins(each.histogram, BINS))
        for each in ordered[:LISTED]
    )
    return replace(outcome, differences=listed), _count(ordered[LISTED:])


def merge_bins(bins: Bins, most: int) -> Bins:
    """A histogram with neighbours put together, so that it has at most so many bins."""
    every = -(-len(bins) // most) or 1
    groups = [bins[start : start + every] for start in range(0, len(bins), every)]
    return tuple(
        (group[0][0], group[-1][1], sum(count for _low, _high, count in group)) for group in groups
    )


def build_tree(outcome: Outcome, unlisted: Counts = ()) -> Tree:
    """The tree of a comparison.

    Args:
        unlisted: items that were cut from the outcome before.
    """
    outcome, more = cut(name_the_run(outcome))
    unlisted = add_counts(unlisted, more)
    leaves = tuple(_leaf(difference) for difference in outcome.differences)
    return Tree(
        outcome=outcome,
        counts=add_counts(_count(outcome.differences), unlisted),
        unlisted=unlisted,
        leaves=leaves,
        outputs=grow(leaves),
    )


def grow(leaves: Iterable[ReportLeaf]) -> tuple[Node, ...]:
    """The leaves as a tree, in their order."""
    top: dict[str, _Place] = {}
    for leaf in leaves:
        places, place = top, _Place()
        for part in leaf.path:
            place = places.setdefault(part, _Place())
            places = place.children
        place.leaves.append(leaf)
    return tuple(_output(name, place) for name, place in top.items())


def split_item(item: str) -> tuple[str, ...]:
    """The parts of an item's name, each with what joins it to the one before."""
    parts = [found[0] for found in _TOKEN.finditer(item)]
    if len(parts) > _DEEPEST:
        parts[_DEEPEST - 1 :] = ["".join(parts[_DEEPEST - 1 :])]
    return tuple(parts)


def add_counts(*counts: Counts) -> Counts:
    """The sums, the worst verdict first."""
    total: Counter[Verdict] = Counter()
    for each in counts:
        for verdict, count in each:
            total[verdict] += count
    return tuple((verdict, total[verdict]) for verdict in reversed(Verdict) if total[verdict])


def _count(differences: Iterable[Difference]) -> Counts:
    total: Counter[Verdict] = Counter()
    for each in differences:
        total[each.verdict] += each.size if each.unit == "items" else 1
    return add_counts(tuple(total.items()))


def _leaf(difference: Difference) -> ReportLeaf:
    elements = difference.elements
    if not elements and difference.worst_index is not None:
        elements = (
            Element(
                difference.worst_index,
                difference.worst_actual,
                difference.worst_expected,
                difference.max_abs,
            ),
        )
    path = (difference.output, *split_item(difference.item))
    return ReportLeaf(difference, path, elements)


def _output(name: str, place: _Place) -> Node:
    """An output; one that holds a single item is called as rules call that item."""
    node = _node(name, place)
    if node.leaves or len(node.children) != 1:
        return node
    (only,) = node.children
    if only.children or len(only.leaves) != 1:
        return node
    return replace(only, label=only.leaves[0].difference.where)


def _node(label: str, place: _Place) -> Node:
    children = tuple(_joined(name, below) for name, below in place.children.items())
    own = _count(leaf.difference for leaf in place.leaves)
    counts = add_counts(own, *(child.counts for child in children))
    verdicts = [leaf.difference.verdict for leaf in place.leaves]
    verdicts += [child.verdict for child in children]
    verdict = max(verdicts, key=_RANK.__getitem__, default=Verdict.IDENTICAL)
    return Node(label, verdict, counts, tuple(place.leaves), children)


def _joined(label: str, place: _Place) -> Node:
    """A place inside an output, with those that it alone holds in one label."""
    while not place.leaves and len(place.children) == 1:
        ((part, place),) = place.children.items()
        label += part
    return _node(label, place)
