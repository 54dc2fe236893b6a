"""Whether this machine can have a private cluster, and what it would need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from scripts.engine.private import OS_RELEASE, parse_os_release
from scripts.engine.problems import SetupError

from . import programs


class UnfitMachineError(SetupError):
    """This machine lacks what a private cluster needs: nobody's mistake."""


HOW_ELSE = (
    "Provide that, or set KUBECONFIG to a cluster that you have (kind, k3s, a cloud's), then run "
    "this again."
)
# For etcd's log, images, and what pods write.
ROOM_BYTES = 1 << 30
_NEEDED = ("unshare", "nsenter", "mount", "dpkg-deb", "apt-get")


def check_machine(
    environ: Mapping[str, str], cache: Path, os_release: Path = OS_RELEASE, user: int | None = None
) -> str:
    """The release's code name, or an error that names everything that is in the way.

    Args:
        environ: The environment; PATH says which programs there are.
        cache: The folder of all clusters' programs: with these built, no Go is needed.
        os_release: Says which distribution this is.
        user: The id of the user who asks; by default this process's.

    Raises:
        UnfitMachineError: this machine cannot have a private cluster.
    """
    try:
        fields = parse_os_release(os_release.read_text())
    except OSError:
        fields = {}
    distribution = fields.get("ID", "unknown")
    user = os.geteuid() if user is None else user
    missing = []
    if distribution not in ("debian", "ubuntu"):
        missing.append(f"Debian or Ubuntu (this is {fields.get('PRETTY_NAME', distribution)})")
    if user != 0:
        missing.append(f"root (this is user {user})")
    path = f"{environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacking = [name for name in _NEEDED if shutil.which(name, path=path) is None]
    if lacking:
        missing.append(f"the programs {', '.join(lacking)}")
    go = programs.missing_go(environ, cache)
    if go:
        missing.append(go)
    if missing:
        raise UnfitMachineError(
            "A private Kubernetes cluster cannot be set up here",
            f"it needs {', and '.join(missing)}",
            HOW_ELSE,
        )
    return fields.get("VERSION_CODENAME", "")


def check_room(folder: Path, least_bytes: int = ROOM_BYTES) -> None:
    """See that a cluster has room on the disk of its directory.

    Raises:
        SetupError: there are less than `least_bytes` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < least_bytes:
        raise SetupError(
            "There is too little room for a cluster",
            f"{free >> 20} MiB free in {folder}",
            f"Free {least_bytes >> 20} MiB there, or name a directory elsewhere with CLUSTER_DIR.",
        )
