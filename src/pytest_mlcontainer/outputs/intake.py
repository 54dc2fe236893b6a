"""Takes over one thing after another of what a run wrote."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.model import Folder, Output
from pytest_mlcontainer.outputs.collected import MAX_FILES, Collected
from pytest_mlcontainer.outputs.declared import Declared, as_folder
from pytest_mlcontainer.outputs.links import at_or_below, end_of
from pytest_mlcontainer.outputs.places import PATH_BYTES, digest, safe
from pytest_mlcontainer.outputs.tar import path_of

_CHUNK = 1 << 20
_EVERYBODY = 0o777


@dataclass(frozen=True)
class Intake:
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
            self.link(path, posixpath.join(posixpath.dirname(path), member.linkname))
        elif name is None:
            return
        elif member.islnk():
            # A second name of a file earlier in the stream, named as the archive names it.
            self.link(path, path_of(member.linkname, root) or member.linkname)
        elif not member.isfile():
            self.refuse(f"{name}: not a regular file ({_kind(member)})")
        else:
            source = archive.extractfile(member)
            assert source is not None  # `isfile` members always have data
            self.store(name, source, member.size, (member.mode & 0o777, member.uid, member.gid))

    def take_path(self, path: Path, root: str) -> None:
        """Take one file of this machine, found on the way down from `root`."""
        name = self.declared.name_of(str(path))
        try:
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                self.collected.folders[str(path)] = Folder(str(path), _EVERYBODY)
            elif stat.S_ISLNK(status.st_mode):
                if name is not None or str(path) == root:
                    self.link(str(path), posixpath.join(path.parent, path.readlink()))
            elif name is None:
                return
            elif stat.S_ISREG(status.st_mode):
                with open_plain(path) as source:
                    mode = (status.st_mode | 0o666) & 0o777
                    self.store(name, source, status.st_size, (mode, 0, 0))
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
            target = end_of(links[link], links)
            self.collected.links[link] = target
            if link.startswith(as_folder(target)):
                self.collected.links.pop(link)
                self.refuse(f"{link}: a link to {target}, which it lies in")
                continue
            for path in at_or_below(target, paths):
                name = self.declared.name_of(link + path[len(target) :])
                if name is not None and name not in self.collected.outputs:
                    self._repeat(name, files[path])
                    self.collected.links.pop(link, None)

    def link(self, path: str, target: str) -> None:
        self._check_room()
        self.collected.links[path] = posixpath.normpath(target)

    def store(self, name: str, source: IO[bytes], size: int, owned: tuple[int, int, int]) -> None:
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
            *(["%root"] if name.startswith("/") else []), *(safe(part) for part in parts)
        )
        if len(os.fsencode(place)) <= PATH_BYTES:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                pass
            else:
                if not os.path.lexists(place):
                    return place
        place = self.into / "%other" / digest(name)
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


def open_plain(path: Path) -> IO[bytes]:
    # Between the look and the opening it may have become a link, or a pipe that blocks.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _kind(member: tarfile.TarInfo) -> str:
    if member.isfifo():
        return "fifo"
    return "device" if member.isdev() else "special file"
