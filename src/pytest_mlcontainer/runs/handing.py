"""What a run gets of the runs that it needs: files, folders and links, as those left them.

Programs look at more than bytes. Which checkpoint is the newest, whether a script may be executed,
what `latest` leads to and that a folder is there although it is empty has to be the same as where
one container runs after the other on one volume.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pytest_mlcontainer.model import Folder, Link, Output, Run

_EVERYBODY = 0o777
_OWNERS_FILE, _OWNERS_FOLDER = 0o600, 0o700


@dataclass(frozen=True)
class HandedFile:
    """A file: its absolute path in the run that gets it, and what it is there."""

    path: str
    output: Output


@dataclass(frozen=True)
class HandedOutputs:
    """All that a run gets of one other.

    Args:
        folders: by absolute path, each after the one that it lies in.
        files: those written first come first, so that they lie in that order in their folder.
        links: link's absolute path, where it leads from its own folder.
    """

    folders: tuple[Folder, ...]
    files: tuple[HandedFile, ...]
    links: tuple[tuple[str, str], ...]


def absolute(run: Run, name: str, workdir: str = "/") -> str:
    """An output's absolute path in the container that wrote it.

    Args:
        workdir: where the outputs of a run go that had no working directory of a container.
    """
    return posixpath.normpath(posixpath.join(run.workdir or workdir, name))


def plan_handed(run: Run, workdir: str) -> HandedOutputs:
    """What another run gets of this one.

    A link is a link again where what it leads to is handed over as well; else its content stands
    in its place.

    Args:
        workdir: as of `absolute`.
    """
    files = {absolute(run, output.name, workdir): output for output in run.outputs}
    links = {
        absolute(run, each.name, workdir): absolute(run, each.target, workdir) for each in run.links
    }
    folders = {absolute(run, each.name, workdir): each for each in run.folders}
    kept = _leading(links, _with_parents(files) | folders.keys())
    there = {path: files[path] for path in files if not _lies_in(path, kept)}
    for output in run.outputs if not run.workdir else ():
        for parent in PurePosixPath(output.name).parents[:-1]:
            # Everybody may write there: on this machine there was one user.
            folders.setdefault(absolute(run, str(parent), workdir), Folder("", _EVERYBODY))
    return HandedOutputs(
        tuple(
            Folder(path, each.mode, each.uid, each.gid, each.mtime_ns)
            for path, each in sorted(folders.items())
            if not _lies_in(path, kept)
        ),
        tuple(
            HandedFile(path, output)
            for path, output in sorted(there.items(), key=lambda pair: _written(pair[1]))
        ),
        tuple(
            (path, posixpath.relpath(end, posixpath.dirname(path))) for path, end in kept.items()
        ),
    )


def put_on_host(runs: Iterable[Run], workdir: Path) -> None:
    """The same for a run without a container.

    Args:
        workdir: a folder that is the run's own; what has an absolute path comes into it, too.
    """
    made: list[tuple[Path, Folder]] = []
    for run in runs:
        handed = plan_handed(_rooted(run), "/")
        for folder in handed.folders:
            made.append((_make_folder(workdir, folder.name), folder))
        for file in handed.files:
            _put_file(_make_room(workdir, file.path), file.output)
        for path, end in handed.links:
            _make_room(workdir, path).symlink_to(end)
    for place, folder in reversed(made):
        if place != workdir:
            place.chmod((folder.mode | _OWNERS_FOLDER) & _EVERYBODY)
        _set_time(place, folder.mtime_ns)


def _written(output: Output) -> int:
    return output.mtime_ns or 0


def _with_parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while path not in found and path != "/":
            found.add(path)
            path = posixpath.dirname(path)
    return found


def _leading(links: dict[str, str], given: set[str]) -> dict[str, str]:
    """The links that lead to what is given, or to another such link, and lie in none."""
    kept: dict[str, str] = {}
    left = dict(links)
    while left:
        more = {
            path: end
            for path, end in left.items()
            if end in kept or (end in given and (_lies_in(end, kept) or not _lies_in(end, links)))
        }
        if not more:
            break
        kept |= more
        left = {path: end for path, end in left.items() if path not in more}
    return {path: end for path, end in kept.items() if not _lies_in(posixpath.dirname(path), kept)}


def _lies_in(path: str, places: dict[str, str]) -> bool:
    """Whether a path is one of these, or lies in one."""
    while path not in places:
        if path in ("/", ""):
            return False
        path = posixpath.dirname(path)
    return True


def _rooted(run: Run) -> Run:
    """The run as if its working directory had been `/`: there its absolute names stay apart."""
    home = run.workdir.rstrip("/") + "/"
    named = _with_parents(output.name for output in run.outputs if output.name.startswith("/"))

    def moved(path: str) -> str:
        return path[len(home) :] if path.startswith(home) and path not in named else path

    folders = tuple(replace(each, name=moved(each.name)) for each in run.folders)
    links = tuple(Link(moved(each.name), moved(each.target)) for each in run.links)
    return replace(run, workdir="", folders=folders, links=links)


def _make_folder(workdir: Path, path: str) -> Path:
    """The folder at a path below `workdir`, through no link that leads out of it: a project may
    keep its outputs elsewhere, and those are not to be written to."""
    inside, place = Path(os.path.realpath(workdir)), workdir
    for part in path.strip("/").split("/") if path.strip("/") else ():
        place = place / part
        leads_out = not Path(os.path.realpath(place)).is_relative_to(inside)
        if place.is_file() or (place.is_symlink() and (leads_out or not place.exists())):
            place.unlink()
        place.mkdir(exist_ok=True)
    return place


def _make_room(workdir: Path, path: str) -> Path:
    """A place for a file or a link, where nothing is: what the project has there, in this copy of
    it, would not be there in a container either, once another run's had come."""
    parent, name = posixpath.split(path)
    place = _make_folder(workdir, parent) / name
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    return place


def _put_file(place: Path, output: Output) -> None:
    shutil.copyfile(output.path, place)
    place.chmod((output.mode | _OWNERS_FILE) & _EVERYBODY)
    _set_time(place, output.mtime_ns)


def _set_time(place: Path, mtime_ns: int | None) -> None:
    if mtime_ns is not None:
        os.utime(place, ns=(mtime_ns, mtime_ns))
