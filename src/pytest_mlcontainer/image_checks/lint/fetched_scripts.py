"""Scripts that a build stores first and then runs, without a look at what came."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, script_text, shell_commands

CHECKED: Final = re.compile(
    r"\b(sha\d+|md5|b2)sum\b|\bopenssl dgst\b|--checksum\b|hashlib|\bgpg2? .*--verify\b|\bcosign\b"
)
# A path that names one version: a number with a dot, a commit, or a variable that holds one.
_VERSIONED: Final = re.compile(r"\d+\.\d|\b[0-9a-f]{12,40}\b|\$")
_RUNS: Final = re.compile(r"(ba|da|z|k|a)?sh$|python[\d.]*$|perl$|ruby$|node$|source$|\.$")
_SAVED: Final = {
    "curl": re.compile(r"--output$|-[A-Za-z]*o$"),
    "wget": re.compile(r"--output-document$|-[A-Za-z]*O$"),
}


def run_as_it_comes(body: tuple[Instruction, ...]) -> Iterator[Instruction]:
    """Those of a stage's instructions that fetch a script which this one or a later one runs.

    A URL that names a version is left alone, and so is what is checked anywhere.
    """
    fetched: dict[str, Instruction] = {}
    for each in body:
        if each.word == "ADD" and "checksum" not in dict(each.flags):
            urls, target = each.copied
            for url in filter(moves, urls):
                name = target if len(urls) == 1 and not target.endswith(("/", ".")) else url
                fetched[_file_name(name)] = each
        checked = CHECKED.search(script_text(each)) is not None
        for command in shell_commands(each):
            if checked:
                fetched = {name: one for name, one in fetched.items() if name not in each.rest}
                break
            for name in _stored(command):
                fetched[name] = each
            for name in [one for one in fetched if _executes(command, one)]:
                yield fetched.pop(name)


def moves(url: str) -> bool:
    """Whether a word is a URL whose path names no version."""
    return "://" in url and not _VERSIONED.search(urlsplit(url).path)


def _stored(command: ShellCommand) -> Iterator[str]:
    """Names of files in which curl or wget put what has no version."""
    option = _SAVED.get(command.program)
    urls = [word for word in command.words[1:] if "://" in word]
    if option is None or len(urls) != 1 or not moves(urls[0]):
        return
    for word, following in zip(command.words[1:], command.words[2:], strict=False):
        if option.match(word) or word == ">":
            yield _file_name(following)
            return
    attached = next((word for word in command.words[1:] if re.match(r"-[oO][^-]", word)), "")
    yield _file_name(attached[2:] or urls[0])


def _executes(command: ShellCommand, name: str) -> bool:
    words = [posixpath.basename(word) for word in command.words]
    if words[0] == name:
        return True
    started = next((word for word in command.words[1:] if not word.startswith("-")), "")
    return _RUNS.match(command.program) is not None and posixpath.basename(started) == name


def _file_name(place: str) -> str:
    path = urlsplit(place).path if "://" in place else place
    return posixpath.basename(path.rstrip("/"))
