"""What between two images makes outputs drift, found in hybrids of real ones; and bad input."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.cli.explain_images import ImageArgs, explain_images
from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import BuildSettings, Platform
from tests.mixing.installed_files import installed, write

BASE_IMAGE = "python:3.13-slim"

# With real images


def wheel(
    folder: Path, name: str, version: str, value: object, requires: Iterable[str] = ()
) -> None:
    """A pure wheel of one module; the same bytes every time."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"value = {value!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{path},sha256={digest.rstrip(b'=').decode()},{len(text)}\n"
            archive.writestr(zipfile.ZipInfo(path), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record)


Build = Callable[..., str]


@pytest.fixture(scope="module")
def build(engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Builds an image from the lines of a Dockerfile and files; all go at the end."""
    made: list[str] = []
    buildx = Buildx(None, os.environ, Processes())
    native = Platform("linux", engine.version()["Arch"])

    def build(
        dockerfile: str,
        files: dict[str, str],
        needs: dict[str, list[str]] | None = None,
        **values: object,
    ) -> str:
        folder = tmp_path_factory.mktemp("image")
        for name, text in files.items():
            write(folder / name, text)
        for name, value in values.items():
            package, version = name.rsplit("_", 1)
            wheel(folder, package, f"{version}.0", value, (needs or {}).get(package, ()))
        file = write(folder / "Dockerfile", dockerfile)
        tag = f"mlcontainer-test-{uuid.uuid4().hex[:12]}:1"
        settings = BuildSettings(folder, file)
        platform = Platform("linux", "arm64") if "arm64" in dockerfile else native
        made.append(tag)
        buildx.build(settings, platform, tag, (), lambda _line: None)
        return tag

    yield build
    for tag in made:
        engine.remove_image(tag, force=True)


INSTALL = f"""\
FROM {BASE_IMAGE}
WORKDIR /app
COPY *.whl /tmp/
RUN pip install --no-index --no-deps --root-user-action=ignore /tmp/*.whl
COPY *.py ./
"""
PREDICT = """\
import json, alpha, beta, gamma
both = beta.value == gamma.value == 2
json.dump({"alpha": alpha.value, "both": float(both)}, open("result.json", "w"))
"""


def explained(capsys: pytest.CaptureFixture[str], asked: ImageArgs) -> tuple[int, list[str]]:
    code = explain_images(asked)
    return code, capsys.readouterr().out.splitlines()


def test_the_packages_that_make_outputs_drift_are_named(
    build: Build, capsys: pytest.CaptureFixture[str], tmp_path: Path, leaves_nothing: None,
    engine: docker.APIClient,
) -> None:  # fmt: skip
    """One alone, and two of which neither does it alone; not what else differs."""
    files = {"predict.py": PREDICT}
    first = build(INSTALL, files, alpha_1=1.0, beta_1=1, gamma_1=1)
    second = build(INSTALL + "ENV NOTE=x\n", files, alpha_2=1.5, beta_2=2, gamma_2=2)
    asked = ImageArgs(
        (first, second), command="python predict.py", outputs=("*.json",), report=tmp_path / "r"
    )
    code, lines = explained(capsys, asked)
    assert code == 1
    assert sorted(lines[:2]) == [
        "alpha 1.0 → 2.0 makes result.json drift",
        "beta 1.0 → 2.0 and gamma 1.0 → 2.0 together make result.json drift",
    ], "\n".join(lines)
    (result,) = json.loads((tmp_path / "r" / "report.json").read_text())["results"]
    assert sorted(cause["names"] for cause in result["causes"]) == [["alpha"], ["beta", "gamma"]]


def tags(engine: docker.APIClient) -> set[str]:
    return {tag for image in list_images(engine) for tag in image.get("RepoTags") or ()}


def test_code_and_variables_of_an_image_are_causes_too(
    build: Build,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaves_nothing: None,
    engine: docker.APIClient,
) -> None:
    """Each with what differs in it; and no image between the two is left behind."""
    script = (
        "import json, os, code_\n"
        "found = {'env': float('OMP_NUM_THREADS' in os.environ), 'code': code_.offset}\n"
        "json.dump(found, open('result.json', 'w'))\n"
    )
    dockerfile = f'FROM {BASE_IMAGE}\nWORKDIR /app\nCOPY *.py ./\nCMD ["python", "run.py"]\n'
    first = build(
        f"{dockerfile}ENV OMP_NUM_THREADS=1\n", {"run.py": script, "code_.py": "offset = 0.0\n"}
    )
    second = build(dockerfile, {"run.py": script, "code_.py": "offset = 1.0\n"})
    project = tmp_path / "two-images"
    write(
        project / "pyproject.toml",
        '[tool.mlcontainer.entrypoints.predict]\noutputs = ["result.json"]\n',
    )
    monkeypatch.chdir(project)
    code, lines = explained(capsys, ImageArgs((first, second)))
    assert code == 1
    assert sorted(lines[:2]) == [
        "ENV (OMP_NUM_THREADS: 1 → unset) makes result.json drift",
        "the project's code (code_.py) makes result.json drift",
    ]
    assert not [tag for tag in tags(engine) if tag.startswith("pytest-mlcontainer/two-images")]


def test_a_package_without_which_a_program_fails_is_named(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """Image B does not work at all: what it fails with, and since which version."""
    script = "import alpha\nprint(1 // (2 - alpha.value))\n"
    first = build(INSTALL, {"run.py": script}, alpha_1=1)
    second = build(INSTALL, {"run.py": script}, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 1
    assert lines[0].startswith("alpha 1.0 → 2.0 makes command fail: ")
    assert "ZeroDivisionError" in lines[0]


def test_packages_that_only_work_together_are_changed_together(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """What fails alone is tried with what requires it; an ABI is seldom declared."""
    script = (
        "import json, alpha, beta\n"
        "assert int(alpha.value) == int(beta.value), 'site-packages/beta'\n"
        "json.dump({'sum': alpha.value + beta.value}, open('result.json', 'w'))\n"
    )
    needs = {"beta": ["alpha"]}
    first = build(INSTALL, {"run.py": script}, needs=needs, alpha_1=1.0, beta_1=1.0)
    second = build(INSTALL, {"run.py": script}, needs=needs, alpha_2=2.0, beta_2=2.0)
    asked = ImageArgs((first, second), command="python run.py", outputs=("result.json",))
    code, lines = explained(capsys, asked)
    assert code == 1
    assert lines[0] == "alpha 1.0 → 2.0 and beta 1.0 → 2.0 together make result.json drift"


def test_images_that_agree_say_so_in_three_runs(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """A, A again, and B; what differs between them is listed all the same."""
    files = {"run.py": "print(1.5)\n"}
    first, second = build(INSTALL, files, alpha_1=1), build(INSTALL, files, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 0
    assert lines[0] == f"{second} agrees with {first}, though 1 thing differs in them"
    assert lines[2:] == ["  differing: alpha=1.0 → 2.0", "  3 runs"]


def test_a_program_that_never_repeats_itself_says_nothing_of_images(
    build: Build, capsys: pytest.CaptureFixture[str], leaves_nothing: None
) -> None:
    """No package is blamed for an unseeded generator."""
    files = {"run.py": "import random\nprint(random.random())\n"}
    first, second = build(INSTALL, files, alpha_1=1), build(INSTALL, files, alpha_2=2)
    code, lines = explained(capsys, ImageArgs((first, second), command="python run.py"))
    assert code == 1
    assert lines[0].startswith("command wrote something else in another run in ")
    assert "alpha 1.0 → 2.0 makes" not in "\n".join(lines)


def test_packages_of_this_machine_are_tried_in_the_container(
    build: Build,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaves_nothing: None,
) -> None:
    """`--image host`: the Python first on PATH is the donor, and runs the program, too. What the
    program imports is tried, and nothing else where that is the cause."""
    script = "import alpha\nprint(alpha.value)\n"
    first = build(INSTALL, {"run.py": script}, alpha_1=1.0)
    project, site = tmp_path / "project", tmp_path / "venv" / "lib" / "site-packages"
    write(project / "run.py", script)
    installed(site, "alpha", "2.0", {"alpha/__init__.py": "value = 2.0\n"})
    for number in range(3):
        installed(site, f"other{number}", "1.0", {f"other{number}/__init__.py": ""})
    python = write(
        tmp_path / "venv" / "bin" / "python3",
        f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n',
    )
    python.chmod(0o755)
    (python.parent / "python").symlink_to(python)
    monkeypatch.setattr(sys, "executable", str(python))  # what "this Python" is
    monkeypatch.chdir(project)
    code, lines = explained(capsys, ImageArgs((first, "host"), command="python run.py"))
    assert code == 1
    assert lines[0] == "alpha 1.0 → 2.0 makes stdout drift"
    text = " ".join(" ".join(lines).split())
    assert "other0, other1 and other2" in text or "other0 and other1 and other2" in text
    assert "(no program of the project imports it)" in text


# Bad input


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two entrypoints that write, and one that does not."""
    table = "tool.mlcontainer.entrypoints"
    write(
        tmp_path / "pyproject.toml",
        f'[{table}.train]\noutputs = ["a"]\n[{table}.infer]\noutputs = ["b"]\n[{table}.check]\n',
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (ImageArgs(("a:1",), command="x"), "two images are held against each other"),
        (ImageArgs(("host", "a:1"), command="x"), "image A cannot be this machine"),
        (ImageArgs(("a:1", "a:1"), command="x"), "both are the same image"),
        (ImageArgs(("a:1", "b:1"), command="x", budget=2), "the budget is too small"),
        (ImageArgs(("a:1", "b:1"), command="x 'y"), "the command cannot be read"),
        (
            ImageArgs(("a:1", "b:1"), command="x", entrypoint="train"),
            "both a command and an entry",
        ),
        (ImageArgs(("a:1", "b:1"), outputs=("x",)), "outputs are given without a command"),
        (ImageArgs(("a:1", "b:1")), "several entrypoints of pyproject.toml could be meant"),
        (ImageArgs(("a:1", "b:1"), entrypoint="tran"), "no entrypoint has this name"),
        (ImageArgs(("a:1", "b:1"), entrypoint="check"), "no entrypoint of this name writes"),
        (ImageArgs(("a:1", "b:1"), config=Path("none.toml")), ""),
        (ImageArgs(("0123456789ab", "b:1"), command="x"), "an image has to be named"),
        (
            ImageArgs((f"{BASE_IMAGE}", "no-such-image:1"), command="x"),
            "there is no such image",
        ),
        (
            ImageArgs((BASE_IMAGE, f"docker.io/library/{BASE_IMAGE}"), command="x"),
            "both are the same",
        ),
    ],
)
def test_bad_input_is_said_in_three_parts(
    asked: ImageArgs, what: str, project: Path, engine: docker.APIClient
) -> None:
    """What, the value, and what to do; before anything is run."""
    with pytest.raises(MlContainerError) as raised:
        explain_images(asked)
    assert raised.value.what.startswith(what)
    assert raised.value.value or raised.value.what.count("\n")


def test_without_a_project_a_command_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the error says how to give one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlContainerError, match="--command"):
        explain_images(ImageArgs(("a:1", "b:1")))


def test_images_without_python_or_of_another_platform_are_refused(
    build: Build, engine: docker.APIClient, native: str
) -> None:
    """The error names the image, and where to look instead."""
    bare = build("FROM scratch\nCOPY run.py /\n", {"run.py": ""})
    with pytest.raises(MlContainerError, match=f"no Python in the image {bare}"):
        explain_images(ImageArgs((BASE_IMAGE, bare), command="python run.py"))
    other = build("FROM scratch\n# linux/arm64\nCOPY run.py /\n", {"run.py": ""})
    with pytest.raises(MlContainerError, match="of different platforms"):
        explain_images(ImageArgs((bare, other), command="python run.py"))


def test_an_entrypoint_that_fails_in_image_a_ends_it(
    build: Build, engine: docker.APIClient
) -> None:
    """There is nothing to hold B against."""
    first = build(INSTALL, {"run.py": "raise SystemExit(3)\n"}, alpha_1=1)
    with pytest.raises(MlContainerError, match="command fails in image A"):
        explain_images(ImageArgs((first, BASE_IMAGE), command="python run.py"))
