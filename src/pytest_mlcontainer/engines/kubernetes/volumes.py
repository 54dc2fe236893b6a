"""Inputs that several pods share: kept on this machine, and put into each pod that has them.

A cluster need not have any storage that pods of several nodes can mount. So a volume is a file of
this machine with what it holds, and a ConfigMap that says whose it is, by which it is found, told
and removed like everything else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.labels import metadata
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Owner

_PIECE_BYTES: Final = 1 << 20


def record_name(volume: str) -> str:
    """The name of a volume's ConfigMap."""
    return f"mlcontainer-volume-{hashlib.sha256(volume.encode()).hexdigest()[:16]}"


def make_volume(api: ClusterApi, owner: Owner, name: str, tar: Iterable[bytes]) -> None:
    """Keep what a volume holds, until its session is removed."""
    folder = _folder(owner.session)
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / record_name(name)
    with file.with_suffix(".new").open("wb") as written:
        for piece in tar:
            written.write(piece)
    file.with_suffix(".new").rename(file)
    record = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(owner, record_name(name), called=name),
        "data": {"bytes": str(file.stat().st_size)},
    }
    api.create("configmaps", record)


def volume_content(owner: Owner, name: str) -> Callable[[], Iterator[bytes]]:
    """What a volume holds, as a tar stream, as often as it is asked for.

    Raises:
        EngineError: there is no such volume on this machine.
    """
    file = _folder(owner.session) / record_name(name)
    if not file.exists():
        what = "the cluster's volume is not on this machine"
        raise EngineError(what, name, "run again: somebody has removed temporary files")

    def pieces() -> Iterator[bytes]:
        with file.open("rb") as read:
            while piece := read.read(_PIECE_BYTES):
                yield piece

    return pieces


def forget_volumes(session: str) -> None:
    """Remove what this machine keeps of a session's volumes."""
    shutil.rmtree(_folder(session), ignore_errors=True)


def _folder(session: str) -> Path:
    digits = hashlib.sha256(session.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mlcontainer-volumes-{os.getuid()}-{digits}"
