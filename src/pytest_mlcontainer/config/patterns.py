"""Regular expressions of the configuration: what to leave out of text, and what to rename."""

from __future__ import annotations

import re
import warnings
from typing import Final

from pytest_mlcontainer.config.values import parse_filled_text
from pytest_mlcontainer.config.words import nearest, show
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import NAMED_PATTERNS

NAMED: Final = NAMED_PATTERNS


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
