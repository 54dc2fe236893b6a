"""Arguments that a shell would drop without a word."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Entrypoint, Image

_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh")
_TAKES_ONE = ("-o", "+o", "-O", "+O", "--rcfile", "--init-file")
# $1, ${1:-x}, "$@", $*, $#, and the words that work on them.
_TAKES_ARGUMENTS = re.compile(r"\$\{?[#!]?[@*0-9]|\$#|\$\{#|\b(shift|getopts)\b")
_MORE_THAN_WORDS = re.compile(r"[$`|&;<>()*?\[\]{}~#!\n\\]|^\w+=")


def check_command(entry: Entrypoint, image: Image) -> None:
    """Refuse a command that is appended to `sh -c SCRIPT`, where the script takes no arguments.

    That is what the shell form of ENTRYPOINT is: `ENTRYPOINT python train.py`.

    Raises:
        RunError: the command would not reach the program.
    """
    first = image.entrypoint if entry.entrypoint is None else entry.entrypoint
    script = script_of(first)
    if not entry.command or script is None or takes_arguments(script):
        return
    whose = "the image's ENTRYPOINT" if entry.entrypoint is None else "its `entrypoint`"
    better = json.dumps(exec_form(script), ensure_ascii=False)
    where = (
        f"write its exec form in the Dockerfile: ENTRYPOINT {better}; or set it here: "
        if entry.entrypoint is None
        else "write its exec form: "
    )
    raise RunError(
        f"{whose} drops the command of {entry.name}",
        f"{json.dumps(first, ensure_ascii=False)} hands no arguments on to what it runs, and "
        f"command = {json.dumps(entry.command, ensure_ascii=False)}",
        f"{where}entrypoint = {better} in {entry.table}",
    )


def script_of(argv: tuple[str, ...]) -> str | None:
    """The script of a shell that is started with `-c`, where nothing follows it but perhaps a name
    for it; None for any other command."""
    for place, word in enumerate(argv):
        if posixpath.basename(word) in _SHELLS:
            rest = iter(argv[place + 1 :])
            return next(_script(rest), None)
    return None


def _script(words: Iterator[str]) -> Iterator[str]:
    """The word after the options, if `-c` is among them."""
    reads = False
    for word in words:
        if word in _TAKES_ONE:
            next(words, None)
        elif word.startswith(("-", "+")) and word != "--":
            reads |= not word.startswith("--") and "c" in word
        else:
            if reads:
                yield word
            return


def takes_arguments(script: str) -> bool:
    """Whether a script looks at its arguments: `"$@"`, `$1`, … outside single quotes."""
    return _TAKES_ARGUMENTS.search("".join(_expanded(script))) is not None


def _expanded(script: str) -> Iterator[str]:
    """The characters of a script in which a shell replaces variables."""
    single = double = False
    skipped = False
    for character in script:
        if skipped:
            skipped = False
        elif character == "\\" and not single:
            skipped = True
        elif character == "'" and not double:
            single = not single
        elif not single:
            double ^= character == '"'
            yield character


def exec_form(script: str) -> list[str]:
    """A command that does the same and takes arguments."""
    plain = script.strip().removeprefix("exec ")
    if not _MORE_THAN_WORDS.search(plain):
        try:
            return shlex.split(plain)
        except ValueError:
            pass
    return ["sh", "-c", f'{script.strip()} "$@"', "sh"]
