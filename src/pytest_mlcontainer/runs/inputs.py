"""What goes into a container, as tar streams: inputs, and the outputs of runs that it needs.

Nothing is bind-mounted, so that a remote engine works like a local one, and a non-root image can
read what is only readable for the user on this machine.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Entrypoint, Run
from pytest_mlcontainer.runs.handing import plan_handed

_READ_ONLY_FILE = 0o444
_READ_ONLY_FOLDER = 0o555
_EXECUTABLE = 0o111
_EVERYBODY = 0o777
_CHUNK = 1 << 20
_SECOND_NS = 1_000_000_000

# A header, and the file whose content follows it.
_Entry = tuple[tarfile.TarInfo, Union[Path, None]]


@dataclass(frozen=True)
class Input:
    """One input: where it is on this machine, and where the run finds it.

    Args:
        name: as it stands in the configuration.
        target: absolute path in the container; as declared, for a run on this machine.
    """

    name: str
    source: Path
    target: str

    @property
    def is_folder(self) -> bool:
        return self.source.is_dir()


def plan_inputs(entry: Entrypoint, root: Path, workdir: str) -> tuple[Input, ...]:
    """The inputs of an entrypoint.

    Args:
        workdir: what relative targets refer to; "" leaves them relative.

    Raises:
        RunError: one does not exist.
    """
    planned = []
    for name, target in entry.inputs:
        source = root / name
        if not source.exists():
            raise RunError(
                f"an input of {entry.name} does not exist",
                f"{name!r}, below {root}",
                "make or download it first, or correct the path: inputs are relative to the "
                "pyproject.toml that declares them",
            )
        planned.append(Input(name, source, posixpath.normpath(posixpath.join(workdir, target))))
    return tuple(planned)


def folder_tar(folder: Path) -> Iterator[bytes]:
    """A folder's content, readable by everybody and writable by nobody, owned by root.

    Links to files, and links to folders that lead out of it (data kept elsewhere), become what they
    lead to; links to its own folders stay links; those into a circle are left out.

    Raises:
        RunError: something cannot be read.
    """
    return _entries_tar(_input_entry(name, path, link) for name, path, link in _walk(folder))


def file_tar(item: Input) -> Iterator[bytes]:
    """One file under its absolute path, for unpacking at `/`."""
    return _entries_tar((_input_entry(item.target.lstrip("/"), item.source, ""),))


@dataclass(frozen=True)
class Move:
    """Where things go instead: what is below `source` to `target`, if it is in a folder of `into`;
    all else is left out."""

    source: str
    target: str
    into: tuple[str, ...]


def needs_tar(runs: Iterable[Run], workdir: str = "/", move: Move | None = None) -> Iterator[bytes]:
    """The outputs of other runs at their paths, as those left them, for unpacking at `/`.

    Owners, modes, times, links and folders, so that whoever could write there still can.

    Args:
        workdir: where a run's outputs go that had no working directory of a container.
    """
    entries = (entry for run in runs for entry in _run_entries(run, workdir))
    return _entries_tar(entries if move is None else _moved(entries, move))


def folders_tar(paths: Iterable[str]) -> Iterator[bytes]:
    """Empty folders that every user may write to, for unpacking at `/`."""
    return _entries_tar((_folder_entry(path, _EVERYBODY, 0, 0), None) for path in paths)


def content_tar(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """A few small files, readable by everybody.

    Args:
        files: name → content.
    """
    for name, content in files.items():
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), _READ_ONLY_FILE | _EXECUTABLE
        yield _header(entry) + content + b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def fingerprint(paths: Iterable[Path]) -> str:
    """Names, sizes and times of all files below, as text that changes when any of them does."""
    parts = []
    for top in paths:
        for name, path, link in _walk(top) if top.is_dir() else (("", top, ""),):
            status = path.stat()
            parts.append(
                f"{top}\0{name}\0{link}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_mode}"
            )
    return "\n".join(parts)


def _moved(entries: Iterable[_Entry], move: Move) -> Iterator[_Entry]:
    for entry, path in entries:
        name = f"/{entry.name}"
        if name.startswith(f"{move.source}/"):
            name = move.target + name[len(move.source) :]
            if any(name.startswith(f"{folder}/") for folder in move.into):
                entry.name = name.lstrip("/")
                yield entry, path


def _run_entries(run: Run, workdir: str) -> Iterator[_Entry]:
    handed = plan_handed(run, workdir)
    for folder in handed.folders:
        entry = _folder_entry(folder.name, folder.mode, folder.uid, folder.gid)
        _set_time(entry, folder.mtime_ns)
        yield entry, None
    for file in handed.files:
        entry = tarfile.TarInfo(file.path.lstrip("/"))
        entry.mode, entry.uid, entry.gid = file.output.mode, file.output.uid, file.output.gid
        _set_time(entry, file.output.mtime_ns)
        yield entry, file.output.path
    for path, end in handed.links:
        yield _link_entry(path.lstrip("/"), end), None


def _folder_entry(path: str, mode: int, uid: int, gid: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(posixpath.normpath(path).strip("/") or ".")
    entry.type = tarfile.DIRTYPE
    entry.mode, entry.uid, entry.gid = mode, uid, gid
    entry.mtime = int(time.time())
    return entry


def _link_entry(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    entry.mtime = int(time.time())
    return entry


def _set_time(entry: tarfile.TarInfo, mtime_ns: int | None) -> None:
    """To the nanosecond, which a number with a fraction would not hold. None leaves it as it is."""
    if mtime_ns is None:
        return
    entry.mtime, rest = divmod(mtime_ns, _SECOND_NS)
    if rest and mtime_ns > 0:
        entry.pax_headers = {"mtime": f"{entry.mtime}.{rest:09d}"}


def _input_entry(name: str, path: Path, link: str) -> _Entry:
    if link:
        entry = _link_entry(name, link)
        _set_time(entry, path.lstat().st_mtime_ns)
        return entry, None
    with _readable(path):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        entry = _folder_entry(name, _READ_ONLY_FOLDER, 0, 0)
        _set_time(entry, status.st_mtime_ns)
        return entry, None
    entry = tarfile.TarInfo(name)
    executable = status.st_mode & 0o100
    entry.mode = _READ_ONLY_FILE | (_EXECUTABLE if executable else 0)
    _set_time(entry, status.st_mtime_ns)
    return entry, path


def copy_folder(source: Path, place: Path) -> None:
    """The same for a run without a container: a new folder with what `folder_tar` would put there,
    but for owners and modes, which stay.

    Raises:
        RunError: something cannot be read.
    """
    place.mkdir(parents=True)
    folders = [(place, source)]
    for name, path, link in _walk(source):
        target = place / name
        with _readable(path):
            if link:
                target.symlink_to(link)
            elif path.is_dir():
                target.mkdir()
                folders.append((target, path))
            else:
                shutil.copy2(path, target)
    for target, path in reversed(folders):
        with _readable(path):
            shutil.copystat(path, target)
            target.chmod(target.stat().st_mode | stat.S_IRWXU)


def _walk(top: Path) -> Iterator[tuple[str, Path, str]]:
    """Everything below a folder, each folder before its content: its name from there, its path
    and, for links to folders within, where the link leads from its own folder."""
    with _readable(top):
        yield from _walk_below(top, "", (os.path.realpath(top),))


def _walk_below(
    folder: Path, prefix: str, above: tuple[str, ...]
) -> Iterator[tuple[str, Path, str]]:
    for child in sorted(folder.iterdir()):
        name = posixpath.join(prefix, child.name)
        if child.is_file():
            yield name, child, ""
        elif child.is_dir():
            real = os.path.realpath(child)
            if child.is_symlink() and real.startswith(f"{above[0]}/"):
                target = os.path.relpath(real, above[0])
                yield name, child, posixpath.relpath(target, prefix or ".")
            elif real not in above:
                yield name, child, ""
                yield from _walk_below(child, name, (*above, real))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            "what goes into the container cannot be read",
            f"{error.filename or path}: {error.strerror}",
            "make it readable for the user who runs pytest, and leave it in place while tests run",
        ) from error


def _entries_tar(entries: Iterable[_Entry]) -> Iterator[bytes]:
    """A tar stream made piece by piece, so that no size of input is held in memory."""
    for entry, path in entries:
        if path is None:
            yield _header(entry)
            continue
        with _readable(path), path.open("rb") as source:
            status = os.fstat(source.fileno())
            entry.size = status.st_size
            entry.mtime = entry.mtime or int(status.st_mtime)  # unless it is known to be another
            yield _header(entry)
            left = entry.size
            while left:
                chunk = source.read(min(_CHUNK, left))
                # A file cut short while it is read is filled up, to keep the stream whole.
                chunk = chunk or b"\0" * min(_CHUNK, left)
                left -= len(chunk)
                yield chunk
            yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(entry: tarfile.TarInfo) -> bytes:
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
