"""Parses what `known_answers` printed: the libraries that it tested, and their wrong answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mlcontainer.inside import source
from pytest_mlcontainer.inside.known_answers import MARKER

_LONG = 300
_MOST = 200  # lines of one image: three libraries with a few kinds of answers each


@dataclass(frozen=True)
class WrongAnswer:
    """One kind of wrong answer of a numerical library.

    Args:
        library: with its version; `blas` is what multiplies for it, with the kernel.
        what: "float32 A @ A.T, 12 × 12 by 12 × 12".
        got, right: the value that is off most, and what it has to be; `right` is "" where there
            was an error instead of an answer.
        error: how far it is off, of the largest right value; None where that is no number.
        share: how many are off: "12 of 12 rows".
    """

    library: str
    blas: str
    what: str
    got: str
    right: str
    error: float | None
    share: str


@dataclass(frozen=True)
class KnownAnswers:
    """The result of `known_answers` in one image.

    Args:
        asked: libraries, with their versions, and how many answers each gave.
        unread: libraries that could not be asked, with why.
        finished: nothing crashed or hung.
    """

    asked: tuple[tuple[str, int], ...] = ()
    wrong: tuple[WrongAnswer, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    finished: bool = True

    @property
    def count(self) -> int:
        return sum(answers for _library, answers in self.asked)


def answers_source() -> str:
    """The text of what asks, for an image's Python to run."""
    return source("known_answers.py")


def parse_answers(printed: str) -> KnownAnswers:
    """What is in what it printed, which may be anything."""
    begun: dict[str, tuple[str, str]] = {}
    asked: dict[str, int] = {}
    wrong: list[WrongAnswer] = []
    unread: list[tuple[str, str]] = []
    for raw in _lines(printed):
        library = _text(raw, "library")
        if "version" in raw:
            begun[library] = (f"{library} {_text(raw, 'version')}", _text(raw, "blas"))
        elif "unread" in raw:
            unread.append((library, _text(raw, "unread")))
        elif "what" in raw and library in begun:
            wrong.append(_wrong(raw, *begun[library]))
        elif library in begun and isinstance(raw.get("answers"), int):
            asked[library] = raw["answers"]
    return KnownAnswers(
        tuple((begun[library][0], answers) for library, answers in asked.items()),
        tuple(wrong),
        tuple(unread),
        finished=len(asked) == len(begun),
    )


def _wrong(raw: Mapping[str, Any], library: str, blas: str) -> WrongAnswer:
    error = raw.get("error")
    return WrongAnswer(
        library=library,
        blas=blas,
        what=f"{_text(raw, 'dtype')} {_text(raw, 'what')}",
        got=_text(raw, "got"),
        right=_text(raw, "right"),
        error=float(error) if isinstance(error, (int, float)) else None,
        share=_text(raw, "share"),
    )


def _lines(printed: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for line in printed.splitlines():
        if line.startswith(MARKER) and len(found) < _MOST:
            try:
                raw = json.loads(line[len(MARKER) :])
            except (ValueError, RecursionError):
                continue
            if isinstance(raw, dict):
                found.append(raw)
    return found


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value[:_LONG] if isinstance(value, str) else ""
