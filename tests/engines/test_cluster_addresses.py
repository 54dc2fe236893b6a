"""Where `kubernetes://CONTEXT/NAMESPACE` leads, by kubeconfigs as people have them."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.kubernetes.addresses import find_cluster
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.errors import EngineError, EngineLostError
from tests.loopback_registry import make_certificates

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- {name: here, cluster: {server: "https://here.example:6443"}}
- {name: there, cluster: {server: "https://there.example:6443", insecure-skip-tls-verify: true}}
users:
- {name: me, user: {token: secret}}
contexts:
- {name: dev, context: {cluster: here, user: me, namespace: ml}}
- {name: "arn:aws:eks:x/y", context: {cluster: there, user: me}}
current-context: dev
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config").write_text(KUBECONFIG)
    return {"KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("url", "context", "namespace", "host"),
    [
        ("kubernetes://", "dev", "ml", "here.example"),
        ("kubernetes:///other", "dev", "other", "here.example"),
        ("kubernetes://dev", "dev", "ml", "here.example"),
        ("kubernetes://arn%3Aaws%3Aeks%3Ax%2Fy", "arn:aws:eks:x/y", "default", "there.example"),
        ("kubernetes://arn%3Aaws%3Aeks%3Ax%2Fy/n", "arn:aws:eks:x/y", "n", "there.example"),
    ],
)
def test_parts_that_are_left_out_are_the_kubeconfigs(
    environ: dict[str, str], url: str, context: str, namespace: str, host: str
) -> None:
    found = find_cluster(url, environ)
    assert (found.context, found.namespace) == (context, namespace)
    assert found.server == f"https://{host}:6443"
    assert found.identity == f"https://{host}:6443/{namespace}"


def test_several_files_are_one_kubeconfig(environ: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(KUBECONFIG.replace("dev", "prod").replace("here.example", "prod.example"))
    files = f"{environ['KUBECONFIG']}:{tmp_path / 'missing'}:{other}"
    found = find_cluster("kubernetes://prod", {**environ, "KUBECONFIG": files})
    assert found.context == "prod"


def test_the_usual_file_is_that_of_the_home(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / "config").rename(tmp_path / ".kube/config")
    assert find_cluster("kubernetes://", {"HOME": str(tmp_path)}).context == "dev"


def test_a_context_that_is_named_needs_no_current_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(KUBECONFIG.replace("current-context: dev\n", ""))
    assert find_cluster("kubernetes://dev", environ).namespace == "ml"


@pytest.mark.parametrize(
    ("content", "url", "words"),
    [
        (KUBECONFIG, "kubernetes://prod", "no context 'prod', but dev, arn"),
        (KUBECONFIG.replace("current-context: dev\n", ""), "kubernetes://", "current context"),
        (KUBECONFIG.replace("cluster: here", "cluster: nowhere"), "kubernetes://", "nowhere"),
        ("{", "kubernetes://", ""),
        ("", "kubernetes://", ""),
        ("[]", "kubernetes://", ""),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(
    environ: dict[str, str], tmp_path: Path, content: str, url: str, words: str
) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(EngineError, match="does not lead to a cluster") as raised:
        find_cluster(url, environ)
    assert words in raised.value.value
    assert "kubectl config get-contexts" in raised.value.remedy


def test_without_a_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no kubeconfig") as raised:
        find_cluster("kubernetes://", {"HOME": str(tmp_path)})
    assert ".kube/config" in raised.value.value


def test_a_program_for_logging_in_that_fails(
    environ: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client library only logs that, and asks as nobody."""
    login = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-login}"
    (tmp_path / "config").write_text(KUBECONFIG.replace("token: secret", login))
    with pytest.raises(EngineError, match="logging in fails") as raised:
        find_cluster("kubernetes://", environ)
    assert "no-such-login" in raised.value.value
    assert caplog.text == ""


def test_a_cluster_that_does_not_answer_is_not_waited_for(
    environ: dict[str, str], tmp_path: Path
) -> None:
    closed = KUBECONFIG.replace("https://here.example:6443", "https://127.0.0.1:1")
    (tmp_path / "config").write_text(closed)
    api = ClusterApi(find_cluster("kubernetes://", environ))
    begun = time.monotonic()
    with pytest.raises(EngineLostError, match="does not answer") as raised:
        api.read("/version")
    api.disconnect()
    assert "127.0.0.1:1" in raised.value.value
    assert time.monotonic() - begun < 10.0


def test_what_is_read_of_a_stream_that_is_closed_is_what_was_sent(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """By another thread, in the midst of a piece: not the bytes as they were encrypted."""
    first, rest = b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n8\r\n, tw", b"o, 3\r\n"
    read, sent = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        context = make_certificates(tmp_path / "certificates").context()
        with context.wrap_socket(listener.accept()[0], server_side=True) as client:
            client.recv(1 << 16)
            client.sendall(b"HTTP/1.1 200 OK\r\n" + first)
            read.wait(30.0)
            client.sendall(rest)
            sent.set()
            client.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    here = f"127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "config").write_text(KUBECONFIG.replace("there.example:6443", here))
    address = find_cluster("kubernetes://arn%3Aaws%3Aeks%3Ax%2Fy", environ)
    api = ClusterApi(address)
    pieces = api.stream(api.url("pods"), {}, 30.0)
    assert next(pieces) == b"one"
    read.set()
    assert sent.wait(30.0)
    api.close()
    found = b""
    with suppress(EngineLostError):
        for piece in pieces:
            found += piece
    assert b", two, 3".startswith(found)
    api.disconnect()
    thread.join()
    listener.close()
