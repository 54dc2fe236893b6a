"""The check `environment` on a real engine: packages are put into the image as their metadata."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python3", "train.py"]\n'
DOCKERFILE = f"FROM {BASE}\nWORKDIR /app\nENV PYTHONPATH=/site\nCOPY *.py ./\nCOPY site /site\n"


def checked(extra: str = "environment = true") -> str:
    return f"{ENTRY}\n[tool.mlcontainer.image]\nlint = false\n{extra}\n"


def install(project: MakeProject, name: str, version: str, *requires: str) -> None:
    folder = project.root / "site" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    lines += ["License-Expression: MIT"]
    (folder / "METADATA").write_text("\n".join(lines) + "\n\nText: none\n")


def test_what_differs_from_the_lock_fails_the_check(
    project: MakeProject, engine: object, failure_of: FailureOf, leaves_nothing: None
) -> None:
    install(project, "Alpha", "1.0")
    install(project, "beta", "2.0", "gamma>=3")
    lock = {"requirements__txt": "# via us\nalpha==1.1\nbeta==2.0\ndelta==4\n"}
    project.write(checked(), dockerfile=DOCKERFILE, **lock)
    folder = project.root / "report"
    result = project.run("-k", "environment", f"--container-report={folder}")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::environment")
    for part in (
        "requirements.txt:2: error ENV002: alpha 1.0 is installed, locked is 1.1",
        "requirements.txt:4: error ENV001: delta 4 is locked and not installed",
        "error ENV006: beta 2.0 requires gamma>=3, which is not installed",
    ):
        assert part in said
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    assert (check["check"], check["platform"][:6]) == ("environment", "linux/")
    slug = check["platform"].replace("/", "-")
    assert "alpha,1.0,MIT" in (folder / f"licences-{slug}.csv").read_text()
    bill = json.loads((folder / f"bom-{slug}.cdx.json").read_text())
    alpha = next(each for each in bill["components"] if each["name"] == "alpha")
    assert (bill["bomFormat"], alpha["purl"]) == ("CycloneDX", "pkg:pypi/alpha@1.0")
    assert alpha["licenses"] == [{"license": {"id": "MIT"}}]


def test_an_image_that_is_as_locked_passes(
    project: MakeProject, engine: object, leaves_nothing: None
) -> None:
    """Of two locks the one that the Dockerfile installs counts, and the other is named."""
    install(project, "alpha", "1.1")
    install(project, "sample", "1")  # the project itself
    files = {"requirements__txt": "alpha==1.0\n", "exact__txt": "# via us\nalpha==1.1\n"}
    text = f"{DOCKERFILE}RUN true || pip install -r exact.txt\n"
    project.write(checked(), dockerfile=text, **files)
    result = project.run("-k", "environment")
    result.assert_outcomes(passed=1)
    note = "*note: held against exact.txt; not against requirements.txt: name it by lock = …*"
    result.stdout.fnmatch_lines([note])
    result.stdout.no_fnmatch_line("*ENV003*")
    project.write(checked('environment = { lock = "requirements.txt" }'), dockerfile=text, **files)
    project.run("-k", "environment").assert_outcomes(failed=1)


def test_without_a_lock_a_note_says_so(
    project: MakeProject, engine: object, leaves_nothing: None
) -> None:
    install(project, "alpha", "1.1")
    project.write(checked(), dockerfile=DOCKERFILE)
    result = project.run("-k", "environment")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*note: there is no lock*"])


def test_a_lock_that_is_damaged_is_no_missing_lock(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    """Nor is another file silently taken for it."""
    install(project, "alpha", "1.1")
    for more in ({}, {"requirements__txt": "alpha==1.1\n"}):
        project.write(checked(), dockerfile=DOCKERFILE, uv__lock="[[package\n", **more)
        said = failure_of(project.run("-k", "environment"), "image::environment")
        assert "uv.lock: error ENV009: the lock cannot be read" in said
        assert "there is no lock" not in said


def test_a_lock_that_is_not_there_is_named(
    project: MakeProject, engine: object, failure_of: FailureOf
) -> None:
    install(project, "alpha", "1.1")
    project.write(checked('environment = { lock = "nowhere.lock" }'), dockerfile=DOCKERFILE)
    said = failure_of(project.run("-k", "environment"), "image::environment")
    assert "environment.lock: no such file" in said
    assert "nowhere.lock" in said


def test_an_image_without_python_is_skipped(
    project: MakeProject, engine: object, leaves_nothing: None
) -> None:
    project.write(checked(), dockerfile='FROM scratch\nCOPY train.py /\nCMD ["/none"]\n')
    result = project.run("-k", "environment", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*no Python in it answers*"])


@pytest.mark.emulation
def test_platforms_are_held_against_the_reference(
    project: MakeProject, engine: object, native: str, foreign: str, failure_of: FailureOf
) -> None:
    """The same set on every platform: here one installs more."""
    install(project, "alpha", "1.1")
    text = f"{DOCKERFILE}ARG TARGETARCH\nCOPY more-$TARGETARCH /site\n"
    project.write(checked('environment = { threshold = "warning" }'), dockerfile=text)
    for architecture in ("amd64", "arm64"):
        (project.root / f"more-{architecture}").mkdir()
    more = project.root / f"more-{foreign.rpartition('/')[2]}" / "beta-1.dist-info"
    more.mkdir()
    (more / "METADATA").write_text("Name: beta\nVersion: 1\n\n")
    result = project.run("-k", "environment", f"--container-platform={native},{foreign}")
    result.assert_outcomes(passed=1, failed=1)
    said = failure_of(result, f"image::environment[{foreign}]")
    assert f"ENV007: other packages than on {native}: beta 1 (missing there)" in said


def test_where_host_is_a_platform_its_packages_are_held_against_the_image(
    project: MakeProject, native: str, leaves_nothing: None
) -> None:
    install(project, "alpha", "1.0")
    install(project, "packaging", "1.0")
    config = f'platforms = ["{native}", "host"]\n{checked()}'
    project.write(config, dockerfile=DOCKERFILE)
    folder = project.root / "report"
    project.run("-k", "environment", f"--container-report={folder}").assert_outcomes(passed=1)
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    (finding,) = (each for each in check["findings"] if each["rule"] == "ENV008")
    here = importlib.metadata.version("packaging")
    assert f"alpha 1.0 (missing there), packaging 1.0 ({here} there)" in finding["what"]
    assert "pytest" not in finding["what"]
