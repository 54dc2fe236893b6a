"""The reference says what the code says, and `--help` and `--fixtures` read well alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.model import Settings
from scripts import reference

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "help"
PAGES = ROOT / "docs" / "reference"


def test_the_generated_parts_are_what_the_code_says() -> None:
    """`python scripts/reference.py` writes them anew."""
    assert [path.name for path in reference.outdated()] == []


def test_each_part_stands_in_one_page() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.md"))
    marks = re.findall(r"<!-- (\w+): made by scripts/reference\.py -->", text)
    assert sorted(marks) == sorted(reference.PARTS)


def test_every_option_and_argument_is_explained() -> None:
    """The page that is written by hand leaves none out."""
    text = (PAGES / "command-line.md").read_text(encoding="utf-8")
    sections = {
        name: text.split(f"\n## `mlcontainer {name}")[1] for name in reference.subcommands()
    }
    for option in re.findall(r"^\| `(--[\w-]+)", reference.pytest_options(), re.MULTILINE):
        assert re.search(rf"^\| (`[^|]*)?`{option}\b", text, re.MULTILINE), option
    for name, parser in reference.subcommands().items():
        section = sections[name].split("\n## ")[0]
        for action in parser._actions:
            long = [word for word in action.option_strings if word.startswith("--")]
            assert all(f"`{word}" in section for word in long if word != "--help"), (name, long)


# Defaults


def rows(heading: str) -> Iterator[tuple[str, str]]:
    """Key and default of each row of a table of the configuration whose default is a value."""
    text = (PAGES / "configuration.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        found = re.match(r"\| `([a-z-]+)` \|[^|]*\| `([^`|]+)` \|", line)
        if found:
            yield found[1], found[2]


def settings_of(top: str = "", entrypoint: str = "", rule: str = "rtol = 1e-3") -> Settings:
    text = f"""{top}
        [entrypoints.train]
        command = ["train"]
        outputs = ["outputs/*"]
        {entrypoint}
        [entrypoints.train.compare]
        "outputs/*" = {{ {rule} }}
        """
    return config.parse_settings(tomllib.loads(text), ROOT / "pyproject.toml", "x86_64", "shown")


def server_of(line: str = "") -> Settings:
    text = f"[entrypoints.api]\ncommand = ['serve']\nport = 8000\n{line}\n"
    return config.parse_settings(tomllib.loads(text), ROOT / "pyproject.toml", "x86_64", "shown")


@pytest.mark.parametrize("heading", ["The image", "Where it runs", "A run"])
def test_the_defaults_of_a_project_are_those_that_hold(heading: str) -> None:
    """To write one down changes nothing."""
    found = dict(rows(heading))
    assert len(found) > 2
    for key, default in found.items():
        assert settings_of(f"{key} = {default}") == settings_of(), (key, default)


def test_the_defaults_of_an_entrypoint_are_those_that_hold() -> None:
    found = dict(rows("An entrypoint"))
    assert len(found) > 5
    for key, default in found.items():
        if key in ("health", "startup-timeout"):
            assert server_of(f"{key} = {default}") == server_of(), (key, default)
        elif key not in ("outputs", "compare"):  # which the project here has
            base = 'seeds = ["0", "1"]' if key == "seed-env" else ""
            written = settings_of(entrypoint=f"{base}\n{key} = {default}")
            assert written == settings_of(entrypoint=base), (key, default)


def test_the_defaults_of_a_rule_are_those_that_hold() -> None:
    """But for the bounds: to name one is to choose it."""
    bounds = {"rtol", "atol", "scale"}
    found = {key: default for key, default in rows("Comparison rules") if key not in bounds}
    assert len(found) > 3
    for key, default in found.items():
        rule = "free = ['sign']" if key == "axis" else "rtol = 1e-3"
        written = settings_of(rule=f"{rule}, {key} = {default}")
        assert written == settings_of(rule=rule), (key, default)


# What the programs print


def printed(*words: str, folder: Path) -> str:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    environ = {**kept, "COLUMNS": "80", "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    asked = [sys.executable, *words]
    done = subprocess.run(
        asked, cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def group(text: str, heading: str) -> str:
    """A heading, and what stands below it up to the next one."""
    found = re.search(rf"^[- ]*{re.escape(heading)}.*?(?=^\S.*:$|^-{{5,}}|\Z)", text, re.M | re.S)
    assert found is not None, text
    return found[0].strip()


COMMAND = ("-c", "from pytest_mlcontainer.cli import main; main()")
SCREENS = {
    "pytest": (("-m", "pytest", "--help"), "containers of machine-learning projects:"),
    "fixtures": (("-m", "pytest", "--fixtures"), "fixtures defined from pytest_mlcontainer"),
    "mlcontainer": ((*COMMAND, "--help"), "usage: mlcontainer"),
    **{
        f"mlcontainer-{name}": ((*COMMAND, name, "--help"), "usage: mlcontainer")
        for name in reference.subcommands()
    },
}


@pytest.mark.parametrize("name", SCREENS)
def test_what_a_program_says_of_itself_is_as_it_was_looked_at(name: str, tmp_path: Path) -> None:
    """Word by word; where lines break is argparse's affair, and other in each Python.

    `UPDATE_GOLDEN=1` writes the file, to be looked at.
    """
    words, heading = SCREENS[name]
    said = printed(*words, folder=tmp_path)
    if heading != "usage: mlcontainer":
        said = group(said, heading)
    said = re.sub(r" -- \S*fixtures\.py:\d+", "", said).strip() + "\n"
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(said, encoding="utf-8")
    assert said.split() == file.read_text(encoding="utf-8").split()
