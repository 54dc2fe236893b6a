"""Collects what a run wrote, one member after another."""

from __future__ import annotations

import bisect
import errno
import os
import posixpath
import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.model import Folder, Output
from pytest_mlcontainer.outputs.collected import Collected, digest_of, shown
from pytest_mlcontainer.outputs.declared import DeclaredOutputs, as_folder
from pytest_mlcontainer.outputs.links import at_or_below, end_of_each
from pytest_mlcontainer.outputs.places import find_place
from pytest_mlcontainer.outputs.tar import Content, TarHeader, TarMemberKind, moment_ns
from pytest_mlcontainer.outputs.tree import FolderEntry
from pytest_mlcontainer.secrets import Search
from pytest_mlcontainer.storage import CACHE_VARIABLE, why_unwritable

_CHUNK = 1 << 20
_EVERYBODY = 0o777
_PATH_BYTES = 4096  # PATH_MAX: nothing in a container can open a longer one
_PARTS = 256
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Attributes:
    """The metadata of a file.

    Args:
        time: when it was changed, in any form that is the same for the same moment: engines
            give whole seconds, this machine nanoseconds and the file's own number.
        mtime_ns: the same in nanoseconds since the epoch.
    """

    mode: int
    uid: int
    gid: int
    time: bytes
    mtime_ns: int | None

    def output(self, name: str, path: Path, size_bytes: int) -> Output:
        return Output(name, path, size_bytes, self.mode, self.uid, self.gid, mtime_ns=self.mtime_ns)


@dataclass(frozen=True)
class Intake:
    """Collects members one at a time; see `collect_tar` for the fields."""

    declared: DeclaredOutputs
    into: Path
    collected: Collected

    def take_member(self, content: Content, member: TarHeader, root: str, lies_at: str) -> None:
        """Take one member of a tar stream for the container path `root`, which lies elsewhere."""
        path = path_of(member.name, root)
        if path is None:
            self.refuse(f"{member.name}: climbs out of {root}")
        elif odd := _oddity(path):
            # Of folders in one another, the uppermost that lies too deep stands for the others.
            if member.kind is not TarMemberKind.FOLDER or path.count("/") <= _PARTS + 1:
                self.refuse(f"{path}: {odd}")
        elif member.kind is TarMemberKind.FOLDER:
            moment = moment_ns(member.time)
            self.folder(Folder(path, member.mode, member.uid, member.gid, moment))
        else:
            name = self.declared.name_of(path)
            if name is not None or (path == root and member.kind is TarMemberKind.SYMLINK):
                if member.kind is TarMemberKind.SYMLINK:
                    beside = posixpath.dirname(lies_at + path[len(root) :])
                    self.link(path, posixpath.join(beside, member.target))
                elif member.kind is TarMemberKind.HARDLINK:
                    # A second name of a file earlier in the stream, as the archive names it.
                    again = path_of(member.target, root)
                    target = again or posixpath.join("/", member.target)
                    self.link(path, target, symbolic=False)
                else:
                    self._take(content, member, name or path)

    def _take(self, content: Content, member: TarHeader, name: str) -> None:
        if member.kind is TarMemberKind.FILE:
            moment = moment_ns(member.time)
            owned = Attributes(member.mode & 0o777, member.uid, member.gid, member.time, moment)
            self.store(name, content, member.size_bytes, owned)
        else:
            size = f", {member.size_bytes:,} bytes" if member.kind is TarMemberKind.SPARSE else ""
            self.refuse(f"{name}: not a regular file ({member.kind.value}{size})")

    def take_path(self, found: FolderEntry, root: str) -> None:
        """Take one thing of this machine, found on the way down from `root`."""
        path, mode = str(found.path), found.status.st_mode
        name = self.declared.name_of(path)
        try:
            if odd := _oddity(path):
                self.refuse(f"{path}: {odd}")
            elif stat.S_ISDIR(mode):
                self.folder(Folder(path, _EVERYBODY, mtime_ns=found.status.st_mtime_ns))
            elif stat.S_ISLNK(mode):
                if name is not None or path == root:
                    self.link(path, posixpath.join(posixpath.dirname(path), found.readlink()))
            elif name is None:
                return
            elif stat.S_ISREG(mode):
                with found.open() as source:
                    moment = found.status.st_mtime_ns
                    time = b"%d %d" % (found.status.st_ino, moment)
                    owned = Attributes((mode | 0o666) & 0o777, 0, 0, time, moment)
                    self.store(name, source, found.status.st_size, owned)
            else:
                self.refuse(f"{name}: not a regular file")
        except FileNotFoundError:
            return
        except OSError as error:
            self.refuse(f"{name or path}: cannot be read ({error.strerror})")

    def refuse(self, why: str) -> None:
        """Note what is not taken over."""
        self.collected.refuse(why)

    def folder(self, folder: Folder) -> None:
        """Note a folder, as outputs may lie in it, unless it is called after a secret."""
        if folder.name not in self.collected.folders:
            self.collected.enlist(folder.name)
        if self.collected.hidden.found_in(folder.name) is None:
            self.collected.folders[folder.name] = folder

    def link(self, path: str, target: str, *, symbolic: bool = True) -> None:
        """Note a link, to be followed at the end.

        Args:
            symbolic: whether runs that need this one get a link, too; another name of a file is
                a file.
        """
        target = posixpath.normpath(target)
        if _oddity(target):
            self.refuse(f"{path}: a link to {shown(target)}, which no file is called")
            return
        self.collected.admit(path)
        self.collected.enlist(path, target)
        self.collected.links[path] = target
        if symbolic and not self.collected.hidden.found_in(f"{path}\n{target}"):
            self.collected.followed.setdefault(path, target)

    def resolve_links(self) -> None:
        """Give links to what was collected, files and folders, the content of their target."""
        collected = self.collected
        if not collected.links:
            return
        found = dict(collected.stored)
        paths = sorted(found)
        # Links to files first, and then to the lowest folders: those above may hold them.
        for link, target in sorted(
            end_of_each(collected.links).items(),
            key=lambda pair: (pair[1] not in found, -pair[1].count("/")),
        ):
            collected.links[link] = target
            if link.startswith(as_folder(target)):
                collected.links.pop(link)
                self.refuse(f"{link}: a link to {target}, which it lies in")
                continue
            for path in tuple(at_or_below(target, paths)):
                name = self.declared.name_of(link + path[len(target) :])
                if name is not None and name not in collected.outputs:
                    self._repeat(name, found[path])
                    collected.links.pop(link, None)
                    if (again := link + path[len(target) :]) not in found:
                        found[again] = found[path]
                        bisect.insort(paths, again)

    def store(
        self,
        name: str,
        source: IO[bytes] | Content,
        size: int,
        owned: Attributes,
    ) -> None:
        """Take over a file's content, unless a secret's value is in it or in its name."""
        if self._named_after_a_secret(name):
            return
        self.collected.admit(name, size)
        search = self.collected.hidden.search()
        try:
            place = self._place(name)
            written = _write(source, size, place, search)
        except OSError as error:
            raise _unwritten(name, self.into, error) from error
        if search.found is not None:
            place.unlink()
            self.refuse(f"{name}: holds the value of the secret {search.found}")
            return
        output = owned.output(name, place, written)
        earlier = self.collected.outputs.get(name)
        self.collected.outputs[name] = output
        self.collected.times[name] = owned.time
        if earlier is not None:  # not before there is another
            earlier.path.unlink(missing_ok=True)
        self.collected.stored[self.declared.absolute(name)] = output

    def _named_after_a_secret(self, name: str) -> bool:
        secret = self.collected.hidden.found_in(name)
        if secret is not None:
            self.refuse(f"{name}: its name holds the value of the secret {secret}")
        return secret is not None

    def _repeat(self, name: str, output: Output) -> None:
        if self._named_after_a_secret(name):
            return
        self.collected.admit(name)
        try:
            place = self._place(name)
            try:
                os.link(output.path, place)
            except OSError:
                self.collected.weigh(name, output.size_bytes)
                shutil.copyfile(output.path, place)
        except OSError as error:
            raise _unwritten(name, self.into, error) from error
        self.collected.outputs[name] = replace(output, name=name, path=place)
        self.collected.times[name] = self.collected.times[output.name]

    def _place(self, name: str) -> Path:
        place = find_place(name, self.into, self.collected.count)
        self.collected.enlist(name, str(place.relative_to(self.into)))
        return place


class Survey(Intake):
    """Notes what is there by the same rules, without keeping the bytes."""

    def store(
        self,
        name: str,
        source: IO[bytes] | Content,
        size: int,
        owned: Attributes,
    ) -> None:
        self.collected.admit(name, size)
        self.collected.enlist(name)
        output = owned.output(name, self.into, size)
        self.collected.outputs[name] = output
        self.collected.times[name] = owned.time
        self.collected.digests[name] = digest_of(source.read)
        self.collected.stored[self.declared.absolute(name)] = output

    def _repeat(self, name: str, output: Output) -> None:
        self.collected.admit(name)
        self.collected.enlist(name)
        self.collected.outputs[name] = replace(output, name=name)
        self.collected.times[name] = self.collected.times[output.name]
        self.collected.digests[name] = self.collected.digests[output.name]


def path_of(member: str, root: str) -> str | None:
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


def _oddity(path: str) -> str | None:
    """Why no file in a container has this path; None for one that can be."""
    if "\0" in path:
        return "has a NUL in its name"
    if len(path) > _PATH_BYTES or len(os.fsencode(path)) > _PATH_BYTES:
        return f"a path of more than {_PATH_BYTES:,} bytes"
    if path.count("/") > _PARTS:
        return f"lies in more than {_PARTS} folders"
    return None


def _write(source: IO[bytes] | Content, size: int, place: Path, search: Search) -> int:
    """Write no more than `size` bytes: what is read may still be growing."""
    left = size
    try:
        with place.open("wb") as target:
            while left and (chunk := source.read(min(_CHUNK, left))):
                search.feed(chunk)
                left -= target.write(chunk)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    return size - left


def _unwritten(name: str, into: Path, error: OSError) -> OutputError:
    full = error.errno in _FULL
    return OutputError(
        "there is no room on this machine for what the run wrote"
        if full
        else "what the run wrote cannot be kept on this machine",
        f"{shown(name)}, into {why_unwritable(into, error)}",
        "free some of the disk (`mlcontainer clean`), set "
        f"{CACHE_VARIABLE} to a folder on a larger one, or declare fewer outputs"
        if full
        else "let the user who runs pytest write to its temporary folder",
    )
