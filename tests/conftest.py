"""Projects for tests to build and run, and the engine they run on."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator

import docker
import hypothesis

# Loaded here, once: pytester forgets what a pytest inside this process has imported, and numpy
# refuses to be loaded twice. So do parts of it that it only loads when they are used.
import numpy.fft
import numpy.linalg
import numpy.random  # noqa: F401
import pytest
from filelock import FileLock

import pytest_mlcontainer.plugin.carrying_out
import pytest_mlcontainer.plugin.items  # noqa: F401
from pytest_mlcontainer.engines.docker.connect import open_client
from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.model import LABEL
from tests.fixture_types import FailureOf
from tests.sample_project import BASE, MakeProject

pytest_plugins = ["pytester"]

# A shell starts what is in its background deaf to Ctrl-C, and so would be what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, which is no failure of the property.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# Every test's project is another one, so that no image would be found again.
os.environ["MLCONTAINER_KEEP_IMAGES"] = "0"
os.environ["MLCONTAINER_PROGRESS"] = "none"  # tests of what is shown ask for it


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are shared within a test, never between tests."""
    monkeypatch.setenv("MLCONTAINER_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.APIClient]:
    """The engine that the tests run on; without one they fail, they are not skipped."""
    client = open_client(None, os.environ)
    native = client.version()["Arch"]
    known = list_images(client, BASE)
    if not known or client.inspect_image(BASE)["Architecture"] != native:
        client.pull(BASE, platform=f"linux/{native}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def native(engine: docker.APIClient) -> str:
    """The platform that the engine runs without emulation."""
    return f"linux/{engine.version()['Arch']}"


@pytest.fixture(scope="session")
def foreign(native: str) -> str:
    """The platform of the two, amd64 and arm64, that the engine emulates."""
    return "linux/amd64" if native == "linux/arm64" else "linux/arm64"


@pytest.fixture
def containerd_store(engine: docker.APIClient) -> None:
    """For what Docker's classic image store cannot do: its builder hands out nothing."""
    if "io.containerd" not in str(engine.info()["DriverStatus"]):
        pytest.skip("the classic image store hands out no layers and no cache; containerd's does")


@pytest.fixture
def leaves_nothing(engine: docker.APIClient) -> Iterator[None]:
    """Whatever the test makes on the engine is gone when it ends.

    Other tests run beside this one, so only what is new since its start, and belongs to a process
    that it started, counts: every test's own pytest has its own session label.
    """
    before = ours(engine)
    yield
    # Tests of the cleaning leave things of dead owners on purpose, for a moment.
    deadline = time.monotonic() + 10
    while left := {name for name in ours(engine) - before if _owner_is_gone(engine, name)}:
        assert time.monotonic() < deadline, f"left on the engine: {left}"
        time.sleep(0.5)


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`mlcontainer clean` acts on the whole engine: one such test at a time, over all workers."""
    shared = tmp_path_factory.getbasetemp().parent
    with FileLock(shared / "mlcontainer-clean.lock", timeout=600):
        yield


def ours(engine: docker.APIClient) -> set[tuple[str, str]]:
    """Kind and id of everything on the engine with our label."""
    labelled = {"label": [LABEL]}
    return {
        *(("container", each["Id"]) for each in engine.containers(all=True, filters=labelled)),
        *(("volume", each["Name"]) for each in engine.volumes(filters=labelled)["Volumes"] or ()),
        *(("network", each["Id"]) for each in engine.networks(filters=labelled)),
    }


def _owner_is_gone(engine: docker.APIClient, thing: tuple[str, str]) -> bool:
    from pytest_mlcontainer.owners import host_name, is_alive

    kind, name = thing
    try:
        if kind == "container":
            labels = engine.inspect_container(name)["Config"]["Labels"]
        elif kind == "volume":
            labels = engine.inspect_volume(name)["Labels"]
        else:
            labels = engine.inspect_network(name)["Labels"]
    except docker.errors.NotFound:
        return False
    if labels[f"{LABEL}.host"] != host_name():
        return False  # made by a test that plays another machine
    pid = int(labels[f"{LABEL}.pid"])
    # pytester runs in this very process: then what is left after the test is left for good.
    return pid == os.getpid() or not is_alive(pid, labels[f"{LABEL}.pid-start"])


@pytest.fixture
def failure_of() -> FailureOf:
    """Gives what is printed below the heading of one failed item, `failure_of(result, "train")`."""

    def text(result: pytest.RunResult, item: str) -> str:
        lines = result.stdout.str().splitlines()
        heading = re.compile(rf"_{{3,}} .*{re.escape(item)}.* _{{3,}}")
        starts = [number for number, line in enumerate(lines) if heading.fullmatch(line)]
        assert starts, f"no failure of {item} in:\n{result.stdout.str()}"
        rest = lines[starts[0] + 1 :]
        ends = [n for n, line in enumerate(rest) if re.match(r"_{3,} |={3,} |-{3,} ", line)]
        return "\n".join(rest[: ends[0]])

    return text


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> MakeProject:
    # pytester's home is the project itself, and buildx keeps notes in the user's home: the sources
    # would change while they are built.
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    return MakeProject(pytester)
