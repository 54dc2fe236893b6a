"""Taking values that must not be shown out of text and bytes, and seeing that they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Failure
from pytest_mlcontainer.secrets.forms import forms

T = TypeVar("T")

SHOWN = "***"
_MARK = SHOWN.encode()
_BLOCK = 1 << 16
_LEAST_BEGUN = 4


@dataclass(frozen=True)
class Value:
    """A secret's value. It is in no `repr`.

    Args:
        name: what the configuration calls it.
    """

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Redactor:
    """Knows values, and replaces each by `***`; in which forms they are seen, `forms` says."""

    values: tuple[Value, ...] = field(default=(), repr=False)

    def __or__(self, other: Redactor) -> Redactor:
        """One that knows the values of both."""
        return Redactor(tuple(dict.fromkeys((*self.values, *other.values))))

    def text(self, text: str) -> str:
        """The text without the values."""
        if not self._names:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        stream = self.stream()
        return (stream.feed(raw) + stream.end()).decode("utf-8", "surrogatepass")

    def clean(self, value: T) -> T:
        """The same tuples and frozen values, without the values in any of their texts."""
        return cast(T, self._clean(value)) if self._names else value

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str) and not isinstance(value, Enum):
            return self.text(value)
        if type(value) is tuple:
            return tuple(map(self._clean, value))
        if is_dataclass(value) and not isinstance(value, type):
            now = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
            cleaned = {name: self._clean(each) for name, each in now.items()}
            return value if cleaned == now else replace(value, **cleaned)
        return value

    def error(self, error: MlContainerError) -> MlContainerError:
        """The error without the values; the very same where it has none of them."""
        parts = (error.what, error.value, error.remedy)
        cleaned = tuple(self.text(part) for part in parts)
        if cleaned == parts or isinstance(error, ConfigError):  # which quotes what is configured
            return error
        return type(error)(*cleaned)

    def failure(self, failure: Failure | None) -> Failure | None:
        """The failure without the values."""
        return self.clean(failure)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """What is raised within comes out without the values."""
        try:
            yield
        except MlContainerError as error:
            cleaned = self.error(error)
            if cleaned is error:
                raise
            raise cleaned from None

    def line(self, log: Callable[[str], None]) -> Callable[[str], None]:
        """Passes lines on without the values."""
        return lambda line: log(self.text(line))

    def copy(self, source: Path, target: Path, *, cut: bool = False) -> None:
        """Copy a file without the values; `cut` as of `Stream.end`."""
        stream = self.stream()
        with source.open("rb") as read, target.open("wb") as written:
            while chunk := read.read(_BLOCK):
                written.write(stream.feed(chunk))
            written.write(stream.end(cut=cut))

    def stream(self) -> Stream:
        """For bytes that come in pieces."""
        return Stream(tuple(self._names))

    def search(self) -> Search:
        """For bytes that come in pieces and are only looked at."""
        return Search(self._telling)

    def found_in(self, text: str) -> str | None:
        """The name of a secret whose value the text holds; None for most texts."""
        search = self.search()
        search.feed(text.encode("utf-8", "surrogatepass"))
        return search.found

    @cached_property
    def _telling(self) -> dict[bytes, str]:
        return {text: name for text, (name, telling) in self._names.items() if telling}

    @cached_property
    def _names(self) -> dict[bytes, tuple[str, bool]]:
        """Each form, whose it is, and whether it is telling."""
        found: dict[bytes, tuple[str, bool]] = {}
        for value in self.values:
            for text, telling in forms(value.content):
                name, known = found.get(text, (value.name, False))
                found[text] = (name, known or telling)
        found.pop(b"", None)
        return found


NOTHING = Redactor()


class Stream:
    """Replaces values also where they lie across two pieces; holds back what may begin one."""

    def __init__(self, texts: tuple[bytes, ...]) -> None:
        self._texts = texts
        self._hold = max(map(len, texts), default=1) - 1
        self._rest = b""
        self._taken = 0  # bytes at the start of the rest that belong to a value already replaced

    def feed(self, data: bytes) -> bytes:
        """Take a piece; returns what is certain by now."""
        if not self._texts:
            return data
        self._rest += data
        if len(self._rest) < self._hold + _BLOCK:
            return b""
        return self._emit(len(self._rest) - self._hold)

    def end(self, *, cut: bool = False) -> bytes:
        """What was held back.

        Args:
            cut: more would have come, so that the end may be the beginning of a value.
        """
        begun = self._begun() if cut else 0
        last = self._emit(len(self._rest))
        return last[: len(last) - begun] + _MARK if begun else last

    def _begun(self) -> int:
        """Bytes at the end with which a value begins; 0 for too few to tell."""
        rest = self._rest[self._taken :]
        lengths = range(min(self._hold, len(rest)), _LEAST_BEGUN - 1, -1)
        return next((n for n in lengths if any(x.startswith(rest[-n:]) for x in self._texts)), 0)

    def _emit(self, until: int) -> bytes:
        """All up to there, but for values that begin before."""
        parts, at = [], self._taken
        for start, end in _merged(sorted(_spans(self._rest, self._texts))):
            if start >= until:
                break
            if start >= at:
                parts += [self._rest[at:start], _MARK]
            at = max(at, end)
        parts.append(self._rest[at:until])
        self._rest, self._taken = self._rest[until:], max(0, at - until)
        return b"".join(parts)


class Search:
    """Looks for values, also where they lie across two pieces.

    `found` is the name of the secret whose value was found first, None until then.
    """

    def __init__(self, names: Mapping[bytes, str]) -> None:
        self._names = names
        self._hold = max(map(len, names), default=1) - 1
        self._rest = b""
        self.found: str | None = None

    def feed(self, piece: bytes | memoryview) -> None:
        """Look at a piece."""
        if not self._names or self.found is not None:
            return
        data = self._rest + piece
        self.found = next((name for text, name in self._names.items() if text in data), None)
        self._rest = data[len(data) - self._hold :] if self._hold < len(data) else data


def _spans(data: bytes, texts: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    for text in texts:
        at = data.find(text)
        while at >= 0:
            yield at, at + len(text)
            at = data.find(text, at + 1)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans that overlap, as one."""
    first, last = -1, -1
    for start, end in spans:
        if start > last:
            if first >= 0:
                yield first, last
            first, last = start, end
        last = max(last, end)
    if first >= 0:
        yield first, last
