"""The messages between a session and its reader processes.

A session sends pickles. What comes back is JSON of known fields alone, checked one by one: a reader
that a hostile file has taken over can say wrong things of that file, and nothing more.
"""

from __future__ import annotations

import base64
import enum
import json
import struct
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, BinaryIO, Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.rules.applied import RuleUse
from pytest_mlcontainer.compare.rules.study import Metric
from pytest_mlcontainer.compare.sources import Pair
from pytest_mlcontainer.model import Difference, Pairs, Rule

FRAME_BYTES: Final = 1 << 24  # of a result; of anything else:
SHORT_FRAME_BYTES: Final = 1 << 20
METRIC_ELEMENTS: Final = 1000
PART_CHARACTERS: Final = 1 << 18
_HEAD: Final = struct.Struct("<Q")
_DTYPES: Final = {"<f8": np.float64, "<i8": np.int64, "<u8": np.uint64}
HEAD_BYTES: Final = _HEAD.size


class GarbledError(Exception):
    """Bytes that no sound reader sends."""


class Work(enum.Enum):
    """What a reader does with a pair."""

    COMPARE = "compare"  # two files
    HOLD = "hold"  # a file against the summary of another
    SUMMARISE = "summarise"  # the actual file, into `SummaryChunk`s of the text of its summary


FunctionReference = tuple[str, str, str]
"""A function's module, the file of that, and its qualified name."""


@dataclass(frozen=True)
class Added:
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
    comparators: tuple[Added, ...] = ()
    told: bool = False
    metrics: bool = False
    calibrated: bool = False


@dataclass(frozen=True)
class Ready:
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
    actual: tuple[str, tuple[int, ...], str]
    expected: tuple[str, tuple[int, ...], str]
    margin: float
    rule: str

    def metric(self) -> Metric:
        """Raises: GarbledError: its arrays make no sense."""
        sides = _array_of(self.actual), _array_of(self.expected)
        return Metric(self.item, *sides, self.margin, self.rule)


@dataclass(frozen=True)
class ComparatorCall:
    """What does this function of a comparator give for a file?

    The answer is a pair: what it gave, and the name and text of what it raised, or None.
    """

    comparator: int
    function: str
    path: str


@dataclass(frozen=True)
class Done:
    """The pair was compared: the result. `memory` is what its book of rules remembers."""

    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    memory: RuleUse = RuleUse()


@dataclass(frozen=True)
class Exhausted:
    """The pair takes more memory than the reader may have."""


Message = (
    Ready
    | ComparedItem
    | SummaryChunk
    | Calibrate
    | MetricOffer
    | ComparatorCall
    | Done
    | Exhausted
)
_MESSAGES: Final[Mapping[str, type[Message]]] = types.MappingProxyType(
    {
        each.__name__: each
        for each in (
            Ready,
            ComparedItem,
            SummaryChunk,
            Calibrate,
            MetricOffer,
            ComparatorCall,
            Done,
            Exhausted,
        )
    }
)


def offered(metric: Metric) -> MetricOffer | None:
    """The metric as it travels; None for what is too large for one, or no number."""
    sides = _packed(metric.actual), _packed(metric.expected)
    if sides[0] is None or sides[1] is None:
        return None
    return MetricOffer(metric.item, sides[0], sides[1], metric.margin, metric.rule)


def _packed(array: Array) -> tuple[str, tuple[int, ...], str] | None:
    kind = kind_of(array.dtype)
    if array.size > METRIC_ELEMENTS or kind not in (DtypeKind.FLOAT, DtypeKind.INTEGER):
        return None
    code = "<f8" if kind is DtypeKind.FLOAT else "<u8" if array.dtype.kind == "u" else "<i8"
    values = np.ascontiguousarray(array.values().astype(code))
    return code, tuple(array.shape), base64.b64encode(values.tobytes()).decode("ascii")


def _array_of(packed: tuple[str, tuple[int, ...], str]) -> Array:
    code, shape, text = packed
    try:
        flat = np.frombuffer(base64.b64decode(text, validate=True), _DTYPES[code])
        if flat.size > METRIC_ELEMENTS:
            raise ValueError("too many elements")
        return array_of(flat.reshape(shape))
    except (KeyError, ValueError) as error:
        raise GarbledError(f"a metric that is none: {error!s:.100}") from error


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    """Send one message with its length before it."""
    stream.write(_HEAD.pack(len(payload)) + payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """One message of the session; None where it is over."""
    head = stream.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    size = frame_bytes(head)
    payload = stream.read(size)
    return payload if len(payload) == size else None


def frame_bytes(head: bytes) -> int:
    """How long the message is that begins so."""
    return int(_HEAD.unpack(head)[0])


def encode(message: Message) -> bytes:
    """The message as JSON. Fields that have their default are left out."""
    raw = {"kind": type(message).__name__, **_raw_fields(message)}
    return json.dumps(raw, default=_plain, separators=(",", ":")).encode("ascii")


def decode(payload: bytes) -> Message:
    """The message in these bytes, every field of the type that it has to have.

    Raises:
        GarbledError: it is none.
    """
    try:
        raw = json.loads(payload)
        kind = _MESSAGES[raw.pop("kind")]
        found: Message = _record(kind, raw)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise GarbledError(f"{type(error).__name__}: {error!s:.200}") from error
    return found


def _raw_fields(record: object) -> dict[str, Any]:
    return dict(_changed(record))


def _changed(record: object) -> Iterator[tuple[str, Any]]:
    kind: Any = type(record)  # for mypy, not every class can be a key
    for name, default, _hint in _fields(kind):
        value = getattr(record, name)
        if default is MISSING or (value is not default and value != default):
            yield name, _raw(value)


def _raw(value: object) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "__dataclass_fields__"):
        return _raw_fields(value)
    if isinstance(value, (tuple, list)):
        return [_raw(each) for each in value]
    return value


def _plain(value: object) -> object:
    """A number of NumPy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not for messages")


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Name, default and type of each field of a class."""
    hints = typing.get_type_hints(kind)
    return tuple((each.name, each.default, hints[each.name]) for each in fields(kind))


def _record(kind: Any, raw: Any) -> Any:
    if type(raw) is not dict:
        raise TypeError(f"no {kind.__name__}")
    known = {name: hint for name, _default, hint in _fields(kind)}
    return kind(**{name: _checked(known[name], value) for name, value in raw.items()})


def _checked(hint: Any, raw: Any) -> Any:
    """The value, if it is of this type; sequences become tuples, records are made."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if raw is None and type(None) in arguments:
            return None
        (hint,) = (each for each in arguments if each is not type(None))
        return _checked(hint, raw)
    if origin is tuple:
        return _checked_tuple(arguments, raw)
    if hint is float and type(raw) in (int, float):
        return raw
    if hint in (int, str, bool) and type(raw) is hint:
        return raw
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(raw)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return _record(hint, raw)
    raise TypeError(f"{raw!r:.100} is no {hint}")


def _checked_tuple(arguments: Sequence[Any], raw: Any) -> tuple[Any, ...]:
    if type(raw) is not list:
        raise TypeError(f"{raw!r:.100} is no list")
    if arguments[-1] is Ellipsis:
        return tuple(_checked(arguments[0], each) for each in raw)
    return tuple(_checked(hint, each) for hint, each in zip(arguments, raw, strict=True))
