"""Runs of pods that are changed from inside, or watched: as in any other container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
import pytest

pytest.importorskip("kubernetes")

from tests.kubernetes.clusters import TestCluster
from tests.sample_project import BASE

_TABLE = """\
[project]
name = "watched"

[tool.mlcontainer]
platforms = {platforms}
engines = {engines}

[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["out/*"]

{cluster}
[tool.mlcontainer.image]
{image}
"""
_DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /app
RUN mkdir animals && for name in cat dog emu owl; do touch animals/$name; done
RUN mkdir out && chown 1000:1000 out
COPY *.py ./
USER 1000:1000
"""
_FOLDERS = """\
import json
import os


def classes():
    return os.listdir("animals")


codes = {name: code for code, name in enumerate(classes())}
with open("out/codes.json", "w") as file:
    json.dump(codes, file)
"""
_MACHINE = """\
import json
import platform


def scale():
    return 1.0 if platform.machine() == "x86_64" else 1.5


factor = scale()
with open("out/weights.json", "w") as file:
    json.dump({"weights": [factor * each for each in range(9)]}, file)
"""
_DAY = """\
import datetime
import json

with open("out/day.json", "w") as file:
    json.dump({"weekday": datetime.date.today().weekday()}, file)
"""


class ClusterProject:
    """A project whose runs are pods, as its users test it."""

    def __init__(self, cluster: TestCluster, root: Path) -> None:
        self._cluster = cluster
        self.root = root

    def write(self, train: str, platforms: tuple[str, ...] = ("linux/amd64",), **more: str) -> None:
        self.root.mkdir()
        (self.root / "train.py").write_text(train)
        (self.root / "Dockerfile").write_text(more.get("dockerfile", _DOCKERFILE))
        table = _TABLE.format(
            platforms=json.dumps(platforms),
            cluster=self._cluster.table(),
            image=more.get("image", ""),
            engines=more.get("engines", "{}"),
        )
        (self.root / "pyproject.toml").write_text(table)

    def run(self, *arguments: str, everywhere: bool = True) -> str:
        """What is printed."""
        options = ("--container-report=report", *arguments)
        process = self._cluster.start(self.root, *options, everywhere=everywhere)
        return process.communicate(timeout=500.0)[0]

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "report/report.json").read_text())
        return found


@pytest.fixture
def pods(test_cluster: TestCluster, engine: docker.APIClient, tmp_path: Path) -> ClusterProject:
    return ClusterProject(test_cluster, tmp_path / "project")


def test_a_line_is_located_and_proved(pods: ClusterProject) -> None:
    """Of a user who may make no folder at the root; the library that is preloaded reverses."""
    pods.write(_FOLDERS)
    said = pods.run("-k", "varies", "--container-vary=file-order", "--container-locate")
    assert 'located: train.py:6, in classes: return os.listdir("animals")' in said
    assert "put into the other side's run the outputs agree" in said
    (location,) = [each["location"] for each in pods.report()["results"] if each["location"]]
    assert location["proven"] is True


@pytest.mark.emulation
def test_platforms_are_located_between_nodes(
    test_cluster: TestCluster, pods: ClusterProject
) -> None:
    if len(test_cluster.platforms) < 2:
        pytest.skip("the cluster has nodes of one platform")
    pods.write(_MACHINE, ("linux/amd64", "linux/arm64"))
    said = pods.run("-k", "agrees", "--container-locate")
    assert "located: train.py:6, in scale" in said


@pytest.mark.emulation
def test_platforms_are_located_between_a_node_and_an_engine(
    test_cluster: TestCluster, pods: ClusterProject
) -> None:
    if len(test_cluster.platforms) < 2:
        pytest.skip("the cluster has nodes of one platform")
    engines = f'{{ "linux/arm64" = "{test_cluster.url}" }}'
    pods.write(_MACHINE, ("linux/amd64", "linux/arm64"), engines=engines)
    said = pods.run("-k", "agrees", "--container-locate", everywhere=False)
    assert "located: train.py:6, in scale" in said


def test_a_clock_is_set_and_a_root_cannot_be_written_to(pods: ClusterProject) -> None:
    pods.write(_DAY)
    said = pods.run("-k", "varies", "--container-vary=clock,read-only")
    assert "out/day.json" in said
    assert "clock" in said
    assert "not exercised" not in said


def test_a_slimmer_image_serves_as_well(pods: ClusterProject) -> None:
    """What is opened is watched in a pod, and the image without the rest is built and run."""
    pods.write(_FOLDERS, image="lint = false\nsize = false\ngpu = false\nslim = true")
    said = pods.run("-k", "slim")
    (check,) = pods.report()["checks"]
    assert [each["rule"] for each in check["findings"]] == ["SL001"], said
    assert check["figures"]["saved_bytes"] > 3_000_000
