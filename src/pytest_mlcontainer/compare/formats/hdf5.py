"""HDF5, and so Keras's `.h5`: datasets are items by their path, attributes as `path@name`.

Hard links are followed, links by name are compared as what they say, and links to other files are
never followed. How the values are stored (chunks, compression, byte order) does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.compare.formats.hdf5_tree import Hdf5Contents, read_tree
from pytest_mlcontainer.compare.formats.kind import Format, Named, begins, need
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.partly_read import compare_readable
from pytest_mlcontainer.model import Difference

MAGIC = b"\x89HDF\r\n\x1a\n"
_FIRST_OFFSET = 512
_CACHE_BYTES = 1 << 25


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two files, item by item."""
    with ExitStack() as stack:
        actual, expected = read_both(pair, lambda side: _open(side, stack))
        yield from compare_readable(pair.name, actual, expected, book)


def _open(side: ComparedFile, stack: ExitStack) -> Hdf5Contents:
    h5py = need(side, "h5py", "hdf5")
    if not side.size_bytes():
        raise side.unreadable("is empty")
    try:
        file = stack.enter_context(h5py.File(Path(side.path), "r", rdcc_nbytes=_CACHE_BYTES))
        return read_tree(h5py, side, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise side.unreadable(
            f"cannot be read as HDF5, it is damaged or truncated ({reason})"
        ) from error


def _found(array: Array) -> Array:
    return array


@contextmanager
def _arrays(side: ComparedFile) -> Iterator[tuple[Named, ...]]:
    with ExitStack() as stack:
        found = _open(side, stack).leaves.items()
        yield tuple(
            (item, partial(_found, leaf)) for item, leaf in found if isinstance(leaf, Array)
        )


def _has_signature_within(side: ComparedFile) -> bool:
    """The signature after a user block of 512, 1024, 2048, … bytes."""
    size_bytes, offset = side.size_bytes(), _FIRST_OFFSET
    with side.open() as stream:
        while offset + len(MAGIC) <= size_bytes:
            stream.seek(offset)
            if stream.read(len(MAGIC)) == MAGIC:
                return True
            offset *= 2
    return False


FORMAT = Format(
    "HDF5",
    compare,
    lambda side: begins(side, MAGIC),
    (".h5", ".hdf5", ".hdf", ".he5"),
    folds=True,
    arrays=_arrays,
)
# An archive may well have the signature there, where its first member is an HDF5 file.
BEHIND_USER_BLOCK = replace(FORMAT, has_content=_has_signature_within, suffixes=())
