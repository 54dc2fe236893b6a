"""JSON, leaf by leaf (`trees`). Layout does not count."""

from __future__ import annotations

import json
from typing import Any

from pytest_mlcontainer.compare.formats.json_text import JsonError, parse_carefully, unique_keys
from pytest_mlcontainer.compare.formats.kind import Format, tree_comparison
from pytest_mlcontainer.compare.sources import ComparedFile

LIMIT_BYTES = 1 << 29
_GUESS_LIMIT_BYTES = 1 << 26
_QUICKLY_READ_AGAIN = 1 << 24
# Most JSON is YAML, too, and some is TOML.
_ASKED_BY_NAME = (".json", ".yaml", ".yml", ".toml")


def parse(text: str) -> Any:
    """The document.

    Raises:
        JsonError: it is broken, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        if len(text) <= _QUICKLY_READ_AGAIN:
            return parse_carefully(text)
        raise JsonError(error.msg, text, error.pos) from error
    except (ValueError, RecursionError):
        return parse_carefully(text)


def _read(side: ComparedFile) -> Any:
    side.check_size(LIMIT_BYTES, "JSON", "; write large arrays as npy, npz or parquet")
    data = side.read()
    try:
        return parse(data.decode(json.detect_encoding(data)).removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        reason = f"is not {error.encoding} text (byte {error.start})"
        raise side.malformed(reason) from error
    except JsonError as error:
        raise side.malformed(f"is broken JSON: {error}") from error


def is_json(side: ComparedFile) -> bool:
    """An object or list that reads as JSON. What is only called .json is JSON by its name."""
    if side.size_bytes() > _GUESS_LIMIT_BYTES:
        return False
    with side.open() as stream:
        first = stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first not in (b"{", b"[") or side.name.lower().endswith(_ASKED_BY_NAME):
        return False
    try:
        parse(side.read().decode("utf-8-sig"))
    except (JsonError, UnicodeDecodeError):
        return False
    return True


FORMAT = Format("json", tree_comparison(_read), is_json, (".json",), folds=True, textual=True)
