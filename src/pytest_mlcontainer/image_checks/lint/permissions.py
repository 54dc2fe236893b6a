"""Changes of owners and permissions that copy files once more, or let everybody write them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

_SHOWN: Final = 5
_RECURSIVE: Final = re.compile(r"--recursive$|-[A-Za-z]*R")
_FOR_ALL: Final = re.compile(r"0?[0-7]{2}[2367]$|[ugoa]*[ao][ugoa]*[+=][rxX]*w[rwxX]*$")
_LINK: Final = "https://docs.docker.com/reference/dockerfile/#copy---chown---chmod"


def permission_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Of the stages that are in the image."""
    workdir, copied = "/", list[tuple[str, Instruction]]()
    for stage in recipe.in_image:
        for each in stage.body:
            if each.word == "WORKDIR":
                workdir = posixpath.join(workdir, each.rest.strip("\"'"))
            elif each.word in ("COPY", "ADD"):
                copied.append((_absolute("".join(each.rest.split()[-1:]), workdir), each))
                if _is_open(dict(each.flags).get("chmod", "")):
                    yield _open_finding("what it copies", each, place)
            commands = shell_commands(each)
            again = [name for one in commands for name in _again(one, workdir, copied)]
            opened = [name for one in commands for name in _opened(one) if name not in again]
            if again:
                yield _again_finding(_shown(again), each, place)
            if opened:
                yield _open_finding(_shown(opened), each, place)


def _again(
    command: ShellCommand, workdir: str, copied: list[tuple[str, Instruction]]
) -> Iterator[str]:
    """Names below which a change of owner or mode copies what a COPY has put there."""
    recursive = any(map(_RECURSIVE.match, command.words[1:]))
    if command.program not in ("chmod", "chown", "chgrp") or not recursive:
        return
    flag = "chmod" if command.program == "chmod" else "chown"
    for name in _arguments(command)[1:]:
        above = _absolute(name, workdir).rstrip("/")
        if any(
            f"{path}/".startswith(f"{above}/") and flag not in dict(copy.flags)
            for path, copy in copied
        ):
            yield name


def _opened(command: ShellCommand) -> tuple[str, ...]:
    mode, *names = _arguments(command) or [""]
    if command.program != "chmod" or not _is_open(mode):
        return ()
    return tuple(name for name in names if name.rstrip("/") not in ("/tmp", "/var/tmp"))


def _arguments(command: ShellCommand) -> list[str]:
    return [word for word in command.words[1:] if not word.startswith("-")]


def _is_open(mode: str) -> bool:
    return _FOR_ALL.match(mode) is not None


def _shown(names: list[str]) -> str:
    return first_and_count(tuple(dict.fromkeys(names)), _SHOWN)


def _absolute(name: str, workdir: str) -> str:
    plain = name.strip("\"'][,").removesuffix("*")
    return posixpath.normpath(posixpath.join(workdir, plain))


def _again_finding(names: str, each: Instruction, place: str) -> ImageFinding:
    return ImageFinding(
        rule="ML016",
        severity=Severity.INFO,
        what=f"owners or permissions of what was copied to {names} are changed in a later layer",
        place=place,
        line=each.line,
        why="that layer holds each of these files once more",
        mend="COPY --chown=USER --chmod=755 … instead",
        link=_LINK,
    )


def _open_finding(names: str, each: Instruction, place: str) -> ImageFinding:
    return ImageFinding(
        rule="ML016",
        severity=Severity.INFO,
        what=f"everybody may write to {names}",
        place=place,
        line=each.line,
        why="whoever gets into the container can change what others run there",
        mend="give it to the user that writes there (chown, COPY --chown) with chmod 755, or 775 "
        "for a group",
        link=_LINK,
    )
