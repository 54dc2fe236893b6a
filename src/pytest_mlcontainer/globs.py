"""One meaning of `*` and `**`, for declared outputs and for comparison rules alike."""

from __future__ import annotations

import functools
import re
from pathlib import PurePosixPath

_WILD = re.compile(r"[*?\[]")
# `/**/` is one word together with the slash before it, because it matches a single slash, too.
_WORD = re.compile(r"(?:/\*\*)+/|\*\*|\[!?[^\]]+\]|.", re.DOTALL)
_WORDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_RANGE = re.compile(r"(.)-(.)|(.)", re.DOTALL)


@functools.lru_cache(maxsize=4096)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression over whole names.

    `*` and `?` stop at `/`, and so do the sets `[abc]`, `[a-z]` and `[!abc]`; `**` does not, and as
    a part of its own, `**/`, it also matches nothing. A name with wildcard characters in it is
    matched by `[[]`, as in the shell.
    """
    parts = [_WORDS.get(word) or _translate(word) for word in _WORD.findall(f"/{pattern}")]
    return re.compile("".join(parts).removeprefix("/"), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name matches."""
    return compile_glob(pattern).fullmatch(name) is not None


def names(pattern: str, output: str) -> bool:
    """Whether a rule's pattern is meant for an output, as in .gitignore.

    One without a slash is for files of that name in any folder, one that begins with `./` for
    those in the working directory alone; all others have to match the whole name.
    """
    if "/" not in pattern:
        output = output.rpartition("/")[2]
    return matches(pattern.removeprefix("./"), output)


def covers(pattern: str, name: str) -> bool:
    """Whether the name matches, or lies in a folder that does: `outputs/*` covers `outputs/a/b`."""
    return _compile_cover(pattern).fullmatch(name) is not None


@functools.lru_cache(maxsize=4096)
def _compile_cover(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{compile_glob(pattern).pattern})(?:/.*)?", re.DOTALL)


def fixed_part(pattern: str) -> str:
    """The longest leading path without wildcards: `outputs/*.npz` → `outputs`; "" for none."""
    parts = PurePosixPath(pattern).parts
    fixed: list[str] = []
    for part in parts:
        if _WILD.search(part):
            break
        fixed.append(part)
    return str(PurePosixPath(*fixed)) if fixed else ""


def _translate(word: str) -> str:
    if word.startswith("/**"):
        return "/(?:.*/)?"
    if len(word) > 1:
        return _set(word[1:-1])
    return re.escape(word)


def _set(content: str) -> str:
    negated = content.startswith("!") and len(content) > 1
    pieces = []
    for first, last, single in _RANGE.findall(content[negated:]):
        if single:
            pieces.append(re.escape(single))
        elif first <= last:
            pieces.append(f"{re.escape(first)}-{re.escape(last)}")
    if not pieces:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(pieces)}]"
