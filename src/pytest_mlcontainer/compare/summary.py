"""Summaries: what a baseline keeps of a file that is too large, and comparing a file with one.

The file's SHA-256; and for a format that can name its arrays, of each of them: dtype, shape,
SHA-256 of the values, how many are NaN and infinite, min, max, mean, standard deviation, L2 norm,
quantiles, and a sample of elements with their places, the same ones every time.

What is allowed for a statistic follows from what is allowed for an element, |e| ≤ atol + max(rtol ×
|x|, floor), the floor being the most that may be noise among the elements of the sample: order
statistics move by no more than an element of their size may; mean, standard deviation and L2 norm /
√n by no more than the mean, or the root mean square, of what the elements may. What passes here can
still drift where no sampled element lies, which the note says.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.collect import collect_items
from pytest_mlcontainer.compare.formats.kind import Named
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.numeric.dense import BLOCK_BYTES
from pytest_mlcontainer.compare.numeric.gaps import (
    NUMBER_KINDS,
    Dtype,
    DtypeKind,
    Floats,
    Values,
    kind_of,
)
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.numeric.scale import typical_noise
from pytest_mlcontainer.compare.numeric.tolerance import Bound, make_bound, precision_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import (
    ACTUAL,
    EXPECTED,
    ComparedFile,
    UnreadableError,
    chunks,
)
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Comparator, Difference, Element, Output, Tolerance, Verdict

VERSION = 1
SAMPLED = 1000
_ALL_SAMPLED = 50_000
_LEAST_SAMPLED = 10
_LIMIT_BYTES = 1 << 26
_SAID = 3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ORDERED = 1 << 20
# What sums of floats in another order may differ by, relative to their terms.
_SUMMING = 1e-12
_NOT_KEPT = "the file itself is not in the baseline"


@dataclass(frozen=True)
class Statistics:
    """Statistics over all elements of an array; of complex ones over their moduli.

    Args:
        nan, infinite, negative_infinite: how many there are; the others are over finite elements.
        mean_abs, rms: of the magnitudes; `rms` is the L2 norm / √n.
        quantiles: at `_QUANTILES`, over every n-th element, at most about a million.
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
    with suppress(UnreadableError), _arrays(side, Formats(comparators)) as arrays:
        if arrays is not None:
            share = _ALL_SAMPLED // max(1, len(arrays))
            most = max(_LEAST_SAMPLED, min(SAMPLED, share))
            items = {name: _item(name, read(), most) for name, read in arrays}
    return Summary(side.size_bytes(), _file_digest(side), items)


def compare_summary(
    name: str, actual: Output, expected: Output, book: RuleBook, formats: Formats
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Hold a file against the summary of another; at best it is equivalent, or the same bytes.

    Returns:
        As `Formats.compare`.
    """
    rules = book.for_output(name)
    if rules and rules[0].item is None and rules[0].tolerance.ignore:
        book.find(name)
        return (), ()
    side = ComparedFile(ACTUAL, name, actual.path)
    return collect_items(name, _guarded(side, expected.path, book, formats), False)


def _guarded(
    side: ComparedFile, kept: Path, book: RuleBook, formats: Formats
) -> Iterator[Difference]:
    try:
        summary = read_summary(ComparedFile(EXPECTED, side.name, kept))
        if side.size_bytes() == summary.size_bytes and _file_digest(side) == summary.sha256:
            yield _same_bytes(side, summary, book)
            return
        with _arrays(side, formats) as arrays:
            yield from _compare_arrays(side, arrays, summary, book)
    except UnreadableError as error:
        yield Difference(side.name, "", Verdict.FAILED, note=str(error))


@contextmanager
def _arrays(side: ComparedFile, formats: Formats) -> Iterator[tuple[Named, ...] | None]:
    named = formats.recognise(side).arrays
    if named is None:
        yield None
        return
    with named(side) as arrays:
        yield arrays


def _same_bytes(side: ComparedFile, summary: Summary, book: RuleBook) -> Difference:
    book.find(side.name)
    book.leave_unread(side.name)
    return Difference(
        side.name,
        "",
        Verdict.IDENTICAL,
        size=summary.size_bytes,
        note=f"the SHA-256 is that of the baseline; {_NOT_KEPT}",
        unit="bytes",
    )


def _compare_arrays(
    side: ComparedFile, arrays: tuple[Named, ...] | None, summary: Summary, book: RuleBook
) -> Iterator[Difference]:
    output, kept = side.name, summary.items
    if kept is None or arrays is None:
        yield _other_bytes(output, book)
        return
    found = dict(arrays)
    for met in book.meet(found, kept):
        if met.actual is not None and met.expected is not None:
            place = ItemLocation(output, met.name, note=met.note)
            yield from _compare(place, found[met.actual](), kept[met.expected], book)
        elif not book.find(output, met.name).tolerance.ignore:
            note = "missing in the actual run" if met.actual is None else "only in the actual run"
            yield Difference(output, met.name, Verdict.DRIFT, note=met.note or note)


def summary_to_json(summary: Summary) -> str:
    items = summary.items
    raw = {
        "summary": VERSION,
        "size_bytes": summary.size_bytes,
        "sha256": summary.sha256,
        "items": None
        if items is None
        else {name: _item_to_json(item) for name, item in items.items()},
    }
    return json.dumps(raw, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def read_summary(side: ComparedFile) -> Summary:
    """A summary back from its file.

    Raises:
        UnreadableError: it is damaged, or of a newer version.
    """
    if side.size_bytes() > _LIMIT_BYTES:
        raise side.unreadable("has a summary in the baseline that is too large to be one")
    try:
        raw = json.loads(side.read().decode("utf-8"))
        if raw["summary"] != VERSION:
            raise ValueError(f"it is of version {raw['summary']!r:.50}, this reads {VERSION}")
        items = raw["items"]
        parsed = None if items is None else {name: _item_from(items[name]) for name in items}
        return Summary(int(raw["size_bytes"]), str(raw["sha256"]), parsed)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        reason = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise side.unreadable(
            f"has a summary in the baseline that is damaged ({reason:.200}); write it again"
        ) from error


def _item(name: str, array: Array, most: int) -> Item:
    array = _in_c_order(array)
    dtype, shape = array.dtype.name, array.shape
    if array.dtype.hasobject:
        # The width of an object is that of a pointer: each text is taken with its length.
        return Item("text", shape, _digest(_encoded(block) for block in _blocks(array)))
    item = Item(dtype, shape, _digest(_canonical(block) for block in _blocks(array)))
    if kind_of(array.dtype) not in NUMBER_KINDS or not array.size:
        return item
    statistics, extremes = _statistics(array)
    seed = f"{name}\0{array.size}"
    drawn = random.Random(seed).sample(range(array.size), min(most, array.size))
    places = np.array(sorted({*drawn, *extremes}), np.int64)
    return replace(
        item,
        statistics=statistics,
        places=tuple(places.tolist()),
        values=tuple(_plain(value) for value in _at(array, places)),
    )


def _in_c_order(array: Array) -> Array:
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


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _file_digest(side: ComparedFile) -> str:
    with side.open() as stream:
        return _digest(chunks(stream))


def _reals(block: Values) -> Floats:
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


def _statistics(array: Array) -> tuple[Statistics, tuple[int, ...]]:
    """The statistics, and the places of the smallest and the largest finite element."""
    sums, start = _Sums(), 0
    stride = -(-array.size // _ORDERED)
    ordered: list[Floats] = []
    with np.errstate(all="ignore"):
        for block in _blocks(array):
            values = _reals(block)
            ordered.append(values[-start % stride :: stride])
            sums.add(values, start)
            start += len(values)
        count = max(1, sums.count)
        mean = sums.total / count
        spread = sum(_squared_distance(block, mean) for block in _blocks(array))
    picked = np.concatenate(ordered)
    picked = picked[np.isfinite(picked)]
    quantiles = np.quantile(picked, _QUANTILES, method="inverted_cdf") if len(picked) else ()
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
    values = _reals(block)
    return float(np.square(values[np.isfinite(values)] - mean).sum())


def _at(array: Array, places: Values) -> list[Any]:
    """The elements at these places, which are ascending."""
    found: list[Any] = []
    start = 0
    for block in _blocks(array):
        first, last = np.searchsorted(places, [start, start + len(block)])
        found += list(block[places[first:last] - start])
        start += len(block)
    return found


def _plain(value: Any) -> Any:
    """An element as JSON can hold it, without loss."""
    if isinstance(value, np.complexfloating):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, np.integer):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _item_to_json(item: Item) -> dict[str, Any]:
    statistics = item.statistics
    return {
        "dtype": item.dtype,
        "shape": list(item.shape),
        "sha256": item.sha256,
        "statistics": None
        if statistics is None
        else {
            name: [_plain(each) for each in value] if isinstance(value, tuple) else _finite(value)
            for name, value in vars(statistics).items()
        },
        "places": list(item.places),
        "values": list(item.values),
    }


def _finite(value: float) -> Any:
    return value if isinstance(value, int) or math.isfinite(value) else str(value)


def _item_from(raw: Mapping[str, Any]) -> Item:
    shape = tuple(int(length) for length in raw["shape"])
    size = math.prod(shape)
    places = tuple(int(place) for place in raw["places"])
    values = tuple(raw["values"])
    if min(shape, default=0) < 0 or len(values) != len(places):
        raise ValueError("its shape or sample makes no sense")
    if list(places) != sorted(set(places)) or (places and not 0 <= places[0] <= places[-1] < size):
        raise ValueError("its sample lies outside its shape")
    found = raw["statistics"]
    statistics = None
    if found is not None:
        quantiles = tuple(float(each) for each in found["quantiles"])
        statistics = Statistics(
            nan=int(found["nan"]),
            infinite=int(found["infinite"]),
            negative_infinite=int(found["negative_infinite"]),
            min=float(found["min"]),
            max=float(found["max"]),
            mean=float(found["mean"]),
            mean_abs=float(found["mean_abs"]),
            std=float(found["std"]),
            rms=float(found["rms"]),
            quantiles=quantiles,
        )
    return Item(str(raw["dtype"]), shape, str(raw["sha256"]), statistics, places, values)


def _other_bytes(output: str, book: RuleBook) -> Difference:
    """All that is known is that the bytes differ."""
    exact = book.find(output).tolerance.exact
    book.leave_unread(output)
    note = (
        f"the bytes are not those of the baseline, and {_NOT_KEPT}, so it cannot be told by how "
        "much they differ; a larger baseline-limit keeps it"
    )
    return Difference(output, "", Verdict.DRIFT if exact else Verdict.FAILED, note=note)


def _compare(place: ItemLocation, array: Array, item: Item, book: RuleBook) -> Iterator[Difference]:
    tolerance = book.find(place.output, place.item).tolerance
    if tolerance.ignore:
        return
    array = _in_c_order(array)
    mine = "text" if array.dtype.hasobject else array.dtype.name
    if array.shape != item.shape or mine != item.dtype:
        note = f"{mine} {array.shape}, expected {item.dtype} {item.shape}"
        yield Difference(place.output, place.item, Verdict.DRIFT, size=array.size, note=note)
        return
    encode = _encoded if array.dtype.hasobject else _canonical
    if _digest(encode(block) for block in _blocks(array)) == item.sha256:
        yield _same_values(place, array, item, tolerance)
        return
    statistics, number = item.statistics, kind_of(array.dtype) in NUMBER_KINDS
    unfit = _unfit(tolerance)
    if unfit:
        note = (
            f"a rule with {unfit} needs the file, and {_NOT_KEPT}; a larger baseline-limit keeps it"
        )
        yield Difference(place.output, place.item, Verdict.FAILED, size=array.size, note=note)
    elif not number or statistics is None:
        note = f"the values are not those of the baseline; {_NOT_KEPT}, so it is not known which"
        yield Difference(place.output, place.item, Verdict.DRIFT, size=array.size, note=note)
    else:
        yield from _compare_numbers(place, array, item, statistics, tolerance, book)


def _same_values(place: ItemLocation, array: Array, item: Item, tolerance: Tolerance) -> Difference:
    missing = 0 if item.statistics is None else item.statistics.nan
    verdict, note = (
        Verdict.IDENTICAL,
        f"the SHA-256 of the values is that of the baseline; {_NOT_KEPT}",
    )
    if missing and not tolerance.equal_nan:
        verdict, note = (
            Verdict.DRIFT,
            f"{missing:,} elements are NaN, which the rule does not let pass",
        )
    return Difference(place.output, place.item, verdict, size=array.size, note=note)


def _unfit(tolerance: Tolerance) -> str:
    """What a rule asks that cannot be answered from a sample."""
    default = Tolerance()
    names = ("agreement", "equivalence", "calibrated", "patterns", "key", "unordered", "free",
             "curve", "any_shape", "any_dtype")  # fmt: skip
    asked = [name for name in names if getattr(tolerance, name) != getattr(default, name)]
    return ", ".join(name.replace("_", "-") for name in asked)


def _compare_numbers(
    place: ItemLocation,
    array: Array,
    item: Item,
    expected: Statistics,
    tolerance: Tolerance,
    book: RuleBook,
) -> Iterator[Difference]:
    places = np.array(item.places, np.int64)
    mine = array_of(np.array(_at(array, places), array.dtype))
    theirs = array_of(_values(item.values, array.dtype))
    bound = make_bound(tolerance, precision_of(array.dtype.name))
    if bound.noise is not None:
        kept = _reals(theirs.values())
        noise = typical_noise(np.abs(kept[np.isfinite(kept)]), bound.noise)
        bound = replace(bound, floor=max(bound.floor, noise))
    actual, _extremes = _statistics(array)
    off = tuple(_off(actual, expected, bound, array.dtype))
    if bound.exact and not off:
        off = ("the values are not the same, by their SHA-256",)
    count = 8 + len(expected.quantiles)
    more = (f"and {len(off) - _SAID} more statistics",) if len(off) > _SAID else ()
    seen = (
        f"compared {len(places):,} of {array.size:,} elements and {count} statistics; {_NOT_KEPT}"
    )
    for found in compare_arrays(place, mine, theirs, book):
        worst = found.verdict if found.verdict is not Verdict.IDENTICAL else Verdict.EQUIVALENT
        yield replace(
            found,
            verdict=Verdict.DRIFT if off else worst,
            worst_index=_index(found.worst_index, item),
            elements=tuple(_moved(element, item) for element in found.elements),
            note="; ".join(text for text in (found.note, *off[:_SAID], *more, seen) if text),
        )


def _values(raw: tuple[Any, ...], dtype: Dtype) -> Values:
    if dtype.kind == "c":
        numbers: list[Any] = [complex(float(real), float(imag)) for real, imag in raw]
    else:
        numbers = [int(each) if dtype.kind in "iu" else float(each) for each in raw]
    return np.array(numbers, dtype)


def _index(worst: tuple[int, ...] | None, item: Item) -> tuple[int, ...] | None:
    """Where an element of the sample is in the array."""
    if worst is None:
        return None
    place = np.unravel_index(item.places[worst[0]], item.shape)
    return tuple(int(part) for part in place)


def _moved(element: Element, item: Item) -> Element:
    index = _index(element.index, item)
    return element if index is None else replace(element, index=index)


def _off(actual: Statistics, expected: Statistics, bound: Bound, dtype: Dtype) -> Iterator[str]:
    """The statistics that differ by more than elements within the bound could make them."""
    for name in ("nan", "infinite", "negative_infinite"):
        left, right = getattr(actual, name), getattr(expected, name)
        if left != right:
            yield f"{left:,} elements are {_WORDS[name]}, expected {right:,}"
    for name in ("min", "max"):
        value = getattr(expected, name)
        yield from _one(name, getattr(actual, name), value, _allowed(bound, dtype, abs(value)))
    for share, left, right in zip(_QUANTILES, actual.quantiles, expected.quantiles, strict=False):
        allowed = _allowed(bound, dtype, abs(right))
        yield from _one(f"quantile {share:g}", left, right, allowed)
    if not math.isfinite(expected.rms + actual.rms):
        return  # elements whose squares have no sum in float64: what sums them says nothing
    slack = _SUMMING * expected.rms
    for name, typical in (("mean", "mean_abs"), ("std", "rms"), ("rms", "rms")):
        allowed = _allowed(bound, dtype, getattr(expected, typical), summed=True) + slack
        yield from _one(_WORDS[name], getattr(actual, name), getattr(expected, name), allowed)


_WORDS = {
    "nan": "NaN",
    "infinite": "infinite",
    "negative_infinite": "negative infinite",
    "mean": "mean",
    "std": "standard deviation",
    "rms": "L2 norm / √n",
}


def _one(name: str, actual: float, expected: float, allowed: float) -> Iterator[str]:
    if actual == expected or (math.isnan(actual) and math.isnan(expected)):
        return
    # The last bits of what was rounded on the way here, not of the elements.
    if abs(actual - expected) <= allowed * (1 + 1e-9):
        return
    yield f"{name} {actual:.9g}, expected {expected:.9g} (±{allowed:.3g})"


def _allowed(bound: Bound, dtype: Dtype, magnitude: float, *, summed: bool = False) -> float:
    """How far an element of this magnitude may be off; `summed`: no less than all of that size."""
    if bound.exact:
        return 0.0
    if bound.ulp is not None:
        precision = precision_of(dtype.name)
        eps, tiny = (precision.eps, precision.tiny) if precision else (0.0, 0.0)
        return 2 * bound.ulp * eps * (magnitude + tiny)
    relative = bound.rtol * magnitude
    return bound.atol + (relative + bound.floor if summed else max(relative, bound.floor))


def write_summary(path: Path, summary: Summary) -> None:
    path.write_text(summary_to_json(summary), encoding="utf-8")
