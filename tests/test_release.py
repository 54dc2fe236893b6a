"""What a release needs: the script that looks at a tag, the workflows, the sdist, the fragments."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from scripts.release import problems

ROOT = Path(__file__).parent.parent
IN_THE_CLEAR = ("actions/", "docker/", "pypa/")
WORKFLOWS = [
    file
    for file in (
        ROOT / "action.yml",
        *sorted((ROOT / "examples" / "github-workflow").glob("*.yml")),
        *sorted((ROOT / "examples" / "kubernetes").glob("*.yml")),
        *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    )
    if file.exists()  # the sdist has no .github
]


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A project whose version 1.2.3 is ready."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-11-28)\n\n- All.\n")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "README.md").write_text("how\n")
    return tmp_path


def test_a_tag_whose_version_is_ready_can_be_released(released: Path) -> None:
    assert problems("v1.2.3", released) == []


def test_each_reason_against_a_release_is_named(released: Path) -> None:
    (released / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (unreleased)\n")
    (released / "changes" / "12.fixed.md").write_text("Less.\n")

    other, date, waiting = problems("v1.3.0", released)

    assert other == "the tag is v1.3.0, and the version in pyproject.toml is 1.2.3"
    assert "(unreleased)" in date
    assert "12.fixed.md" in waiting


def test_a_changelog_without_the_version_cannot_be_released(released: Path) -> None:
    (released / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.30 (2026-11-28)\n")
    (missing,) = problems("v1.2.3", released)
    assert "no heading `## 1.2.3 (date)`" in missing


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.name))
def test_actions_are_pinned_to_what_they_were(file: Path) -> None:
    """By a commit: a tag can be moved. The version stands beside it, for people."""
    used = re.findall(r"uses: (.+)", file.read_text(encoding="utf-8"))
    assert used
    for each in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", each), each
        assert each.startswith(IN_THE_CLEAR), each


@pytest.mark.parametrize("file", WORKFLOWS[1:], ids=lambda file: str(file.name))
def test_workflows_may_do_nothing_that_they_do_not_ask_for(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["permissions"] in ({}, {"contents": "read"})
    for name, job in content["jobs"].items():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_the_lock_has_all_that_is_asked_for_by_hash_and_from_nowhere_in_particular() -> None:
    """Made anew by `python scripts/lock.py` where this fails after a change of pyproject.toml."""
    text = (ROOT / "dev.lock").read_text(encoding="utf-8")
    pins = [Requirement(each) for each in re.findall(r"^([\w.-]+==[^\\\n]+?) \\\n", text, re.M)]
    locked = {_name(pin): next(iter(pin.specifier)).version for pin in pins if _applies(pin)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = (project["dependencies"], *project["optional-dependencies"].values())
    asked = [each for each in (Requirement(line) for some in lists for line in some)
             if _applies(each) and _name(each) != project["name"]]  # fmt: skip
    assert [str(each) for each in asked if locked.get(_name(each), "0") not in each.specifier] == []
    assert len(text.split("\\\n    --hash=sha256:")) > len(pins)
    assert not re.search(r"https?:|^-|^\S+ @", text, re.MULTILINE)
    assert re.match(r"# Made by scripts/lock\.py: .* after \d{4}-\d\d-\d\d\.\n", text)


def _name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def test_fragments_become_the_changelog(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "changes", tmp_path / "changes")
    for kind in ("verdict", "security", "added", "changed", "deprecated", "removed", "fixed"):
        (tmp_path / "changes" / f"7.{kind}.md").write_text(f"What is {kind}.\n")

    made = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert re.search(r"^## 9\.9\.9 \(\d{4}-\d\d-\d\d\)$", made, re.MULTILINE), made
    assert made.index("What is verdict.") < made.index("What is security.")
    assert len(re.findall(r"What is \w+\.", made)) == 7


def test_the_sdist_has_all_that_the_tests_need(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    for folder in ("src", "tests", "benchmarks", "docs", "examples", "scripts", "changes"):
        for file in (ROOT / folder).rglob("*"):
            tracked = file.suffix in (".py", ".md", ".toml", ".json", ".jsonl", ".css", ".c", ".so")
            if tracked and file.is_file() and not _is_made(file.relative_to(ROOT)):
                assert str(file.relative_to(ROOT)) in inside
    assert {"action.yml", "Makefile", "tox.ini", "README.md", "SECURITY.md"} <= inside


def _is_made(path: Path) -> bool:
    return bool({"__pycache__", "build", "dist"} & set(path.parts)) or any(
        part.startswith(".") or part.endswith(".egg-info") for part in path.parts
    )
