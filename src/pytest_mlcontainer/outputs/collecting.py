"""Collects the outputs in a whole tar stream, or in a whole folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.outputs.collected import Collected
from pytest_mlcontainer.outputs.declared import DeclaredOutputs
from pytest_mlcontainer.outputs.intake import Intake, Survey
from pytest_mlcontainer.outputs.tar import Content, DamagedTarError, TarMemberKind, read_members
from pytest_mlcontainer.outputs.tree import walk

_HIDDEN = re.compile(r"(?:^|/)(?:\.[^/]*|__pycache__)/")


def collect_tar(
    stream: Iterable[bytes],
    root: str,
    declared: DeclaredOutputs,
    into: Path | None,
    collected: Collected,
    *,
    lies_at: str | None = None,
) -> None:
    """Take over from the tar stream that an engine gives for the container path `root`.

    Args:
        root: absolute container path that was asked for; the stream's names start with its last
            part, whatever that is called in the container.
        into: existing folder that receives the files; None only notes what is there.
        collected: is added to.
        lies_at: what a link at `root` leads to, where the stream comes from; links in it that are
            relative start there.

    Raises:
        OutputError: the stream ends early or is damaged, or holds more than `collected.allowance`;
            what was taken over before stays in `collected`.
    """
    intake = _intake(declared, into, collected)
    content = Content(stream)
    try:
        for member in read_members(content):
            intake.take_member(content, member, root, lies_at or root)
    except DamagedTarError as error:
        raise OutputError(
            "what the run wrote cannot be read back", f"{root}: {error}", "run it again"
        ) from error
    intake.resolve_links()


def collect_tree(
    folder: Path, declared: DeclaredOutputs, into: Path | None, collected: Collected
) -> None:
    """Take over from a folder of this machine (a run without a container).

    Args:
        folder: what the run had as its working directory.
        into: as in `collect_tar`.

    Raises:
        OutputError: as `collect_tar`.
    """
    intake = _intake(declared, into, collected)
    inside = Path(os.path.realpath(folder))
    for root in declared.roots():
        base = Path(root)
        if base != folder and not Path(os.path.realpath(base.parent)).is_relative_to(inside):
            intake.refuse(f"{declared.name_of(root) or root}: behind a link that leads elsewhere")
            continue
        for found in walk(base, intake.refuse):
            if found.path != folder:
                intake.take_path(found, root)
    intake.resolve_links()


def _intake(declared: DeclaredOutputs, into: Path | None, collected: Collected) -> Intake:
    if into is None:
        return Survey(declared, Path(), collected)
    return Intake(declared, into, collected)


def names_in_tar(stream: Iterable[bytes], limit: int) -> tuple[str, ...] | None:
    """The first names in a tar stream, folders with a trailing slash, without the top one and
    without what lies in hidden folders and those of bytecode; where nothing else is found, those.

    None where the top one is no folder. A stream that is damaged, or too long, gives those before.
    """
    names: list[str] = []
    hidden: dict[str, None] = {}
    rest_is_unknown = False
    try:
        for member in read_members(Content(stream)):
            # The archive of the root folder has names that start with a slash, and no top.
            rest = member.name.partition("/")[2].rstrip("/")
            if not rest and member.kind is not TarMemberKind.FOLDER:
                return None
            name = rest + ("/" if member.kind is TarMemberKind.FOLDER else "")
            if rest and not _HIDDEN.search(name):
                names.append(name)
            elif rest:
                hidden[name[: name.index("/") + 1]] = None
            if len(names) >= limit:
                break
    except (DamagedTarError, OutputError):
        rest_is_unknown = True
    more = ("…",) if hidden and rest_is_unknown else ()
    return tuple(names) or (*list(hidden)[:limit], *more)
