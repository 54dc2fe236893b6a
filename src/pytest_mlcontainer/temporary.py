"""Temporary folders that go with the process that made them, also when it is killed.

Their names say whose they are, so that whoever cleans up after a dead process knows them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_mlcontainer.owners import host_name, is_alive, start_time

_PREFIX = "mlcontainer"
_NAME = re.compile(rf"{_PREFIX}-(?P<host>[0-9a-f]{{8}})-(?P<pid>\d+)-(?P<start>[\w@.]+)-\w+\Z")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder among the machine's temporary ones; removed at the end of the `with` block."""
    pid = os.getpid()
    prefix = f"{_PREFIX}-{_host()}-{pid}-{start_time(pid)}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)


def left_folders() -> tuple[Path, ...]:
    """The temporary folders of processes of this machine that do not live any more."""
    base, host = Path(tempfile.gettempdir()), _host()
    found = []
    for path in base.glob(f"{_PREFIX}-{host}-*"):
        name = _NAME.match(path.name)
        if name is not None and not is_alive(int(name["pid"]), name["start"]):
            found.append(path)
    return tuple(found)


def remove_left_folders() -> tuple[Path, ...]:
    """Remove `left_folders`; returns those that are gone now. Another user's stay."""
    left = left_folders()
    for path in left:
        if not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    return tuple(path for path in left if not path.exists())


def _host() -> str:
    return hashlib.sha256(host_name().encode()).hexdigest()[:8]
