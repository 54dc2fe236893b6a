"""A whole project on a cluster, as its users start it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import docker
import pytest

pytest.importorskip("kubernetes")

from tests.kubernetes.clusters import TestCluster
from tests.sample_project import BASE

_TABLE = """\
[project]
name = "pods"

[tool.mlcontainer]
platforms = {platforms}

[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
inputs = {{ "data" = "data" }}
outputs = ["out/*"]
memory = "256m"

[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["out/sum.json"]

[tool.mlcontainer.entrypoints.slow]
command = ["python", "-c", "import time; time.sleep(600)"]

{cluster}"""
_TRAIN = """\
import json, pathlib
numbers = [float(line) for line in open("data/numbers.txt")]
pathlib.Path("out").mkdir(exist_ok=True)
json.dump({"mean": sum(numbers) / len(numbers)}, open("out/model.json", "w"))
print("trained on", len(numbers))
"""
_INFER = """\
import json
model = json.load(open("out/model.json"))
json.dump({"sum": model["mean"] * 3}, open("out/sum.json", "w"))
"""


@pytest.fixture
def project(test_cluster: TestCluster, engine: docker.APIClient, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data/numbers.txt").write_text("1\n2\n3\n")
    (folder / "train.py").write_text(_TRAIN)
    (folder / "infer.py").write_text(_INFER)
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nWORKDIR /app\nCOPY *.py ./\n")
    platforms = json.dumps([str(each) for each in test_cluster.platforms])
    table = _TABLE.format(platforms=platforms, cluster=test_cluster.table())
    (folder / "pyproject.toml").write_text(table)
    return folder


_CHANGED = """\
import json, os, sys
found = {"cpus": len(os.sched_getaffinity(0)), "user": os.getuid(), "workdir": os.getcwd()}
json.dump({"value": found[sys.argv[1]]}, open("out/value.json", "w"))
"""


@pytest.mark.parametrize("family", ["cpus", "user", "workdir"])
def test_what_a_pod_is_given_otherwise_is_named_as_the_cause(
    test_cluster: TestCluster, project: Path, family: str
) -> None:
    (project / "changed.py").write_text(_CHANGED)
    with (project / "Dockerfile").open("a") as file:
        file.write("RUN mkdir -m 777 out && echo x > own && chmod 600 own\nUSER 1000\n")
    platform = str(test_cluster.platforms[0])
    table = _TABLE.format(platforms=json.dumps([platform]), cluster=test_cluster.table())
    changed = (
        f'[tool.mlcontainer.entrypoints.changed]\ncommand = ["python", "changed.py", "{family}"]\n'
    )
    changed += 'outputs = ["out/value.json"]\n\n'
    (project / "pyproject.toml").write_text(changed + table)
    process = test_cluster.start(
        project, "-k", "changed", f"--container-vary={family}", "--container-report=report"
    )
    said, _none = process.communicate(timeout=500.0)
    assert process.returncode == 1, said
    assert f"cause: {family}" in said
    assert left(test_cluster) == set()


def left(cluster: TestCluster) -> set[str]:
    kinds = ("jobs", "secrets", "configmaps", "networkpolicies")
    return {
        f"{kind}/{each['metadata']['name']}"
        for kind in kinds
        for each in cluster.api.list(kind, "pytest-mlcontainer")["items"]
    }


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "xdist"])
def test_a_project_gets_its_verdict(
    test_cluster: TestCluster, project: Path, workers: tuple[str, ...]
) -> None:
    process = test_cluster.start(
        project, "-k", "(train or infer) and not repeats", *workers,
        "--container-report=report",
    )  # fmt: skip
    said, _none = process.communicate(timeout=500.0)
    assert process.returncode == 0, said
    report = json.loads((project / "report/report.json").read_text())
    assert report["failures"] == []
    assert report["runs"] >= 2 * len(test_cluster.platforms)
    if len(test_cluster.platforms) > 1:
        assert {each["verdict"] for each in report["results"]} == {"identical"}
    assert left(test_cluster) == set()


def test_of_a_killed_session_nothing_is_left(test_cluster: TestCluster, project: Path) -> None:
    chosen = f"pyproject.toml::slow[{test_cluster.platforms[0]}]"
    process = test_cluster.start(project, chosen, start_new_session=True)
    try:
        deadline = time.monotonic() + 300.0
        while not any(each.startswith("jobs/") for each in left(test_cluster)):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(3.0)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    killed = time.monotonic()
    while left(test_cluster) and time.monotonic() < killed + 30.0:
        time.sleep(0.2)
    assert left(test_cluster) == set()
    assert time.monotonic() - killed < 15.0
