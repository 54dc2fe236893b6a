"""What the recorder wrote, read with the doubt that what comes from a container deserves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pytest_mlcontainer.model import SourceLine

_MOST_BYTES: Final = 128 << 20
_LONGEST_LINE: Final = 4 << 20
ALL: Final = 64
"""How many calls of a function, and turns of a statement, are all looked at by the recorder."""
Sketch = Mapping[str, Any]
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True)
class Event:
    """One execution of one statement, or the start of a function (then `site` is None).

    Attributes:
        path: of the call, among all calls of the process.
        turn: how often this call had begun the statement; how often a function had been called.
        read, bound: names → digests of what it read, and of what it bound or changed.
        raised: the exception with which it ended; "".
        reads, binds: names in its text, also those of values of which nothing can be said.
        code: where the function that starts is defined; "" of a statement.
        hidden: names that it bound to values of which nothing can be said → their kinds.
    """

    site: SourceLine | None
    kind: str
    path: str
    turn: int
    read: Mapping[str, str]
    bound: Mapping[str, str]
    raised: str = ""
    reads: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    code: str = ""
    hidden: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What two runs of one program have in common."""
        if self.site is None:
            return (self.path, self.code, 0, 0)
        return (self.path, self.site.file, self.site.line, self.turn)


def split_path(path: str) -> tuple[str, str]:
    """Of a call's path: the place of the statement that called, and the function's name."""
    above, slash, last = path.rpartition("/")
    where, _, called = last.partition(">")
    return above + slash + where, called.partition("#")[0]


@dataclass(frozen=True)
class LayerCall:
    """One execution of a module of PyTorch's, below a statement.

    Attributes:
        number: in the order in which those below the statement began.
        name: below the outermost of them; "" of that itself.
        given, gave: digests.
    """

    number: int
    name: str
    kind: str
    given: tuple[str, ...]
    gave: str


@dataclass
class ProcessRecording:
    """What one process did, in the order in which statements ended.

    Attributes:
        layers: by the place of a statement in the tree of calls.
        unput: numbers of aims → names whose values could not be kept there, or put.
    """

    name: str
    argv: tuple[str, ...] = ()
    python: str = ""
    events: list[Event] = field(default_factory=list)
    sketches: dict[str, Sketch] = field(default_factory=dict)
    layers: dict[str, list[LayerCall]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    unput: dict[int, list[str]] = field(default_factory=dict)
    lost: bool = False
    thinned: bool = False
    ended: bool = False


def read_recording(folder: Path) -> tuple[ProcessRecording, ...]:
    """The streams of all processes of a run, in the order of their names.

    Lines that make no sense are left out: a program that was killed leaves one cut off.
    """
    files = sorted(folder.glob("*.jsonl"), key=lambda path: [int(each) for each in _numbers(path)])
    return tuple(_stream(path) for path in files if _numbers(path))


def _numbers(path: Path) -> list[str]:
    parts = path.stem.split(".")
    return parts if all(each.isdecimal() and len(each) < 9 for each in parts) else []


def _stream(path: Path) -> ProcessRecording:
    stream, sites = ProcessRecording(path.stem), dict[int, _Site]()
    for parts in _lines(path):
        try:
            _take(stream, sites, parts)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            continue
    return stream


def _lines(path: Path) -> Iterator[list[Any]]:
    left = _MOST_BYTES
    with path.open("rb") as file:
        while left > 0 and (line := file.readline(_LONGEST_LINE)):
            left -= len(line)
            try:
                parts = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(parts, list) and parts:
                yield parts


@dataclass(frozen=True)
class _Site:
    place: SourceLine
    kind: str
    reads: tuple[str, ...]
    binds: tuple[str, ...]

    def event(
        self,
        parts: list[Any],
        read: Mapping[str, str] = NOTHING,
        bound: Mapping[str, str] = NOTHING,
        raised: str = "",
    ) -> Event:
        path, turn = str(parts[2]), int(parts[3])
        hidden = _names(parts[6]) if len(parts) > 6 else NOTHING
        names = self.reads, self.binds
        return Event(self.place, self.kind, path, turn, read, bound, raised, *names, hidden=hidden)


def _take(stream: ProcessRecording, sites: dict[int, _Site], parts: list[Any]) -> None:
    what = parts[0]
    if what == "k":
        stream.sketches[str(parts[1])] = dict(parts[2])
    elif what == "s":
        sites[int(parts[1])] = _site(parts[2])
    elif what == "e":
        read, bound = _names(parts[4]), _names(parts[5])
        stream.events.append(sites[int(parts[1])].event(parts, read, bound))
    elif what == "x":
        stream.events.append(sites[int(parts[1])].event(parts, raised=str(parts[4])))
    elif what == "c":
        given = _names(parts[3])
        code = ":".join(map(str, parts[1][:2]))
        hidden = _names(parts[5]) if len(parts) > 5 else NOTHING
        call = Event(
            None, "call", str(parts[2]), int(parts[4]), given, given, code=code, hidden=hidden
        )
        stream.events.append(call)
    elif what == "process":
        stream.argv = tuple(str(each) for each in parts[1]["argv"])
        stream.python = str(parts[1]["python"])
    elif what == "m":
        _place, number, name, kind, given, gave = parts[1:]
        layer = LayerCall(int(number), str(name), str(kind), _texts(given), str(gave))
        stream.layers.setdefault(str(_place), []).append(layer)
    elif what == "unput":
        stream.unput.setdefault(int(parts[1]), []).extend(_texts(parts[2]))
    else:
        _take_remark(stream, what, parts)


def _take_remark(stream: ProcessRecording, what: str, parts: list[Any]) -> None:
    if what == "unread":
        stream.unread.append(str(parts[1]))
    elif what == "lost":
        stream.lost = True
    elif what == "thinned":
        stream.thinned = True
    elif what == "end":
        stream.ended = True


def _site(found: Mapping[str, Any]) -> _Site:
    calls, reads, binds = (_texts(found[name]) for name in ("calls", "reads", "binds"))
    place = SourceLine(
        str(found["file"]),
        int(found["line"]),
        int(found["end"]),
        str(found["function"]),
        str(found["text"]),
        calls,
    )
    return _Site(place, str(found["kind"]), reads, binds)


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in found)


def _names(found: Mapping[str, Any]) -> Mapping[str, str]:
    return {str(name): str(digest) for name, digest in found.items()}
