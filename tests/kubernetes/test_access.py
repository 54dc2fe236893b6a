"""Who asks a cluster, and who answers: logins, certificates, versions, and a pod's own account."""

from __future__ import annotations

import base64
import http.server
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.kubernetes.addresses import find_cluster
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.owners import current_owner
from tests.kubernetes.clusters import TestCluster, finish, script_spec
from tests.loopback_registry import Certificates, make_certificates


@pytest.fixture
def account(test_cluster: TestCluster) -> Iterator[str]:
    """A service account that may do everything in the namespace."""
    name, space, api = f"account-{uuid.uuid4().hex[:8]}", test_cluster.namespace, test_cluster.api
    accounts = f"/api/v1/namespaces/{space}/serviceaccounts"
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}/rolebindings"
    api.post(accounts, {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
    api.post(bindings, {"metadata": {"name": name}, "subjects": [subject], "roleRef": role})
    yield name
    api.remove(f"{bindings}/{name}")
    api.remove(f"{accounts}/{name}")


@pytest.mark.usefixtures("engine")
def test_a_token_that_is_good_no_more_is_named_and_a_new_one_is_taken(
    test_cluster: TestCluster, account: str, tmp_path: Path
) -> None:
    """In the middle of a run, whose result is whole when its file has a token again. A token ends
    with what it is bound to: nobody has to wait for the hour that one lives at least."""
    secret = {"metadata": {"name": account}}
    bound = test_cluster.api.create("secrets", secret)["metadata"]
    to = {"kind": "Secret", "apiVersion": "v1", "name": account, "uid": bound["uid"]}
    file = tmp_path / "token"
    file.write_text(test_cluster.token_of(account, boundObjectRef=to))
    limited = test_cluster.as_user({"tokenFile": str(file)}, tmp_path)
    spec = script_spec("echo whole > /tmp/made", limits=Limits(network="bridge"))
    with limited.opened() as engine, engine.container(spec) as container:
        assert finish(container) == 0
        test_cluster.api.delete("secrets", account)
        with pytest.raises(EngineError, match="does not know who asks") as raised:
            ask_until_refused(limited, container.id)
        assert "log in again" in raised.value.remedy
        for attempt in (
            lambda: container.get("/tmp/made"),
            lambda: engine.remove_session(keep_containers=False),
        ):
            with pytest.raises(EngineError, match="does not know who asks"):
                attempt()
        file.write_text(test_cluster.token_of(account))
        found = container.get("/tmp/made")
        assert found is not None
        assert b"whole" in b"".join(found)


def ask_until_refused(cluster: TestCluster, job: str) -> None:
    """The API server knows a token for some seconds more."""
    api = ClusterApi(find_cluster("kubernetes://", cluster.environ))
    deadline = time.monotonic() + 60.0
    try:
        while time.monotonic() < deadline:
            api.get("jobs", job)
            time.sleep(0.3)
    finally:
        api.disconnect()


# Certificates


def signed(folder: Path, name: str, begins: str, ends: str) -> Certificates:
    """A certificate for `name` on this machine, from one day to another."""
    made = make_certificates(folder)
    (folder / "index.txt").touch()
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nrand_serial = yes\n"
        "new_certs_dir = .\ndefault_md = sha256\npolicy = any\n"
        "[any]\ncommonName = supplied\n"
    )
    (folder / "own.ext").write_text(f"subjectAltName={name}\n")
    command = (
        *("openssl", "ca", "-batch", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key"),
        *("-in", "own.csr", "-out", "own.crt", "-extfile", "own.ext", "-notext"),
        *("-startdate", f"{begins}000000Z", "-enddate", f"{ends}000000Z"),
    )
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return made


CERTIFICATES = {
    # its name, from when, until when, and what is said of it
    "expired": ("IP:127.0.0.1", "20200101", "20200102", "not valid at this machine's time"),
    "not yet": ("IP:127.0.0.1", "20900101", "20900102", "not valid at this machine's time"),
    "name": ("IP:127.0.0.9", "20200101", "20900101", "for another name"),
    "unknown": ("IP:127.0.0.1", "20200101", "20900101", "signed by nobody"),
}


@contextmanager
def serving(certificates: Certificates, target: ClusterApi | None, **said: object) -> Iterator[str]:
    """In front of a cluster: answers to `/version` are `said`; all else is the cluster's."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_words: object) -> None:
            """Tests are quiet."""

        def do_GET(self) -> None:
            assert target is not None
            answer = target.read(self.path)
            content = json.dumps({**answer, **(said if self.path == "/version" else {})}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = certificates.context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_why_a_certificate_is_not_trusted(
    test_cluster: TestCluster, tmp_path: Path, kind: str
) -> None:
    """Also one that is not yet, or no more, valid: clocks may differ."""
    *how, words = CERTIFICATES[kind]
    made = signed(tmp_path / "certificates", *how)
    folder = tmp_path / ("others" if kind == "unknown" else "certificates")
    authority = make_certificates(folder).authority if kind == "unknown" else made.authority
    data = base64.b64encode(authority.read_bytes()).decode()
    with serving(made, None) as server:
        to = {"server": server, "certificate-authority-data": data}
        there = test_cluster.as_user({}, tmp_path, **to)
        with pytest.raises(EngineError) as raised:
            ClusterEngine(there.request(current_owner(uuid.uuid4().hex)))
    assert words in raised.value.what
    assert server in raised.value.value


def test_a_cluster_that_is_too_old_is_refused(test_cluster: TestCluster, tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    data = base64.b64encode(made.authority.read_bytes()).decode()
    old = {"major": "1", "minor": "26+", "gitVersion": "v1.26.15-vendor.1"}
    with serving(made, test_cluster.api, **old) as server:
        there = test_cluster.as_user(
            {}, tmp_path, **{"server": server, "certificate-authority-data": data}
        )
        with pytest.raises(EngineError, match="older than what is supported") as raised:
            ClusterEngine(there.request(current_owner(uuid.uuid4().hex)))
    assert "v1.26.15-vendor.1" in raised.value.value
    assert "1.27" in raised.value.remedy


# From inside

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# In a namespace of its own for mounts, a pod's files lie where a pod has them.
_INSIDE = f"""
set -e
mount -t tmpfs none /var/run
mkdir -p {_ACCOUNT}
cp "$1"/* {_ACCOUNT}
shift
exec "$@"
"""


@pytest.mark.usefixtures("engine")
def test_a_cluster_is_found_from_inside(
    test_cluster: TestCluster, account: str, tmp_path: Path
) -> None:
    """By the files and variables of a pod's service account, and without a kubeconfig."""
    files = tmp_path / "account"
    files.mkdir()
    (files / "token").write_text(test_cluster.token_of(account))
    (files / "namespace").write_text(test_cluster.namespace)
    shutil.copy(test_cluster.api.configuration.ssl_ca_cert, files / "ca.crt")
    host, _colon, port = test_cluster.api.address.server.rpartition("//")[2].partition(":")
    environ = {
        **test_cluster.environ,
        "HOME": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port or "443",
    }
    environ.pop("KUBECONFIG")
    within = ("unshare", "--mount", "sh", "-c", _INSIDE, "sh", str(files))
    if subprocess.run((*within, "true"), capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount, which the test does for a pod's files")
    doctor = (
        str(Path(sys.executable).with_name("mlcontainer")),
        "doctor",
        "--engine=kubernetes://",
    )
    done = subprocess.run(
        (*within, *doctor), env=environ, capture_output=True, text=True, cwd=tmp_path
    )
    assert "this cluster" in done.stdout, done.stderr
    assert test_cluster.namespace in done.stdout
