"""The library that gives any program another clock, or another order of files."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.variations import preload

BASE = "python:3.13-slim"
SOURCE = Path(preload.__file__).with_name("preload.c")
DAY_S = 86_400
THEN_S = 1_000_000_000

Loaded = Callable[..., str]


@pytest.fixture
def loaded(engine: docker.APIClient) -> Iterator[Loaded]:
    """Runs a command in a container that has the library; gives what it printed."""
    made: list[str] = []

    def run(platform: str, *command: str, library: bytes | None = None, **env: str) -> str:
        container = engine.create_container(
            BASE, list(command), platform=platform, environment=[*pairs(env, "")]
        )["Id"]
        made.append(container)
        content = library or preload.library(platform.partition("/")[2])
        assert content is not None
        engine.put_archive(container, "/", packed(content))
        engine.start(container)
        code = engine.wait(container, timeout=60)["StatusCode"]
        printed = engine.logs(container).decode()
        assert code == 0, printed
        return printed

    yield run
    for container in made:
        engine.remove_container(container, force=True)


def pairs(env: dict[str, str], existing: str) -> list[str]:
    return [
        f"{key}={value}" for key, value in {**env, **dict([preload.preload_env(existing)])}.items()
    ]


def packed(content: bytes) -> bytes:
    """A tar of the library at its place."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(f"{preload.FOLDER}/{preload.NAME}".lstrip("/"))
        member.size, member.mode = len(content), 0o644
        tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def test_there_is_one_for_both_architectures_and_none_for_others() -> None:
    """The package holds them ready; what has none is told so by None."""
    machines = {}
    for architecture in ("amd64", "arm64"):
        content = preload.library(architecture)
        assert content is not None
        assert content[:4] == b"\x7fELF"
        machines[architecture] = int.from_bytes(content[18:20], "little")
    assert machines == {"amd64": 62, "arm64": 183}
    assert preload.library("riscv64") is None
    assert preload.library("../amd64") is None


@pytest.mark.parametrize(
    ("existing", "value"),
    [
        (None, ""),
        ("", ""),
        ("/lib/a.so", ":/lib/a.so"),
        ("/lib/a.so /lib/b.so", ":/lib/a.so:/lib/b.so"),
        (f"{preload.FOLDER}/{preload.NAME}:/lib/a.so", ":/lib/a.so"),
    ],
)
def test_what_an_image_preloads_stays(existing: str | None, value: str) -> None:
    """Ours comes first, once, and the others behind it."""
    ours = f"{preload.FOLDER}/{preload.NAME}"
    assert preload.preload_env(existing) == ("LD_PRELOAD", ours + value)


def test_the_libraries_are_those_of_the_source() -> None:
    """Nobody edits the source without compiling it: `scripts/preload.py` writes the digest."""
    digest = SOURCE.with_name("preload.c.sha256").read_text().strip()
    assert digest == hashlib.sha256(SOURCE.read_bytes()).hexdigest()


ANY_PLATFORM = pytest.mark.parametrize(
    "which", ["native", pytest.param("foreign", marks=pytest.mark.emulation)]
)


@ANY_PLATFORM
def test_the_clock_is_shifted(loaded: Loaded, which: str, request: pytest.FixtureRequest) -> None:
    """All of what asks for the time of day agree that it is another day."""
    code = (
        "import datetime, subprocess, time\n"
        "print(time.time(), time.clock_gettime(time.CLOCK_REALTIME), "
        "datetime.datetime.now().timestamp(), subprocess.check_output(['date', '+%s']).decode())"
    )
    printed = loaded(
        request.getfixturevalue(which), "python", "-c", code, MLCONTAINER_CLOCK_OFFSET_S="34646400"
    )
    for found in printed.split():
        assert abs(float(found) - 401 * DAY_S - time.time()) < 120


@ANY_PLATFORM
def test_folders_are_read_backwards(
    loaded: Loaded, which: str, request: pytest.FixtureRequest
) -> None:
    """Python and the shell's tools see the reverse of what the kernel gives."""
    listing = "import os; print(*os.listdir('/usr/lib'))"
    script = f'python -c "{listing}"; ls -U /usr/lib | xargs echo'
    runs_on = request.getfixturevalue(which)
    plain = loaded(runs_on, "sh", "-c", script).splitlines()
    turned = loaded(runs_on, "sh", "-c", script, MLCONTAINER_FILE_ORDER="reverse").splitlines()
    assert plain[0] == plain[1]
    assert len(plain[0].split()) > 5
    for line in turned:
        assert line.split() == plain[0].split()[::-1]
