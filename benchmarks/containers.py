"""What a container takes of processors, all its processes together."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import docker

# The kernel has counted it, in either version of its groups.
_COUNTED = (
    "{command} > /dev/null; "
    "if cd /sys/fs/cgroup/cpuacct; then echo ns $(cat cpuacct.usage); "
    "else echo us $(grep usage_usec /sys/fs/cgroup/cpu.stat | cut -d ' ' -f 2); fi"
)
_UNITS = {"ns": 1e-9, "us": 1e-6}


def cpu_seconds(
    api: docker.APIClient,
    tag: str,
    command: str,
    *,
    files: bytes = b"",
    env: Mapping[str, str] = {},
    below: tuple[str, ...] = (),
    check: Callable[[str], None] = lambda _container: None,
) -> float:
    """Run a shell's command once, without a network, as root.

    Args:
        files: what is put below `/` before, packed as tar.
        below: a program, with its arguments, that runs the shell.
        check: is given the container when it has ended.

    Raises:
        RuntimeError: it fails, or the kernel does not say what it took.
    """
    made = api.create_container(
        tag,
        [*below, "sh", "-ec", _COUNTED.format(command=command)],
        entrypoint=[],
        user="0",
        host_config=api.create_host_config(network_mode="none"),
        environment=dict(env),
    )["Id"]
    try:
        if files:
            api.put_archive(made, "/", files)
        api.start(made)
        code = api.wait(made, timeout=600)["StatusCode"]
        said = api.logs(made).decode()
        if code != 0:
            raise RuntimeError(f"the run has failed: {said[-500:]}")
        check(made)
        return _usage_s(said)
    finally:
        api.remove_container(made, force=True, v=True)


def packed(files: Mapping[str, bytes | Path], folders: tuple[str, ...] = ()) -> bytes:
    """Files and folders of this machine, and bytes as programs, by their places below `/`."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as tar:
        for name, content in files.items():
            if isinstance(content, Path):
                tar.add(content, name)
                continue
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
    return into.getvalue()


def _usage_s(said: str) -> float:
    for unit, number in (line.split() for line in said.splitlines() if line[:3] in ("ns ", "us ")):
        return int(number) * _UNITS[unit]
    raise RuntimeError(f"the kernel does not say what the container took: {said[:200]}")
