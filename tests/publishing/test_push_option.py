"""`--container-push` in sessions of pytest, and `mlcontainer verify` of what they published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.cli import main
from tests.loopback_registry import (
    PASSWORD,
    RegistryProxy,
    docker_config,
    free_port,
    running_registry,
    tags_of,
)
from tests.sample_project import MakeProject

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def published(report: Path) -> dict[str, Any]:
    """What the report says of it."""
    found: dict[str, Any] = json.loads((report / "report.json").read_text())["published"]
    return found


def words(result: pytest.RunResult) -> str:
    """What was printed, wherever its lines end."""
    return " ".join(result.stdout.str().split())


def push(project: MakeProject, name: str, *args: str) -> pytest.RunResult:
    report = project.root / "report"
    return project.run(f"--container-push={name}", f"--container-report={report}", *args)


def test_what_passed_is_published_and_can_be_verified(
    engine: docker.APIClient,
    project: MakeProject,
    registry: str,
    repository: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reference stands in the summary and in all reports; from an empty folder it is read,
    checked and run, and beside the project its entrypoints are run in it."""
    project.write()
    result = push(project, f"{registry}/{repository}:1")
    assert result.ret == 0
    said = published(project.root / "report")
    reference = said["reference"]
    result.stdout.fnmatch_lines(["*= published =*", "published, and read back*", reference])
    for name in ("report.html", "summary.md"):
        assert reference in (project.root / "report" / name).read_text()
    (image,) = said["images"]
    assert image["attested"] == ["provenance", "bill of materials"]
    assert tags_of(registry, repository) == ["1"]
    try:
        capsys.readouterr()
        assert main(["verify", reference]) == 0
        printed = capsys.readouterr().out
        assert f"train[{image['platform']}]  ok" in printed
        assert image["config"] in printed
        monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
        assert main(["verify", reference]) == 0
        printed = capsys.readouterr().out
        assert f"image[{image['platform']}]  ok" in printed
        assert "no entrypoint was run" in printed
    finally:
        engine.remove_image(reference, force=True)


def test_nothing_is_published_where_something_failed(
    project: MakeProject, registry: str, repository: str
) -> None:
    project.write(train="raise SystemExit(3)")
    result = push(project, f"{registry}/{repository}:1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"nothing was pushed to {registry}/{repository}:1: 1 test failed:*"]
    )
    assert published(project.root / "report")["held_back"].startswith("1 test failed")
    assert tags_of(registry, repository) == []


@pytest.mark.parametrize(
    "selection",
    [("-k", "train"), ("pyproject.toml::train[{native}]",), ("--deselect=test_own.py",)],
)
def test_nothing_is_published_where_something_was_left_out(
    project: MakeProject, registry: str, repository: str, native: str, selection: tuple[str, ...]
) -> None:
    """And since it was asked for, the session fails."""
    own = "def test_own(project_image): assert project_image"
    project.write(test_own__py=own)
    chosen = [word.format(native=native) for word in selection]
    result = push(project, f"{registry}/{repository}:1", *chosen)
    assert result.ret == 1
    assert "nothing was pushed" in words(result)
    assert "not run, so that not all is tested:" in words(result)
    assert set(result.parseoutcomes()) <= {"passed", "deselected"}
    assert tags_of(registry, repository) == []


def test_a_failure_of_other_tests_counts_too(
    project: MakeProject, registry: str, repository: str
) -> None:
    project.write(test_own__py="def test_own(): assert False")
    result = push(project, f"{registry}/{repository}:1")
    assert "nothing was pushed" in words(result)
    assert "the session did not pass" in words(result)
    assert tags_of(registry, repository) == []


def test_a_session_that_is_cut_off_publishes_nothing(
    project: MakeProject, registry: str, repository: str
) -> None:
    own = "def test_own(project_image): raise KeyboardInterrupt"
    project.write(test_own__py=own)
    name, report = f"{registry}/{repository}:1", project.root / "report"
    options = (f"--container-push={name}", f"--container-report={report}")
    files = ("test_own.py", "pyproject.toml")
    result = project.pytester.runpytest_subprocess(
        "-p", "no:randomly", "--container", *options, *files
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert published(report)["held_back"] == "no test of [tool.mlcontainer] has passed"
    assert tags_of(registry, repository) == []


def test_workers_test_and_their_controller_publishes(
    project: MakeProject, registry: str, repository: str
) -> None:
    """What they built, and nothing that is built anew."""
    project.write()
    result = push(project, f"{registry}/{repository}:1", "-n2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["published, and read back*"])
    assert tags_of(registry, repository) == ["1"]
    result = push(project, f"{registry}/{repository}:2", "-n2", "-k", "train")
    assert result.ret == 1
    assert "nothing was pushed" in words(result)


@pytest.mark.usefixtures("containerd_store")
def test_an_image_from_buildxs_local_cache_is_published_as_it_is(
    project: MakeProject, registry: str, repository: str, tmp_path: Path
) -> None:
    """Built from what an earlier build has left in a folder, it has the same configuration."""
    cache = tmp_path / "cache"
    config = (
        f'cache-to = ["type=local,dest={cache}"]\n'
        f'cache-from = ["type=local,src={cache}"]\n'
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
        'outputs = ["outputs/*"]\n'
    )
    project.write(config)
    configurations = []
    for tag in ("1", "2"):
        assert push(project, f"{registry}/{repository}:{tag}").ret == 0
        (image,) = published(project.root / "report")["images"]
        configurations.append(image["config"])
    assert (cache / "index.json").is_file()
    assert len(set(configurations)) == 1
    assert tags_of(registry, repository) == ["1", "2"]


def test_collecting_publishes_nothing(project: MakeProject, registry: str, repository: str) -> None:
    project.write()
    result = push(project, f"{registry}/{repository}:1", "--collect-only")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*pushed*")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("bikes:1", "*neither a registry nor an account*"),
        (f"acme/bikes@sha256:{'0' * 64}", "*a digest cannot be published to*"),
        ("", "*--container-push: *"),
    ],
)
def test_a_name_that_is_none_is_refused_at_once(project: MakeProject, name: str, what: str) -> None:
    project.write()
    result = project.run(f"--container-push={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([what])


def test_a_registry_that_takes_nothing_is_known_before_the_tests(project: MakeProject) -> None:
    project.write()
    result = project.run(f"--container-push=127.0.0.1:{free_port()}/a/b:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.no_re_match_line(r".*\d+ passed")
    said = result.stdout.str() + result.stderr.str()
    assert "the registry does not answer" in said
    assert "nothing was pushed" not in said  # one reason is enough


def test_a_tag_that_moves_in_between_fails_the_session(
    project: MakeProject, registry: str, repository: str
) -> None:
    """It is named, with what was pushed."""
    project.write()
    with RegistryProxy(registry) as proxy:
        body = '{"schemaVersion":2,"manifests":[]}'
        kind = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        proxy.add("GET .*manifests/1$", 200, body=body, headers=kind)
        result = push(project, f"{proxy.host}/{repository}:1")
    assert result.ret == 1
    assert "but the tag was moved to something else" in words(result)
    said = published(project.root / "report")
    assert said["reference"]
    assert said["failure"]["what"].startswith("the tag was moved")


def test_content_damaged_on_its_way_back_fails_the_session(
    project: MakeProject, registry: str, repository: str
) -> None:
    project.write()
    with RegistryProxy(registry) as proxy:
        proxy.add("GET .*blobs", "damage")
        result = push(project, f"{proxy.host}/{repository}:1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "pushed to *, but what the registry sends is not what its digest*",
            "*is not proven; to read it back once more: mlcontainer verify 127.0.0.1:*@sha256:*",
        ]
    )


def test_a_password_is_on_no_command_line_and_in_no_log(
    project: MakeProject, tmp_path: Path, repository: str
) -> None:
    """Every process that is started meanwhile is looked at, and all that was printed or written."""
    project.write()
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            # Not by `glob`, which looks into each folder, and fails for one that has just gone.
            for folder in Path("/proc").iterdir():
                try:
                    file = folder / "cmdline"
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with running_registry(tmp_path / "registry", login=True) as host:
            config = docker_config(tmp_path / "docker", host)
            options = (f"--container-push={host}/{repository}:1", "--container-report=report")
            program = [sys.executable, "-m", "pytest", "-p", "no:randomly", "--container", "-vv"]
            done = subprocess.run(
                [*program, *options], cwd=project.root, capture_output=True, text=True,
                env={**os.environ, "DOCKER_CONFIG": str(config), "MLCONTAINER_PROGRESS": "plain"},
            )  # fmt: skip
    finally:
        ended.set()
        watcher.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("container-push" in each for each in seen)
    auth = json.loads((config / "config.json").read_text())["auths"][host]["auth"]
    texts = [*seen, done.stdout, done.stderr]
    texts += [path.read_text(errors="replace") for path in (project.root / "report").iterdir()]
    texts += [
        path.read_text(errors="replace")
        for path in Path(os.environ["MLCONTAINER_CACHE_DIR"]).rglob("*")
        if path.is_file()
    ]
    for secret in (PASSWORD, auth):
        assert not [text for text in texts if secret in text]


def test_verify_insists_on_a_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with 2: it cannot give an answer."""
    assert main(["verify", "acme/bikes:1"]) == 2
    assert "there is no digest" in capsys.readouterr().err


def test_verify_makes_the_checks_that_the_project_asks_for(
    engine: docker.APIClient,
    project: MakeProject,
    registry: str,
    repository: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also of what the image holds and does, and what it could do without."""
    entry = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
    entry += 'outputs = ["outputs/*"]\n'
    project.write(entry)
    assert push(project, f"{registry}/{repository}:1").ret == 0
    reference = published(project.root / "report")["reference"]
    checks = "slim = true\nenvironment = true\nstart = { exit-codes = [0] }\n"
    project.write(f"{entry}[tool.mlcontainer.image]\nlint = false\n{checks}")
    capsys.readouterr()
    try:
        assert main(["verify", reference]) == 0
    finally:
        engine.remove_image(reference, force=True)
    printed = capsys.readouterr().out
    for name in ("size", "environment", "start", "slim"):
        assert f"image::{name}[" in printed, printed
    assert "SL001: an image that is" in printed, printed
