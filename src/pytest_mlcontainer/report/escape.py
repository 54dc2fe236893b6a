"""Text that came out of a container, made safe to show."""

from __future__ import annotations

import re
from typing import Final

# What GitHub Actions, Azure Pipelines and TeamCity take for a command in what a step prints. GitHub
# does so also behind spaces: github.com/actions/runner, src/Runner.Common/ActionCommand.cs.
_COMMAND: Final = re.compile(r"^(?P<before>\s*):(?=:)|#(?=#\w*\[)")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escape(text: str, limit: int = 200) -> str:
    """The text in one line, with nothing in it that acts on a terminal, a reader or a CI runner.

    Control characters (escape sequences, newlines), bidirectional and invisible format characters,
    line separators, unassigned and private characters and surrogates become backslash escapes, and
    so does the first character of what a CI runner takes for a command.

    Args:
        limit: characters kept; what is cut is shown as `…`.
    """
    shown = "".join(_escape_character(character) for character in text[: limit + 1])
    shown = _COMMAND.sub(_escape_command, shown)
    if len(text) <= limit and len(shown) <= limit:
        return shown
    return shown[: limit - 1] + "…"


def _escape_command(found: re.Match[str]) -> str:
    before = found["before"]
    return r"\x23" if before is None else rf"{before}\x3a"


def cut_inside(text: str, limit: int) -> str:
    """A name in at most so many characters; names of one folder differ at their ends, so the end
    stays, and the beginning.
    """
    if len(text) <= limit:
        return text
    start = (limit - 1) // 3
    return f"{text[:start]}…{text[start + 1 - limit :]}"


def _escape_character(character: str) -> str:
    if character.isprintable():
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
