"""The private cluster that `scripts/cluster` has set up: reached, disturbed, and looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.plan import Plan
from pytest_mlcontainer.engines import EngineRequest, ImageStore, LogLine
from pytest_mlcontainer.engines.registry import open_repository
from pytest_mlcontainer.model import ClusterSettings, Image, ImageName
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.publishing.pushing import push_tagged

BASE = "python:3.13-slim"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class PrivateCluster:
    """The private cluster, and what it is called by whom."""

    environ: dict[str, str]
    settings: ClusterSettings

    def request(self) -> EngineRequest:
        owner = current_owner(uuid.uuid4().hex)
        return EngineRequest(
            "kubernetes://", self.environ, owner, cluster=self.settings, send=self.send
        )

    def send(self, name: ImageName, image: Image, store: ImageStore, log: LogLine) -> str:
        with closing(open_repository(name, self.environ, push=True)) as repository:
            return push_tagged(repository, image, store, log)

    def part(self, what: str, name: str) -> None:
        """Kill a part, or start it again."""
        command = (sys.executable, "scripts/cluster", what, name)
        subprocess.run(command, cwd=_ROOT, env=self.environ, check=True, capture_output=True)

    def remove_pods(self) -> None:
        """As somebody with kubectl does."""
        kubectl = self.environ["MLCONTAINER_TEST_KUBECTL"]
        command = (kubectl, "delete", "pods", "--wait=false", "-l", "pytest-mlcontainer=true")
        subprocess.run(command, env=self.environ, check=True, capture_output=True)

    def cut(self) -> None:
        """Break every connection to the API server that there is."""
        server = Path(self.environ["KUBECONFIG"]).read_text().partition("server")[2]
        found = re.search(r"https://[^\s\"]+:(\d+)", server)
        assert found is not None
        command = ("ss", "-K", "dport", "=", f":{found[1]}")
        subprocess.run(command, check=False, capture_output=True)

    def left(self) -> set[str]:
        """Everything of ours that the cluster has."""
        kubectl = self.environ["MLCONTAINER_TEST_KUBECTL"]
        kinds = "jobs,pods,secrets,configmaps,networkpolicies"
        command = (kubectl, "get", kinds, "-o", "name", "-l", "pytest-mlcontainer=true")
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return set(done.stdout.split())


def find_private_cluster(plan: Plan) -> PrivateCluster | None:
    """With the image that its pods are of; None, and said so, where none is up."""
    command = (sys.executable, "scripts/cluster", "env")
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    told = dict(
        line.removeprefix("export ").split("=", 1)
        for line in done.stdout.splitlines()
        if line.startswith("export ")
    )
    if done.returncode or "KUBECONFIG" not in told:
        plan.say("no private cluster is up (make cluster-up), so that nothing is tried on one")
        return None
    plan.api.pull("python", tag=BASE.rpartition(":")[2], platform="linux/amd64")
    given = {name: value.strip("'\"") for name, value in told.items()}
    settings = ClusterSettings(
        registry=f"{given['MLCONTAINER_TEST_REGISTRY']}/chaos",
        node_registry=f"{given['MLCONTAINER_TEST_NODE_REGISTRY']}/chaos",
        helper_image=given["MLCONTAINER_TEST_HELPER_IMAGE"],
        pending_s=120.0,
    )
    authority = given["MLCONTAINER_TEST_REGISTRY_CA"]
    return PrivateCluster({**os.environ, **given, "SSL_CERT_FILE": authority}, settings)
