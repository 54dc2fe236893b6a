"""Pods of a real cluster: what goes in and comes out, what they may do, and how they fail."""

from __future__ import annotations

import hashlib
import io
import select
import socket
import socketserver
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits, Platform
from pytest_mlcontainer.secrets import Disclosed, Redactor, Value
from tests.kubernetes.clusters import AMD64, ARM64, TestCluster, finish, script_spec
from tests.sample_project import BASE

Run = Callable[..., tuple[int | None, str, str]]


@pytest.fixture(autouse=True)
def _base(engine: docker.APIClient) -> None:
    """The base image, on the engine that sends it."""


def untar(stream: Iterable[bytes] | None) -> dict[str, bytes]:
    assert stream is not None
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            found[entry.name] = b"" if content is None else content.read()
    return found


def pax(files: dict[str, bytes]) -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 1.5
            tar.addfile(entry, io.BytesIO(content))
    return [buffer.getvalue()]


# Files

NAMES = (
    "plain.txt",
    "with blank and 'quotes' \"too\"",
    "new\nline",
    "-dash",
    "ünï.txt",
    "long/" + "/".join("x" * 60 for _ in range(4)),
)


def test_files_with_any_name_go_in_and_come_out(cluster_engine: ClusterEngine) -> None:
    given = {name: f"content of {name}".encode() for name in NAMES}
    with cluster_engine.container(script_spec("cp -r /in /tmp/out")) as container:
        container.put("/", pax({f"in/{name}": content for name, content in given.items()}))
        assert finish(container) == 0
        found = untar(container.get("/tmp/out"))
        assert container.get("/tmp/out/missing") is None
        assert container.get("/tmp/out/plain.txt/below") is None
    files = {name.removeprefix("out/"): content for name, content in found.items() if content}
    assert files == given


def test_many_bytes_come_out_as_they_are(cluster_engine: ClusterEngine) -> None:
    """Through an API server, in thousands of frames."""
    size = 200 << 20
    script = f"head -c {size} /dev/urandom > /tmp/big; sha256sum < /tmp/big > /tmp/sum"
    with cluster_engine.container(script_spec(script)) as container:
        assert finish(container) == 0
        told = untar(container.get("/tmp/sum"))["sum"].split()[0].decode()
        found = untar(container.get("/tmp/big"))["big"]
    assert len(found) == size
    assert hashlib.sha256(found).hexdigest() == told


def test_many_files_come_out(cluster_engine: ClusterEngine) -> None:
    script = (
        "mkdir /tmp/many; cd /tmp/many; i=0; "
        "while [ $i -lt 10000 ]; do echo $i > $i; i=$((i+1)); done"
    )
    with cluster_engine.container(script_spec(script)) as container:
        assert finish(container) == 0
        found = untar(container.get("/tmp/many"))
    assert {f"many/{i}": f"{i}\n".encode() for i in range(10000)} == {
        name: content for name, content in found.items() if content
    }


def test_what_a_program_left_running_writes_no_more(cluster_engine: ClusterEngine) -> None:
    script = "(while :; do echo x >> /tmp/log; done) & sleep 0.2"
    with cluster_engine.container(script_spec(script)) as container:
        assert finish(container) == 0
        first = untar(container.get("/tmp/log"))
        assert untar(container.get("/tmp/log")) == first


def test_a_folder_that_is_not_there_takes_no_files(cluster_engine: ClusterEngine) -> None:
    with (
        cluster_engine.container(script_spec("true")) as container,
        pytest.raises(EngineError, match="cannot be put") as raised,
    ):
        container.put("/there/is/none", pax({"a": b"1"}))
    assert "/there/is/none" in raised.value.value


def test_inputs_are_read_only(cluster_engine: ClusterEngine, run: Run) -> None:
    name = f"tests-{uuid.uuid4().hex}"
    image = cluster_engine.find_image(BASE, AMD64)
    assert image is not None
    cluster_engine.volume(name, image, pax({"x/y.txt": b"given"}))
    script = "cat /data/x/y.txt; echo other > /data/x/y.txt"
    code, out, _err = run(cluster_engine, script, volumes=((name, "/data"),))
    assert out == "given"
    assert code != 0


# What a program sees, and may do


def test_both_platforms_run_at_once(
    test_cluster: TestCluster, cluster_engine: ClusterEngine, tmp_path: Path
) -> None:
    if ARM64 not in test_cluster.platforms:
        pytest.skip("the cluster has no arm64")
    import docker as client

    client.from_env().images.pull(BASE, platform="linux/arm64")
    found: dict[Platform, str] = {}

    def look(platform: Platform) -> None:
        out = tmp_path / platform.architecture
        with cluster_engine.container(script_spec("uname -m", platform)) as container:
            assert finish(container) == 0
            container.write_logs(out, tmp_path / f"{platform.architecture}-err")
        found[platform] = out.read_text().strip()

    threads = [threading.Thread(target=look, args=(each,)) for each in (AMD64, ARM64) * 2]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {AMD64: "x86_64", ARM64: "aarch64"}


def test_a_program_without_a_network_reaches_nothing(
    test_cluster: TestCluster, cluster_engine: ClusterEngine, run: Run
) -> None:
    """From its first moment on; with one, it reaches what others reach."""
    host, _colon, port = test_cluster.api.address.server.rpartition("//")[2].partition(":")
    connect = (
        f"import socket\nsocket.create_connection(('{host}', {port or 443}), 2)\nprint('reached')"
    )
    for network, expected in (("none", ""), ("bridge", "reached\n")):
        spec = {"entrypoint": ("python3", "-c", connect), "command": ()}
        limits = Limits(network=network)
        assert run(cluster_engine, "", limits=limits, **spec)[1] == expected


@pytest.fixture
def tunnel(test_cluster: TestCluster) -> Iterator[str]:
    """The API on a loopback of this machine, as kind, k3s and tunnels have it."""
    host, _colon, port = test_cluster.api.address.server.rpartition("//")[2].partition(":")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port or 443))) as there:
                sides = {self.request: there, there: self.request}
                while True:
                    for side in select.select([*sides], [], [])[0]:
                        data = side.recv(1 << 16)
                        if not data:
                            return
                        sides[side].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_network_is_looked_for_at_the_clusters_own_service(
    test_cluster: TestCluster, tunnel: str, tmp_path: Path, run: Run
) -> None:
    """A loopback is another one in a pod, so that nothing there is reached in any case."""
    file = tmp_path / "kubeconfig"
    server = test_cluster.api.address.server
    file.write_text(Path(test_cluster.environ["KUBECONFIG"]).read_text().replace(server, tunnel))
    beyond = replace(test_cluster, environ={**test_cluster.environ, "KUBECONFIG": str(file)})
    connect = (
        "import os, socket\n"
        "at = os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT']\n"
        "socket.create_connection(at, 2)\nprint('reached')"
    )
    with beyond.opened() as engine:
        for network, expected in (("none", ""), ("bridge", "reached\n")):
            spec = {"entrypoint": ("python3", "-c", connect), "command": ()}
            assert run(engine, "", limits=Limits(network=network), **spec)[1] == expected
        with engine.container(script_spec("true")) as container:
            command = str(test_cluster.api.get("jobs", container.id)["spec"]["template"])
            assert "'service'" in command, "that is what was looked at from inside"


def test_secrets_are_seen_inside_alone(
    test_cluster: TestCluster, cluster_engine: ClusterEngine, run: Run
) -> None:
    value = "s3cret-of-this-test"
    hidden = Redactor((Value("TOKEN", value.encode()),))
    given = Disclosed((("TOKEN", value),), hidden=hidden)
    spec = script_spec(f"[ ${{#TOKEN}} = {len(value)} ] && sleep 2", secrets=given)
    with cluster_engine.container(spec) as container:
        container.start()
        for kind in ("jobs", "pods", "configmaps", "events"):
            assert value not in str(test_cluster.api.list(kind))
        ended = container.wait(60.0)
        assert ended is not None
        assert ended.code == 0
    left = [each["metadata"]["name"] for each in test_cluster.api.list("secrets")["items"]]
    assert container.id not in left


def test_the_nodes_token_is_not_given(cluster_engine: ClusterEngine, run: Run) -> None:
    assert run(cluster_engine, "ls /var/run/secrets/kubernetes.io 2>/dev/null; true")[1] == ""


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exec sleep 0", 0)],
)
def test_how_a_program_ended(
    cluster_engine: ClusterEngine, run: Run, script: str, code: int
) -> None:
    assert run(cluster_engine, script)[0] == code


def test_a_program_past_its_memory_is_told_as_such(cluster_engine: ClusterEngine) -> None:
    eat = "x = []\nwhile True: x.append(b'1' * (1 << 20))"
    spec = script_spec("", entrypoint=("python3", "-c", eat), command=(),
                       limits=Limits(memory_bytes=64 << 20))  # fmt: skip
    with cluster_engine.container(spec) as container:
        assert finish(container) == 137
        assert container.inspect_exit().oom_killed


def test_a_program_that_prints_too_much_is_bounded(
    cluster_engine: ClusterEngine, tmp_path: Path
) -> None:
    full = threading.Event()
    spec = script_spec("yes | head -c 30000000; sleep 60", limits=Limits(log_bytes=1 << 20))
    files = (tmp_path / "out", tmp_path / "err")
    with cluster_engine.container(spec) as container:
        container.follow(*files, full.set)
        container.start()
        assert full.wait(30.0)
        container.kill(0.0)
        assert container.wait(30.0) is not None
        assert container.write_logs(*files) >= 30000000
    assert files[0].stat().st_size <= 1 << 20


def test_what_cannot_be_executed(cluster_engine: ClusterEngine) -> None:
    cases = {
        "there-is-no-such": "not found",
        "/etc/passwd": "permission denied",
        "/etc": "permission denied",
        "/tmp/noformat": "exec format error",
        "/tmp/badline": "not found",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in (("noformat", b"no program\n"), ("badline", b"#!/none/sh\n")):
            entry = tarfile.TarInfo(f"tmp/{name}")
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    for program, words in cases.items():
        spec = script_spec("", entrypoint=(program,), command=())
        with cluster_engine.container(spec) as container:
            container.put("/", [made.getvalue()])
            with pytest.raises(Exception, match=program) as raised:
                container.start()
            assert words in str(raised.value), program
            assert not container.started
            assert container.get("/etc/hostname") is not None, "it can be looked at"


# Leaving nothing


def test_of_an_ended_session_nothing_is_left(test_cluster: TestCluster, run: Run) -> None:
    before = _things(test_cluster)
    with test_cluster.opened() as engine:
        run(engine, "true")
    deadline = time.monotonic() + 10.0
    while _things(test_cluster) - before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert _things(test_cluster) - before == set()


@pytest.mark.parametrize("by_session", [True, False], ids=["session", "clean"])
def test_a_pod_that_its_job_left_behind_is_found_and_removed(
    test_cluster: TestCluster, by_session: bool
) -> None:
    """As where the cluster's API goes away between the removal of the one and of the other."""
    spec = script_spec("sleep 600", AMD64)
    with test_cluster.opened() as engine, engine.container(spec) as container:
        container.start()
        job = container.id
        orphaned = {"propagationPolicy": "Orphan"}
        test_cluster.api._ask("DELETE", test_cluster.api.url("jobs", job), orphaned)
        deadline = time.monotonic() + 30.0
        while f"jobs/{job}" in _things(test_cluster) and time.monotonic() < deadline:
            time.sleep(0.2)
        (pod,) = (each for each in _things(test_cluster) if each.startswith(f"pods/{job}"))
        (found,) = (each for each in engine.leftovers((), ()) if each.id == pod)
        if by_session:
            assert engine.remove_session(keep_containers=False)
        else:
            assert engine.remove_leftover(found) == found
    deadline = time.monotonic() + 20.0
    while pod in _things(test_cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert pod not in _things(test_cluster)


def _things(cluster: TestCluster) -> set[str]:
    kinds = ("jobs", "pods", "secrets", "configmaps", "networkpolicies")
    return {
        f"{kind}/{each['metadata']['name']}"
        for kind in kinds
        for each in cluster.api.list(kind)["items"]
    }
