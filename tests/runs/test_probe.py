"""What the probe sees inside containers, of images that have a Python, a shell, or neither."""

from __future__ import annotations

import io
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.model import Facts, Knobs, Platform, Target
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.probe import Probe, read_facts

BASE = "python:3.13-slim"
ARM = "arm64"
NO_PYTHON = """\
import glob, os
for path in glob.glob("/usr/local/bin/py*") + glob.glob("/usr/bin/py*"):
    os.remove(path)
"""
NO_SHELL = """\
import os
os.remove("/bin/sh")
"""
NUMPY_THAT_CRASHES = """\
import os, sysconfig
os.mkdir(sysconfig.get_path("purelib") + "/numpy")
with open(sysconfig.get_path("purelib") + "/numpy/__init__.py", "w") as file:
    file.write("import os; os.kill(os.getpid(), 11)")
"""


@pytest.fixture
def look(engine: docker.APIClient, native: str, tmp_path: Path) -> Iterator[Callable[..., Facts]]:
    """Looks into an image; `platform` and fields of `Probe` can be given."""
    docker_engine = DockerEngine(None, os.environ, current_owner(uuid.uuid4().hex))

    def read(reference: str = BASE, platform: str = native, **fields: object) -> Facts:
        wanted = Platform(*platform.split("/"))
        image = docker_engine.find_image(reference, wanted)
        if reference == BASE and (image is None or image.platform != wanted):
            docker_engine.pull(reference, wanted)  # no test before has built for it
            image = docker_engine.find_image(reference, wanted)
        assert image is not None, f"{reference} for {platform} is not on the engine"
        given: dict[str, object] = {"env": (), "key": "key", "cache": tmp_path / "facts", **fields}
        return read_facts(Probe(docker_engine, image, Target(wanted), **given))  # type: ignore[arg-type]

    yield read
    docker_engine.disconnect()


@pytest.fixture
def changed(engine: docker.APIClient, native: str) -> Iterator[Callable[[str], str]]:
    """The base image after some Python ran in it."""
    made: list[str] = []

    def run(code: str) -> str:
        container = engine.create_container(BASE, ["python3", "-c", code], platform=native)["Id"]
        try:
            engine.start(container)
            assert engine.wait(container)["StatusCode"] == 0, engine.logs(container)
            name = f"probe-test-{uuid.uuid4().hex[:12]}"
            engine.commit(container, name, "1")
            made.append(f"{name}:1")
        finally:
            engine.remove_container(container, force=True)
        return made[-1]

    yield run
    for name in made:
        engine.remove_image(name, force=True)


@pytest.fixture
def empty(engine: docker.APIClient) -> Iterator[str]:
    """An image of one file of text."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    name = f"probe-test-{uuid.uuid4().hex[:12]}"
    engine.import_image_from_data(stream.getvalue(), repository=name, tag="1")
    yield f"{name}:1"
    engine.remove_image(f"{name}:1", force=True)


def test_what_a_container_is_given_shows(look: Callable[..., Facts]) -> None:
    """Variables, those that knobs set too; but of a secret the name alone, also in what is kept."""
    seen = look(
        env=(("TZ", "Etc/GMT+3"), ("API_TOKEN", "s3cret")),
        knobs=Knobs(env=(("PYTHONHASHSEED", "7"),), hostname="elsewhere"),
    )
    assert seen.get("timezone.offset_s") == -10800
    assert seen.get("python.hash_seed") == "7"
    assert seen.get("host.name") == "elsewhere"
    assert "API_TOKEN" in str(seen.get("environment.names")).split()
    assert "s3cret" not in str(seen)


def test_a_quick_and_a_deep_look_are_kept_apart(look: Callable[..., Facts], tmp_path: Path) -> None:
    """Under one key; what was seen is not looked for again, until it is another day."""
    quick, deep = look(), look(deep=True)
    assert quick.get("canary.libm") is None
    assert deep.get("canary.libm") is not None
    assert {name for name, _value in quick.values} < {name for name, _value in deep.values}
    # Each container has another host name, so equal facts are those of the same container.
    assert (look(), look(deep=True)) == (quick, deep)
    for file in (tmp_path / "facts").iterdir():
        os.utime(file, (0, 0))
    assert look().get("host.name") != quick.get("host.name")


def test_a_shell_alone_tells_what_it_can(
    look: Callable[..., Facts], changed: Callable[[str], str]
) -> None:
    """Of an image without Python; and the limits of its containers."""
    with_python = look(key="with")
    seen = look(changed(NO_PYTHON), knobs=Knobs(memory_bytes=2**29, hostname="elsewhere"))
    assert seen.get("python.version") is None
    assert seen.get("memory.limit_bytes") == 2**29
    assert seen.get("host.name") == "elsewhere"
    for name in ("machine", "distribution", "kernel", "libc", "cpu.model", "cpu.flags",
                 "cpu.count", "user.id", "env.LANG"):  # fmt: skip
        assert seen.get(name) == with_python.get(name)
    assert [name for name, _value in seen.values if name.startswith("unread.")] == []


def test_python_needs_no_shell(look: Callable[..., Facts], changed: Callable[[str], str]) -> None:
    """As in images that hold nothing else."""
    seen = look(changed(NO_SHELL), deep=True)
    assert seen.get("python.version")
    assert seen.get("program.sh") != "/bin/sh"
    assert seen.get("canary.libm")


def test_with_neither_nothing_is_known(look: Callable[..., Facts], empty: str) -> None:
    """Which is no error."""
    assert look(empty) == Facts()


def test_a_probe_that_is_killed_leaves_what_it_saw(
    look: Callable[..., Facts], changed: Callable[[str], str], tmp_path: Path
) -> None:
    """It says at which stage and how it ended, and is not kept: another time it may go well."""
    seen = look(changed(NUMPY_THAT_CRASHES), deep=True)
    assert seen.get("python.version")
    assert seen.get("canary.libm")
    assert seen.get("unread.numpy") == "not finished: killed by SIGSEGV"
    assert seen.get("unread.torch") == "not reached"
    assert not (tmp_path / "facts").exists()


@pytest.mark.emulation
def test_an_emulated_machine_is_the_one_asked_for(look: Callable[..., Facts], foreign: str) -> None:
    """The features of the machine below it are not its own."""
    seen = look(platform=foreign, env=(("QEMU_CPU", "neoverse-n1"),) if ARM in foreign else ())
    assert seen.get("machine") == ("aarch64" if ARM in foreign else "x86_64")
    others = {"avx2", "sse4_2"} if ARM in foreign else {"asimd", "sve"}
    assert not others & set(str(seen.get("cpu.flags")).split())
    assert seen.get("python.version")
