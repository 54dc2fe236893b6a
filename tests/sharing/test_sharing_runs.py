"""One build for each platform and one run for each target, however many processes ask.

Counted by the engine's own events, which no part of ours can embellish.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines.docker.sessions import list_images
from tests.sample_project import MakeProject

CONFIG = """
platforms = ["linux/amd64", "linux/arm64"]
env = { QEMU_CPU = "neoverse-n1" }
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["outputs/result.txt"]
"""
INFER = "open('outputs/result.txt', 'w').write(open('outputs/metrics.json').read())"

# One probe for each platform, then train and infer on each.
CONTAINERS = 2 + 2 * 2


def pytest_in(root: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--container", *args]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


class Made:
    """How many images were tagged and containers created for a project, while this is open.

    Events are followed while they happen: afterwards an engine knows the last 256 alone, those of
    every other test among them.
    """

    def __init__(self, engine: docker.APIClient, name: str) -> None:
        self.counted: Counter[str] = Counter()
        self._name = name
        self._events = engine.events(decode=True, since=int(time.time()))
        self._follower = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Made:
        self._follower.start()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)  # For what the engine has still to tell.
        self._events.close()
        self._follower.join()

    def _follow(self) -> None:
        for event in self._events:
            attributes = event["Actor"]["Attributes"]
            kind = f"{event['Type']} {event['Action']}"
            subject = attributes.get("image") or attributes.get("name", "")
            if kind in ("image tag", "container create") and f"/{self._name}-" in subject:
                self.counted[kind] += 1


def images_of(engine: docker.APIClient, name: str) -> list[str]:
    """Tags of the project's images."""
    tags = (tag for image in list_images(engine) for tag in image.get("RepoTags") or ())
    return [tag for tag in tags if f"/{name}-" in tag]


@pytest.fixture
def shared(project: MakeProject, request: pytest.FixtureRequest) -> tuple[Path, str]:
    """A project with a name of its own, so that its events are told from other tests'."""
    name = f"shared-{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"
    root = project.write(CONFIG, infer__py=INFER)
    config = (root / "pyproject.toml").read_text().replace('"sample"', f'"{name}"')
    (root / "pyproject.toml").write_text(config)
    return root, name


def test_four_workers_build_and_run_once(
    shared: tuple[Path, str], engine: docker.APIClient, leaves_nothing: None
) -> None:
    root, name = shared

    with Made(engine, name) as made:
        process = pytest_in(root, "-n", "4")
        printed, _ = process.communicate(timeout=300)

    assert process.returncode == 0, printed
    assert made.counted == {"image tag": 2, "container create": CONTAINERS}
    assert not images_of(engine, name)


def test_two_pytest_processes_with_four_workers_each_build_and_run_once(
    shared: tuple[Path, str], engine: docker.APIClient, leaves_nothing: None
) -> None:
    root, name = shared

    with Made(engine, name) as made:
        processes = [pytest_in(root, "-n", "4"), pytest_in(root, "-n", "4")]
        printed = [process.communicate(timeout=300)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0], printed
    assert made.counted == {"image tag": 2, "container create": CONTAINERS}
    assert not images_of(engine, name), "the last one to end removes the images of both"


def test_a_later_session_runs_anew(
    shared: tuple[Path, str], engine: docker.APIClient, leaves_nothing: None
) -> None:
    root, name = shared

    with Made(engine, name) as made:
        for _ in range(2):
            process = pytest_in(root, "--container-platform=linux/amd64", "-k", "train")
            printed, _ = process.communicate(timeout=300)
            assert process.returncode == 0, printed

    # The probe's facts are kept; the image is checked, and the entrypoint run, each time.
    assert made.counted == {"image tag": 2, "container create": 1 + 2}
