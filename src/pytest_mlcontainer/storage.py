"""Files that other processes write too, on disks that may be full: whole, or not there.

What is damaged reads as missing, since whoever needs it can make it again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_mlcontainer.errors import MlContainerError

CACHE_VARIABLE = "MLCONTAINER_CACHE_DIR"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Of a disk, whatever was being written; other errors may as well be those of a socket.
_OF_DISKS = _FULL | {errno.EROFS, errno.EIO, errno.ESTALE}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def read_object(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none that can be read."""
    try:
        return parse_object(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_json(file: Path, value: Any) -> None:
    """Write a file at once: nobody reads half of it, and a full disk leaves none.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(value)
    draft = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8")
        if file.is_dir() and not file.is_symlink():
            clear(file)
        draft.replace(file)
    except OSError:
        clear(draft)
        raise


def digest(parts: Sequence[object]) -> str:
    """A digest of anything that JSON can hold, short enough for the name of a folder."""
    text = json.dumps(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def clear(path: Path) -> None:
    """Remove whatever is there, a link itself and not what it leads to; as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink()
    except OSError:
        return


def why_unwritable(folder: Path, error: OSError) -> str:
    """What is wrong with a folder, as a value of an error: with its free space where it is full."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno not in _FULL:
        return f"{folder}: {reason}"
    try:
        usage = shutil.disk_usage(_there(folder))
    except OSError:
        return f"{folder}: {reason}"
    return f"{folder}: {reason} ({shown_size(usage.free)} of {shown_size(usage.total)} free)"


def shown_size(count: float) -> str:
    """Bytes, as people read them."""
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.0f} {_UNITS[-1]}"


@contextmanager
def cache_in_use(root: Path, *, whole: bool = True) -> Iterator[None]:
    """Work in the cache folder.

    Args:
        root: the folder that is worked in.
        whole: whether whatever goes wrong is the folder's fault. Else only a full or broken disk
            is, and what is named inside the folder: a folder removed meanwhile, say.

    Raises:
        MlContainerError: the folder cannot be used, with what to do about that.
    """
    try:
        yield
    except NotImplementedError as error:  # of the lock, where the file system has none
        if not whole:
            raise
        raise _unusable(root, OSError(errno.ENOLCK, str(error))) from error
    except OSError as error:
        if not (whole or error.errno in _OF_DISKS or _is_inside(root, error)):
            raise
        raise _unusable(root if whole else _blamed(root, error), error) from error


def _is_inside(root: Path, error: OSError) -> bool:
    named = _named(error)
    if named is None or not named.is_relative_to(root):
        return False
    # A file that is missing in a folder that is there is a defect of ours.
    return not (isinstance(error, FileNotFoundError) and named.parent.exists())


def _unusable(folder: Path, error: OSError) -> MlContainerError:
    temporary = folder == Path(tempfile.gettempdir())
    variable = "TMPDIR" if temporary else CACHE_VARIABLE
    remedy = f"set {variable} to a folder of yours that can be written"
    if error.errno in _FULL:
        free = "" if temporary else " (`mlcontainer clean` removes what ended sessions left)"
        remedy = f"free space there{free}, or set {variable} to a folder with more of it"
    elif error.errno in (errno.ENOLCK, errno.ENOSYS):
        remedy = f"set {variable} to a folder on a file system with locks, such as a local disk"
    elif isinstance(error, FileNotFoundError):
        remedy = f"run again, and leave {folder} alone meanwhile: `mlcontainer clean` is safe"
    elif isinstance(error, (IsADirectoryError, NotADirectoryError, FileExistsError)):
        remedy = f"remove {_named(error) or folder}, or set {variable} to another folder"
    what = "the folder for temporary files" if temporary else "the cache folder"
    named = _named(error)
    inside = named is not None and named.is_relative_to(folder) and error.errno not in _FULL
    shown = named if named is not None and inside else folder
    return MlContainerError(f"{what} cannot be used", why_unwritable(shown, error), remedy)


def _blamed(root: Path, error: OSError) -> Path:
    """The folder that an error is of: temporary files may be on another disk than the cache."""
    temporary = Path(tempfile.gettempdir())
    named = _named(error)
    if named is not None and not named.is_relative_to(root):
        return temporary if named.is_relative_to(temporary) else named.parent
    if named is None and error.errno in _FULL:
        return min((root, temporary), key=lambda each: shutil.disk_usage(_there(each)).free)
    return root


def _named(error: OSError) -> Path | None:
    name = error.filename
    return Path(os.fsdecode(name)) if isinstance(name, (str, bytes, os.PathLike)) else None


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
