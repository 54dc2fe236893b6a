"""What `torch.save` writes: state dicts, checkpoints, tensors. PyTorch is not needed to read them.

The pickle inside is read as what it says, see `inert_pickle`; tensors are read from the archive
when they are compared. An item is the path to a value: `model.layer1.weight`,
`optimizer.param_groups[0].lr`. A file with objects of other classes, a whole module say, is not
read here.

Not part of a value: on which device a tensor was, whether it is a parameter or has a gradient, and
the `_metadata` of a state dict, which holds the versions of module classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pytest_mlcontainer.compare.formats import opened
from pytest_mlcontainer.compare.formats.inert_pickle import BrokenPickleError, ObjectsError
from pytest_mlcontainer.compare.formats.kind import Format, Named, begins
from pytest_mlcontainer.compare.formats.torch_archive import (
    LEGACY_MAGIC,
    TorchFile,
    is_archive,
    is_legacy,
    read_archive,
    read_legacy,
)
from pytest_mlcontainer.compare.formats.torch_values import KNOWN, leaves
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, UnreadableError, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference

_ZIP = b"PK\x03\x04"


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, value by value; what holds objects, by what the image found in it."""
    try:
        actual, expected = read_both(pair, _read)
    except UnreadableError:
        if not _are_opened(pair):
            raise
        yield from opened.compare(pair, book)
        return
    yield from compare_items(pair.name, actual, expected, book)


def holds_objects(side: ComparedFile) -> bool:
    """Whether a file that `torch.save` wrote can only be read by loading the objects in it."""
    try:
        _saved(side)
    except ObjectsError:
        return True
    except UnreadableError:
        return False
    return False


def _are_opened(pair: Pair) -> bool:
    """Whether the image looked into both, and one holds objects."""
    sides = (pair.actual, pair.expected)
    return all(side.opened is not None for side in sides) and any(map(holds_objects, sides))


def _saved(side: ComparedFile) -> TorchFile:
    return read_legacy(side, KNOWN) if is_legacy(side) else read_archive(side, KNOWN)


def _read(side: ComparedFile) -> dict[str, Leaf]:
    try:
        return leaves(_saved(side))
    except BrokenPickleError as error:
        raise side.unreadable(str(error)) from error
    except ObjectsError as error:
        raise side.unreadable(
            f"holds objects of {error}; only weights are read here, for objects run code when "
            "they are loaded; save a state_dict() instead"
        ) from error


def _found(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    found = _read(side).items()
    yield tuple((item, partial(_found, leaf)) for item, leaf in found if isinstance(leaf, Array))


def _may_be(side: ComparedFile) -> bool:
    return begins(side, _ZIP, LEGACY_MAGIC)


FORMAT = Format(
    "PyTorch",
    compare,
    lambda side: is_archive(side) or is_legacy(side),
    (".pt", ".pth", ".ckpt", ".bin"),
    folds=True,
    fits=_may_be,
    arrays=_arrays,
)
