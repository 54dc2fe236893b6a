"""Regular expressions of the configuration: what to leave out of text, and what to rename."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Final

from pytest_mlcontainer.config.values import parse_filled_text
from pytest_mlcontainer.config.words import nearest, show
from pytest_mlcontainer.errors import MlContainerError

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_UNIT: Final = (
    r"(?:ns|us|µs|μs|ms|s/it|s|secs?|seconds?|mins?|minutes?|m|hrs?|hours?|h|days?|d|it/s)"
)
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_ZONE: Final = r"(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"

# Each of them runs in linear time: what a container wrote must not be able to stop a comparison.
NAMED: Final[Mapping[str, str]] = {
    "time": (
        r"(?<![0-9])(?:"
        rf"[0-9]{{4}}[-/][0-9]{{2}}[-/][0-9]{{2}}(?:[T _-](?:{_CLOCK}|"
        rf"[0-9]{{2}}[:.-]?[0-9]{{2}}(?:[:.-]?[0-9]{{2}}(?:[.,][0-9]{{1,9}})?)?){_ZONE})?"
        rf"|[0-9]{{8}}[T_-][0-9]{{4}}(?:[0-9]{{2}}(?:[.,][0-9]{{1,9}})?)?{_ZONE}"
        rf"|[0-9]{{1,2}}[/ ]{_MONTH}[/ ][0-9]{{4}}(?:[: ]{_CLOCK}{_ZONE})?"
        rf"|{_CLOCK}{_ZONE}"
        r"|1[4-9][0-9]{8}(?:\.[0-9]+|[0-9]{3}|[0-9]{6}|[0-9]{9})?"
        r")(?![0-9])"
        rf"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?{_MONTH} {{1,2}}[0-9]{{1,2}} {_CLOCK}"
        rf"{_ZONE}(?: [0-9]{{4}})?(?![0-9])"
    ),
    "uuid": (
        r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    ),
    # With a letter, and not after a point: 0.123456789012 is a number.
    "hex": r"(?<![0-9A-Za-z.])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{12,}(?![0-9A-Za-z])",
    "path": (
        r"(?:file:(?://)?|(?<![\w.:/~<>*-]))/[^\s'\"`<>|:;,()\[\]{}/][^\s'\"`<>|:;,()\[\]{}]*"
        r"|(?<![0-9A-Za-z])[A-Za-z]:\\[^\s'\"`<>|:;,()\[\]{}]+"
    ),
    "address": r"(?<![0-9A-Za-z])0x[0-9a-fA-F]+(?![0-9A-Za-z])",
    "duration": (
        rf"(?<![\w.])(?:[0-9]+:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?|{_NUMBER} ?{_UNIT}"
        rf"(?: ?{_NUMBER}{_UNIT})*)(?!\w)"
    ),
}


def parse_left_out(value: object) -> str:
    """A pattern by its name, or as a regular expression."""
    text = parse_filled_text(value)
    if text in NAMED:
        return NAMED[text]
    meant = nearest(text, NAMED) if re.fullmatch("[A-Za-z_-]+", text) else None
    if meant is not None:
        raise MlContainerError(
            "not a pattern's name",
            show(text),
            f'did you mean "{meant}"? the word itself is left out by "(?:{text})"; '
            f"known: {', '.join(NAMED)}",
        )
    return parse_regex(text)


def parse_regex(value: object) -> str:
    """A regular expression as Python has them."""
    text = parse_filled_text(value)
    _compile(text)
    return text


def check_replacement(pattern: str, replacement: str) -> None:
    """Whether `re.sub` can use it: the groups that it names are in the pattern.

    Raises:
        MlContainerError: they are not, or the pattern matches nothing at all.
    """
    compiled = _compile(pattern)
    if compiled.fullmatch(""):
        raise MlContainerError(
            "matches the empty text, so it would rename between any two letters",
            show(pattern),
            "make it match what is to be replaced: [0-9]+ instead of [0-9]*",
        )
    try:
        compiled.sub(replacement, "")
    except (re.error, IndexError) as error:
        raise MlContainerError(
            f"the replacement does not fit the pattern ({error})",
            show(replacement),
            r"refer to its groups by \1 or \g<name>, and write a backslash as \\",
        ) from error


def _compile(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise MlContainerError(
            f"not a regular expression ({str(error)[:100]})",
            show(text),
            "correct it, with a backslash before characters that mean themselves; in TOML 'single "
            "quotes' leave backslashes alone",
        ) from error
