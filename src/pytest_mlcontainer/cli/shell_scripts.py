"""What a shell script that an image starts comes to, where it is a plain list of commands."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pytest_mlcontainer.cli.declared_commands import plain_words
from pytest_mlcontainer.cli.project_commands import file_name
from pytest_mlcontainer.cli.unmet_needs import ImageProvisions
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words, shell_text

_SHELLS: Final = re.compile(r"(?:/(?:usr/)?bin/)?(?:ba|da)?sh")
_PREPARES: Final = re.compile(r"(?:set|echo|export|mkdir|sleep|printf|umask|date)\b|[A-Za-z_]\w*=")
_ARGUMENTS: Final = re.compile(r"""\s+["']?\$[@*]["']?$""")
_SEPARATOR: Final = re.compile(r"\s*;\s*")
_KEYWORDS: Final = ("if", "then", "else", "fi", "for", "while", "until", "case", "do", "done", "{")
_GIVEN: Final = re.compile(r"""(?:exec )?["']?\$[@*]["']?""")  # its arguments are the command


def follow_script(
    recipe: DockerfileSummary, gives: ImageProvisions
) -> tuple[DockerfileSummary, str]:
    """The recipe of an image that starts the script's last command itself, and the source of all
    programs that the script starts; the recipe as it is and "" where there is no such script.

    What the image's command hands to a shell is one too, where it is more than one command.
    """
    arguments = (*recipe.entrypoint, *recipe.command)
    words = command_words(arguments)
    script = next((word for word in words[:2] if not _SHELLS.fullmatch(word)), "")
    if script.endswith(".sh"):
        commands = _commands(gives.source_at(script), recipe.workdir)
    else:
        commands = _commands(_SEPARATOR.sub("\n", shell_text(arguments)), recipe.workdir)
        commands = commands if len(commands) > 1 else ()
    if not commands:
        return recipe, ""
    last = commands[-1]
    at_entrypoint = replace(recipe, entrypoint=last, command=())
    at_command = replace(recipe, entrypoint=(), command=last)
    code = "\n".join(program_started(words, gives)[0] for words in commands)
    return at_entrypoint if recipe.entrypoint else at_command, code


def program_started(words: Sequence[str], gives: ImageProvisions) -> tuple[str, tuple[str, ...]]:
    """The source of what a command starts, "" where that is not the project's, and the words that
    it is given."""
    for at, word in enumerate(words):
        code = ""
        if ":" in word or (at and words[at - 1] == "-m"):
            code = gives.module_source(f"{word}.__main__") or gives.module_source(word)
        elif word.endswith((".py", ".ipynb")):
            code = gives.source_at(word)
        if code:
            return code, tuple(words[at + 1 :])
    if "flask" in map(file_name, words):
        return gives.module_source(_flask_module(words, gives)), ()
    return "", ()


def _flask_module(words: Sequence[str], gives: ImageProvisions) -> str:
    """The module that `flask run` loads: the one that it is told, or its usual one."""
    told = dict(pairwise(words)).get("--app") or dict(gives.recipe.environment).get("FLASK_APP")
    return (told or "app").removesuffix(".py").replace("/", ".")


def _commands(text: str, workdir: str) -> tuple[tuple[str, ...], ...]:
    """All commands; () where the way through the script is not known."""
    found: list[tuple[str, ...]] = []
    lines = text.replace("\\\n", " ").replace("&&", "\n").splitlines()
    for line in (each.strip() for each in lines):
        if not line or line.startswith("#") or _PREPARES.match(line):
            continue
        words = plain_words(_ARGUMENTS.sub("", line).removeprefix("exec "))
        if _GIVEN.fullmatch(line) or not words or words[0] in _KEYWORDS:
            return ()
        if words[0] == "cd":
            if posixpath.join("/", workdir, *words[1:]).rstrip("/.") != f"/{workdir.strip('/')}":
                return ()  # whose files the commands after it name is not followed
            continue
        found.append(words)
    return tuple(found)
