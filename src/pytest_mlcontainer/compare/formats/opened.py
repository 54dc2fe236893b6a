"""Pickles and joblib files, compared by the values that loading them in the project's image gave.

A pickle is a program, and none is ever run on this machine. `runs.opening` loads it where it was
written, in a container that can do no harm, and what comes back is plain: `tree.jsonl`, a line for
each value, and `arrays.bin`, the arrays in npy form (`inside/pickle_reader.py` has the details), or
`failure.json`. All of that was written by a container, so every line is checked.

An item is the path to a value: `steps[0][1].coef_`, `estimators_[3].tree_.nodes.threshold`. The
class of an object is an item of its own, `estimator.__class__`. The order of keys does not count.
"""

from __future__ import annotations

import io
import json
import math
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Union

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.npy import (
    MAGIC,
    BadArrayError,
    PickledError,
    read_header,
    stored_array,
)
from pytest_mlcontainer.compare.numeric.dtypes import dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.shown import truncate
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, UnreadableError, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, array_of_leaf
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Verdict

TREE, ARRAYS = "tree.jsonl", "arrays.bin"
FAILURE, ABOUT = "failure.json", "about.json"
_TREE_BYTES = 1 << 28
_LINE_BYTES = 1 << 26
_SMALL_BYTES = 1 << 16
_MOST_ITEMS = 1_000_000
_IN_MEMORY_BYTES = 1 << 16
_SHOWN = 80
_DEEPEST_RULE = 50
_STEP = re.compile(r"[.\[]")
_PLAIN = frozenset({"dict", "list", "tuple", "set", "frozenset"})
_LOOKED_AT_BYTES = 1 << 14
_OPCODES = 16
_FEWEST_OPCODES = 3
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00", b"\x78", b"\x04\x22\x4d\x18",
           b"\x28\xb5\x2f\xfd")  # fmt: skip
_PACKINGS = ("", ".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst")
_STEMS = (".pkl", ".pickle", ".joblib", ".dill", ".sav")
_SUFFIXES = tuple(stem + packing for stem in _STEMS for packing in _PACKINGS)
_PACKED_SUFFIXES = tuple(each for each in _SUFFIXES if each not in (".dill", ".sav"))


@dataclass(frozen=True)
class _Unseen:
    """A value that could not be looked into."""

    reason: str


@dataclass(frozen=True)
class _StoredArray:
    """An array in `arrays.bin`. `known_as` is its type, where npy has none for it."""

    offset: int
    size_bytes: int
    known_as: str


_Held = Union[None, bool, int, float, complex, str, bytes, Array, _StoredArray, _Unseen]


@dataclass(frozen=True)
class _Item:
    """One value; `holds` is how many there are in it, None for a value without parts."""

    kind: str
    held: _Held = None
    holds: int | None = None


@dataclass(frozen=True)
class _OpenedPickle:
    """The values of one side's pickle."""

    side: ComparedFile
    arrays: ComparedFile
    items: Mapping[str, _Item]
    cut: bool


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare what was found in two pickles, value by value."""
    actual, expected = read_both(pair, _read)
    yield from _OpenedComparison(pair.name, actual, expected, book).compare()
    if actual.cut or expected.cut:
        most = min(len(each.items) for each in (actual, expected) if each.cut)
        note = f"it holds more than {most} values, and the rest was not looked at"
        yield Difference(pair.name, "", Verdict.FAILED, note=note)


def notes_on(pair: Pair) -> tuple[str, ...]:
    """What to know about the place where a side was opened, if that was not its own image."""
    said = []
    for side in (pair.actual, pair.expected):
        note = None if side.opened is None else _texts_in(side.opened / ABOUT, "note")
        if note is not None and note[0]:
            said.append(f"{pair.name} of the {side.label} was {note[0]}")
    return tuple(said)


class _OpenedComparison:
    """One comparison of two opened pickles."""

    def __init__(
        self, output: str, actual: _OpenedPickle, expected: _OpenedPickle, book: RuleBook
    ) -> None:
        self._output = output
        self._actual = actual
        self._expected = expected
        self._book = book
        self._absent: set[str] = set()

    def compare(self) -> Iterator[Difference]:
        for met in self._book.meet(self._actual.items, self._expected.items):
            place = ItemLocation(self._output, met.name, _above(met.name))
            mine = None if met.actual is None else self._actual.items[met.actual]
            theirs = None if met.expected is None else self._expected.items[met.expected]
            if mine is not None and theirs is not None:
                yield from self._compare(place, mine, theirs)
            elif mine is None and theirs is None:
                yield from self._say(place, Verdict.FAILED, met.note)
            elif self._absent.isdisjoint((*place.above, "") if met.name else ()):
                self._absent.add(met.name)
                where = "missing in the actual run; expected" if mine is None else ""
                shown = _describe(mine or theirs)
                yield from self._say(
                    place, Verdict.DRIFT, f"{where or 'only in the actual run:'} {shown}"
                )

    def _compare(self, place: ItemLocation, mine: _Item, theirs: _Item) -> Iterator[Difference]:
        if mine.holds is not None and theirs.holds is not None:
            yield from self._compare_classes(place, mine, theirs)
            return
        loose = self._book.peek(place.output, place.item, place.above).tolerance.any_dtype
        unlike = mine.kind != theirs.kind and not loose
        if unlike or mine.holds is not None or theirs.holds is not None:
            note = f"{_describe(mine)}, expected {_describe(theirs)}"
            yield from self._say(place, Verdict.DRIFT, note)
        elif isinstance(mine.held, _Unseen) or isinstance(theirs.held, _Unseen):
            unseen = mine.held if isinstance(mine.held, _Unseen) else theirs.held
            assert isinstance(unseen, _Unseen)
            note = f"{theirs.kind} could not be looked into: {unseen.reason}"
            yield from self._say(place, Verdict.FAILED, note)
        else:
            yield from self._compare_values(place, mine, theirs)

    def _compare_classes(
        self, place: ItemLocation, mine: _Item, theirs: _Item
    ) -> Iterator[Difference]:
        """What holds values is compared by those; here only by its class."""
        item = f"{place.item}.__class__" if place.item else "__class__"
        classed = ItemLocation(place.output, item, (place.item, *place.above) if place.item else ())
        if mine.kind != theirs.kind:
            note = f"{mine.kind}, expected {theirs.kind}"
            yield from self._say(classed, Verdict.DRIFT, note)
        elif not mine.holds and not theirs.holds:
            yield from self._say(place, Verdict.IDENTICAL)
        elif theirs.kind not in _PLAIN:
            yield from self._say(classed, Verdict.IDENTICAL)

    def _compare_values(
        self, place: ItemLocation, mine: _Item, theirs: _Item
    ) -> Iterator[Difference]:
        if _plainly_equal(mine.held, theirs.held):
            yield from self._say(place, Verdict.IDENTICAL)
            return
        left, right = _array(self._actual, mine), _array(self._expected, theirs)
        yield from compare_arrays(place, left, right, self._book)

    def _say(self, place: ItemLocation, verdict: Verdict, note: str = "") -> Iterator[Difference]:
        if not self._book.find(place.output, place.item, place.above).tolerance.ignore:
            yield Difference(place.output, place.item, verdict, size=1, note=note)


def is_pickle(side: ComparedFile) -> bool:
    """Whether a file can only be read by unpickling it, as far as its first bytes and name say."""
    with side.open() as stream:
        start = stream.read(_LOOKED_AT_BYTES)
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return _is_plausible(start)
    if not side.name.lower().endswith(_SUFFIXES):
        return False
    packed = side.name.lower().endswith(_PACKED_SUFFIXES) and start.startswith(_PACKED)
    return packed or _is_plausible(start)


def needs_opening(side: ComparedFile) -> bool:
    """Whether a file has to be opened in the image: a pickle, or arrays of Python objects.

    Raises:
        UnreadableError: it cannot be read.
    """
    return is_pickle(side) or _has_objects(side)


def _has_objects(side: ComparedFile) -> bool:
    """Whether an npy file, or one in an npz, holds objects."""
    try:
        with side.open() as stream:
            start = stream.read(4)
            stream.seek(0)
            if start == MAGIC[:4]:
                read_header(stream, side.size_bytes())
            elif start == b"PK\x03\x04":
                with zipfile.ZipFile(stream) as archive:
                    for info in archive.infolist():
                        if info.filename.endswith(".npy"):
                            with archive.open(info) as member:
                                read_header(member, info.file_size)
    except PickledError:
        return True
    except UnreadableError:
        raise
    except Exception:
        return False  # damaged, which its own format will say
    return False


def _is_plausible(start: bytes) -> bool:
    """Whether the first opcodes are ones that there are, with arguments that they can have."""
    count = 0
    try:
        # From memory: an opcode may promise more bytes than any machine has.
        for opcode, _argument, _position in pickletools.genops(io.BytesIO(start)):
            if not count and (opcode.stack_before or "GET" in opcode.name):
                return False  # it takes what is not there yet
            count += 1
            if opcode.name == "STOP" or count == _OPCODES:
                return count > 1
    except Exception:
        # A file cut short within its first opcodes; or one that is long, and so are they.
        return count >= _FEWEST_OPCODES
    return False


def _read(side: ComparedFile) -> _OpenedPickle:
    folder = side.opened
    if folder is None:
        raise side.unreadable(
            "is a pickle, which is only ever opened inside the project's image, and was not; let "
            "a run write it as an output of its own, or save arrays (npz, safetensors) beside it "
            "and ignore this output in the rules"
        )
    if (folder / FAILURE).exists():
        raise side.unreadable(_reason(folder / FAILURE))
    lines = list(_lines(side, folder / TREE))
    if not lines or lines[-1].get("end") != len(lines) - 1:
        raise side.unreadable("was opened, and what was found in it is cut short; run it again")
    arrays = ComparedFile(side.label, side.name, folder / ARRAYS)
    size = arrays.size_bytes() if (folder / ARRAYS).is_file() else 0
    items: dict[str, _Item] = {}
    for number, line in enumerate(lines[:-1], 1):
        try:
            name = _the(line["n"], str)
            if name in items:
                raise ValueError(f"{name!r} is there twice")
            items[name] = _item(line, size)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise side.unreadable(
                f"was opened, and line {number} of what was found in it is no value "
                f"({type(error).__name__}: {str(error)[:200]})"
            ) from error
    return _OpenedPickle(side, arrays, items, bool(lines[-1].get("cut")))


def _reason(file: Path) -> str:
    parts = _texts_in(file, "what", "value", "remedy")
    if parts is None:
        return "is a pickle that could not be opened, and why is not known; run it again"
    return "is a pickle that could not be opened: {}: {}; {}".format(*parts)


def _texts_in(file: Path, *names: str) -> tuple[str, ...] | None:
    """These texts of a small JSON file; None where they are not there."""
    try:
        with file.open("rb") as stream:
            raw = json.loads(stream.read(_SMALL_BYTES))
        return tuple(_the(raw[name], str) for name in names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _lines(side: ComparedFile, file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a tree, none longer and not more of them than can be right."""
    with ComparedFile(side.label, side.name, file).open() as stream:
        left = _TREE_BYTES
        number = 0
        while line := stream.readline(_LINE_BYTES):
            number += 1
            left -= len(line)
            if not line.endswith(b"\n") or left < 0 or number > _MOST_ITEMS:
                raise side.unreadable(
                    f"was opened, and what was found in it is damaged or too much (line {number})"
                )
            try:
                raw = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise side.unreadable(
                    f"was opened, and line {number} of what was found in it is no JSON"
                ) from error
            if not isinstance(raw, dict):
                raise side.unreadable(
                    f"was opened, and line {number} of what was found in it is no value"
                )
            yield raw


def _item(line: Mapping[str, Any], arrays_bytes: int) -> _Item:
    kind = _the(line["t"], str)
    if "of" in line:
        return _Item(kind, holds=_the(line["of"], int))
    if "v" in line:
        return _Item(kind, _the(line["v"], type(None), bool, int, float, str))
    if "i" in line:
        return _Item(kind, _the(line["i"], str))
    if "b" in line:
        return _Item(kind, bytes.fromhex(_the(line["b"], str)))
    if "c" in line:
        real, imaginary = (float(_the(part, float, int)) for part in _the(line["c"], list))
        return _Item(kind, complex(real, imaginary))
    if "x" in line:
        return _Item(kind, _Unseen(_the(line["x"], str)))
    if "s" in line:
        return _Item(kind, _texts(_the(line["s"], list), _the(line["d"], list)))
    offset, size, known_as = line["a"]
    stored = _StoredArray(_the(offset, int), _the(size, int), _the(known_as, str))
    if not (stored.offset >= 0 and 0 < stored.size_bytes <= arrays_bytes - stored.offset):
        raise ValueError(f"an array at {offset} with {size} bytes, of {arrays_bytes}")
    return _Item(kind, stored)


def _texts(texts: list[Any], shape: list[Any]) -> Array:
    lengths = tuple(_the(length, int) for length in shape)
    if math.prod(lengths) != len(texts) or any(length < 0 for length in lengths):
        raise ValueError(f"{len(texts)} texts of shape {lengths}")
    values = np.empty(len(texts), object)
    values[:] = [_the(text, str, type(None)) for text in texts]
    return array_of(values.reshape(lengths))


def _array(found: _OpenedPickle, item: _Item) -> Array:
    """The value as an array; small ones are read at once, as there may be very many.

    Raises:
        UnreadableError: it is no array that can be read.
    """
    held = item.held
    if not isinstance(held, _StoredArray):
        assert not isinstance(held, _Unseen)
        leaf: Leaf = held
        return array_of_leaf(leaf)
    try:
        with _at(found.arrays, held.offset) as stream:
            header = read_header(stream, held.size_bytes)
    except BadArrayError as error:
        raise found.side.unreadable(f"was opened, and an array in it {error}") from error
    array = stored_array(header, partial(_at, found.arrays, held.offset), found.side.unreadable)
    if held.known_as:
        array = _known_as(found.side, array, held.known_as)
    return array_of(array.values()) if held.size_bytes <= _IN_MEMORY_BYTES else array


def _at(side: ComparedFile, offset: int) -> IO[bytes]:
    stream = side.open()
    stream.seek(offset)
    return stream


def _known_as(side: ComparedFile, array: Array, name: str) -> Array:
    """An array of unsigned integers as what it is: bfloat16, float8, …"""
    dtype = dtype_named(name)
    if dtype is None or dtype.itemsize != array.dtype.itemsize:
        raise side.unreadable(f"was opened, and has an array of an unknown type, {name[:_SHOWN]}")

    def blocks(length: int) -> Iterator[Values]:
        for block in array.blocks(length):
            yield block.view(dtype)

    return Array(dtype, array.shape, blocks, array.order)


def _above(item: str) -> tuple[str, ...]:
    """The items that hold this one, the nearest first: `a.b` and `a` for `a.b[0]`."""
    ends = [step.start() for step in _STEP.finditer(item) if step.start()]
    return tuple(item[:end] for end in reversed(ends[-_DEEPEST_RULE:]))


def _plainly_equal(actual: _Held, expected: _Held) -> bool:
    """The cheap answer for most: the same type and value, no NaN, the same sign of zero."""
    if type(actual) is not type(expected) or isinstance(actual, (Array, _StoredArray)):
        return False
    if actual != expected:
        return False
    return not isinstance(actual, float) or math.copysign(1, actual) == math.copysign(1, expected)  # type: ignore[arg-type]


def _describe(item: _Item | None) -> str:
    """A value with its type, in a few words."""
    assert item is not None
    if item.holds is not None:
        return f"{item.kind} of {item.holds}"
    if isinstance(item.held, (Array, _StoredArray, _Unseen)):
        return item.kind
    return f"{item.kind} {truncate(repr(item.held), _SHOWN)}"


def _the(value: Any, *kinds: type) -> Any:
    """The value, when it is of one of these types."""
    if type(value) not in kinds:
        raise TypeError(f"{value!r:.100} is not of the right type")
    return value


def _is_ours(side: ComparedFile) -> bool:
    return side.opened is not None or is_pickle(side)


FORMAT = Format("pickle", compare, _is_ours, folds=True)
