"""LightGBM's models, which are text: its trees, leaf by leaf (`trees`).

A file is sections of `name=values` lines, one section for each tree. Values of one line are a list.
`tree_sizes` says how many bytes each tree's text has, which is no part of the model.
"""

from __future__ import annotations

import re
from typing import Any

from pytest_mlcontainer.compare.formats.kind import Format, begins, tree_comparison
from pytest_mlcontainer.compare.sources import ComparedFile

_LIMIT_BYTES = 1 << 28
_MAGIC = b"tree\nversion=v"
_OF_THE_TEXT = ("tree_sizes",)
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,400})(?:\.[0-9]{0,400})?(?:e[-+]?[0-9]{1,5})?|inf|nan)", re.ASCII
)
_PARAMETER = re.compile(r"\[([^:\]]{1,200}): ?(.*)\]")

Section = dict[str, Any]


def _read(side: ComparedFile) -> Section:
    side.check_size(_LIMIT_BYTES, "a model")
    try:
        text = side.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise side.malformed(f"is not UTF-8 text (byte {error.start})") from error
    model: Section = {}
    trees: list[Section] = []
    here = model
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        parameter = _PARAMETER.fullmatch(line)
        if not line or line in ("tree", "end of trees", "end of parameters"):
            continue
        if name == "Tree":
            here = {}
            trees.append(here)
        elif line in ("parameters:", "feature_importances:"):
            here = model.setdefault(line[:-1], {})
        elif parameter is not None:
            _put(side, here, parameter[1], _value(parameter[2]), number)
        elif equals:
            if name not in _OF_THE_TEXT:
                _put(side, here, name, _value(value), number)
        else:
            model.setdefault("other lines", []).append(line)
    return {**model, "trees": trees}


def _put(side: ComparedFile, section: Section, name: str, value: Any, line: int) -> None:
    if name in section:
        raise side.malformed(f"is a broken model: {name!r:.80} a second time at line {line}")
    section[name] = value


def _value(text: str) -> Any:
    """A number, a list of them, or the text."""
    parts = text.split(" ")
    if all(map(_WHOLE.fullmatch, parts)):
        numbers: list[int | float] = [*map(int, parts)]
    elif all(map(_NUMBER.fullmatch, parts)):
        numbers = [int(part) if _WHOLE.fullmatch(part) else float(part) for part in parts]
    else:
        return text
    return numbers[0] if len(numbers) == 1 else numbers


FORMAT = Format(
    "lightgbm", tree_comparison(_read), lambda side: begins(side, _MAGIC), folds=True, textual=True
)
