"""The only reader of what a run wrote: from a tar stream or a folder to files on this machine.

A container's output is hostile until shown otherwise. Nothing is written outside the folder given,
whatever a member is called; links, devices, fifos and sockets are never recreated; what is not
taken over is listed with its reason.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import os
import posixpath
import re
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.globs import covers, fixed_part
from pytest_mlcontainer.model import PRINTED, Folder, Output

MAX_FILES = 100_000
# No `%` in it: names that are not plain get one, so that no two outputs share a file.
_PLAIN_NAME = re.compile(r"[\w.+=@,#~() -]{1,150}\Z")
_NAME_BYTES = 200  # of the 255 that file systems take
_PATH_BYTES = 1000  # of the 1024 that macOS takes
_CHUNK = 1 << 20
_EVERYBODY = 0o777
_CHAIN = 40  # links to links, as Linux counts them


@dataclass
class Collected:
    """What was taken over so far, by output name.

    Args:
        links: links whose target is not among what was collected: link's path → target's path,
            both absolute in the container.
    """

    outputs: dict[str, Output] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)

    def missing(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Patterns for which no file was found; stdout and stderr need none."""
        return tuple(
            pattern
            for pattern in patterns
            if pattern not in PRINTED
            and not any(covers(_clean(pattern), name) for name in self.outputs)
        )


@dataclass(frozen=True)
class Declared:
    """The declared outputs of a run, and the working directory they refer to.

    Args:
        patterns: globs, relative to `workdir` or absolute.
        workdir: absolute path in the container.
    """

    patterns: tuple[str, ...]
    workdir: str

    def roots(self) -> tuple[str, ...]:
        """The fewest container paths that hold everything declared; none lies in another."""
        paths = sorted({self.absolute(fixed_part(_clean(pattern))) for pattern in self.patterns})
        kept: list[str] = []
        for path in paths:
            if not any(path == above or path.startswith(_as_folder(above)) for above in kept):
                kept.append(path)
        return tuple(kept)

    def folders(self) -> tuple[str, ...]:
        """The container folders into which what is declared is written, where that is known."""
        parts = [(fixed_part(_clean(pattern)), _clean(pattern)) for pattern in self.patterns]
        return tuple(
            self.absolute(fixed if fixed != whole else posixpath.dirname(whole))
            for fixed, whole in parts
        )

    def absolute(self, name: str) -> str:
        """An output name as an absolute path in the container."""
        return posixpath.normpath(posixpath.join(self.workdir, name))

    def name_of(self, path: str) -> str | None:
        """The output name of an absolute container path; None for what was not declared."""
        relative = None
        if path.startswith(_as_folder(self.workdir)):
            relative = path[len(_as_folder(self.workdir)) :]
        for pattern in self.patterns:
            name = path if pattern.startswith("/") else relative
            if name and covers(_clean(pattern), name):
                return name
        return None


def collect_tar(
    stream: Iterable[bytes], root: str, declared: Declared, into: Path, collected: Collected
) -> None:
    """Take over from the tar stream that an engine gives for the container path `root`.

    Args:
        root: absolute container path that was asked for; the stream's names start with its last
            part, whatever that is called in the container.
        into: existing folder that receives the files.
        collected: is added to.

    Raises:
        OutputError: the stream ends early or is damaged, or holds more than `MAX_FILES` files.
    """
    intake = _Intake(declared, into, collected)
    try:
        with _open_tar(stream) as archive:
            for member in archive:
                path = _path_of(member.name, root)
                if path is None:
                    intake.refuse(f"{member.name}: climbs out of {root}")
                else:
                    intake.take_member(archive, member, path, root)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise OutputError(
            "what the run wrote cannot be read back", f"{root}: {error}", "run it again"
        ) from error
    intake.resolve_links()


def collect_tree(folder: Path, declared: Declared, into: Path, collected: Collected) -> None:
    """Take over from a folder of this machine (a run without a container).

    Args:
        folder: what the run had as its working directory.
    """
    intake = _Intake(declared, into, collected)
    inside = Path(os.path.realpath(folder))
    for root in declared.roots():
        base = Path(root)
        if base != folder and not Path(os.path.realpath(base.parent)).is_relative_to(inside):
            intake.refuse(f"{declared.name_of(root) or root}: behind a link that leads elsewhere")
            continue
        for path in (base, *_walk(base, intake.refuse)):
            if path != folder:
                intake.take_path(path, root)
    intake.resolve_links()


def names_in_tar(stream: Iterable[bytes], limit: int) -> tuple[str, ...]:
    """The first names in a tar stream, folders with a trailing slash, without the top one.

    A stream that is damaged gives those before the damage.
    """
    names: list[str] = []
    try:
        with _open_tar(stream) as archive:
            for member in archive:
                # The archive of the root folder has names that start with a slash, and no top.
                rest = member.name.partition("/")[2]
                if rest:
                    names.append(rest + ("/" if member.isdir() else ""))
                if len(names) >= limit:
                    break
    except (tarfile.TarError, EOFError, UnicodeError, OutputError):
        pass
    return tuple(names)


@dataclass(frozen=True)
class _Intake:
    """Takes things over, one at a time: see `collect_tar` for the fields."""

    declared: Declared
    into: Path
    collected: Collected

    def take_member(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, root: str
    ) -> None:
        """Take one member of a tar stream, which is `path` in the container."""
        if member.isdir():
            mode = member.mode & 0o7777
            self.collected.folders[path] = Folder(path, mode, member.uid, member.gid)
            return
        name = self.declared.name_of(path)
        if name is None and path != root:
            return
        if member.issym():
            self._link(path, posixpath.join(posixpath.dirname(path), member.linkname))
        elif name is None:
            return
        elif member.islnk():
            # A second name of a file earlier in the stream, named as the archive names it.
            self._link(path, _path_of(member.linkname, root) or member.linkname)
        elif not member.isfile():
            self.refuse(f"{name}: not a regular file ({_kind(member)})")
        else:
            source = archive.extractfile(member)
            assert source is not None  # `isfile` members always have data
            self._store(name, source, member.size, (member.mode & 0o777, member.uid, member.gid))

    def take_path(self, path: Path, root: str) -> None:
        """Take one file of this machine, found on the way down from `root`."""
        name = self.declared.name_of(str(path))
        try:
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                self.collected.folders[str(path)] = Folder(str(path), _EVERYBODY)
            elif stat.S_ISLNK(status.st_mode):
                if name is not None or str(path) == root:
                    self._link(str(path), posixpath.join(path.parent, path.readlink()))
            elif name is None:
                return
            elif stat.S_ISREG(status.st_mode):
                with _open_plain(path) as source:
                    mode = (status.st_mode | 0o666) & 0o777
                    self._store(name, source, status.st_size, (mode, 0, 0))
            else:
                self.refuse(f"{name}: not a regular file")
        except (FileNotFoundError, NotADirectoryError):
            return
        except PermissionError as error:
            self.refuse(f"{name or path}: cannot be read ({error.strerror})")

    def refuse(self, why: str) -> None:
        """Note what is not taken over."""
        self._check_room()
        self.collected.refused.append(why)

    def resolve_links(self) -> None:
        """Give links to what was collected, files and folders, the content of their target."""
        absolute = self.declared.absolute
        files = {absolute(name): output for name, output in self.collected.outputs.items()}
        paths = sorted(files)
        links = dict(self.collected.links)
        for link in links:
            target = _end_of(links[link], links)
            self.collected.links[link] = target
            if link.startswith(_as_folder(target)):
                self.collected.links.pop(link)
                self.refuse(f"{link}: a link to {target}, which it lies in")
                continue
            for path in _at_or_below(target, paths):
                name = self.declared.name_of(link + path[len(target) :])
                if name is not None and name not in self.collected.outputs:
                    self._repeat(name, files[path])
                    self.collected.links.pop(link, None)

    def _link(self, path: str, target: str) -> None:
        self._check_room()
        self.collected.links[path] = posixpath.normpath(target)

    def _store(self, name: str, source: IO[bytes], size: int, owned: tuple[int, int, int]) -> None:
        place = self._place(name)
        left = size
        with place.open("wb") as target:
            # No more than it was at first: something may still be writing to it.
            while left and (chunk := source.read(min(_CHUNK, left))):
                left -= target.write(chunk)
        self.collected.outputs[name] = Output(name, place, place.stat().st_size, *owned)

    def _repeat(self, name: str, output: Output) -> None:
        place = self._place(name)
        try:
            os.link(output.path, place)
        except OSError:
            shutil.copyfile(output.path, place)
        self.collected.outputs[name] = Output(
            name, place, output.size_bytes, output.mode, output.uid, output.gid
        )

    def _place(self, name: str) -> Path:
        """Where an output goes: under its own name where that is harmless, else under a safe one.

        The folder is made. What one container path after another makes of a name stays apart: a
        file where another output needs a folder, names that differ in case alone.
        """
        self._check_room()
        parts = [part for part in PurePosixPath(name).parts if part != "/"]
        place = self.into.joinpath(
            *(["%root"] if name.startswith("/") else []), *(_safe(part) for part in parts)
        )
        if len(os.fsencode(place)) <= _PATH_BYTES:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                pass
            else:
                if not os.path.lexists(place):
                    return place
        place = self.into / "%other" / _digest(name)
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        return place

    def _check_room(self) -> None:
        collected = self.collected
        if len(collected.outputs) + len(collected.refused) + len(collected.links) >= MAX_FILES:
            raise OutputError(
                "the run wrote too many files",
                f"more than {MAX_FILES}",
                "declare fewer: outputs takes globs such as outputs/*.npz",
            )


class _Member(tarfile.TarInfo):
    """A member of a stream that has to end as tar streams do.

    `tarfile` takes a header that is none, and a stream cut off between two members, for the end.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the end mark
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"the stream is cut off or damaged ({error})") from error


def _open_tar(stream: Iterable[bytes]) -> tarfile.TarFile:
    reader = io.BufferedReader(_Stream(iter(stream)), _CHUNK)
    return tarfile.open(
        fileobj=reader, mode="r|", tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
    )


def _end_of(target: str, links: Mapping[str, str]) -> str:
    """Where a chain of links, of files and of the folders above them, ends."""
    for _ in range(_CHAIN):
        above = (target, *(str(path) for path in PurePosixPath(target).parents))
        link = next((path for path in above if path in links), None)
        if link is None:
            break
        target = posixpath.normpath(links[link] + target[len(link) :])
    return target


def _open_plain(path: Path) -> IO[bytes]:
    # Between the look and the opening it may have become a link, or a pipe that blocks.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _at_or_below(target: str, paths: list[str]) -> Iterator[str]:
    """Those of the sorted paths that are `target` or lie in it."""
    at = bisect.bisect_left(paths, target)
    if at < len(paths) and paths[at] == target:
        yield target
    at = bisect.bisect_left(paths, f"{target}/")
    while at < len(paths) and paths[at].startswith(f"{target}/"):
        yield paths[at]
        at += 1


def _safe(part: str) -> str:
    if _PLAIN_NAME.match(part) and len(os.fsencode(part)) <= _NAME_BYTES:
        return part
    shown = re.sub(r"[^\w.-]", "_", part)[:40].lstrip(".")
    return f"{shown}%{_digest(part)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _path_of(member: str, root: str) -> str | None:
    """A member's absolute container path; None for one that climbs out of `root`."""
    parts = [part for part in member.split("/") if part not in ("", ".")]
    if ".." in parts:
        return None
    if root == "/":
        # The archive of the root folder has no top of its own, and names like `/app/outputs`.
        return posixpath.join("/", *parts)
    if member.startswith("/"):
        return None
    return posixpath.join(root, *parts[1:])


def _kind(member: tarfile.TarInfo) -> str:
    if member.isfifo():
        return "fifo"
    return "device" if member.isdev() else "special file"


def _walk(base: Path, refuse: Callable[[str], None]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        if isinstance(error, PermissionError):
            refuse(f"{error.filename}: cannot be read ({error.strerror})")

    if base.is_symlink():
        return
    for folder, folders, files in os.walk(base, onerror=unreadable):
        folders.sort()
        for name in sorted(folders) + sorted(files):
            yield Path(folder, name)


def _clean(pattern: str) -> str:
    return posixpath.normpath(pattern)


def _as_folder(path: str) -> str:
    return path if path.endswith("/") else path + "/"


class _Stream(io.RawIOBase):
    """An iterator of bytes as a readable file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except OSError as error:
                raise OutputError(
                    "the engine stopped sending what the run wrote", str(error), "run it again"
                ) from error
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
