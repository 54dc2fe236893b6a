"""A cluster for the tests: the private one of `make cluster-up`, or any that KUBECONFIG names."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.engines import Container, ContainerSpec, EngineRequest, ImageStore, LogLine
from pytest_mlcontainer.engines.kubernetes.addresses import find_cluster
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.engine import ClusterEngine
from pytest_mlcontainer.engines.registry import open_repository
from pytest_mlcontainer.model import ClusterSettings, Image, ImageName, Owner, Platform
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.publishing.pushing import push_tagged
from tests.sample_project import BASE

_VARIABLES = ("REGISTRY", "NODE_REGISTRY", "REGISTRY_CA", "HELPER_IMAGE", "EMULATED", "PLATFORMS")
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@dataclass(frozen=True)
class TestCluster:
    """Where the tests run pods: a namespace of their own."""

    settings: ClusterSettings
    environ: Mapping[str, str]
    namespace: str
    platforms: tuple[Platform, ...]
    api: ClusterApi

    __test__ = False

    @property
    def url(self) -> str:
        return f"kubernetes:///{self.namespace}"

    def as_user(self, user: Mapping[str, str], folder: Path, **cluster: str) -> TestCluster:
        """The same by a kubeconfig of its own.

        Args:
            user: as kubeconfigs have one.
            cluster: what is another about it there.
        """
        authority = Path(self.api.configuration.ssl_ca_cert).read_bytes()
        there = {
            "server": self.api.address.server,
            "certificate-authority-data": base64.b64encode(authority).decode(),
            **cluster,
        }
        context = {"cluster": "c", "user": "u", "namespace": self.namespace}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": there}],
            "users": [{"name": "u", "user": dict(user)}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
        environ = {**self.environ, "KUBECONFIG": str(folder / "kubeconfig")}
        return replace(self, environ=environ)

    def token_of(self, account: str, **spec: object) -> str:
        """A token of a service account, for an hour."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        answer = self.api.post(path, {"spec": {"expirationSeconds": 3600, **spec}})
        return str(answer["status"]["token"])

    def request(self, owner: Owner, **more: Any) -> EngineRequest:
        """To open the cluster with."""
        asked = EngineRequest(self.url, self.environ, owner, cluster=self.settings, send=self.send)
        return replace(asked, **more)

    def send(self, name: ImageName, image: Image, store: ImageStore, log: LogLine) -> str:
        """As the pipeline does it."""
        with closing(open_repository(name, self.environ, push=True)) as repository:
            return push_tagged(repository, image, store, log)

    @contextmanager
    def opened(
        self, settings: ClusterSettings | None = None, **more: Any
    ) -> Iterator[ClusterEngine]:
        """An engine with a session of its own, of which nothing is left."""
        owner = current_owner(uuid.uuid4().hex)
        request = self.request(owner, cluster=settings or self.settings, **more)
        engine = ClusterEngine(request)
        try:
            yield engine
        finally:
            engine.remove_session(keep_containers=False)
            engine.close()
            engine.disconnect()

    def start(
        self, project: Path, *arguments: str, everywhere: bool = True, **how: Any
    ) -> subprocess.Popen[str]:
        """`mlcontainer test` in a project, as its users start it.

        Args:
            everywhere: whether all platforms are the cluster's; else those that its table says.
            how: further arguments of `Popen`.
        """
        command = [str(Path(sys.executable).with_name("mlcontainer")), "test", "-p", "no:randomly"]
        command += [f"--container-engine={self.url}"] * everywhere
        environ = {**self.environ, "MLCONTAINER_CACHE_DIR": str(project.parent / "cache")}
        return subprocess.Popen(
            [*command, *arguments],
            cwd=project,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **how,
        )

    def table(self) -> str:
        """What a project says of it."""
        emulated = ", ".join(f'"{each}"' for each in self.settings.emulated)
        return (
            "[tool.mlcontainer.kubernetes]\n"
            f'registry = "{self.settings.registry}"\n'
            f'node-registry = "{self.settings.node_registry or self.settings.registry}"\n'
            f'helper-image = "{self.settings.helper_image}"\n'
            f"emulated = [{emulated}]\n"
        )


@pytest.fixture(scope="session")
def test_cluster() -> Iterator[TestCluster]:
    """Of the environment's variables; without them these tests are skipped."""
    given = {name: os.environ.get(f"MLCONTAINER_TEST_{name}", "") for name in _VARIABLES}
    if not os.environ.get("KUBECONFIG") or not given["REGISTRY"]:
        pytest.skip("no cluster: KUBECONFIG and MLCONTAINER_TEST_REGISTRY name one, "
                    "`make test-cluster` has one")  # fmt: skip
    environ = dict(os.environ)
    if given["REGISTRY_CA"]:
        environ["SSL_CERT_FILE"] = given["REGISTRY_CA"]
    nodes = given["NODE_REGISTRY"]
    settings = ClusterSettings(
        registry=f"{given['REGISTRY']}/tests",
        node_registry=f"{nodes}/tests" if nodes else None,
        helper_image=given["HELPER_IMAGE"] or ClusterSettings.helper_image,
        emulated=_platforms(given["EMULATED"]),
        pending_s=180.0,
    )
    api = ClusterApi(find_cluster("kubernetes://", environ))
    namespace = f"mlcontainer-tests-{uuid.uuid4().hex[:8]}"
    api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    own = ClusterApi(find_cluster(f"kubernetes:///{namespace}", environ))
    platforms = _platforms(given["PLATFORMS"] or "linux/amd64")
    yield TestCluster(settings, environ, namespace, platforms, own)
    own.disconnect()
    api.remove(f"/api/v1/namespaces/{namespace}")
    api.disconnect()


@pytest.fixture
def cluster_engine(test_cluster: TestCluster) -> Iterator[ClusterEngine]:
    with test_cluster.opened() as engine:
        yield engine


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int | None, str, str]]:
    """Runs a shell script in the base image; gives exit code, stdout and stderr."""

    def run_once(
        engine: ClusterEngine, script: str, platform: Platform = AMD64, **spec: Any
    ) -> tuple[int | None, str, str]:
        with engine.container(script_spec(script, platform, **spec)) as container:
            code = finish(container)
            container.write_logs(tmp_path / "out", tmp_path / "err")
        return code, (tmp_path / "out").read_text(), (tmp_path / "err").read_text()

    return run_once


def script_spec(script: str, platform: Platform = AMD64, **spec: Any) -> ContainerSpec:
    """A shell script in the base image."""
    made = ContainerSpec(BASE, platform, entrypoint=("/bin/sh",), command=("-c", script))
    return replace(made, **spec)


def finish(container: Container, limit_s: float = 180.0) -> int | None:
    """Start a container and wait for its end; its exit code."""
    container.start()
    ended = container.wait(limit_s)
    assert ended is not None, "it ends in time"
    return ended.code


def _platforms(text: str) -> tuple[Platform, ...]:
    return tuple(Platform(*each.split("/")) for each in text.split())


def private_folder() -> Path:
    """Where `make cluster-up` has its cluster; with another one the test is skipped."""
    folder = Path(os.environ["KUBECONFIG"]).parent
    if not (folder / "state.json").exists():
        pytest.skip("KUBECONFIG is not that of `make cluster-up`, whose parts this test needs")
    return folder
