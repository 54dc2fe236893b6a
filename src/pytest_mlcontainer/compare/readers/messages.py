"""The messages between a session and its reader processes."""

from __future__ import annotations

import base64
import enum
import zlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of, first_two, some_repeat
from pytest_mlcontainer.compare.rules.applied import RuleUse
from pytest_mlcontainer.compare.rules.study import Metric
from pytest_mlcontainer.compare.sources import Pair
from pytest_mlcontainer.model import Difference, Pairs, Rule

METRIC_ELEMENTS: Final = 1000
PART_CHARACTERS: Final = 1 << 18
_DTYPES: Final = {"<f8": np.float64, "<i8": np.int64, "<u8": np.uint64}


class GarbledMessageError(Exception):
    """Bytes that no sound reader sends."""


class Work(enum.Enum):
    """What a reader does with a pair."""

    COMPARE = "compare"  # two files
    HOLD = "hold"  # a file against the summary of another
    SUMMARISE = "summarise"  # the actual file, into `SummaryChunk`s of the text of its summary


Packed = tuple[str, tuple[int, ...], str]
"""An array as it travels: dtype, shape, bytes in base64."""
FunctionReference = tuple[str, str, str]
"""A function's module, the file of that, and its qualified name."""


@dataclass(frozen=True)
class AddedComparator:
    """A comparator that a plugin adds, as a job refers to it.

    Args:
        read, recognises: where a process can import them from; None for what only the session has,
            which it is asked to call then.
        recognising: whether there is `recognises`.
    """

    name: str
    suffixes: tuple[str, ...]
    read: FunctionReference | None
    recognises: FunctionReference | None
    recognising: bool


@dataclass(frozen=True)
class Job:
    """A pair of files for a reader.

    Args:
        spellings: other names of the output, from before it was renamed.
        told: whether the session wants to hear of every item compared.
        metrics: whether it takes metrics.
        calibrated: whether it knows bounds that are calibrated.
    """

    work: Work
    pair: Pair
    rules: tuple[Rule, ...] = ()
    names: Pairs = ()
    spellings: tuple[str, ...] = ()
    comparators: tuple[AddedComparator, ...] = ()
    told: bool = False
    metrics: bool = False
    calibrated: bool = False


@dataclass(frozen=True)
class ReaderReady:
    """The process has started."""


@dataclass(frozen=True)
class ComparedItem:
    """An item was compared. Nothing is answered."""

    difference: Difference


@dataclass(frozen=True)
class SummaryChunk:
    """The next characters of a text that may be too long for one message. Nothing is answered."""

    text: str


@dataclass(frozen=True)
class Calibrate:
    """Which bound holds for an item? The answer is a `Calibration`."""

    item: tuple[str, str]


@dataclass(frozen=True)
class MetricOffer:
    """Is this metric taken? The answer is a boolean."""

    item: tuple[str, str]
    actual: Packed
    expected: Packed
    margin: float
    rule: str
    is_stand_in: bool = False
    size: int = 0
    repeat: bool = False

    def metric(self) -> Metric:
        """Raises: GarbledMessageError: its arrays make no sense."""
        sides = _array_of(self.actual), _array_of(self.expected)
        metric = Metric(self.item, *sides, self.margin, self.rule)
        return replace(metric, is_stand_in=self.is_stand_in, size=self.size, repeat=self.repeat)


@dataclass(frozen=True)
class ComparatorCall:
    """What does this function of a comparator give for a file?

    The answer is a pair: what it gave, and the name and text of what it raised, or None.
    """

    comparator: int
    function: str
    path: str


@dataclass(frozen=True)
class PairCompared:
    """The pair was compared: the result. `memory` is what its book of rules remembers."""

    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    memory: RuleUse = RuleUse()


@dataclass(frozen=True)
class ReaderOutOfMemory:
    """The pair takes more memory than the reader may have."""


Message = (
    ReaderReady
    | ComparedItem
    | SummaryChunk
    | Calibrate
    | MetricOffer
    | ComparatorCall
    | PairCompared
    | ReaderOutOfMemory
)


def offered(metric: Metric) -> MetricOffer:
    """The metric as it travels; what is too large for one, or no number, as a stand-in."""
    sides = _packed(metric.actual), _packed(metric.expected)
    if sides[0] is not None and sides[1] is not None:
        return MetricOffer(metric.item, sides[0], sides[1], metric.margin, metric.rule)
    actual, expected = _stand_in(metric.actual), _stand_in(metric.expected)
    about = (True, metric.expected.size, some_repeat(metric.expected))
    return MetricOffer(metric.item, actual, expected, metric.margin, metric.rule, *about)


def _packed(array: Array) -> Packed | None:
    kind = kind_of(array.dtype)
    if array.size > METRIC_ELEMENTS or kind not in (DtypeKind.FLOAT, DtypeKind.INTEGER):
        return None
    code = "<f8" if kind is DtypeKind.FLOAT else "<u8" if array.dtype.kind == "u" else "<i8"
    return _as_text(code, array.values())


def _stand_in(array: Array) -> Packed:
    """A number for each of its first two values that are not the same."""
    numbers = sorted(zlib.crc32(value.encode()) for value in first_two(array))
    return _as_text("<i8", np.array(numbers))


def _as_text(code: str, values: Values) -> Packed:
    plain = np.ascontiguousarray(values.astype(code))
    return code, tuple(values.shape), base64.b64encode(plain.tobytes()).decode("ascii")


def _array_of(packed: Packed) -> Array:
    code, shape, text = packed
    try:
        flat = np.frombuffer(base64.b64decode(text, validate=True), _DTYPES[code])
        if flat.size > METRIC_ELEMENTS:
            raise ValueError("too many elements")
        return array_of(flat.reshape(shape))
    except (KeyError, ValueError) as error:
        raise GarbledMessageError(f"a metric that is none: {error!s:.100}") from error
