"""Software that differs between two platforms is the first suspect, and tried by intervention."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

MODEL = """
import json, os, sys
import tinymodel
os.makedirs("out", exist_ok=True)
json.dump({"threshold": tinymodel.threshold}, open("out/result.json", "w"))
"""
# As `pip install` leaves it with a marker, or from an index that has one version for each
# architecture, without running anything in an image of a foreign one.
DOCKERFILE = """\
FROM python:3.13-slim
ARG TARGETARCH
WORKDIR /app
COPY site-$TARGETARCH/ /usr/local/lib/python3.13/site-packages/
COPY program.py ./
"""
TABLE = """platforms = {platforms}
vary = ["hash-seed"]
[tool.mlcontainer.entrypoints.predict]
command = ["python3", "program.py"]
outputs = ["out/*"]
"""


def install(site: Path, name: str, version: str, text: str) -> None:
    """A package with one module, as pip leaves it in a folder."""
    info = f"{name}-{version}.dist-info"
    files = {f"{name}.py": text, f"{info}/METADATA": f"Name: {name}\nVersion: {version}\n"}
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    (site / info / "RECORD").write_text(record)


def explained(project: Any, *args: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """The comparison of the platforms, explained: pytest's result and report.json's."""
    result = project.run("-k", "agrees", "--container-report=report", *args)
    report = json.loads((project.root / "report" / "report.json").read_text())
    (found,) = report["results"]
    return result, found


def causes(found: dict[str, Any]) -> list[list[str]]:
    return [cause["names"] for cause in found["causes"]]


def test_a_package_that_differs_between_architectures_is_the_cause(
    project: Any, native: str, foreign: str, leaves_nothing: None
) -> None:
    """One side's version, brought into the other's image, makes it what the one is; so the
    platform is not named."""
    for platform, version in ((native, "1.0"), (foreign, "2.0")):
        site = project.root / f"site-{platform.partition('/')[2]}"
        install(site, "tinymodel", version, f"threshold = {version} / 4\n")
        install(site, "unrelated", version, "")
    project.write(
        TABLE.format(platforms=json.dumps([native, foreign])),
        dockerfile=DOCKERFILE,
        train="",
        program__py=MODEL,
    )

    result, found = explained(project)

    result.assert_outcomes(failed=1, deselected=5)
    assert causes(found) == [["tinymodel"]]
    evidence = found["causes"][0]["evidence"]
    assert f"brought from {foreign} into the image of {native}" in evidence
    assert f"the outputs then agree with those of {foreign}" in evidence
    assert "tinymodel=1.0 → 2.0" in found["explanation"]["tried"]
    reasons = {each["name"]: each["why"] for each in found["explanation"]["not_exercised"]}
    assert reasons["unrelated"] == "no program of the project imports it"


@pytest.fixture
def own_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages of this machine's Python go, which has no others."""
    site = tmp_path / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    (python.parent / "python").symlink_to(python)
    monkeypatch.setattr(sys, "executable", str(python))  # what "this Python" is
    return site


def test_a_package_that_the_host_has_in_another_version_is_the_cause(
    project: Any, native: str, own_python: Path, leaves_nothing: None
) -> None:
    """Of several that differ, those that nothing imports are not even tried, and that is said."""
    site = project.root / f"site-{native.partition('/')[2]}"
    install(site, "tinymodel", "1.0", "threshold = 0.25\n")
    install(own_python, "tinymodel", "2.0", "threshold = 0.5\n")
    for number in range(20):
        install(own_python, f"tool{number}", "1.0", "")
    project.write(
        TABLE.format(platforms=json.dumps([native, "host"])),
        dockerfile=DOCKERFILE,
        train="",
        program__py=MODEL,
    )

    result, found = explained(project)

    result.assert_outcomes(failed=1, deselected=4)
    assert causes(found) == [["tinymodel"]]
    assert found["explanation"]["tried"] == ["tinymodel=1.0 → 2.0"]
    reasons = {each["name"]: each["why"] for each in found["explanation"]["not_exercised"]}
    assert reasons["tool7"] == "no program of the project imports it"


def test_what_differs_and_cannot_be_tried_keeps_the_platform_from_being_named(
    project: Any, native: str, own_python: Path, leaves_nothing: None
) -> None:
    """Python itself cannot be brought over: it is said to differ, and no cause is named."""
    other = "3.11" if sys.version_info[:2] == (3, 13) else "3.13"
    program = MODEL.replace("import tinymodel", "import platform").replace(
        "tinymodel.threshold", "platform.python_version()"
    )
    project.write(
        TABLE.format(platforms=json.dumps([native, "host"])),
        dockerfile=f"FROM python:{other}-slim\nWORKDIR /app\nCOPY program.py ./\n",
        train="",
        program__py=program,
    )

    result, found = explained(project)

    result.assert_outcomes(failed=1, deselected=4)
    assert causes(found) == []
    text = " ".join(found["explanation"]["open"])
    assert f"the software of both sides differs, and was not tried (Python {other}." in text
    assert "the platform is not known to be the cause" in text
    result.stdout.fnmatch_lines(["cause: not found; the software of both sides differs, *"])
