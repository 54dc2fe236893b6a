"""MessagePack: bytes → maps, lists and leaves; where large ones lie in the file, not their bytes.

Format: the specification of MessagePack (2.0, with its timestamps). It is read here, because the
library for it has all of a file in memory, and what is inside an array of Flax's twice, while a
checkpoint can be larger than that. Every length is held against what is left of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from pytest_mlcontainer.compare.trees.tree_values import Tagged

LIMIT_VALUES: Final = 20_000_000
_DEEPEST: Final = 200
_SMALL_BYTES: Final = 1 << 16
_MOST_TEXT_BYTES: Final = 1 << 28
_NUMBERS: Final = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_WORDS: Final[dict[int, Any]] = {0xC0: None, 0xC2: False, 0xC3: True}
# Heads of what has a length: the bytes that this length takes.
_TEXTS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_LISTS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}
_EXTENSIONS: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class MsgpackError(ValueError):
    """`str()` says what is wrong, and at which byte."""


@dataclass(frozen=True)
class Blob:
    """Bytes that lie in the file.

    Args:
        offset, size: where, in bytes.
        extension: the type that the program gave them; None for plain bytes.
    """

    offset: int
    size: int
    extension: int | None = None


class MsgpackReader:
    """Reads one value after another.

    Args:
        end: where what is to be read ends, in bytes from the file's start.
    """

    def __init__(
        self, stream: BinaryIO, start: int, end: int, most_values: int = LIMIT_VALUES
    ) -> None:
        self._stream = stream
        self._at, self._end = start, end
        self._left = most_values
        stream.seek(start)

    def values(self) -> Iterator[Any]:
        """Every value up to the end: dict, list, str, int, float, bool, None, `Blob`, and `Tagged`
        for a map whose keys are no texts.

        Raises:
            MsgpackError: it is broken, or larger than what is read.
        """
        while self._at < self._end:
            yield self._value(0)

    def _error(self, what: str) -> MsgpackError:
        return MsgpackError(f"{what} at byte {self._at}")

    def _take(self, count: int) -> bytes:
        if count > self._end - self._at:
            raise self._error(f"it ends, {count} bytes are expected")
        found = self._stream.read(count)
        self._at += count
        if len(found) < count:
            raise self._error("it became shorter while it was read")
        return found

    def _length(self, width: int) -> int:
        return int.from_bytes(self._take(width), "big")

    def _value(self, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._error("more values than are read,")
        head = self._take(1)[0]
        if head < 0x80:
            return head
        if head >= 0xE0:
            return head - 0x100
        if head in _NUMBERS:
            layout = _NUMBERS[head]
            return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        if head in _WORDS:
            return _WORDS[head]
        return self._with_length(head, depth)

    def _with_length(self, head: int, depth: int) -> Any:
        if 0xA0 <= head < 0xC0 or head in _TEXTS:
            return self._text(self._length(_TEXTS[head]) if head in _TEXTS else head & 0x1F)
        if head in _BYTES:
            return self._blob(self._length(_BYTES[head]))
        if head in _EXTENSIONS or head in _FIXED_EXTENSIONS:
            fixed = _FIXED_EXTENSIONS.get(head)
            size = self._length(_EXTENSIONS[head]) if fixed is None else fixed
            return self._blob(size, int.from_bytes(self._take(1), "big", signed=True))
        if head == 0xC1:
            raise self._error("a type that is never used")
        if depth >= _DEEPEST:
            raise self._error("too many levels")
        if head & 0xF0 == 0x90 or head in _LISTS:
            count = self._length(_LISTS[head]) if head in _LISTS else head & 0x0F
            self._check_count(count)
            return [self._value(depth + 1) for _ in range(count)]
        count = self._length(_MAPS[head]) if head in _MAPS else head & 0x0F
        self._check_count(2 * count)
        return self._map(count, depth + 1)

    def _check_count(self, count: int) -> None:
        if count > self._end - self._at:
            raise self._error(f"{count} values are promised, more than what is left,")

    def _text(self, size: int) -> str | Blob:
        """Text; what is none is bytes, which old writers marked in the same way."""
        if size > _MOST_TEXT_BYTES:
            return self._blob(size)
        offset = self._at
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError:
            return Blob(offset, size)

    def _blob(self, size: int, extension: int | None = None) -> Blob:
        if size > self._end - self._at:
            raise self._error(f"it ends, {size} bytes are expected")
        found = Blob(self._at, size, extension)
        if size <= _SMALL_BYTES:
            self._take(size)  # a seek would throw away what was read ahead
        else:
            self._at += size
            self._stream.seek(self._at)
        return found

    def _map(self, count: int, depth: int) -> Any:
        found: dict[str, Any] = {}
        kinds: set[str] = set()
        for _ in range(count):
            key = self._key(depth)
            kind = "text" if isinstance(key, str) else type(key).__name__
            kinds.add(kind)
            name = key if isinstance(key, str) else repr(key).lower()
            if name in found:
                raise self._error(f"the key {name!r:.80} a second time")
            found[name] = self._value(depth)
        if kinds <= {"text", "bytes"}:
            return found
        return Tagged(f"a map with keys of the type {', '.join(sorted(kinds))}", found)

    def _key(self, depth: int) -> Any:
        key = self._value(depth)
        if isinstance(key, Blob) and key.size <= _SMALL_BYTES:
            after = self._at
            self._stream.seek(key.offset)
            raw = self._stream.read(key.size)
            self._stream.seek(after)
            return raw.decode("utf-8", "backslashreplace")
        if key is None or isinstance(key, (str, int, float)):
            return key
        raise self._error("a key that is a list, a map or long")
