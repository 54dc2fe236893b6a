"""How keys, values and near misses are written in a message: as the user would type them."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Iterable, Mapping

_LONGEST_SHOWN = 100
_DEEPEST_SHOWN = 4


def show(value: object) -> str:
    """The value as TOML on one line, cut where it gets long."""
    text = _toml(value, _DEEPEST_SHOWN)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def show_key(key: str) -> str:
    """The key as TOML: bare where that is allowed, else quoted."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else show(key)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` was most likely meant to be, or None."""
    names = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word[:_LONGEST_SHOWN]), names, n=1)
    return names[found[0]] if found else None


def suggest(word: str, known: Iterable[str], noun: str = "known") -> str:
    """An instruction: the nearest name first, then every known one."""
    names = tuple(known)
    listed = f"{noun}: {', '.join(map(_printable, names))}" if names else f"{noun}: none"
    found = nearest(word, names)
    return f"did you mean {_printable(found)}? ({listed})" if found else listed


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _toml(value: object, depth: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _printable(json.dumps(value[: 2 * _LONGEST_SHOWN], ensure_ascii=False))
    if isinstance(value, int):
        return str(value) if value.bit_length() < 512 else f"{hex(value)[:20]}…"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        items = (_toml(item, depth - 1) for item in value[:_LONGEST_SHOWN])
        return f"[{', '.join(items)}]" if depth else "[…]"
    if isinstance(value, Mapping):
        pairs = (f"{show_key(str(key))} = {_toml(item, depth - 1)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if depth and value else "{ … }" if value else "{}"
    return _printable(str(value))


def _printable(text: str) -> str:
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
