"""Reads pickles without executing them: no name is looked up, nothing is called.

What a pickle would call becomes a `PickledCall` with the callee's name and its arguments. The
names have to be on the caller's list; at the first that is not, reading stops. `pickletools` splits
the bytes into opcodes, which are followed here on a stack of plain values.

What a hostile pickle costs is bounded: bytes, opcodes, the length of a line. Mappings are kept as
pairs, so that keys are not hashed, and a memo's number allocates nothing.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

_MOST_BYTES = 1 << 28
_MOST_OPCODES = 5_000_000
_LONGEST_LINE = 4096
_RENAMED = (("__builtin__.", "builtins."), ("numpy.core.", "numpy._core."))
_SHOWN = 200


class BrokenPickleError(Exception):
    """`str()` is what is wrong with it."""


class ObjectsError(Exception):
    """It holds an object of a kind that is not on the list; `str()` is the object's kind."""


@dataclass(frozen=True)
class Global:
    """A class, function or constant, by its dotted name."""

    name: str


@dataclass(frozen=True)
class Persistent:
    """Something that lies outside the pickle, as the pickle names it."""

    id: Any


@dataclass
class PickledDict:
    """A dict: its pairs, in the order written."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass
class PickledCall:
    """A call that unpickling would make, and what it would do to the result.

    Args:
        pairs, values: what would be set and appended in it.
        state: what it would be given as its state.
    """

    name: str
    arguments: tuple[Any, ...]
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    state: Any = None


def read_pickle(
    stream: BinaryIO,
    size_bytes: int,
    known: Container[str],
    references: list[Persistent] | None = None,
) -> Any:
    """The value of one pickle: None, bool, int, float, str, bytes, list, tuple, `PickledDict`,
    `PickledCall`, `Global`, `Persistent`. It may hold itself.

    Args:
        stream: stands at the pickle's start, and afterwards behind its end.
        size_bytes: how many bytes there are at most.
        known: dotted names of what may be called or named.
        references: gets every `Persistent`.

    Raises:
        BrokenPickleError: truncated, damaged, or beyond what is read here.
        ObjectsError: something is named that is not known.
    """
    machine = _Machine(known, [] if references is None else references)
    source = _Source(stream, min(size_bytes, _MOST_BYTES))
    try:
        # It asks for no more of a stream than `_Source` has.
        opcodes = pickletools.genops(cast("IO[bytes]", source))
        with warnings.catch_warnings():
            # Of escapes that are none, in texts of the oldest protocol.
            warnings.simplefilter("ignore", DeprecationWarning)
            for count, (opcode, argument, _position) in enumerate(opcodes):
                if count > _MOST_OPCODES:
                    raise BrokenPickleError(f"has more than {_MOST_OPCODES} opcodes")
                machine.follow(opcode.name, argument)
        return machine.stack[-1]
    except (ValueError, IndexError, TypeError, OverflowError, AttributeError) as error:
        what = f"{error}"[:_SHOWN] or type(error).__name__
        raise BrokenPickleError(f"is truncated or damaged ({what})") from error


class _Source:
    """A stream that ends after so many bytes, whatever is asked of it."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream, self._left, self._size = stream, left, left

    def read(self, count: int) -> bytes:
        data = self._stream.read(max(0, min(count, self._left)))
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        line = self._stream.readline(min(_LONGEST_LINE, self._left))
        self._left -= len(line)
        return line

    def tell(self) -> int:
        return self._size - self._left


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, known: Container[str], references: list[Persistent]) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._known, self._references = known, references

    def follow(self, opcode: str, argument: Any) -> None:
        if opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            self.stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in _WITHOUT_EFFECT:
            raise BrokenPickleError(f"has an opcode that weights have no use for ({opcode})")

    def pop(self) -> Any:
        if self._marks and len(self.stack) <= self._marks[-1]:
            raise BrokenPickleError("takes values from below its mark")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        start = self._marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def mark(self) -> None:
        self._marks.append(len(self.stack))

    def put(self, number: int) -> None:
        self._memo[number] = self.stack[-1]

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, number: int) -> None:
        if number not in self._memo:
            raise BrokenPickleError(f"asks for memo {number}, which was not put")
        self.stack.append(self._memo[number])

    def tuple_of(self, count: int) -> None:
        parts = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(parts)))

    def name(self, module: str, name: str) -> None:
        dotted = f"{module}.{name}"
        for old, new in _RENAMED:
            if dotted.startswith(old):
                dotted = new + dotted[len(old) :]
        if dotted not in self._known:
            raise ObjectsError(dotted[:_SHOWN])
        self.stack.append(Global(dotted))

    def stack_name(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise BrokenPickleError("names a class by something that is no text")
        self.name(module, name)

    def call(self) -> None:
        arguments, callee = self.pop(), self.pop()
        if not isinstance(callee, Global) or not isinstance(arguments, tuple):
            raise BrokenPickleError("calls something that is no function")
        self.stack.append(PickledCall(callee.name, arguments))

    def refer(self) -> None:
        self.stack.append(Persistent(self.pop()))
        self._references.append(self.stack[-1])

    def build(self) -> None:
        state = self.pop()
        target = self.stack[-1]
        if not isinstance(target, PickledCall):
            raise BrokenPickleError(f"gives a state to {_type_of(target)}")
        target.state = state

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, PickledCall):
            target.values.extend(values)
        else:
            raise BrokenPickleError(f"appends to {_type_of(target)}")

    def set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (PickledDict, PickledCall)) or len(flat) % 2:
            raise BrokenPickleError(f"sets items in {_type_of(target)}")
        target.pairs.extend(zip(flat[::2], flat[1::2], strict=True))

    def table(self, flat: list[Any]) -> None:
        self.stack.append(PickledDict())
        self.set_items(flat)


def _type_of(value: Any) -> str:
    """The type in messages, in which a dict and a call have short names."""
    return {PickledDict: "Table", PickledCall: "Call"}.get(type(value), type(value).__name__)


_CONSTANTS: Mapping[str, Any] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_LITERALS = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
        "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
    }
)  # fmt: skip
_WITHOUT_EFFECT = frozenset({"PROTO", "FRAME", "STOP"})
_SET = "builtins.set"
_ACTIONS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "PUT": lambda machine, number: machine.put(number),
    "BINPUT": lambda machine, number: machine.put(number),
    "LONG_BINPUT": lambda machine, number: machine.put(number),
    "MEMOIZE": lambda machine, _: machine.memoize(),
    "GET": lambda machine, number: machine.get(number),
    "BINGET": lambda machine, number: machine.get(number),
    "LONG_BINGET": lambda machine, number: machine.get(number),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "LIST": lambda machine, _: machine.stack.append(machine.pop_mark()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append(PickledDict()),
    "DICT": lambda machine, _: machine.table(machine.pop_mark()),
    "EMPTY_SET": lambda machine, _: machine.stack.append(PickledCall(_SET, ())),
    "FROZENSET": lambda machine, _: machine.stack.append(PickledCall(_SET, (machine.pop_mark(),))),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.append(machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.stack_name(),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.refer(),
}
