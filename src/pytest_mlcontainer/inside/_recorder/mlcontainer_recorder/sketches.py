"""What a value is, in little: its kind, digests, a few statistics, and a projection.

Nothing of a value is called but what its library itself offers for reading it: no `__eq__`, no
`__repr__`, no `__hash__`, and nothing that is lazy is consumed.
"""

import array
import collections
import datetime
import decimal
import enum
import fractions
import io
import os
import pathlib
import random
import struct
import sys
import types
import uuid

from . import held, numbers, tables, tensors, variables
from .numbers import SHOWN, TEXT_SHOWN, digest
from .values import slots_of

_DEEPEST = 10  # as deep as a scaler lies in a search over pipelines of columns
_LEAVES = 4000
_CHILDREN = 24
_NAMED_CHILDREN = 400  # of these only what names the value is told
_KNOWN = 2000
_LONG = 200000

_PLAIN_TEXT = (
    datetime.datetime,
    datetime.date,
    datetime.time,
    decimal.Decimal,
    fractions.Fraction,
    uuid.UUID,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
)
# Of these the attributes tell of the process, not of what it computes.
_MACHINERY = frozenset(
    "_io _thread asyncio concurrent contextlib http io logging mmap multiprocessing queue select"
    " selectors socket sqlite3 ssl subprocess tempfile threading urllib weakref".split()
)
# What an estimator of scikit-learn notes of each fit: an id and a time, since 1.9.
_RECORDS_OF_RUNS = "sklearn.callback"
_NAMING = ("t", "d", "dtype")
# Of these libraries some objects keep what they learnt where only their own code sees it, and hand
# it out to be pickled.
_LEARNERS = frozenset("catboost lightgbm sklearn xgboost".split())
_CODE = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.FrameType,
    types.TracebackType,
    type(os.environ),
    type,
)
_NOTHING_TO_SEE = (*_CODE, io.IOBase)


def _kind(value):
    found = type(value)
    return "%s.%s" % (found.__module__, found.__qualname__)


def _children(parts):
    """What a container holds: the first few whole, of more of them, which hold much, the digest."""
    found, more = parts[:_CHILDREN], parts[_CHILDREN:_NAMED_CHILDREN]
    if any(part and "o" in part for part in more):
        found += [part and {name: part[name] for name in _NAMING if name in part} for part in more]
    return found


def _hides_state(value, fields):
    """Whether an object keeps what it learnt out of its attributes: a booster, a tree."""
    kind = type(value)
    if kind.__module__.partition(".")[0] not in _LEARNERS:
        return False
    own = getattr(kind, "__getstate__", None)
    if own is None or own is getattr(object, "__getstate__", None):
        return False
    return not fields or kind.__name__ == "Booster" or kind.__module__.startswith("catboost")


def _is_machinery(kind):
    """Whether a class is one of a worker's, whose private attributes tell of the process."""
    return any(each.__module__.partition(".")[0] in _MACHINERY for each in kind.__mro__)


def _is_plain(kind):
    """Whether a class is made in Python, so that its objects have no state but attributes."""
    while kind.__base__ is not object:
        kind = kind.__base__
    return "__dict__" in vars(kind) and "__weakref__" in vars(kind)


class Sketcher:
    """Sketches values; counts the bytes that it had to read.

    Attributes:
        bytes_read: of all arrays and texts so far.
    """

    def __init__(self):
        self.bytes_read = 0
        self._known = {}

    def sketch(self, value, backward=False):
        """The sketch, as what JSON can hold; None where nothing can be said of the value.

        Args:
            backward: whether gradients matter, which then belong to it.
        """
        self._left = _LEAVES
        self._above = set()
        self._backward = backward
        try:
            return self._sketch(value, 0)
        except Exception:
            return None

    @staticmethod
    def hides(value):
        """The kind of a value of which nothing could be said, as it holds what nobody sees; ""."""
        return "" if isinstance(value, _CODE) else _kind(value)

    def _sketch(self, value, depth):
        self._left -= 1
        if self._left < 0:
            return None
        found = self._scalar(value)
        if found is not None:
            return found
        if id(value) in self._above or depth > _DEEPEST:
            return None
        self._above.add(id(value))
        try:
            known = held.described(value)
            if known is not None:
                return self._named(known[0], known[1], depth)
            if isinstance(value, _NOTHING_TO_SEE):
                return self._named_code(value) if depth else None
            return self._structure(value, depth)
        finally:
            self._above.discard(id(value))

    def _scalar(self, value):
        kind = type(value)
        if value is None or kind is bool:
            return {"t": "fixed", "v": str(value), "d": str(value)}
        if kind is int:
            text = str(value) if value.bit_length() < 128 else ""
            data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
            return {"t": "int", "v": text, "d": digest(b"int", data)}
        if kind is float:
            data = struct.pack("<d", value)
            return {"t": "float", "v": repr(value), "d": digest(b"float", data)}
        if kind is complex:
            data = struct.pack("<dd", value.real, value.imag)
            return {"t": "complex", "v": repr(value), "d": digest(b"complex", data)}
        if kind is str:
            return self._text("str", value)
        if kind is bytes or kind is bytearray:
            self.bytes_read += len(value)
            return {"t": "bytes", "n": len(value), "d": digest(b"bytes", bytes(value))}
        if kind in _PLAIN_TEXT:
            return self._text(_kind(value), str(value))
        if kind in (io.StringIO, io.BytesIO) and not value.closed:
            return self._scalar(value.getvalue())
        return None

    def _text(self, kind, value):
        data = value.encode("utf-8", "surrogatepass")
        self.bytes_read += len(data)
        shown = value[:TEXT_SHOWN]
        return {"t": "text", "k": kind, "n": len(value), "v": shown, "d": digest(b"text", data)}

    def _named_code(self, value):
        """A function or class in a container, which may hold it or another; by its name."""
        if not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
            return None
        return self._text("code", "%s.%s" % (value.__module__, value.__qualname__))

    def _structure(self, value, depth):
        kind = type(value)
        if kind is list or kind is tuple:
            return self._sequence(value, depth)
        if kind is set or kind is frozenset:
            return self._set(value, depth)
        if isinstance(value, dict):
            return self._mapping(value.items(), len(value), depth)
        if kind is collections.deque:
            return self._named("deque", {"maxlen": value.maxlen, "items": list(value)}, depth)
        if isinstance(value, array.array):
            return self._numbers(list(value), "array")
        if isinstance(value, random.Random):
            return self._named("random.Random", {"state": value.getstate()}, depth)
        known = tensors.described(value, self._backward and depth == 0)
        known = known or variables.described(value)
        if known is not None:
            return self._named(known[0], known[1], depth)
        library = kind.__module__.partition(".")[0]
        if library in _MACHINERY or kind.__module__.startswith(_RECORDS_OF_RUNS):
            return None
        reader = getattr(self, "_of_" + library, None)
        found = reader(value, depth) if reader is not None else None
        if found is not None:
            return found
        if isinstance(value, (list, tuple)):
            return self._sequence(value, depth)
        plain = held.plain_value(value)
        if plain is not None and not isinstance(value, enum.Enum):
            found = {"(value)": plain, **getattr(value, "__dict__", {})}
            return self._named(_kind(value), found, depth)
        return self._object(value, depth)

    # What the standard library has.

    def _sequence(self, value, depth):
        kinds = set(map(type, value[:_LONG]))
        if value and kinds <= {float, int} and float in kinds:
            return self._numbers(value, "list")
        partial = len(value) > self._left
        shown = value[: max(0, self._left)] if partial else value
        parts = [self._sketch(each, depth + 1) for each in shown]
        digests = [part["d"] if part else "" for part in parts]
        return {
            "t": "sequence",
            "n": len(value),
            "d": digest(b"sequence", str(len(value)).encode(), *[d.encode() for d in digests]),
            "o": digest(*[d.encode() for d in sorted(digests)]),
            "c": _children(parts),
            "partial": partial,
        }

    def _set(self, value, depth):
        found = self._sequence(list(value), depth)
        found["t"], found["d"] = "set", digest(b"set", found["d"].encode())
        return found

    def _mapping(self, items, count, depth):
        names, parts, digests = [], [], []
        for key, part in items:
            if self._left <= 0:
                break
            name = self._sketch(key, depth + 1)
            found = self._sketch(part, depth + 1)
            names.append(str(key) if type(key) in (str, int, bool, float) else "?")
            parts.append(found)
            pair = (name["d"] if name else "", found["d"] if found else "")
            digests.append(":".join(pair))
        return {
            "t": "mapping",
            "n": count,
            "d": digest(b"mapping", *[d.encode() for d in digests]),
            "o": digest(*[d.encode() for d in sorted(digests)]),
            "c": _children(parts),
            "names": [name[:TEXT_SHOWN] for name in names[:_CHILDREN]],
            "partial": len(digests) < count,
        }

    def _named(self, kind, items, depth):
        found = self._mapping(items.items(), len(items), depth)
        found["t"], found["k"] = "object", kind
        found["d"] = digest(kind.encode(), found["d"].encode())
        return found

    def _object(self, value, depth):
        fields = getattr(value, "__dict__", None)
        if _hides_state(value, fields):
            return self._named(_kind(value), {"state": value.__getstate__()}, depth)
        slots = slots_of(value)
        if slots:
            fields = {**slots, **(fields if isinstance(fields, dict) else {})}
        if not isinstance(fields, dict) or "__wrapped__" in fields:
            return None  # a function that was compiled or cached is a function
        if not fields and not _is_plain(type(value)):
            return None
        private = "_" if _is_machinery(type(value)) else "__"
        seen = {
            name: part
            for name, part in list(fields.items())
            if type(name) is str
            and not name.startswith(private)
            and not isinstance(part, _NOTHING_TO_SEE)
        }
        return self._named(_kind(value), seen, depth)

    def _numbers(self, value, kind):
        numpy = sys.modules.get("numpy")
        if numpy is not None and len(value) > SHOWN and hasattr(numpy, "asarray"):
            floats = numpy.asarray(value, dtype=float)
            found = self._remembered(numbers.digest_of(numpy, floats), numpy, floats)
        else:
            found = numbers.of_floats(value)
        self.bytes_read += 8 * len(value)
        found["k"] = kind
        return found

    # What libraries have; each is asked for only where the value is already of that library.

    def _of_numpy(self, value, depth):
        numpy = sys.modules["numpy"]
        if isinstance(value, numpy.random.RandomState):
            return self._named("RandomState", {"state": value.get_state(legacy=False)}, depth)
        if isinstance(value, numpy.random.Generator):
            return self._named("Generator", {"state": value.bit_generator.state}, depth)
        if hasattr(type(value), "random_raw") or hasattr(type(value), "generate_state"):
            # A bit generator, or the sequence that seeds some.
            return self._named(type(value).__name__, {"state": value.state}, depth)
        if isinstance(value, numpy.generic):
            return numbers.of_scalar(value)
        if not isinstance(value, numpy.ndarray):
            return None
        if isinstance(value, numpy.ma.MaskedArray):
            parts = {"data": value.data, "mask": numpy.ma.getmaskarray(value)}
            return self._named("MaskedArray", parts, depth)
        value = numpy.asarray(value)
        if value.dtype.hasobject:
            return self._sequence(value.ravel()[: max(0, self._left)].tolist(), depth)
        self.bytes_read += value.nbytes
        return self._remembered(numbers.digest_of(numpy, value), numpy, value)

    def _remembered(self, name, numpy, value):
        """The sketch of an array, which is made once for all arrays of one digest."""
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            found = self._known[name] = numbers.of_array(numpy, value, name)
        return dict(found)

    def _of_pandas(self, value, depth):
        pandas = sys.modules["pandas"]
        text = tables.as_text(pandas, value)
        if text is not None:
            return self._text(type(value).__name__, text)
        found = tables.described(pandas, value)
        return None if found is None else self._named(found[0], found[1], depth)

    def _of_polars(self, value, depth):
        polars = sys.modules["polars"]
        if isinstance(value, polars.DataFrame):
            found = {each.name: each.to_numpy() for each in value.get_columns()[: tables.COLUMNS]}
            return self._named("DataFrame", found, depth)
        if isinstance(value, polars.Series):
            return self._named("Series", {"values": value.to_numpy()}, depth)
        return None if isinstance(value, polars.LazyFrame) else self._object(value, depth)

    def _of_torch(self, value, depth):
        torch = sys.modules["torch"]
        if not isinstance(value, torch.Tensor):
            return None
        plain = value.detach()
        if plain.layout is not torch.strided or plain.device.type == "meta":
            return None
        plain = plain.cpu().resolve_conj().resolve_neg()
        if plain.dtype is torch.bfloat16:
            plain = plain.float()
        found = self._of_numpy(plain.contiguous().numpy(), depth)
        found["k"] = "torch." + str(value.dtype).rpartition(".")[2]
        return found

    def _of_jaxlib(self, value, depth):
        jax = sys.modules.get("jax")
        if jax is not None and isinstance(value, jax.core.Tracer):
            # What stands for a number while a function is compiled: it holds how that goes on.
            return self._text("jax.Tracer", str(value.aval))
        if jax is None or not isinstance(value, jax.Array):
            return None
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        return self._of_numpy(sys.modules["numpy"].asarray(value), depth)

    _of_jax = _of_jaxlib

    def _of_tensorflow(self, value, depth):
        read = getattr(value, "numpy", None)
        return self._of_numpy(read(), depth) if callable(read) else None
