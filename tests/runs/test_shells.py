"""A command that a shell-form ENTRYPOINT would drop is refused before anything runs."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Entrypoint, Image, Platform
from pytest_mlcontainer.runs.shells import check_command, exec_form, script_of, takes_arguments
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

IMAGE = Image("image", "sha256:0", Platform("linux", "amd64"))
TRAIN = Entrypoint("train", command=("--epochs", "3"))

DROPPING = [
    ("/bin/sh", "-c", "python3 train.py"),
    ("/bin/bash", "-o", "pipefail", "-c", "python3 train.py | tee log"),
    ("sh", "-ec", "exec python3 train.py"),
    ("tini", "--", "bash", "-lc", "python3 train.py $ARGS"),
    ("conda", "run", "-n", "env", "/bin/bash", "-c", "python train.py"),
    ("sh", "-c", "awk '{print $1}' data.csv && python train.py"),
    ("sh", "-c", 'echo "it costs \\$1"; python train.py'),
]
TAKING = [
    ("python3", "train.py"),
    ("/entrypoint.sh",),
    ("sh", "/run.sh"),
    ("sh", "-c", 'exec python3 train.py "$@"', "sh"),
    ("sh", "-c", "python3 train.py $*"),
    ("bash", "-c", "python3 train.py ${1:-10}"),
    ("bash", "-c", "while [ $# -gt 0 ]; do shift; done"),
    ("sh", "-c", '"$0" "$@"'),
    ("bash", "--login", "--", "run.sh"),
    (),
]


@pytest.mark.parametrize("entrypoint", DROPPING, ids=" ".join)
def test_a_command_that_would_be_dropped_is_refused(entrypoint: tuple[str, ...]) -> None:
    """Of the image, and of the configuration; without a command there is nothing to drop."""
    image = replace(IMAGE, entrypoint=entrypoint)
    with pytest.raises(RunError) as raised:
        check_command(TRAIN, image)
    assert raised.value.what == "the image's ENTRYPOINT drops the command of train"
    assert "entrypoint = [" in raised.value.remedy
    with pytest.raises(RunError, match="its `entrypoint` drops"):
        check_command(replace(TRAIN, entrypoint=entrypoint), IMAGE)
    check_command(replace(TRAIN, command=()), image)


@pytest.mark.parametrize("entrypoint", TAKING, ids=" ".join)
def test_a_command_that_arrives_is_not(entrypoint: tuple[str, ...]) -> None:
    check_command(TRAIN, replace(IMAGE, entrypoint=entrypoint))


def test_an_entrypoint_of_its_own_takes_the_place_of_the_images() -> None:
    image = replace(IMAGE, entrypoint=("/bin/sh", "-c", "python3 train.py"))
    check_command(replace(TRAIN, entrypoint=("python3", "train.py")), image)


@pytest.mark.parametrize(
    "script", ["echo", 'echo "a b"', "exec echo", "echo one | cat", "true && echo"]
)
def test_the_form_that_is_proposed_does_the_same_with_arguments(script: str) -> None:
    """Really run, beside the script alone."""
    alone = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    form = [*exec_form(script), "x", "y"]
    given = subprocess.run(form, capture_output=True, text=True, check=False)
    if "|" in script:
        assert takes_arguments(script_of(tuple(form[:3])) or "")
    else:
        assert given.stdout.split() == [*alone.stdout.split(), "x", "y"]


def test_a_run_with_a_shell_form_entrypoint_never_starts(
    project: MakeProject, failure_of: FailureOf
) -> None:
    dockerfile = (
        "FROM python:3.13-slim\nWORKDIR /app\nCOPY train.py .\nENTRYPOINT python3 train.py\n"
    )
    project.write(
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["--epochs", "3"]\noutputs = ["o/*"]\n'
        '[tool.mlcontainer.entrypoints.plain]\noutputs = ["o/*"]\n',
        dockerfile=dockerfile,
        train='import os\nos.mkdir("o")\nopen("o/x", "w").write("1")\n',
    )
    result = project.run()

    result.assert_outcomes(passed=2, failed=1)
    said = failure_of(result, "train[")
    assert "the image's ENTRYPOINT drops the command of train" in said
    assert 'ENTRYPOINT ["python3", "train.py"]' in said
