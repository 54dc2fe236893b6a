"""The tutorial is what happens: its commands are run, and print what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import docker
import pytest

from scripts.docs_pictures import picture, pictures
from scripts.docs_tutorial import (
    PAGE,
    Step,
    carry_out,
    program_environment,
    same,
    shown,
    steps,
    written,
)

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the project; its name is in what is printed."""
    place = tmp_path / "iris"
    place.mkdir()
    return place


def test_each_command_prints_what_the_page_shows(
    folder: Path, tmp_path: Path, engine: docker.APIClient, leaves_nothing: None
) -> None:
    ran = 0
    for step, printed in carry_out(steps(TEXT), folder, program_environment(tmp_path / "cache")):
        assert same(step.printed, printed), f"$ {step.command}\n{printed}"
        ran += 1
    assert ran == 5


def text_of(svg: str) -> str:
    """The lines of a terminal's picture, the command first."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" in each.attrib:
            words = (float(each.attrib["x"]), each.text or "")
            lines.setdefault(float(each.attrib["y"]), []).append(words)
    drawn = ("".join(words for _x, words in sorted(lines[y])) for y in sorted(lines))
    return "\n".join(line.replace("\xa0", " ").rstrip() for line in drawn)


def test_each_picture_shows_what_the_page_says_beside_it() -> None:
    runs = [step for step in steps(TEXT) if step.kind == "run"]
    assert set(pictures(TEXT)) == {path.name for path in PAGE.parent.glob("*.svg")}
    for name, number in pictures(TEXT).items():
        drawn = text_of((PAGE.parent / name).read_text(encoding="utf-8"))
        assert same(f"$ {runs[number].command}\n{runs[number].printed}", drawn), drawn


# What holds the page


def test_a_page_is_carried_out_and_written(folder: Path) -> None:
    page = (
        "<!-- file: a/x -->\n```text\nold\nlast\n```\n"
        "<!-- replace in: a/x -->\n```diff\n-old\n+new\n```\n"
        "<!-- run -->\n```console\n$ cat a/x\nwrong\n```\n"
    )
    ((step, printed),) = carry_out(steps(page), folder, {})

    assert (step.command, step.printed, printed) == ("cat a/x", "wrong\n", "new\nlast\n")
    assert "$ cat a/x\nnew\nlast\n```" in written(page, [printed])
    with pytest.raises(ValueError, match="not there: old"):
        list(carry_out([Step("replace in", "a/x", "-old\n+new\n")], folder, {}))


@pytest.mark.parametrize(
    ("expected", "printed", "agrees"),
    [
        ("ran in 1.20s", "ran in 33.00s", True),
        ("2 passed in 1.20s", "2 passed in 97.73s (0:01:37)", True),
        ("train on linux/amd64", "train on linux/arm64", True),
        ("=== 2 passed in 1s ===", "======= 2 passed in 1s =======", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a", "platform linux -- Python 3.13\na", True),
        ("2 passed", "3 passed", False),
        ("cause: file-order", "cause: hash-seed", False),
        ("a", "a\nb", False),
    ],
)
def test_only_times_and_the_machine_may_differ(expected: str, printed: str, agrees: bool) -> None:
    assert same(expected, printed) is agrees


def test_a_picture_has_the_text_and_no_font_of_another_server() -> None:
    svg = picture("cat x", "\x1b[31mred\x1b[0m & <b>\nsecond\n", "x")
    assert text_of(svg).splitlines() == ["$ cat x", "red & <b>", "second"]
    assert re.search(r"url\([\"']?https?:", svg) is None
    assert picture("cat x", "\x1b[31mred\x1b[0m & <b>\nsecond\n", "x") == svg


def test_what_only_names_the_machine_is_not_shown() -> None:
    assert shown("=== test session starts ===\nrootdir: /x\nplugins: a\n\n.. \n") == (
        "=== test session starts ===\n\n.."
    )
