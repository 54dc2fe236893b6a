"""Secrets as files in a container."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator

from pytest_mlcontainer.secrets import Disclosed

_FOR_ITS_USER, _FOR_EVERYBODY = 0o400, 0o444


def secret_folders(secrets: Disclosed) -> tuple[str, ...]:
    """The container folders that they are put into."""
    return tuple(posixpath.dirname(path) for path, _content in secrets.files)


def secrets_tar(secrets: Disclosed, user: str) -> Iterator[bytes]:
    """The files, for unpacking at `/`.

    Args:
        user: whom the run belongs to, as `docker run --user`. Root and numbers own their files,
            and only they can read them; what number a name has only the image knows, so that the
            files of a named user can be read by all users in the container.
    """
    owner = _owner(user)
    for path, content in secrets.files:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size = len(content)
        entry.mode = _FOR_EVERYBODY if owner is None else _FOR_ITS_USER
        entry.uid, entry.gid = owner or (0, 0)
        yield entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        yield content + b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _owner(user: str) -> tuple[int, int] | None:
    """Numbers of the user and the group; None where they are not known."""
    name, _colon, group = user.partition(":")
    if name in ("", "root"):
        name = "0"
    if not re.fullmatch("[0-9]{1,10}", name):
        return None
    return int(name), int(group) if re.fullmatch("[0-9]{1,10}", group) else 0
