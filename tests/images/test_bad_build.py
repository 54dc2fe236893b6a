"""Builds that cannot work: what is said, and that nothing stays behind.

Each message names what failed, the value, and the next step, and it is short however much a step
has printed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.docker.connect import check_version
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import BuildSettings, Platform
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

AMD64 = Platform("linux", "amd64")

TRAIN_TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""

NOISE = """\
import sys
for number in range(5000):
    print(f"compiling unit {number} of 5000")
print("progress " + "#" * 20000)
print("error: the header lapack.h is missing", file=sys.stderr)
sys.exit(3)
"""


def test_without_a_dockerfile_the_nearest_ones_are_named(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(dockerfile=None)
    folder = project.root / "docker"
    folder.mkdir()
    (folder / "train.Dockerfile").write_text("FROM scratch\n")
    result = project.run()
    result.assert_outcomes(failed=2)
    said = result.stdout.str()
    assert "dockerfile: there is no Dockerfile" in said
    assert str(project.root / "pyproject.toml") in said
    assert 'set dockerfile = "docker/train.Dockerfile"' in said
    assert "--container-image=REF" in said


def test_without_an_engine_its_address_and_the_ways_to_get_one_are_named_once(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    project.write()
    result = project.run()
    result.assert_outcomes(failed=2)
    said = result.stdout.str()
    assert "no engine answers" in said
    assert "unix:///nowhere/docker.sock" in said
    assert "No such file or directory" in said
    assert said.count("start Docker") == 1
    assert "DOCKER_HOST" in said
    assert "--container-engine=URL" in said
    assert "Traceback" not in said


def test_an_engine_that_is_too_old_is_refused_with_the_version_it_needs() -> None:
    check_version("unix:///run/docker.sock", "1.41")
    check_version("unix:///run/docker.sock", "1.51")
    with pytest.raises(EngineError) as caught:
        check_version("unix:///run/docker.sock", "1.40")
    assert str(caught.value).startswith("the engine is too old: unix:///run/docker.sock speaks")
    assert "API 1.40, needed is 1.41" in str(caught.value)
    assert "Docker Engine 20.10" in str(caught.value)


def test_without_buildx_on_path_the_message_says_where_it_was_looked_for(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, leaves_nothing: None
) -> None:
    programs = project.root / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    project.write()
    result = project.run()
    result.assert_outcomes(failed=2)
    said = result.stdout.str()
    assert "there is no usable buildx" in said
    assert "no docker on PATH; no docker-buildx on PATH" in said
    assert "apt-get install docker-buildx" in said


@pytest.mark.parametrize(
    ("prints", "exit_code", "reason"),
    [
        ("github.com/docker/buildx v0.12.1 30feaa1a", 0, "docker-buildx is buildx 0.12"),
        ("Segmentation fault", 1, "`docker-buildx version` fails"),
    ],
)
def test_a_buildx_that_cannot_be_used_is_the_reason_given(
    tmp_path: Path, prints: str, exit_code: int, reason: str
) -> None:
    program = tmp_path / "docker-buildx"
    said = f"[ \"$1\" = version ] && echo '{prints}' && exit {exit_code}"
    program.write_text(f"#!/bin/sh\n{said}\necho 'invalid progress mode'\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    buildx = Buildx(None, {"PATH": str(tmp_path)}, Processes())
    build = BuildSettings(context=tmp_path, dockerfile=tmp_path / "Dockerfile")
    with pytest.raises(EngineError) as caught:
        buildx.build(build, AMD64, "tag", (), print)
    assert reason in str(caught.value)
    assert "version 0.13 or later" in str(caught.value)


def test_a_failing_step_is_shown_with_its_last_lines_and_not_with_all_5000(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    project.write(
        dockerfile="FROM python:3.13-slim\nWORKDIR /app\nCOPY *.py ./\nRUN python noise.py\n",
        noise__py=NOISE,
    )
    result = project.run("-k", "image")
    result.assert_outcomes(failed=1)
    failure = failure_of(result, "image[")
    assert f"the image for {native} could not be built" in failure
    assert "Dockerfile, [4/4] RUN python noise.py" in failure
    assert "error: the header lapack.h is missing" in failure
    assert "compiling unit 4999 of 5000" in failure
    assert "compiling unit 4900 " not in failure
    assert "exit code: 3" in failure
    assert "the lines above are the step's own" in failure
    assert len(failure.splitlines()) <= 25
    assert len(failure) <= 2500


def test_a_file_that_copy_does_not_find_is_named_with_what_may_exclude_it(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(dockerfile="FROM python:3.13-slim\nCOPY model.onnx /model.onnx\n")
    (project.root / ".dockerignore").write_text("*.onnx\n")
    (project.root / "model.onnx").write_text("weights")
    result = project.run("-k", "image")
    said = failure_of(result, "image[")
    assert "COPY model.onnx" in said
    assert ".dockerignore may exclude it" in said


def test_an_error_in_the_dockerfile_is_shown_with_its_line(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(dockerfile="FROM python:3.13-slim\nCOPPY . .\n")
    said = failure_of(project.run("-k", "image"), "image[")
    assert "unknown instruction: COPPY" in said
    assert "correct the Dockerfile" in said


def test_a_build_past_its_limit_is_stopped_at_the_step_that_is_named(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        "build-timeout = 3",
        dockerfile="FROM python:3.13-slim\nRUN sleep 60\n",
    )
    said = failure_of(project.run("-k", "image"), "image[")
    assert "the build ran past its limit" in said
    assert "3 s; it was at: [2/2] RUN sleep 60" in said
    assert "build-timeout" in said


def test_a_before_build_command_that_fails_is_shown_with_its_own_words(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        'before-build = ["echo packing; echo no such backend >&2; exit 7"]\n' + TRAIN_TABLE
    )
    result = project.run()
    result.assert_outcomes(failed=2)
    said = failure_of(result, "image[")
    assert "a before-build command failed" in said
    assert f"(exit 7, in {project.root})" in said
    assert "no such backend" in said
    assert "run it by hand in that folder" in said


def test_before_build_that_makes_no_wheel_says_what_is_in_the_folder_instead(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        'before-build = ["mkdir -p dist && touch dist/sample-1.tar.gz"]\n' + TRAIN_TABLE,
        dockerfile="FROM python:3.13-slim\nCOPY dist/*.whl /tmp/\n",
    )
    said = failure_of(project.run("-k", "image"), "image[")
    assert "before-build made no wheel" in said
    assert "Dockerfile copies dist/*.whl" in said
    assert "there is: sample-1.tar.gz" in said
    assert "uv build --wheel --out-dir dist" in said


def test_a_wheel_that_nobody_makes_gets_the_advice_to_make_it_before_the_build(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(dockerfile="FROM python:3.13-slim\nCOPY dist/*.whl /tmp/\n")
    said = failure_of(project.run("-k", "image"), "image[")
    assert "there is no wheel to copy into the image" in said
    assert f"there is no folder {project.root / 'dist'}" in said
    assert 'before-build = ["uv build --wheel"]' in said
