"""A real engine behind a proxy that drops, stalls, cuts and answers for it."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.docker.client import Patience
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.errors import EngineError, EngineLostError, RunError
from pytest_mlcontainer.model import Entrypoint, Limits, Platform, Server
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.serving import StartedServer, serve
from tests.faulty_proxy import FaultyProxy
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

pytestmark = pytest.mark.usefixtures("leaves_nothing")

QUICK = Patience(answer_s=3, work_s=4.0, away_s=8.0)
IMAGE = "python:3.13-slim"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultyProxy]:
    with FaultyProxy(_real(), tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def faulty(proxy: FaultyProxy) -> Iterator[DockerEngine]:
    engine = DockerEngine(proxy.url, os.environ, current_owner(uuid.uuid4().hex), patience=QUICK)
    yield engine
    engine.disconnect()


def _real() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


@pytest.fixture
def shell(faulty: DockerEngine) -> Callable[[str], ContainerSpec]:
    platform = faulty.native()
    return lambda script: _spec(script, platform)


def _spec(script: str, platform: Platform) -> ContainerSpec:
    return ContainerSpec(IMAGE, platform, entrypoint=("sh", "-c"), command=(script,))


def _tar(name: str, content: bytes) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return [buffer.getvalue()]


def _content(tar: Iterator[bytes] | None) -> bytes:
    assert tar is not None
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as read:
        file = read.extractfile(read.getmembers()[0])
        assert file is not None
        return file.read()


PRINTS = "echo out; echo err >&2; head -c 3000000 /dev/urandom > /tmp/file; exit 3"


@pytest.mark.parametrize(
    ("request_", "kind", "after"),
    [
        ("POST .*/start", "drop", 0),
        ("POST .*/wait", "refuse", 0),
        ("POST .*/wait", "drop", 0),
        ("POST .*/wait", "cut", 120),
        ("POST .*/wait", "500", 0),
        ("POST .*/wait", "stall", 0),
        ("GET .*/logs", "refuse", 0),
        ("GET .*/logs", "502", 0),
        ("GET .*/logs", "cut", 200),
        ("GET .*/archive", "drop", 0),
        ("GET .*/archive", "500", 0),
        ("GET .*/archive", "cut", 2_000_000),
        ("GET .*/json", "refuse", 0),
        ("GET .*/json", "500", 0),
        ("DELETE ", "refuse", 0),
        ("DELETE ", "drop", 0),
    ],
)
def test_one_fault_changes_nothing_of_a_run(
    proxy: FaultyProxy,
    faulty: DockerEngine,
    shell: Callable[[str], ContainerSpec],
    tmp_path: Path,
    request_: str,
    kind: str,
    after: int,
) -> None:
    """Its exit code, its logs and its files are those of a run without any."""
    proxy.add(request_, kind, after=after, times=2 if kind.isdigit() else 1)
    with faulty.container(shell(PRINTS)) as container:
        container.put("/tmp", _tar("given", b"x" * 1000))
        container.start()
        ended = container.wait(8)
        assert ended is not None
        assert ended.code == 3
        assert container.inspect_exit().code == 3
        container.write_logs(tmp_path / "out", tmp_path / "err")
        assert (tmp_path / "out").read_text() == "out\n"
        assert (tmp_path / "err").read_text() == "err\n"
        assert len(_content(container.get("/tmp/file"))) == 3_000_000
        assert _content(container.get("/tmp/given")) == b"x" * 1000
    assert all(fault.hit for fault in proxy._faults)


def test_an_engine_that_restarts_for_seconds_is_waited_for(
    proxy: FaultyProxy, faulty: DockerEngine, shell: Callable[[str], ContainerSpec], tmp_path: Path
) -> None:
    """Between any two requests, and while one waits for a run that goes on meanwhile."""
    with faulty.container(shell("sleep 3; echo done")) as container:
        proxy.restart(1.0)
        container.start()
        proxy.restart(1.5)
        ended = container.wait(15)
        assert ended is not None
        assert ended.code == 0
        proxy.restart(1.0)
        container.write_logs(tmp_path / "out", tmp_path / "err")
    assert (tmp_path / "out").read_text() == "done\n"


def test_a_run_whose_time_is_over_while_the_engine_was_away_is_not_believed_to_run(
    proxy: FaultyProxy, faulty: DockerEngine, shell: Callable[[str], ContainerSpec]
) -> None:
    """It is looked at once more, with the engine back: this one has ended long before.

    Where other tests' containers have made the engine forget its start, it is run again.
    """
    for _ in range(3):
        with faulty.container(shell("sleep 1; exit 4")) as container:
            container.start()
            proxy.restart(3.0)
            try:
                ended = container.wait(2)
            except EngineLostError:
                continue
            assert ended is not None
            assert ended.code == 4
            return
    pytest.fail("the engine forgot the start of three containers")


@pytest.mark.parametrize("request_", ["POST .*/containers/create", "PUT .*/archive"])
def test_what_must_not_be_sent_twice_is_not(
    proxy: FaultyProxy, faulty: DockerEngine, shell: Callable[[str], ContainerSpec], request_: str
) -> None:
    """The caller is told that the engine was lost, and begins from the start."""
    fault = proxy.add(request_, "drop", times=5)
    lost = pytest.raises(EngineLostError, match="dropped the connection")
    with lost, faulty.container(shell("true")) as container:
        container.put("/tmp", _tar("given", b""))
    assert fault.hit == 1
    faulty.remove_session(keep_containers=False)


LOST_LAYER = (
    'apply layer error for "": failed to prepare extraction snapshot: NotFound: parent snapshot '
    f"sha256:{64 * 'a'} does not exist: not found"
)


def test_a_layer_that_went_with_another_image_is_unpacked_again(
    proxy: FaultyProxy, faulty: DockerEngine, shell: Callable[[str], ContainerSpec]
) -> None:
    """Images of other sessions are removed while this one's is unpacked; nothing was made then."""
    fault = proxy.add("POST .*/containers/create", 404, message=LOST_LAYER)
    with faulty.container(shell("exit 4")) as container:
        container.start()
        ended = container.wait(20)
    assert ended is not None
    assert ended.code == 4
    assert fault.hit == 1

    lasting = proxy.add("POST .*/containers/create", 404, times=9, message=LOST_LAYER)
    with pytest.raises(EngineError, match="refused to create"), faulty.container(shell("true")):
        pass
    assert 1 < lasting.hit < 9


@pytest.mark.parametrize(
    ("request_", "after", "ask"),
    [
        ("GET .*/json", 0, lambda container: container.inspect_exit()),
        ("GET .*/archive", 100_000, lambda container: b"".join(container.get("/tmp/file"))),
        ("POST .*/start", 0, lambda container: container.start()),
    ],
    ids=["inspect", "archive", "start"],
)
def test_an_engine_that_hangs_is_one_error_within_its_limit(
    proxy: FaultyProxy,
    faulty: DockerEngine,
    shell: Callable[[str], ContainerSpec],
    request_: str,
    after: int,
    ask: Callable[..., object],
) -> None:
    """3 or 4 seconds here; when it answers again, so does everything."""
    with faulty.container(shell("head -c 3000000 /dev/urandom > /tmp/file")) as container:
        container.start()
        assert container.wait(15) is not None
        hung = proxy.add(request_, "stall", after=after)
        started = time.monotonic()
        with pytest.raises(EngineError, match="the engine does not answer") as caught:
            ask(container)
        assert time.monotonic() - started < 7
        assert "restart it" in caught.value.remedy
        assert hung.hit == 1
        assert container.inspect_exit().code == 0


def test_an_engine_that_is_gone_for_good_costs_the_whole_wait_once(
    proxy: FaultyProxy, faulty: DockerEngine, shell: Callable[[str], ContainerSpec]
) -> None:
    """8 seconds here; each later request fails at once."""
    with faulty.container(shell("sleep 60")) as container:
        container.start()
        proxy.down()
        started = time.monotonic()
        with pytest.raises(EngineError, match="did not come back"):
            container.wait(30)
        assert 7 < time.monotonic() - started < 14
        started = time.monotonic()
        for _test in range(50):
            with pytest.raises(EngineError, match="still away"):
                container.inspect_exit()
        assert time.monotonic() - started < 3
        proxy.up()
        assert container.wait(0.5) is None  # it runs all the while


def test_no_limit_is_met_by_a_slow_engine_far_away(
    tmp_path: Path, shell: Callable[[str], ContainerSpec], proxy: FaultyProxy
) -> None:
    """200 ms until each answer, 1 MB a second: the limits are for silence, not for all of it."""
    far = FaultyProxy(_real(), tmp_path / "far.sock", delay_s=0.2, bytes_per_s=1e6)
    with far:
        owner = current_owner(uuid.uuid4().hex)
        patience = Patience(answer_s=2, work_s=2.0, away_s=2.0)
        engine = DockerEngine(far.url, os.environ, owner, patience=patience)
        with engine.container(shell("head -c 1000000 /dev/urandom > /tmp/file")) as container:
            container.start()
            assert container.wait(30) is not None
            started = time.monotonic()
            assert len(_content(container.get("/tmp/file"))) == 1_000_000
            assert time.monotonic() - started > 1
        engine.disconnect()


def test_a_run_of_a_project_is_repeated_when_its_container_was_lost(
    proxy: FaultyProxy, project: MakeProject, leaves_nothing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through pytest, whose report knows nothing of it."""
    project.write()
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    lost = proxy.add("POST .*/containers/create", "drop", times=2, skip=1)
    result = project.run("-v")
    result.assert_outcomes(passed=2)
    assert lost.hit == 2


def test_a_build_whose_connection_breaks_is_made_once_more(
    proxy: FaultyProxy, project: MakeProject, leaves_nothing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """buildx reaches the engine by one connection for all that it does."""
    project.write()
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    broken = proxy.add("POST .*/grpc", "cut", after=1500)
    project.run("-k", "image").assert_outcomes(passed=1)
    assert broken.hit == 1


def test_a_server_whose_engine_drops_the_connection_is_one_clear_error(
    proxy: FaultyProxy,
    project: MakeProject,
    failure_of: FailureOf,
    leaves_nothing: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Servers are started by another client, whose words are not for users."""
    project.write(
        '[tool.mlcontainer.entrypoints.serve]\ncommand = ["python", "-m", "http.server"]\n'
        'port = 8000\nhealth = "/"\n'
    )
    monkeypatch.setenv("DOCKER_HOST", proxy.url)
    proxy.add("POST .*/containers/create", "drop", skip=1)
    said = failure_of(project.run("-k", "serve"), "serve[")
    assert "the engine went away or refused something while the server serve was started" in said
    assert "then run again" in said


@pytest.mark.parametrize("forgets", [True, False])
def test_a_server_that_an_engine_took_with_it_did_not_end_by_itself(
    proxy: FaultyProxy, faulty: DockerEngine, engine: docker.APIClient, forgets: bool
) -> None:
    """An engine that has restarted knows nothing of the start any more; one that was only out of
    reach does, and then the exit code is the program's."""
    entry, spec = _server(faulty)
    if forgets:
        proxy.add("GET .*/events", "empty", times=9)
    error = EngineLostError if forgets else RunError
    what = "went away while this ran" if forgets else "serve ended while it was used"

    def use(server: StartedServer) -> None:
        proxy.down()
        engine.kill(server.container)
        proxy.up()

    with pytest.raises(error, match=what) as raised:
        _with_server(use, faulty, entry, spec)
    assert "exit code 137" in raised.value.value


def test_a_server_goes_on_where_its_engine_was_only_out_of_reach(
    proxy: FaultyProxy, faulty: DockerEngine
) -> None:
    entry, spec = _server(faulty)

    def use(server: StartedServer) -> None:
        proxy.restart(1.5)
        with urlopen(server.url) as answer:
            assert answer.status == 200

    _with_server(use, faulty, entry, spec)


def test_an_engine_that_stays_away_from_a_server_is_the_engines_error(
    proxy: FaultyProxy, faulty: DockerEngine, engine: docker.APIClient
) -> None:
    entry, spec = _server(faulty)

    def use(server: StartedServer) -> None:
        proxy.down()
        engine.remove_container(server.container, force=True)

    with pytest.raises(EngineError, match="did not come back"):
        _with_server(use, faulty, entry, spec)


def _server(engine: DockerEngine) -> tuple[Entrypoint, ContainerSpec]:
    limits = Limits(network="bridge")
    entry = Entrypoint("serve", server=Server(8000, "/", 60.0), limits=limits)
    command = ("python", "-m", "http.server")
    return entry, ContainerSpec(IMAGE, engine.native(), command=command, limits=limits)


def _with_server(
    use: Callable[[StartedServer], None],
    engine: DockerEngine,
    entry: Entrypoint,
    spec: ContainerSpec,
) -> None:
    with serve(entry, spec, engine.launch("serve", spec, 8000)) as server:
        use(server)


FAKE_SSH = """\
#!{python}
import os, socket, sys, threading
if "far" not in sys.argv:
    threading.Event().wait(30)
engine = socket.socket(socket.AF_UNIX)
engine.connect({socket!r})
def copy():
    while data := os.read(0, 65536):
        engine.sendall(data)
    engine.shutdown(socket.SHUT_WR)
threading.Thread(target=copy, daemon=True).start()
while data := engine.recv(65536):
    os.write(1, data)
"""


def test_an_engine_behind_ssh_has_the_same_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever `ssh` is: here it reaches the engine by its socket, or nothing at all."""
    ssh = tmp_path / "ssh"
    ssh.write_text(FAKE_SSH.format(python=sys.executable, socket=_real().removeprefix("unix://")))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    owner = current_owner(uuid.uuid4().hex)
    engine = DockerEngine("ssh://me@far", os.environ, owner, patience=QUICK)
    with engine.container(_spec("echo hello", engine.native())) as container:
        container.start()
        assert container.wait(15) is not None
        container.write_logs(tmp_path / "out", tmp_path / "err")
    assert (tmp_path / "out").read_text() == "hello\n"
    engine.disconnect()
    started = time.monotonic()
    with pytest.raises(EngineError, match="no engine answers"):
        DockerEngine("ssh://me@nowhere", os.environ, owner, patience=QUICK)
    assert time.monotonic() - started < 6
