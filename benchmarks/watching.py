"""What it costs to watch which files a run opens."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker

from benchmarks.measure import Figure, in_turns, ratio
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.inside import file_watcher

NAME = "watching"
ROUNDS = 5
_BAR = 1.05
_EXAMPLE = Path(__file__).parents[1] / "examples" / "bikes"
# What the whole container took of processors, the watching program included, is what the kernel has
# counted, in either version of its groups.
_COUNTED = (
    "bikes train > /dev/null; "
    "if cd /sys/fs/cgroup/cpuacct; then echo ns $(cat cpuacct.usage); "
    "else echo us $(grep usage_usec /sys/fs/cgroup/cpu.stat | cut -d ' ' -f 2); fi"
)
_TOLD = "/told/paths"
_UNITS = {"ns": 1e-9, "us": 1e-6}


def figures(rounds: int) -> Iterator[Figure]:
    """Processor time of the training of the bikes example, watched and not."""
    api = open_client(None, os.environ)
    native = str(api.version()["Arch"])
    program = file_watcher(native)
    if program is None:
        raise RuntimeError(f"there is no watching program for {native}")
    tag = f"mlcontainer-bench-{uuid.uuid4().hex[:12]}:latest"
    _build(tag, native)
    try:
        ways = {
            "watched": _run(api, tag, program),
            "bare": _run(api, tag, None),
        }
        taken = in_turns(ways, rounds)
    finally:
        api.remove_image(tag, force=True)
        api.close()
    yield ratio(NAME, "processor time of a watched run", taken, "watched", "bare", _BAR)


def _build(tag: str, native: str) -> None:
    for words in (
        ("uv", "build", "--wheel"),
        ("docker", "buildx", "build", "--platform", f"linux/{native}", "--load", "-t", tag, "."),
    ):
        subprocess.run(words, cwd=_EXAMPLE, check=True, capture_output=True)


def _run(api: docker.APIClient, tag: str, watcher: bytes | None) -> Callable[[], float]:
    def run() -> float:
        train = ["sh", "-ec", _COUNTED]
        command = train if watcher is None else ["/watch/watcher", _TOLD, *train]
        host = api.create_host_config(network_mode="none")
        made = api.create_container(
            tag,
            command,
            entrypoint=[],
            user="0",
            host_config=host,
            environment={"OPENBLAS_NUM_THREADS": "1"},
        )["Id"]
        try:
            api.put_archive(made, "/", _packed(watcher))
            api.start(made)
            code = api.wait(made, timeout=600)["StatusCode"]
            said = api.logs(made).decode()
            if code != 0:
                raise RuntimeError(f"the run has failed: {said[-500:]}")
            if watcher is not None and api.get_archive(made, _TOLD)[1]["size"] < 10_000:
                raise RuntimeError("next to nothing was watched")
            return _usage_s(said)
        finally:
            api.remove_container(made, force=True, v=True)

    return run


def _usage_s(said: str) -> float:
    for unit, number in (line.split() for line in said.splitlines() if line[:3] in ("ns ", "us ")):
        return int(number) * _UNITS[unit]
    raise RuntimeError(f"the kernel does not say what the container took: {said[:200]}")


def _packed(watcher: bytes | None) -> bytes:
    """The data to train with, and what watches."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(_EXAMPLE / "data", "app/data")
        if watcher is not None:
            member = tarfile.TarInfo("watch/watcher")
            member.size, member.mode = len(watcher), 0o755
            tar.addfile(member, io.BytesIO(watcher))
            folder = tarfile.TarInfo("told")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(folder)
    return packed.getvalue()
