"""TOML, leaf by leaf (`trees`). Dates and times are compared as what is written."""

from __future__ import annotations

import datetime
import tomllib
from typing import Any

from pytest_mlcontainer.compare.formats.kind import Format, tree_comparison
from pytest_mlcontainer.compare.formats.text_encodings import is_text
from pytest_mlcontainer.compare.sources import ComparedFile

_LIMIT_BYTES = 1 << 25


def _read(side: ComparedFile) -> Any:
    side.check_size(_LIMIT_BYTES, "TOML", "; write data of this size as JSON or npz")
    try:
        return _plain(tomllib.loads(side.read().decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise side.malformed(f"is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise side.malformed("is TOML nested too deep to be read") from error
    except ValueError as error:
        raise side.malformed(f"is broken TOML: {error}") from error


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The same tree with dates and times as text; changed in place, for it is ours."""
    waiting: list[Any] = [document]
    while waiting:
        holder = waiting.pop()
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(value, (dict, list)):
                waiting.append(value)
            elif isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
                holder[key] = value.isoformat()
    return document


FORMAT = Format(
    "toml",
    tree_comparison(_read),
    suffixes=(".toml", "uv.lock", "poetry.lock"),
    folds=True,
    textual=True,
    fits=is_text,
)
