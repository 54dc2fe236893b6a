"""The commands that a RUN executes, as words; enough of a shell to know what is installed."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction

_SEPARATORS: Final = frozenset(("&&", "||", ";", ";;", "&", "(", ")", "\n", "|&"))
_BEFORE_COMMANDS: Final = frozenset(
    (
        *("sudo", "-E", "-H", "exec", "time", "command", "nohup", "env", "builtin", "eval"),
        *("if", "then", "elif", "else", "while", "until", "do", "!", "{"),
    )
)
CONDA: Final = ("conda", "mamba", "micromamba")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_SHELLS: Final = re.compile(r"(ba|da|z|k|a)?sh$")
# What stands before a comment: words, and what is quoted.
_COMMENT: Final = re.compile(
    r"""^((?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\\'"#]|(?<=\S)#)*)(?<!\S)#.*$"""
)
_JOINED: Final = re.compile(r"\\\n")


@dataclass(frozen=True)
class ShellCommand:
    """One simple command.

    Args:
        words: program and arguments, without what stands before it (`sudo`, assignments).
        settings: names of variables that are assigned before it.
        piped_from: the one whose output it reads; None for most.
    """

    words: tuple[str, ...]
    settings: tuple[str, ...] = ()
    piped_from: ShellCommand | None = None

    @property
    def program(self) -> str:
        """Its name without a folder."""
        return posixpath.basename(self.words[0]) if self.words else ""

    def has(self, *options: str) -> bool:
        """Whether one of these words, or options with a value, is among its arguments."""
        return any(
            word == option or word.startswith(f"{option}=")
            for word in self.words[1:]
            for option in options
        )


def shell_commands(instruction: Instruction) -> tuple[ShellCommand, ...]:
    """What a RUN executes, also in heredocs that a shell reads; () for other instructions."""
    if instruction.word != "RUN":
        return ()
    listed = _listed(instruction.rest)
    if listed is not None:
        if len(listed) >= 3 and _SHELLS.match(posixpath.basename(listed[0])) and listed[1] == "-c":
            return tuple(_commands(listed[2]))
        return (ShellCommand(listed),)
    return tuple(command for text in _scripts(instruction) for command in _commands(text))


def script_text(instruction: Instruction) -> str:
    """All that shells of a RUN read, as text, for patterns that words cannot show."""
    return "\n".join(_scripts(instruction)) if instruction.word == "RUN" else ""


def _listed(rest: str) -> tuple[str, ...] | None:
    if not rest.startswith("["):
        return None
    try:
        return tuple(map(str, json.loads(rest)))
    except (ValueError, TypeError):
        return None


def _scripts(instruction: Instruction) -> Iterator[str]:
    """The command line, and heredocs that are scripts for a shell."""
    yield instruction.rest
    reader = instruction.rest.partition("<<")[0].split()
    is_shell = not reader or _SHELLS.match(posixpath.basename(reader[0])) is not None
    for text in instruction.heredocs if is_shell else ():
        if not text.startswith("#!") or _SHELLS.search(text.partition("\n")[0].strip()):
            yield text


def _commands(text: str) -> Iterator[ShellCommand]:
    before: ShellCommand | None = None
    for words, separator in _split(text):
        command = _simple(words, before)
        if command is not None:
            yield command
            yield from _commands(_given_text(command))
        before = command if separator == "|" else None


def _given_text(command: ShellCommand) -> str:
    """What a shell is given by `-c`; "" for other commands."""
    if not _SHELLS.match(command.program):
        return ""
    options = [at for at, word in enumerate(command.words) if re.fullmatch(r"-[a-z]*c", word)]
    return "".join(command.words[options[0] + 1 : options[0] + 2]) if options else ""


def _split(text: str) -> Iterator[tuple[list[str], str]]:
    """The words of each simple command, and what separates it from the next."""
    for line in _JOINED.sub(" ", text).split("\n"):
        words: list[str] = []
        for token in _tokens(_COMMENT.sub(r"\1", line)):
            if token in _SEPARATORS or token == "|":
                yield words, token
                words = []
            else:
                words.append(token)
        yield words, "\n"


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # an open quote; separators inside quotes do little harm then
        return [each for each in re.split(r"(&&|\|\||;|\|)|\s+", line) if each]


def _simple(words: list[str], before: ShellCommand | None) -> ShellCommand | None:
    settings: list[str] = []
    rest = list(words)
    while rest and (rest[0] in _BEFORE_COMMANDS or _ASSIGNMENT.match(rest[0])):
        first = rest.pop(0)
        settings += [first.partition("=")[0]] if "=" in first else []
    rest = _run_by_conda(rest)
    return ShellCommand(tuple(rest), tuple(settings), before) if rest else None


def _run_by_conda(words: list[str]) -> list[str]:
    """The command that `conda run` starts in an environment; any other as it is."""
    if posixpath.basename("".join(words[:1])) not in CONDA or words[1:2] != ["run"]:
        return words
    rest = words[2:]
    while rest and rest[0].startswith("-"):
        takes_a_value = rest[0] in ("-n", "--name", "-p", "--prefix", "--cwd")
        rest = rest[1 + takes_a_value :]
    return rest
