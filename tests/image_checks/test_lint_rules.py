"""Rules of our own: every seeded fault is found at its line, and nothing in what is sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.dockerfile import parse_instructions
from pytest_mlcontainer.engines.registry import context_files
from pytest_mlcontainer.image_checks.lint.build_check import by_variable
from pytest_mlcontainer.image_checks.lint.context import list_context
from pytest_mlcontainer.image_checks.lint.rules import ignored_lines, own_findings
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.model import IMAGE_CHECKS, BuildSettings, ImageFinding, Severity
from tests.image_checks.seeded_faults import FAULTS, HEAD, LARGE, PINNED, SOUND, SeededFault

RULES = next(check.rules for check in IMAGE_CHECKS if check.name == "lint")


def found_in(
    folder: Path, text: str, target: str | None = None, **args: str
) -> tuple[ImageFinding, ...]:
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(text)
    build = BuildSettings(folder, dockerfile, target=target)
    recipe = parse_recipe(tuple(parse_instructions(text)), target, args)
    listing = list_context(folder, context_files(folder, dockerfile))
    return tuple(own_findings(recipe, "Dockerfile", build, listing, folder, 1000))


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_at_its_line(fault: SeededFault, tmp_path: Path) -> None:
    """And nothing else that is at least as bad: one fault is one finding."""
    write(tmp_path, fault.files)
    found = found_in(tmp_path, fault.dockerfile)
    (hit,) = (each for each in found if each.rule == fault.rule)
    worse = [each.rule for each in found if each.severity.rank > hit.severity.rank]
    assert not worse, found
    assert (hit.place, hit.line) == (fault.place, fault.line)
    assert hit.what
    assert hit.why
    assert hit.mend
    assert hit.link.startswith("https://")


def test_there_are_faults_for_every_rule() -> None:
    """ML000 is BuildKit's word, which tests of items hold."""
    assert {fault.rule for fault in FAULTS} == set(RULES) - {"ML000"}
    assert len(FAULTS) >= 30


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_has_no_finding(name: str, tmp_path: Path) -> None:
    assert found_in(tmp_path, SOUND[name]) == ()


def test_what_dockerignore_leaves_out_is_not_taken_along(tmp_path: Path) -> None:
    """Its own exceptions included; a file of the Dockerfile's name comes first."""
    files = {".git/HEAD": "a", "data/a.csv": LARGE, "src/data/b.csv": LARGE, ".env": "a"}
    write(tmp_path, files)
    text = f"{HEAD}COPY . .\n"
    assert {each.rule for each in found_in(tmp_path, text)} == {"ML005", "ML008", "ML009"}
    write(tmp_path, {".dockerignore": "# all\n*\n!src\n**/data\n"})
    assert found_in(tmp_path, text) == ()
    write(tmp_path, {"Dockerfile.dockerignore": "data\n**/data\n.git\n"})
    assert {each.rule for each in found_in(tmp_path, text)} == {"ML008"}


def test_what_is_named_is_meant(tmp_path: Path) -> None:
    """Weights that a COPY names, or a folder called after them, are in the image on purpose."""
    write(tmp_path, {"a.pt": LARGE, "models/b.pt": LARGE, "data/c": LARGE, "src/d.pt": LARGE})
    assert found_in(tmp_path, f"{HEAD}COPY a.pt models data /app/\n") == ()
    (found,) = found_in(tmp_path, f"{HEAD}COPY src /app/\n")
    assert (found.rule, found.cost_bytes) == ("ML005", len(LARGE))


def test_only_stages_of_the_image_count_for_size(tmp_path: Path) -> None:
    """Which those are depends on the stage that is built; a base may be an argument's."""
    write(tmp_path, {"a.pt": LARGE})
    text = f"ARG KIND=cpu\nFROM {PINNED} AS cpu\nRUN pip install a==1\nCOPY . .\n"
    text += f"FROM {PINNED} AS gpu\nUSER 1\nFROM $KIND AS last\nUSER 1\n"
    assert {each.rule for each in found_in(tmp_path, text)} == {"ML002", "ML005"}
    assert found_in(tmp_path, text, target="gpu") == ()
    assert found_in(tmp_path, text, KIND="gpu") == ()


def test_a_project_that_requires_nothing_may_be_installed_after_its_sources(tmp_path: Path) -> None:
    """What it builds on was installed by name before; of one that requires something it was not."""
    text = f"{HEAD}RUN pip install --no-cache-dir torch==2.9.0\nCOPY . .\n"
    text += "RUN pip install --no-cache-dir -v .\n"
    setup = "from setuptools import setup\nsetup(name='a', packages=['a']%s)\n"
    write(tmp_path, {"setup.py": setup % ""})
    assert found_in(tmp_path, text) == ()
    more = text.replace("-v .", "-v . -r more.txt")
    assert [each.rule for each in found_in(tmp_path, more)] == ["ML013"]
    write(tmp_path, {"setup.py": setup % ", install_requires=['b']"})
    assert [each.rule for each in found_in(tmp_path, text)] == ["ML013"]
    write(tmp_path, {"setup.py": "setup()", "pyproject.toml": '[project]\ndependencies = ["b"]\n'})
    assert [each.rule for each in found_in(tmp_path, text)] == ["ML013"]


def test_values_of_secrets_are_in_no_finding(tmp_path: Path) -> None:
    token = "hf_" + "aB3" * 11
    text = f"{HEAD}ENV HF_TOKEN={token}\nARG DB_PASSWORD=hunter2\n"
    text += "RUN git clone https://me:s3cretword@a.org/b\n"
    found = found_in(tmp_path, text)
    assert [each.severity for each in found if each.rule == "ML007"] == [
        Severity.ERROR,
        Severity.WARNING,
        Severity.ERROR,
    ]
    for secret in (token, "hunter2", "s3cretword"):
        assert secret not in repr(found)


def test_only_a_secret_that_is_written_out_is_an_error(tmp_path: Path) -> None:
    """By default errors fail, and an upgrade is to turn nothing red that may be as it was meant."""
    errors = set()
    for fault in FAULTS:
        folder = tmp_path / re.sub(r"\W", "-", fault.name)
        folder.mkdir()
        write(folder, fault.files)
        for each in found_in(folder, fault.dockerfile):
            errors |= {each.rule} if each.severity is Severity.ERROR else set()
    assert errors == {"ML007"}


def test_a_variable_without_a_value_is_one_finding() -> None:
    """It names all its lines; where BuildKit ends at one of them, that is the finding."""

    def warned(line: int, what: str, rule: str = "UndefinedVar") -> ImageFinding:
        return ImageFinding(rule, Severity.WARNING, what, place="Dockerfile", line=line)

    found = tuple(by_variable((warned(4, "$A"), warned(5, "$B"), warned(5, "$A"), warned(9, "$A"))))
    assert [(each.line, each.why) for each in found] == [(4, "the same in line 5, 9"), (5, "")]
    base = (warned(2, "$C", "InvalidDefaultArgInFrom"), warned(7, "$C", "InvalidDefaultArgInFrom"))
    (ended,) = by_variable((*base, warned(2, "base name ($C) should not be blank", "ML000")))
    assert (ended.rule, ended.why) == ("ML000", "the same in line 7")
    cased = (warned(1, "as", "FromAsCasing"), warned(2, "as", "FromAsCasing"))
    assert tuple(by_variable(cased)) == cased


def test_a_stage_whose_name_is_misspelt_is_asked_for(tmp_path: Path) -> None:
    text = f"FROM {PINNED} AS builder\n{HEAD}COPY --from=bulider /a /b\nCOPY --from=python /c /d\n"
    found = [each for each in found_in(tmp_path, text) if each.rule == "ML001"]
    assert [each.mend.startswith("--from=builder, if") for each in found] == [True, False]


def test_a_comment_above_leaves_a_rule_out() -> None:
    text = "# mlcontainer ignore=ML001\nFROM a\n# mlcontainer ignore=ML002, ML003\n# why\n\nRUN b\n"
    assert ignored_lines(text) == {2: {"ML001"}, 6: {"ML002", "ML003"}}


@given(st.text(alphabet=st.sampled_from("FROMRUNCPYa$={}[]\"'\\<>|&;# \n`"), max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    """Whatever is in a Dockerfile, rules end without an error."""
    recipe = parse_recipe(tuple(parse_instructions(f"FROM a\n{text}")), None, {})
    build = BuildSettings(Path("/nowhere"), Path("/nowhere/Dockerfile"))
    tuple(own_findings(recipe, "Dockerfile", build, list_context(Path("/"), ()), Path("/nowhere")))


def test_a_file_without_from_has_no_stages() -> None:
    recipe = parse_recipe(tuple(parse_instructions("FORM x\nRUN true\n")), None, {})
    assert (recipe.stages, recipe.final) == ((), None)
