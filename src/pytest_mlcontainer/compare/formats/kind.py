"""The adapter of a file format: what each module of `formats` has to provide."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.trees import compare_trees
from pytest_mlcontainer.model import Difference

# An array's name and how to have it, so that of many only one at a time is in memory.
Named = tuple[str, Callable[[], Array]]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        compare: gives one difference for each item.
        has_content: whether a file is of this kind, by its bytes.
        suffixes: names that say so when the bytes do not; `fits` has to agree, if given.
        folds: whether items that agree are counted instead of listed.
        textual: whether two files of different textual formats can still be compared as text.
        arrays: every array in a file, by name, for as long as it is open; None for a format that
            cannot name its arrays.
        added: whether a plugin brings it, and so judges all that is in a file, dates too.
    """

    name: str
    compare: Callable[[Pair, RuleBook], Iterator[Difference]]
    has_content: Callable[[ComparedFile], bool] | None = None
    suffixes: tuple[str, ...] = ()
    folds: bool = False
    textual: bool = False
    fits: Callable[[ComparedFile], bool] | None = None
    arrays: Callable[[ComparedFile], AbstractContextManager[tuple[Named, ...]]] | None = None
    added: bool = False

    def may_be(self, side: ComparedFile) -> bool:
        """Whether a file with one of the suffixes can be taken at its name."""
        return self.fits is None or self.fits(side)


def tree_comparison(
    read: Callable[[ComparedFile], Any],
) -> Callable[[Pair, RuleBook], Iterator[Difference]]:
    """The `compare` of a format whose files are one tree each, which `read` gives."""

    def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
        actual, expected = read_both(pair, read)
        yield from compare_trees(pair.name, actual, expected, book)

    return compare


def begins(side: ComparedFile, *magics: bytes) -> bool:
    """Whether the file begins with one of these bytes."""
    with side.open() as stream:
        start = stream.read(max(len(magic) for magic in magics))
    return start.startswith(magics)


def need(side: ComparedFile, module: str, extra: str) -> ModuleType:
    """A reader that only some users need, from an extra of this package.

    Raises:
        UnreadableError: it is not installed; the text says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise side.unreadable(
            f"cannot be compared by value without the package {package}: "
            f"pip install 'pytest-mlcontainer[{extra}]'"
        ) from error
