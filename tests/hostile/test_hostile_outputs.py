from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.chaos.fuzz import TARGETS, fuzz
from benchmarks.chaos.hostile import try_case
from benchmarks.chaos.hostile_cases import Case, cases
from benchmarks.chaos.hostile_tars import END, file, header
from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    collect_tar,
    collect_tree,
    remove_tree,
)

LIGHT = [case for case in cases() if not case.heavy]


def test_there_are_many_cases_of_different_names() -> None:
    """The heavy ones are tried by the fault suite alone."""
    assert len({case.name for case in cases()}) == len(cases()) >= 100


@pytest.mark.parametrize("case", LIGHT, ids=[re.sub(r"\W+", "-", case.name) for case in LIGHT])
def test_a_hostile_output_does_no_harm(case: Case, tmp_path: Path) -> None:
    """Nothing outside is touched or read; the record can be written, moved, compared, removed."""
    trial = try_case(case, tmp_path / "trial")
    remove_tree(tmp_path / "trial")
    assert trial.problems == ()


def test_a_long_name_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    """Its header says how long it is, and that is enough."""
    (case,) = (case for case in cases() if case.name == "a long name of 1 GB")
    assert try_case(case, tmp_path / "trial").problems == ()


@pytest.mark.parametrize("target", TARGETS)
def test_random_damage_raises_our_own_errors_alone(target: str) -> None:
    """A small and always the same part of the fuzz run."""
    report = fuzz(target, seconds=60, inputs=400, seed=7)
    assert (report.inputs, report.crashes) == (400, ())
    assert 10 < report.accepted < 390


def test_what_is_refused_is_listed_with_an_end(tmp_path: Path) -> None:
    """A thousand lines, none of them long, and how many more there are."""
    collected = Collected()
    stream = (header(b"outputs/%d" % number, b"3") for number in range(1500))
    collect_tar(
        (*stream, END), "/app/outputs", DeclaredOutputs(("**",), "/app"), tmp_path, collected
    )
    assert len(collected.refused) == 1001
    assert collected.refused[-1] == "and 500 more"
    collected.refuse("x" * 5000)
    assert collected.refused[-1] == "and 501 more"
    assert collected.refused_count == 1501


def test_a_long_refusal_is_cut_in_its_middle() -> None:
    """What it is about and why are at its ends."""
    collected = Collected()
    collected.refuse("start" + "x" * 5000 + "end")
    assert collected.refused[0].startswith("start")
    assert collected.refused[0].endswith("end")
    assert len(collected.refused[0]) <= 300


def test_outputs_in_many_folders_are_kept_where_they_can_be_removed(tmp_path: Path) -> None:
    """Programs that remove a folder keep each one on their way down open."""
    collected = Collected()
    name = "outputs/" + "d/" * 100 + "f"
    stream = (file(name.encode(), b"x"), END)
    collect_tar(stream, "/app/outputs", DeclaredOutputs(("**",), "/app"), tmp_path, collected)
    path = collected.outputs[name].path
    assert path.read_bytes() == b"x"
    assert len(path.relative_to(tmp_path).parts) == 2


def test_a_name_given_again_replaces_only_what_it_can(tmp_path: Path) -> None:
    """The last whole one counts, also when the stream ends in the midst of another."""
    good = [file(b"outputs/x", content) for content in (b"1", b"22", b"333")]
    for number, end in enumerate((END, header(size=600) + bytes(512))):
        into = tmp_path / str(number)
        into.mkdir()
        collected = Collected()
        with suppress(OutputError):
            declared = DeclaredOutputs(("**",), "/app")
            collect_tar((*good, end), "/app/outputs", declared, into, collected)
        assert collected.outputs["outputs/x"].path.read_bytes() == b"333"
        assert sum(path.is_file() for path in into.rglob("*")) == 1


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    """Folders are opened as folders, however they were seen a moment ago."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    work, into = tmp_path / "work", tmp_path / "into"
    (work / "outputs" / "sub").mkdir(parents=True)
    (work / "outputs" / "a").write_text("a")
    into.mkdir()

    class Swapping(dict[str, object]):
        """Stands for a run that goes on writing: it acts when the first file is taken over."""

        def __setitem__(self, key: str, value: object) -> None:
            super().__setitem__(key, value)
            (work / "outputs" / "sub").rmdir()
            (work / "outputs" / "sub").symlink_to(tmp_path / "secret")

    collected = Collected(outputs=Swapping())  # type: ignore[arg-type]
    collect_tree(work, DeclaredOutputs(("outputs/**",), str(work)), into, collected)
    assert list(collected.outputs) == ["outputs/a"]


def test_folders_of_any_depth_and_mode_are_removed(tmp_path: Path) -> None:
    """Also those that lie too deep for `shutil.rmtree`; links are removed, not followed."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    top = tmp_path / "top"
    made = top
    top.mkdir()
    for _ in range(1200):
        made = made / "d"
        made.mkdir()
    (made / "link").symlink_to(tmp_path / "kept")
    (top / "closed").mkdir()
    (top / "closed" / "file").write_text("x")
    (top / "closed").chmod(0)
    remove_tree(top)
    assert not top.exists()
    assert (tmp_path / "kept" / "file").exists()
