"""Software that differs between two platforms is the first suspect, and tried by intervention."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.explain.imports import imported_modules, used
from pytest_mlcontainer.explain.packages import Contents, Distribution, changes
from pytest_mlcontainer.model import Image, Platform
from pytest_mlcontainer.pipeline.environments import (
    Mixture,
    Side,
    Wheels,
    dockerfile,
    needs_wheel,
    plan_recipe,
)
from tests.sample_project import MakeProject

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def package(
    name: str, version: str, *requires: str, compiled: bool = False, digest: str = ""
) -> Distribution:
    info = f"{name}-{version}.dist-info"
    modules = (name.replace("-", "_"),)
    return Distribution(
        name, version, "/site", info, digest or version, compiled, compiled, requires, modules
    )


def contents(machine: str, *packages: Distribution) -> Contents:
    return Contents(
        "3.13.5", machine, "/usr/bin/python3", "cpython-313", "/site", distributions=packages
    )


def mixed(a: Contents, b: Contents, **wheels: Any) -> Mixture:
    first, second = (
        Side(str(platform), each, Image(f"{platform.architecture}:1", "sha256:1", platform))
        for platform, each in ((AMD64, a), (ARM64, b))
    )
    return Mixture(first, second, changes(a, b), **wheels)


# What a project imports


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import numpy as np, os.path\n", {"numpy", "os"}),
        ("from sklearn.linear_model import Ridge\n", {"sklearn"}),
        ("def f():\n    import torch\n", {"torch"}),
        ("x = 1; import polars\n", {"polars"}),
        ('importlib.import_module("xgboost")\n', {"xgboost"}),
        ("from . import own\n# we import things from there\n", set()),
    ],
)
def test_imports_are_read_off_programs(text: str, modules: set[str]) -> None:
    """Wherever they stand, under their top-level names."""
    assert imported_modules([text]) == modules


def test_what_an_import_needs_is_used_as_well() -> None:
    """Through packages that are the same on both sides; what nothing needs is not."""
    a = contents(
        "x", package("app", "1", "middle"), package("middle", "1", "deep>=1"),
        package("deep", "1"), package("other", "1"),
    )  # fmt: skip
    b = contents(
        "x", package("app", "1", "middle"), package("middle", "1", "deep>=1"),
        package("deep", "2"), package("other", "2"),
    )  # fmt: skip
    both = (*a.distributions, *b.distributions)

    assert used(changes(a, b), both, frozenset({"app"})) == {"deep"}
    assert used(changes(a, b), both, frozenset({"other", "os"})) == {"other"}
    assert used(changes(a, b), both, frozenset()) == frozenset()


# Across architectures, as data


def test_machine_code_of_one_version_is_the_platform_itself() -> None:
    """Only another version of it is a change, and another build of what is not compiled."""
    a = contents(
        "x86_64", package("fast", "1", compiled=True, digest="a"), package("pure", "1", digest="a"),
        package("new", "1", compiled=True),
    )  # fmt: skip
    b = contents(
        "aarch64", package("fast", "1", compiled=True, digest="b"),
        package("pure", "1", digest="b"), package("new", "2", compiled=True),
    )  # fmt: skip

    assert {each.name for each in changes(a, b)} == {"new", "pure"}


def test_machine_code_comes_as_a_wheel_and_all_else_is_moved() -> None:
    """The image that is begun with stays of its own platform, with everything changed too."""
    a = contents("x86_64", package("fast", "1", compiled=True), package("pure", "1"))
    b = contents("aarch64", package("fast", "2", compiled=True), package("pure", "2"))
    assert needs_wheel(b, a, b.distributions[0])
    assert not needs_wheel(b, a, b.distributions[1])
    wheels = (Wheels("wheels:1", (("fast", "/w/fast.whl"),)), Wheels())

    recipe = plan_recipe(mixed(a, b, wheels=wheels), ["fast", "pure"])

    assert recipe.base.name == "linux/amd64"
    assert recipe.install == ("/w/fast.whl",)
    assert [each.name for each in recipe.take] == ["pure"]
    lines = dockerfile(recipe).splitlines()
    assert lines[:2] == ["FROM --platform=linux/arm64 arm64:1 AS donor", "FROM amd64:1"]
    assert "--mount=type=bind,from=donor," in lines[-1]


# On an engine

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


def explained(project: MakeProject, *args: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """The comparison of the platforms, explained: pytest's result and report.json's."""
    result = project.run("-k", "agrees", "--container-report=report", *args)
    report = json.loads((project.root / "report" / "report.json").read_text())
    (found,) = report["results"]
    return result, found


def causes(found: dict[str, Any]) -> list[list[str]]:
    return [cause["names"] for cause in found["causes"]]


def test_a_package_that_differs_between_architectures_is_the_cause(
    project: MakeProject, native: str, foreign: str, leaves_nothing: None
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
    project: MakeProject, native: str, own_python: Path, leaves_nothing: None
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
    project: MakeProject, native: str, own_python: Path, leaves_nothing: None
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
