"""Sends plugins' comparators to a reader by name; those that have none are called from here."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path

import numpy as np

from pytest_mlcontainer.compare.formats.added import HEAD_BYTES
from pytest_mlcontainer.compare.readers.messages import (
    AddedComparator,
    ComparatorCall,
    FunctionReference,
)
from pytest_mlcontainer.model import Comparator


def added_of(comparator: Comparator) -> AddedComparator:
    """The comparator, as far as another process can import it."""
    recognises = comparator.recognises
    return AddedComparator(
        comparator.name,
        comparator.suffixes,
        _place_of(comparator.read),
        None if recognises is None else _place_of(recognises),
        recognises is not None,
    )


def call(comparators: tuple[Comparator, ...], asked: ComparatorCall) -> object:
    """What a reader asks for: what a function gave, and the name and text of what it raised."""
    comparator, path = comparators[asked.comparator], Path(asked.path)
    work = _read if asked.function == "read" else _recognises
    try:
        given = work(comparator, path)
        pickle.dumps(given)
    except Exception as error:
        return None, (type(error).__name__, str(error))
    return given, None


def _read(comparator: Comparator, path: Path) -> object:
    found = comparator.read(path)
    if not isinstance(found, Mapping):
        raise TypeError(f"read() has to give a mapping, not {type(found).__name__}")
    return {str(name): _value(value) for name, value in found.items()}


def _value(value: object) -> object:
    """Values as comparators give them, in a form that is the same in another process."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value
    return np.asarray(value)


def _recognises(comparator: Comparator, path: Path) -> bool:
    assert comparator.recognises is not None
    with path.open("rb") as stream:
        return bool(comparator.recognises(path, stream.read(HEAD_BYTES)))


def _place_of(function: Callable[..., object]) -> FunctionReference | None:
    """Where a function can be imported from; None for one that only this process has.

    A conftest.py is such: pytest imports each in its own way, and many have one name.
    """
    name, qualified = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    module = sys.modules.get(name or "")
    file = getattr(module, "__file__", None)
    if file is None or name.rpartition(".")[2] in ("conftest", "__main__"):
        return None
    try:
        found = attrgetter(qualified)(module)
    except AttributeError:
        return None  # a local function, or a lambda
    return (name, file, qualified) if found is function else None
