"""The command line's options that change where and how runs happen."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.model import LABEL
from tests.sample_project import MakeProject

CONFIG = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
SLEEPS = "import time; print('asleep', flush=True); time.sleep(300)"


@pytest.fixture
def built(engine: docker.APIClient, request: pytest.FixtureRequest) -> Any:
    """An image of the engine's own, under a tag that is removed afterwards."""
    tag = f"mlcontainer-test/{abs(hash(request.node.name))}:latest"
    engine.tag("python:3.13-slim", tag.partition(":")[0], "latest")
    yield tag
    engine.remove_image(tag, force=True)


def test_an_existing_image_is_tested_instead_of_building(
    project: MakeProject, built: str, engine: docker.APIClient, leaves_nothing: None
) -> None:
    project.write(
        CONFIG.replace('"train.py"', '"-c", "import os; os.mkdir(\'/o\'); open(\'/o/x\', \'w\')"')
        .replace('"outputs/*"', '"/o/*"'),
        dockerfile=None,
    )  # fmt: skip

    result = project.run(f"--container-image={built}")

    result.assert_outcomes(passed=2)
    assert list_images(engine, built), "the user's own image must stay"


def test_the_engine_can_be_named(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, leaves_nothing: None
) -> None:
    url = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    project.write(CONFIG)

    result = project.run(f"--container-engine={url}")

    result.assert_outcomes(passed=2)


def test_a_docker_context_is_an_engine(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, leaves_nothing: None
) -> None:
    url = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    # docker-py looks for contexts beside a configuration file only.
    (tmp_path / "docker" / "config.json").write_text("{}")
    subprocess.run(
        ["docker", "context", "create", "elsewhere", "--docker", f"host={url}"], check=True
    )
    project.write(CONFIG)

    result = project.run("--container-engine=elsewhere")

    result.assert_outcomes(passed=2)


def test_a_context_that_does_not_exist_is_named(project: MakeProject) -> None:
    project.write(CONFIG)

    result = project.run("--container-engine=elsewhere")

    result.stdout.fnmatch_lines(["*no such docker context*'elsewhere'*", "*docker context ls*"])


def test_a_failed_container_is_kept_on_request(
    project: MakeProject, engine: docker.APIClient, alone: None
) -> None:
    project.write(CONFIG, train="raise SystemExit('a last word')")

    result = project.run("--container-keep=failed")

    (kept,) = re.findall(r"kept: docker logs (\w+) .*mlcontainer clean", result.stdout.str())
    try:
        assert engine.inspect_container(kept)["State"]["Status"] == "exited"
        assert b"a last word" in engine.logs(kept)
        assert f"{LABEL}.keep" in engine.inspect_container(kept)["Config"]["Labels"]
    finally:
        image = engine.inspect_container(kept)["Config"]["Image"]
        engine.remove_container(kept, force=True)
        # Another test's image may have the same content, and then this one is gone with its tag.
        with contextlib.suppress(docker.errors.ImageNotFound):
            engine.remove_image(image, force=True)


def test_a_projects_own_gpus_option_wins(project: MakeProject) -> None:
    project.write(
        conftest__py="def pytest_addoption(parser): parser.addoption('--gpus', default='mine')",
        test_own__py="def test_own(pytestconfig): assert pytestconfig.getoption('gpus') == '3'",
    )

    result = project.pytester.runpytest_subprocess("--gpus=3", "test_own.py")

    result.assert_outcomes(passed=1)


def test_gpus_without_a_gpu_say_what_is_missing(
    project: MakeProject, engine: docker.APIClient, leaves_nothing: None
) -> None:
    if "nvidia" in engine.info()["Runtimes"]:
        pytest.skip("this engine has GPUs to give")
    project.write(CONFIG)

    result = project.run("--gpus=all")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*the engine has no GPU to give*--gpus all*", "*NVIDIA Container Toolkit*"]
    )


def test_a_request_for_a_named_device_passes_through_without_showing_a_gpu(
    project: MakeProject, engine: docker.APIClient, described_device: str, leaves_nothing: None
) -> None:
    """The request goes all the way through the engine; that a GPU computes is not shown here."""
    project.write(
        CONFIG,
        train="import os; os.mkdir('outputs');"
        "open('outputs/device', 'w').write(os.environ['MLCONTAINER_DEVICE'])",
    )

    result = project.run(f"--gpus={described_device}", "--container-report=report")

    result.assert_outcomes(passed=2)


def test_a_named_device_that_does_not_exist_is_named(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(CONFIG)

    result = project.run("--container-gpus=example.org/gpu=7")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the engine has no GPU to give*example.org/gpu=7*"])


@pytest.fixture
def described_device(engine: docker.APIClient) -> Iterator[str]:
    """A device that the engine can give: a description of it where our own engine reads those."""
    folders = [Path(each) for each in engine.info().get("CDISpecDirs") or ()]
    ours = [each for each in folders if each.is_dir() and each.parent.name == ".engine"]
    if not ours:
        pytest.skip("only the private engine's device descriptions are ours to change")
    kind = f"mlcontainer-{os.getpid()}.test/gpu"
    device = {"name": "0", "containerEdits": {"env": ["MLCONTAINER_DEVICE=0"]}}
    file = ours[0] / f"mlcontainer-test-{os.getpid()}.json"
    file.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": kind, "devices": [device]}))
    yield f"{kind}=0"
    file.unlink()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_ctrl_c_leaves_nothing_behind(
    project: MakeProject, engine: docker.APIClient, workers: tuple[str, ...], leaves_nothing: None
) -> None:
    root = project.write(CONFIG, train=SLEEPS)
    marker = f"sleeper-{time.monotonic_ns()}"
    config = (root / "pyproject.toml").read_text().replace('"sample"', f'"{marker}"')
    (root / "pyproject.toml").write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--container", *workers],
        cwd=root,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    _wait_for(lambda: running(engine, marker))

    # A terminal sends it to the whole group, workers included.
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=180)

    assert process.returncode in (pytest.ExitCode.INTERRUPTED, -signal.SIGINT)
    assert not running(engine, marker)


def running(engine: docker.APIClient, name: str) -> list[Any]:
    """Containers of the project's image that sleep."""
    return [
        each
        for each in engine.containers(all=True, filters={"label": LABEL})
        if f"/{name}-" in each["Image"] and "train.py" in each["Command"]
    ]


def _wait_for(condition: Any, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def test_a_report_that_is_a_file_is_a_usage_error(project: MakeProject) -> None:
    """Before anything runs, not after everything has."""
    root = project.write(CONFIG)
    (root / "report").write_text("")

    result = project.run("--container-report=report")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--container-report: not a folder*report*", "*name a folder*"])


def test_a_report_that_cannot_be_written_fails_in_our_words(project: MakeProject) -> None:
    """What was run is still summed up."""
    root = project.write('platforms = "host"\n' + CONFIG, train="x = 1")
    (root / "train.py").write_text(
        "import os\nos.mkdir('outputs')\nopen('outputs/x', 'w')\n"
        f"report = {str(root / 'report' / 'report.json')!r}\n"
        "os.remove(report)\nos.mkdir(report)\n"
    )

    result = project.run("--container-report=report")

    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the report cannot be written: *report: Is a directory*"])
    result.stdout.fnmatch_lines(["*name a folder that can be written*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("where", ["arguments", "addopts"])
def test_all_variations_are_asked_for_without_a_value(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What follows is a file of tests, or another option, and not a list of names."""
    root = project.write('platforms = "host"\n' + CONFIG)
    options = ("--container-vary", "pyproject.toml") if where == "arguments" else ("-q",)
    if where == "addopts":
        with (root / "pyproject.toml").open("a") as file:
            file.write('[tool.pytest.ini_options]\naddopts = ["--container-vary", "-v"]\n')

    result = project.run("--collect-only", *options)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*varies?host?*"])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--container-vary=", "--container-vary: *"),
        ("--container-vary=Threads", "--container-vary: not the name of a variation: *Threads*"),
        ("--container-budget=few", "--container-budget: not a number of runs: *few*"),
    ],
)
def test_a_wrong_request_to_vary_is_a_usage_error(
    project: MakeProject, option: str, says: str
) -> None:
    """Before anything is collected."""
    project.write('platforms = "host"\n' + CONFIG)

    result = project.run(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{says}"])
