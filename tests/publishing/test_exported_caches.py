"""`cache-to` and `cache-from`: a build on a builder that has forgotten its steps takes them from
a folder, or from a registry."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.loopback_registry import tags_of
from tests.sample_project import BASE, MakeProject

pytestmark = pytest.mark.usefixtures("leaves_nothing", "containerd_store")

RUN = """
[tool.mlcontainer.entrypoints.train]
command = ["sh", "-c", "mkdir -p outputs && cp /moment outputs/moment"]
outputs = ["outputs/*"]
"""


class TimedBuild:
    """A project whose image holds the moment of its build.

    Its `name` stands in that step alone, the last one: no later one keeps it from being forgotten.
    """

    def __init__(self, project: MakeProject) -> None:
        self.project = project
        self.name = uuid.uuid4().hex

    def moment(self, caches: str) -> str:
        """When the step was carried out of which the image of a session comes."""
        steps = f"FROM {BASE}\nWORKDIR /app\nRUN : {self.name} && date +%s%N > /moment\n"
        self.project.write(f"keep-images = 0\n{caches}{RUN}", dockerfile=steps)
        records = self.project.root / uuid.uuid4().hex
        result = self.project.run("-k", "train", f"--container-records={records}")
        result.assert_outcomes(passed=1)
        (file,) = records.rglob("moment")
        return file.read_text()

    def forget(self) -> None:
        """Let the builder know nothing of the step, as one on another machine."""
        matching = ["--filter", f"description~={self.name}"]
        assert _buildx("du", *matching, "--format", "{{.ID}}"), "it has nothing to forget"
        # What another build is reading just now stays until that has ended.
        for _ in range(20):
            _buildx("prune", "--all", "--force", *matching)
            if not _buildx("du", *matching, "--format", "{{.ID}}"):
                return
            time.sleep(1)
        raise AssertionError("the builder does not forget it")


def _buildx(*words: str) -> str:
    command = ["docker", "buildx", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["local", "registry"])
def test_a_builder_that_has_forgotten_takes_the_steps_from_where_they_were_kept(
    project: MakeProject, registry: str, repository: str, tmp_path: Path, kind: str
) -> None:
    """And carries them out anew where it is told of no cache, so that it has indeed forgotten."""
    reference, folder = f"{registry}/{repository}:cache", tmp_path / "kept"
    source, target = {
        "local": (f"src={folder}", f"dest={folder}"),
        "registry": (f"ref={reference}", f"ref={reference},mode=max"),
    }[kind]
    build = TimedBuild(project)
    kept = build.moment(f'cache-to = ["type={kind},{target}"]\n')
    assert tags_of(registry, repository) == (["cache"] if kind == "registry" else [])
    build.forget()
    assert build.moment("") != kept
    # A busy builder gives up asking for a cache after five seconds, and builds without it.
    taken: list[str] = []
    while kept not in taken and len(taken) < 3:
        build.forget()
        taken.append(build.moment(f'cache-from = ["type={kind},{source}"]\n'))
    assert kept in taken
