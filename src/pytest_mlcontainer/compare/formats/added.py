"""Formats that plugins add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Comparator, Difference

HEAD_BYTES = 4096


def format_of(comparator: Comparator) -> Format:
    """The comparator in our own terms."""
    return Format(
        comparator.name,
        partial(_compare, comparator),
        partial(_recognises, comparator) if comparator.recognises is not None else None,
        tuple(suffix.lower() for suffix in comparator.suffixes),
        added=True,
    )


def _recognises(comparator: Comparator, side: ComparedFile) -> bool:
    assert comparator.recognises is not None
    with side.open() as stream:
        head = stream.read(HEAD_BYTES)
    try:
        return bool(comparator.recognises(side.path, head))
    except Exception as error:
        raise side.unreadable(
            f"cannot be recognised: the comparator {comparator.name} raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _compare(comparator: Comparator, pair: Pair, book: RuleBook) -> Iterator[Difference]:
    actual, expected = read_both(pair, partial(_read, comparator))
    yield from compare_items(pair.name, actual, expected, book)


def _read(comparator: Comparator, side: ComparedFile) -> dict[str, Leaf]:
    try:
        found = comparator.read(side.path)
        if not isinstance(found, Mapping):
            raise TypeError(f"read() has to give a mapping, not {type(found).__name__}")
        return {str(name): _leaf(value) for name, value in found.items()}
    except Exception as error:
        raise side.unreadable(
            f"cannot be read: the comparator {comparator.name} raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _leaf(value: object) -> Leaf:
    """Values as plugins give them: a list, or anything that NumPy takes, is an array."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value
    return array_of(np.asarray(value))
