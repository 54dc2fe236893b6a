"""What all clusters of a user share, for it is expensive to make: programs and packages.

It lies in the user's cache folder, one folder for each set of versions; `cluster-down` leaves it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.engine.folders import locked, write_whole
from scripts.engine.packages import empty
from scripts.engine.problems import SetupError


def cache_root(environ: Mapping[str, str]) -> Path:
    """The folder of all clusters' programs in the user's cache."""
    chosen = environ.get("XDG_CACHE_HOME", "")
    base = Path(chosen) if chosen.startswith("/") else Path.home() / ".cache"
    return base / "pytest-mlcontainer" / "cluster"


def made_once(folder: Path, make: Callable[[Path, int], None]) -> Path:
    """The folder, made by `make` where it is not there: whole or not at all, and once.

    Args:
        folder: Where it will lie; nobody sees it half made.
        make: Fills the empty folder that it gets. The second argument is the lock's descriptor:
            a process that gets it keeps others waiting also when this one is killed.

    Raises:
        SetupError: as of `make`; or the disk is full.
    """
    if folder.exists():
        return folder
    with locked(
        folder.with_name(f"{folder.name}.lock"), f"another run that makes {folder}"
    ) as lock:
        if folder.exists():
            return folder
        try:
            half_made = empty(folder.with_name(f"{folder.name}.new"))
            make(half_made, lock)
            half_made.rename(folder)
        except OSError as error:
            raise SetupError(
                f"{folder} cannot be made",
                error,
                "Free space on its disk, or name another folder with XDG_CACHE_HOME.",
            ) from error
    return folder


@contextmanager
def mount_points(root: Path, wanted: tuple[Path, ...]) -> Iterator[None]:
    """Have these folders there, and remember in `root` which of them had to be made."""
    noted = root / "mount-points.json"
    with locked(root / "mount-points.lock", "another cluster's run"):
        made = _noted(noted)
        # Noted before they are made: a killed run leaves none that nobody knows of.
        missing = [str(each) for path in wanted for each in _missing(path)]
        write_whole(noted, json.dumps(sorted({*made, *missing})))
        for path in wanted:
            path.mkdir(parents=True, exist_ok=True)
        yield


def remove_mount_points(root: Path, in_use: Callable[[], bool]) -> None:
    """Remove those folders again that clusters had to make, unless one still uses them.

    A folder that is a mount point of another cluster's node would take that mount with it.
    """
    noted = root / "mount-points.json"
    if not noted.exists():
        return
    with locked(root / "mount-points.lock", "another cluster's run"):
        if in_use():
            return
        for folder in sorted(_noted(noted), reverse=True):
            with suppress(OSError):  # somebody has put something into it since
                Path(folder).rmdir()
        noted.unlink()
    (root / "mount-points.lock").unlink(missing_ok=True)


def _missing(path: Path) -> tuple[Path, ...]:
    return tuple(each for each in (path, *path.parents) if not each.exists())


def _noted(path: Path) -> set[str]:
    try:
        return {str(each) for each in json.loads(path.read_text())}
    except (OSError, ValueError, TypeError):
        return set()


def size_mib(root: Path) -> int:
    """What the cache takes on disk."""
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sum(file.lstat().st_size for file in files) >> 20
