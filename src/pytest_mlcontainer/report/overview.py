"""All places of a comparison that do not pass, on one screen.

Places that have the same name but for the numbers in it (the trees of a model, the layers of a
network, the steps of a log) are one line as soon as there are several of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pytest_mlcontainer.model import Difference
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.escape import cut_inside, escape
from pytest_mlcontainer.report.tree import Node, ReportLeaf, add_counts, grow, split_item
from pytest_mlcontainer.wording import truncate

_LABEL_WIDTH = 56
_WIDTH = 100
_FEW = 3  # places alike that are shown one by one
_NUMBER = re.compile(r"(?<=\[)\d+(?=\])|(?<=[a-zA-Z_./-])\d+")


def overview(leaves: Iterable[ReportLeaf], most: int) -> list[str]:
    """The places of what does not pass, one line each, with what is in it.

    Places that hold just one other are one with it, called as rules call it:
    `model.json:trees[*].leaf`.

    Args:
        most: lines to be shown.
    """
    rows = list(_rows(grow(leaves), "", _FEW))
    if not rows:
        return []
    shown = rows[:most]
    width = max(len(label) for label, _text in shown)
    lines = [truncate(f"{label:<{width}}  {text}", _WIDTH).rstrip() for label, text in shown]
    if len(rows) > len(shown):
        lines.append(f"… and {len(rows) - len(shown):,} more places")
    return lines


def representatives(leaves: Sequence[ReportLeaf], most: int) -> tuple[ReportLeaf, ...]:
    """What is worth to be seen in full: one of each kind of place, then others.

    What can be judged (a metric, a prediction, a label) comes before the insides of a model, of
    which there are many alike; what has values before what merely has another shape.

    Args:
        leaves: the worst first.
        most: to be returned.
    """
    kinds = [_kind(leaf) for leaf in leaves]
    counts, seen = Counter(kinds), Counter[tuple[str, ...]]()
    chosen: list[tuple[tuple[bool, bool], ReportLeaf]] = []
    others = []
    for kind, leaf in zip(kinds, leaves, strict=True):
        is_one_of_many = counts[kind] > _FEW
        seen[kind] += 1
        if is_one_of_many and seen[kind] > 1:
            others.append(leaf)
        else:
            chosen.append(((not _has_values(leaf), is_one_of_many), leaf))
    found = [leaf for _rank, leaf in sorted(chosen, key=lambda pair: pair[0])]
    return tuple([*found, *others][:most])


def alike(leaf: ReportLeaf, leaves: Iterable[ReportLeaf]) -> tuple[str, list[Difference]]:
    """A pattern for the places like this one, and what was found at them; where those are few, its
    own name, and itself alone."""
    found = [each.difference for each in leaves if _kind(each) == _kind(leaf)]
    if len(found) <= _FEW:
        return leaf.difference.where, [leaf.difference]
    output, item = _alike(leaf.difference.output), _alike(leaf.difference.item)
    return f"{output}:{item}" if item else output, found


def _kind(leaf: ReportLeaf) -> tuple[str, ...]:
    return tuple(_alike(part) for part in leaf.path)


def _has_values(leaf: ReportLeaf) -> bool:
    return bool(leaf.elements or words.numbers(leaf.difference))


def _rows(nodes: Iterable[Node], indent: str, few: int) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(_head(node, indent), []).append(node)
    for name, group in groups.items():
        if len(group) <= few:
            for node in group:
                yield from _alone(node, indent)
        elif len({_alike(node.label) for node in group}) == 1:
            yield from _together(_alike(group[0].label), group, indent)
        else:
            yield from _together(name, [_parted(node) for node in group], indent)


def _alone(node: Node, indent: str) -> Iterator[tuple[str, str]]:
    own = [leaf.difference for leaf in node.leaves]
    if len(own) == 1 and not node.children:
        yield _label(node.label, indent), _verdict_and_brief(own[0])
        return
    inside = node.label + (":" if node.label == node.output else "")
    heads = {_head(child, "  ") for child in node.children}
    if not own and len(node.children) == 1:
        (only,) = node.children
        yield from _alone(replace(only, label=inside + only.label), indent)
    elif not own and len(heads) == 1 and len(node.children) > _FEW:
        parted = [_parted(child) for child in node.children]
        yield from _together(inside + heads.pop(), parted, indent)
    else:
        yield _label(node.label, indent), words.counts_text(node.counts)
        if len(own) > 1:
            yield from ((f"{indent}  ·", _verdict_and_brief(each)) for each in own)
        yield from _rows(node.children, indent + "  ", _FEW)


def _together(name: str, nodes: Sequence[Node], indent: str) -> Iterator[tuple[str, str]]:
    """Places alike as one."""
    text = words.counts_text(add_counts(*(node.counts for node in nodes)))
    below = [child for node in nodes for child in node.children]
    own = [leaf.difference for node in nodes for leaf in node.leaves]
    if below and not own and len({_alike(child.label) for child in below}) == 1:
        yield from _together(name + _alike(below[0].label), below, indent)
        return
    if own and not below:
        brief = escape(words.brief(own[0]), 60)
        first = "the worst" if words.numbers(own[0]) else "such as"
        text = f"{text}, {first} {brief}" if brief else text
    yield _label(name, indent), text
    yield from _rows(below, indent + "  ", 0)


def _head(node: Node, indent: str) -> str:
    """What its name begins with, which it shares with places alike: a part of an item, or all of an
    output's name."""
    return _alike(split_item(node.label)[0] if indent else node.label)


def _parted(node: Node) -> Node:
    """The place that the first part of its name is, with the rest inside."""
    first, *others = split_item(node.label)
    if not others:
        return node
    inner = replace(node, label="".join(others))
    return replace(node, label=first, leaves=(), children=(inner,))


def _label(name: str, indent: str) -> str:
    cut = cut_inside(name.lstrip("./") or name, _LABEL_WIDTH)
    return indent + escape(cut, _LABEL_WIDTH)


def _alike(name: str) -> str:
    """The name without its numbers, which places alike share."""
    return _NUMBER.sub("*", name)


def _verdict_and_brief(difference: Difference) -> str:
    return f"{difference.verdict.value}  {escape(words.brief(difference), 80)}".rstrip()
