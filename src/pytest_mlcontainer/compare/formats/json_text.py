"""A JSON reader without recursion that knows line and column.

The standard library's is faster and is used first (`json_file.parse`). This one reads what is
nested too deep for it, and says where a duplicate key is, which its hooks are not told.
"""

from __future__ import annotations

import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*))(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_WORDS: tuple[tuple[str, Any], ...] = (
    ("true", True),
    ("false", False),
    ("null", None),
    ("NaN", float("nan")),
    ("Infinity", float("inf")),
    ("-Infinity", float("-inf")),
)


class JsonError(ValueError):
    """Broken JSON; `str()` says what and where."""

    def __init__(self, what: str, text: str, position: int) -> None:
        line = text.count("\n", 0, position) + 1
        column = position - (text.rfind("\n", 0, position) + 1) + 1
        super().__init__(f"{what} at line {line}, column {column}")


def parse_carefully(text: str) -> Any:
    """The value; NaN and Infinity are accepted, as Python writes them.

    Raises:
        JsonError: it is broken, or an object has a key twice.
    """
    return _JsonReader(text).read()


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, for the standard library's `object_pairs_hook`, which lets the last key win.

    Raises:
        ValueError: it has a key twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, _value in pairs:
            if key not in found:
                raise ValueError(f"{key!r:.100} is there more than once")
            del found[key]
    return found


class _JsonReader:
    """`open` holds the lists and objects not yet closed; `keys` the key that waits for a value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[list[Any] | dict[str, Any]] = []
        self._keys: list[str] = []

    def read(self) -> Any:
        while True:
            value, complete = self._begin()
            while complete:
                if not self._open:
                    if self._peek():
                        raise self._error("something follows the value")
                    return value
                value, complete = self._place(value)

    def _begin(self) -> tuple[Any, bool]:
        """The next value; of a list or object that is not empty, only its beginning."""
        first = self._peek()
        if first in ("[", "{"):
            container: list[Any] | dict[str, Any] = [] if first == "[" else {}
            self._at += 1
            if self._peek() == ("]" if first == "[" else "}"):
                self._at += 1
                return container, True
            self._open.append(container)
            if isinstance(container, dict):
                self._keys.append(self._key(container))
            return None, False
        if first == '"':
            return self._string(), True
        return self._number_or_word(), True

    def _place(self, value: Any) -> tuple[Any, bool]:
        """Put a value where it belongs; then the container, if that closes it."""
        container = self._open[-1]
        if isinstance(container, dict):
            container[self._keys.pop()] = value
        else:
            container.append(value)
        closing = "}" if isinstance(container, dict) else "]"
        after = self._peek()
        if after == closing:
            self._at += 1
            return self._open.pop(), True
        if after != ",":
            raise self._error(f"expected ',' or '{closing}'")
        self._at += 1
        if isinstance(container, dict):
            self._keys.append(self._key(container))
        return None, False

    def _key(self, container: dict[str, Any]) -> str:
        if self._peek() != '"':
            raise self._error("expected a key in double quotes")
        start = self._at
        key = self._string()
        if key in container:
            raise JsonError(f"duplicate key {key!r}", self._text, start)
        if self._peek() != ":":
            raise self._error("expected ':'")
        self._at += 1
        return key

    def _string(self) -> str:
        try:
            value, self._at = scanstring(self._text, self._at + 1, True)
        except ValueError as error:
            raise JsonError("broken string", self._text, getattr(error, "pos", self._at)) from error
        return str(value)

    def _number_or_word(self) -> Any:
        for word, value in _WORDS:
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            raise self._error("expected a value")
        try:
            number = float(found[0]) if found[2] or found[3] else int(found[0])
        except ValueError as error:
            raise self._error(f"a number of {len(found[0])} digits") from error
        self._at = found.end()
        return number

    def _peek(self) -> str:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _error(self, what: str) -> JsonError:
        ended = self._at >= len(self._text)
        return JsonError(f"{what}, but the file ends" if ended else what, self._text, self._at)
