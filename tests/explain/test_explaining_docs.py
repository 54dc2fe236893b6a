"""What the docs say of variations and of explaining: it is so, and what they show can be copied."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.cli import main
from pytest_mlcontainer.cli.explain_images import BUDGET
from pytest_mlcontainer.hooks import Family, NotExercised, Variation, load_families
from pytest_mlcontainer.matrix import plan
from pytest_mlcontainer.mixing.changes import BASE, ENV, PROJECT
from pytest_mlcontainer.model import (
    DEFAULT_BUDGET,
    Entrypoint,
    Facts,
    Options,
    Platform,
    Situation,
    VariesJob,
)
from pytest_mlcontainer.variations import FAMILIES, suspect

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROOT = DOCS.parent


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of each row of the first table below a heading, without its head."""
    section = text(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_table_has_every_variation_and_whether_failing_under_it_is_a_remark() -> None:
    """A circle marks what is demanding, a dot what has to be named."""
    marks = {(True, False): " ◦", (False, True): " •", (False, False): ""}
    wanted = [f"`{each.name}`{marks[each.demanding, each.on_request]}" for each in FAMILIES]

    assert sorted(row[0] for row in rows("variations.md", "All of them")) == sorted(wanted)
    assert all(len(row) == 5 for row in rows("variations.md", "All of them"))


def test_the_table_of_pins_has_every_family_with_one() -> None:
    pinned = {f"`{each.name}`" for each in FAMILIES if each.pin is not None}

    assert {row[0] for row in rows("variations.md", "Which differ by themselves")} == pinned


def test_the_configuration_shown_varies_as_it_says() -> None:
    """Names of one entrypoint replace what all of them have; `false` is none."""
    (table,) = (tomllib.loads(block) for block in blocks("variations.md", "toml"))
    settings = config.parse_settings(
        table["tool"]["mlcontainer"], ROOT / "pyproject.toml", "x86_64", "shown"
    )

    jobs = [job for job in plan(settings, Options()) if isinstance(job, VariesJob)]

    assert [(job.run.entrypoint.name, job.names, job.budget) for job in jobs] == [
        ("train", None, 60),
        ("report", ("timezone", "locale", "encoding"), 60),
    ]


def test_the_budgets_shown_are_those_that_hold() -> None:
    assert f"makes {DEFAULT_BUDGET} runs at most" in text("explaining.md")
    assert f"`{DEFAULT_BUDGET}`; between two images `{BUDGET}`" in text("command-line.md")
    assert f"| `{DEFAULT_BUDGET}` |" in next(
        line for line in text("configuration.md").splitlines() if line.startswith("| `vary-budget`")
    )


def test_the_changes_between_images_have_the_names_shown() -> None:
    names = {row[0] for row in rows("explaining.md", "Across images")}

    assert names == {"a package", f"`{BASE}`", f"`{PROJECT}`", f"`{ENV}`"}


def test_every_option_of_explain_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}

    section = text("command-line.md").split("\n## `mlcontainer explain`\n")[1].split("\n## ")[0]

    assert options == set(re.findall(r"^\| `(--[a-z]+)", section, re.MULTILINE))


@pytest.mark.parametrize("page", ["explaining.md", "command-line.md", "variations.md"])
def test_commands_shown_are_understood(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each `mlcontainer explain …` gets past its arguments: what is missing here is the project."""
    shown = [line for block in blocks(page, "console") for line in block.splitlines()]
    commands = [line[2:] for line in shown if line.startswith("$ mlcontainer explain")]

    for command in commands:
        words = shlex.split(command)[1:]
        if "--list" not in words:
            words += ["--config", str(DOCS / "nowhere")]
        assert main(words) in (0, 2)
        said = capsys.readouterr()
        assert "usage:" not in said.err


def test_the_links_between_pages_lead_somewhere() -> None:
    for page in sorted(DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), (page.name, target)


def test_headings_that_are_linked_to_exist() -> None:
    """An anchor is a heading in small letters, without punctuation, with dashes for spaces."""
    for page in ("explaining.md", "variations.md", "extending.md", "command-line.md"):
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", text(page)):
            if "://" not in target:
                headings = re.findall(r"^#+ (.*)$", text(target or page), re.MULTILINE)
                slugs = {
                    re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings
                }
                assert anchor in slugs, (page, target, anchor)


def documented_family() -> Family:
    (source,) = (block for block in blocks("extending.md", "python") if "_variations" in block)
    module = ModuleType("documented")
    exec(source, module.__dict__)
    (family,) = load_families(FAMILIES, [("conftest.py", module)])[len(FAMILIES) :]
    return family


def test_the_family_of_the_documentation_chooses_what_it_says() -> None:
    """It changes one variable, and leaves alone what the project sets itself."""
    family = documented_family()
    here = Situation(Platform("linux", "amd64"), Facts(), Entrypoint("train"))
    own = Entrypoint("train", env=(("MODEL_CACHE", "/models"),))

    chosen = family.choose(here)

    assert isinstance(chosen, Variation)
    assert (chosen.name, dict(chosen.knobs.env)) == (
        "model-cache", {"MODEL_CACHE": "/tmp/other-cache"},
    )  # fmt: skip
    assert isinstance(family.choose(replace(here, entry=own)), NotExercised)
    assert suspect(['os.getenv("MODEL_CACHE")'], (family,))["model-cache"] > family.weight


@pytest.mark.parametrize(
    ("name", "kind"), [("Family", Family), ("Variation", Variation)], ids=["family", "variation"]
)
def test_every_argument_is_described(name: str, kind: type[Family] | type[Variation]) -> None:
    table = (
        text("extending.md").split(f"\n| argument of `{name}` | meaning |\n")[1].split("\n\n")[0]
    )

    described = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert described == [field.name for field in fields(kind)]
