"""What the pages show can be copied: tables, commands, hooks and CI files."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pytest_mlcontainer import config
from pytest_mlcontainer.cli import main
from pytest_mlcontainer.engines.docker.connect import MINIMUM_API
from pytest_mlcontainer.hooks import load_comparators, load_families
from pytest_mlcontainer.model import Entrypoint, Facts, NotExercised, Platform, Situation, Variation
from pytest_mlcontainer.records.schema import SCHEMA
from pytest_mlcontainer.variations import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|[ /'\"])((?:pytest --container|mlcontainer )[^'\"#|>]*)")


def blocks(page: str, *languages: str) -> Iterator[str]:
    """The text of each block in one of these languages."""
    for indent, language, text in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language in languages:
            yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def commands(page: str) -> Iterator[list[str]]:
    """Each command of ours in a block, as words."""
    for block in blocks(page, "console", "yaml", "groovy", "bash"):
        for line in block.splitlines():
            for command in _COMMAND.findall(line):
                words = shlex.split(command.strip())
                if command.startswith("pytest") or (len(words) > 1 and words[1].isalpha()):
                    yield words


@cache
def options_of_pytest() -> frozenset[str]:
    asked = [sys.executable, "-m", "pytest", "--help"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(re.findall(r"(?<![\w-])--[\w-]+", done.stdout))


@pytest.mark.parametrize("page", PAGES)
def test_every_table_of_ours_is_one_without_problems(page: str) -> None:
    for block in blocks(page, "toml"):
        table = tomllib.loads(block).get("tool", {}).get("mlcontainer")
        if table is not None:
            config.parse_settings(table, ROOT / "pyproject.toml", "x86_64", "shown")


@pytest.mark.parametrize("page", PAGES)
def test_every_option_of_a_command_exists(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(page):
        known = options_of_pytest()
        if words[0] == "mlcontainer" and words[1] != "test":
            with pytest.raises(SystemExit) as ended:
                main([words[1], "--help"])
            assert ended.value.code == 0, words
            known = frozenset(re.findall(r"--[\w-]+", capsys.readouterr().out))
        asked = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert asked <= known, words


@pytest.mark.parametrize("page", PAGES)
def test_every_yaml_can_be_read(page: str) -> None:
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block)


def conftest_of(page: str) -> ModuleType:
    (source,) = (block for block in blocks(page, "python") if "hookimpl" in block)
    module = ModuleType("shown")
    exec(source, module.__dict__)
    return module


def test_the_comparator_reads_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "model.hexw").write_text("bias 3f800000\nslope c0000000\n")

    (comparator,) = load_comparators([("conftest.py", conftest_of("how-to/comparator.md"))])

    assert comparator.suffixes == (".hexw",)
    assert comparator.read(tmp_path / "model.hexw") == {"bias": 1.0, "slope": -2.0}


def test_the_variation_changes_one_variable_and_leaves_the_projects_own() -> None:
    plugins = [("conftest.py", conftest_of("how-to/variation.md"))]
    (family,) = load_families(FAMILIES, plugins)[len(FAMILIES) :]
    here = Situation(Platform("linux", "amd64"), Facts(), Entrypoint("train"))
    own = Entrypoint("train", env=(("LOADER_WORKERS", "4"),))

    chosen = family.choose(here)

    assert isinstance(chosen, Variation)
    assert dict(chosen.knobs.env) == {"LOADER_WORKERS": "1"}
    assert isinstance(
        family.choose(Situation(Platform("linux", "amd64"), Facts(), own)), NotExercised
    )


@pytest.mark.parametrize(
    ("page", "contract"),
    [
        ("how-to/comparator.md", "TestHexWeights"),
        ("how-to/variation.md", "TestLoaderWorkers"),
    ],
)
def test_what_a_page_adds_keeps_its_contract(page: str, contract: str, tmp_path: Path) -> None:
    shown = vars(conftest_of(page))
    (source,) = (block for block in blocks(page, "python") if contract in block)
    exec(source, shown)
    held = shown[contract]()
    for name in (each for each in dir(held) if each.startswith("test_")):
        check = getattr(held, name)
        folder = tmp_path / name
        folder.mkdir()
        check(*[folder] if "tmp_path" in inspect.signature(check).parameters else [])


def test_pages_that_were_not_tried_say_so() -> None:
    """Nobody has run them here: engines, machines and services that are not there."""
    for name in ("ci-gitlab", "ci-jenkins", "gpu", "podman", "docker-desktop"):
        assert "Untried" in (DOCS / "how-to" / f"{name}.md").read_text(encoding="utf-8")


def test_the_compatibility_page_says_what_the_code_has() -> None:
    page = (DOCS / "reference" / "compatibility.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (pytest_range,) = (each for each in project["dependencies"] if each.startswith("pytest>"))

    assert f"(schema {SCHEMA})" in page
    assert f"(API {'.'.join(map(str, MINIMUM_API))})" in page
    assert f"{project['requires-python'].removeprefix('>=')} at least" in page
    assert f"{pytest_range.removeprefix('pytest>=').partition(',')[0]} at least" in page
    for name in set(re.findall(r"`(pytest_mlcontainer\.[\w.]+)`", page)):
        assert vars(importlib.import_module(name))
