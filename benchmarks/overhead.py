"""What a run costs over the bare engine: one trivial entrypoint, from creating to collecting."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from benchmarks.measure import Figure, in_turns, ratio, timed
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.model import Entrypoint, Facts, Image, Target
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.container import ContainerRun, execute

NAME = "run"
ROUNDS = 25
_BAR = 1.15
_IMAGE = "python:3.13-slim"
_SHELL = ("/bin/sh", "-c")
_COMMAND = "echo 0.9 > /tmp/metrics.txt"


def figures(rounds: int) -> Iterator[Figure]:
    """Our run against docker-py's create, start, wait, remove, and against testcontainers'."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as folder:
        engine = DockerEngine(None, os.environ, current_owner(uuid.uuid4().hex))
        try:
            ways = {
                "ours": timed(_ours(engine, Path(folder))),
                "docker-py": timed(_docker_py()),
                "testcontainers": timed(_testcontainers),
            }
            taken = in_turns(ways, rounds)
        finally:
            engine.disconnect()
    yield ratio(NAME, "our run / bare docker-py", taken, "ours", "docker-py", _BAR)
    yield ratio(NAME, "our run / testcontainers", taken, "ours", "testcontainers", 1.0)


def _ours(engine: DockerEngine, folder: Path) -> Callable[[], None]:
    native = engine.native()
    image = engine.find_image(_IMAGE, native)
    if image is None:
        image = _pulled(engine)
    entry = Entrypoint(
        name="train", entrypoint=_SHELL, command=(_COMMAND,), outputs=("/tmp/metrics.txt",)
    )

    def run() -> None:
        record = folder / uuid.uuid4().hex
        record.mkdir()
        done = execute(
            ContainerRun(
                id=uuid.uuid4().hex,
                engine=engine,
                image=image,
                entry=entry,
                target=Target(native),
                volumes=(),
                files=(),
                needs=(),
                facts=Facts(),
                folder=record,
            )
        )
        if done.failure is not None or len(done.outputs) != 1:
            raise RuntimeError(f"the run has failed: {done.failure}")

    return run


def _pulled(engine: DockerEngine) -> Image:
    image = engine.find_image(engine.pull(_IMAGE, engine.native()), engine.native())
    if image is None:
        raise RuntimeError(f"{_IMAGE} cannot be had")
    return image


def _docker_py() -> Callable[[], None]:
    api = open_client(None, os.environ)
    host = api.create_host_config(network_mode="none")

    def run() -> None:
        made = api.create_container(_IMAGE, [_COMMAND], entrypoint=list(_SHELL), host_config=host)[
            "Id"
        ]
        try:
            api.start(made)
            if api.wait(made)["StatusCode"] != 0:
                raise RuntimeError("the container has failed")
        finally:
            api.remove_container(made, force=True, v=True)

    return run


def _testcontainers() -> None:
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(_IMAGE).with_kwargs(network_mode="none", entrypoint=list(_SHELL))
    container.with_command([_COMMAND]).start()
    try:
        if container.get_wrapped_container().wait()["StatusCode"] != 0:
            raise RuntimeError("the container has failed")
    finally:
        container.stop()
