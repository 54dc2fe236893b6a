"""What a baseline keeps of a file.

The file's SHA-256; and for a format that can name its arrays, of each of them: dtype, shape,
SHA-256 of the values, how many are NaN and infinite, min, max, mean, standard deviation, L2 norm,
quantiles, and a sample of elements with their places, the same ones every time.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Named
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.numeric.dense import BLOCK_BYTES
from pytest_mlcontainer.compare.numeric.gaps import NUMBER_KINDS, DtypeKind, Floats, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile, UnreadableError, chunks
from pytest_mlcontainer.model import Comparator, Output

SAMPLED = 1000
_ALL_SAMPLED = 50_000
_LEAST_SAMPLED = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ORDERED = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """Statistics over all elements of an array; of complex ones over their moduli.

    Args:
        nan, infinite, negative_infinite: how many there are; the others are over finite elements.
        mean_abs, rms: of the magnitudes; `rms` is the L2 norm / √n.
        quantiles: at `QUANTILES`, over every n-th element, at most about a million.
    """

    nan: int
    infinite: int
    negative_infinite: int
    min: float
    max: float
    mean: float
    mean_abs: float
    std: float
    rms: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Item:
    """The summary of one array.

    Args:
        sha256: of the values in C order, little-endian, with all NaNs made the same.
        statistics: None for what is no number.
        places, values: the sample: positions in C order, ascending, and what is there.
    """

    dtype: str
    shape: tuple[int, ...]
    sha256: str
    statistics: Statistics | None = None
    places: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Summary:
    """The summary of one file.

    Args:
        items: None where the file's format cannot name its arrays.
    """

    size_bytes: int
    sha256: str
    items: Mapping[str, Item] | None


def summarise(output: Output, comparators: tuple[Comparator, ...] = ()) -> Summary:
    """Sum up a file. One that is damaged, or of no known kind, has no items."""
    side = ComparedFile(ACTUAL, output.name, output.path)
    items: dict[str, Item] | None = None
    with suppress(UnreadableError), named_arrays(side, Formats(comparators)) as arrays:
        if arrays is not None:
            share = _ALL_SAMPLED // max(1, len(arrays))
            most = max(_LEAST_SAMPLED, min(SAMPLED, share))
            items = {name: _item(name, read(), most) for name, read in arrays}
    return Summary(side.size_bytes(), file_digest(side), items)


@contextmanager
def named_arrays(side: ComparedFile, formats: Formats) -> Iterator[tuple[Named, ...] | None]:
    named = formats.recognise(side).arrays
    if named is None:
        yield None
        return
    with named(side) as arrays:
        yield arrays


def _item(name: str, array: Array, most: int) -> Item:
    array = in_c_order(array)
    item = Item(type_of(array), array.shape, values_digest(array))
    if kind_of(array.dtype) not in NUMBER_KINDS or not array.size:
        return item
    statistics, extremes = statistics_of(array)
    seed = f"{name}\0{array.size}"
    drawn = random.Random(seed).sample(range(array.size), min(most, array.size))
    places = np.array(sorted({*drawn, *extremes}), np.int64)
    return replace(
        item,
        statistics=statistics,
        places=tuple(places.tolist()),
        values=tuple(plain(value) for value in elements_at(array, places)),
    )


def in_c_order(array: Array) -> Array:
    return array if array.order == "C" else array_of(array.values())


def _blocks(array: Array) -> Iterator[Values]:
    return array.blocks(max(1, BLOCK_BYTES // max(1, array.dtype.itemsize)))


def _canonical(block: Values) -> bytes:
    """The bytes that equal values share on any machine: NaNs have a payload that differs."""
    if kind_of(block.dtype) in (DtypeKind.FLOAT, DtypeKind.COMPLEX):
        missing = np.isnan(block)
        if missing.any():
            block = block.copy()
            block[missing] = np.nan
    return block.astype(block.dtype.newbyteorder("<"), copy=False).tobytes()


def _encoded(block: Values) -> bytes:
    texts = (repr(value).encode("utf-8", "surrogatepass") for value in block.tolist())
    return b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def type_of(array: Array) -> str:
    return "text" if array.dtype.hasobject else array.dtype.name


def values_digest(array: Array) -> str:
    """SHA-256 of the values, the same on any machine.

    Args:
        array: in C order.
    """
    # The width of an object is that of a pointer: each text is taken with its length.
    encode = _encoded if array.dtype.hasobject else _canonical
    return _digest(encode(block) for block in _blocks(array))


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def file_digest(side: ComparedFile) -> str:
    with side.open() as stream:
        return _digest(chunks(stream))


def reals(block: Values) -> Floats:
    """The elements as float64; of complex ones the modulus."""
    with np.errstate(all="ignore"):
        return (np.abs(block) if block.dtype.kind == "c" else block).astype(np.float64)


@dataclass
class _Sums:
    """Sums over one pass through an array."""

    nan: int = 0
    infinite: int = 0
    negative_infinite: int = 0
    count: int = 0
    total: float = 0.0
    total_abs: float = 0.0
    squares: float = 0.0
    least: tuple[float, int] = (math.inf, 0)
    most: tuple[float, int] = (-math.inf, 0)

    def add(self, values: Floats, start: int) -> None:
        """A block that begins at the position `start`."""
        finite = np.isfinite(values)
        if not finite.all():
            self.nan += int(np.isnan(values).sum())
            self.infinite += int(np.isposinf(values).sum())
            self.negative_infinite += int(np.isneginf(values).sum())
        if not finite.any():
            return
        low = int(np.argmin(np.where(finite, values, np.inf)))
        high = int(np.argmax(np.where(finite, values, -np.inf)))
        if values[low] < self.least[0]:
            self.least = float(values[low]), start + low
        if values[high] > self.most[0]:
            self.most = float(values[high]), start + high
        there = values[finite]
        self.count += len(there)
        self.total += float(there.sum())
        self.total_abs += float(np.abs(there).sum())
        self.squares += float(np.square(there).sum())


def statistics_of(array: Array) -> tuple[Statistics, tuple[int, ...]]:
    """The statistics, and the places of the smallest and the largest finite element."""
    sums, start = _Sums(), 0
    stride = -(-array.size // _ORDERED)
    ordered: list[Floats] = []
    with np.errstate(all="ignore"):
        for block in _blocks(array):
            values = reals(block)
            ordered.append(values[-start % stride :: stride])
            sums.add(values, start)
            start += len(values)
        count = max(1, sums.count)
        mean = sums.total / count
        spread = sum(_squared_distance(block, mean) for block in _blocks(array))
    picked = np.concatenate(ordered)
    picked = picked[np.isfinite(picked)]
    quantiles = np.quantile(picked, QUANTILES, method="inverted_cdf") if len(picked) else ()
    statistics = Statistics(
        nan=sums.nan,
        infinite=sums.infinite,
        negative_infinite=sums.negative_infinite,
        min=sums.least[0] if sums.count else 0.0,
        max=sums.most[0] if sums.count else 0.0,
        mean=mean,
        mean_abs=sums.total_abs / count,
        std=math.sqrt(spread / count),
        rms=math.sqrt(sums.squares / count),
        quantiles=tuple(float(value) for value in quantiles),
    )
    return statistics, (sums.least[1], sums.most[1]) if sums.count else ()


def _squared_distance(block: Values, mean: float) -> float:
    values = reals(block)
    return float(np.square(values[np.isfinite(values)] - mean).sum())


def elements_at(array: Array, places: Values) -> list[Any]:
    """The elements at these places, which are ascending."""
    found: list[Any] = []
    start = 0
    for block in _blocks(array):
        first, last = np.searchsorted(places, [start, start + len(block)])
        found += list(block[places[first:last] - start])
        start += len(block)
    return found


def plain(value: Any) -> Any:
    """An element as JSON can hold it, without loss."""
    if isinstance(value, np.complexfloating):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else str(number)
