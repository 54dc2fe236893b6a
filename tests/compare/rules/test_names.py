"""Names that change from run to run meet their counterparts; what is printed is an output."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer import matrix
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.rules.names import Names
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import UnreadableError
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.model import (
    BuildSettings,
    Entrypoint,
    Options,
    Output,
    Platform,
    Rule,
    Run,
    Settings,
    Target,
    Tolerance,
    Verdict,
)
from pytest_mlcontainer.outputs import Collected

RUN_ID = (("run-[0-9a-f]{4}", "run-ID"),)
HOSTS = (("[0-9]{10}", "TIME"), (r"\.host[0-9]+", ".HOST"))
AMD64 = Platform("linux", "amd64")


def test_a_pattern_that_takes_for_ever_ends_with_its_name() -> None:
    """The time is that of all names together, and once it is up it stays up."""
    names = Names((("(a+)+$", ""),), limit_s=0.3)
    endless = "a" * 40 + "!"
    for _ in range(2):
        with pytest.raises(
            UnreadableError, match=r"in `names` took more than 0\.3 s.*'\(a\+\)\+\$'"
        ):
            list(names.meet([endless], [endless]))


Write = Callable[..., tuple[tuple[Output, ...], ...]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(actual={"a.txt": b"…"}, expected={…})` gives both runs' outputs."""

    def outputs(**sides: dict[str, bytes]) -> Iterator[tuple[Output, ...]]:
        for side, files in sides.items():
            for name, data in files.items():
                path = tmp_path / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            yield tuple(Output(name, tmp_path / side / name, len(files[name])) for name in files)

    return lambda **sides: tuple(outputs(**sides))


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_outputs_called_after_times_and_hosts_meet(write: Write) -> None:
    """Compared under the name that they have in common, with the rule for it."""
    sides = write(
        actual={"logs/events.1700000001.host1": b"1\n"},
        expected={"logs/events.1700000022.host22": b"2\n"},
    )
    differences, _ = compare_outputs(sides[0], sides[1], ())
    assert [each.verdict for each in differences] == [Verdict.DRIFT, Verdict.DRIFT]
    (found,), notes = compare_outputs(sides[0], sides[1], (), names=HOSTS)
    assert (found.output, found.verdict) == ("logs/events.TIME.HOST", Verdict.DRIFT)
    assert found.worst_actual == "1"
    assert not notes


@pytest.mark.parametrize("output", ["run-ID.npy", "run-00aa.npy", "run-[!x]*.npy", "run-11bb.npy"])
def test_a_rule_may_say_either_name(write: Write, output: str) -> None:
    """The name from before, of either side, or the one in common."""
    buffers = [io.BytesIO(), io.BytesIO()]
    for number, buffer in enumerate(buffers):
        np.save(buffer, np.array([1.0 + number]))
    sides = write(
        actual={"run-00aa.npy": buffers[0].getvalue()},
        expected={"run-11bb.npy": buffers[1].getvalue()},
    )
    rules = (Rule(output, None, Tolerance(atol=2.0)),)
    (found,), notes = compare_outputs(sides[0], sides[1], rules, names=RUN_ID)
    assert found.verdict is Verdict.EQUIVALENT
    assert notes == ()


def test_a_file_keeps_its_own_name_in_messages(write: Write) -> None:
    """Which file is broken can be looked up."""
    sides = write(actual={"run-00aa.npy": b"\x93NUMPY"}, expected={"run-11bb.npy": b"\x93NUMPY!"})
    (found,), _ = compare_outputs(sides[0], sides[1], (), names=RUN_ID)
    assert found.verdict is Verdict.FAILED
    assert "run-00aa.npy" in found.note
    assert "run-11bb.npy" in found.note


def test_what_only_one_side_has_says_what_it_is_called_there(write: Write) -> None:
    """The common name, and the one on disk."""
    actual, expected = write(actual={"run-00aa.txt": b"x"}, expected={})
    (found,), _ = compare_outputs(actual, expected, (), names=RUN_ID)
    assert found.output == "run-ID.txt"
    assert found.note == "only in the actual run (there called run-00aa.txt)"


def test_several_of_one_name_meet_in_sorted_order_and_it_is_said(write: Write) -> None:
    """Those called the same on both sides meet first."""
    sides = write(
        actual={"run-0001": b"a\n", "run-0003": b"b\n", "run-0009": b"s\n"},
        expected={"run-0002": b"a\n", "run-0004": b"c\n", "run-0009": b"s\n"},
    )
    differences, notes = compare_outputs(sides[0], sides[1], (), names=RUN_ID)
    found = {each.output: each.verdict for each in differences}
    assert found == {
        "run-0009": Verdict.IDENTICAL,
        "run-ID#1": Verdict.IDENTICAL,
        "run-ID#2": Verdict.DRIFT,
    }
    assert "run-0003 and run-0004 met in sorted order, of 2 called run-ID" in notes


def test_where_it_cannot_be_told_who_meets_whom_that_is_said(write: Write) -> None:
    """Never a guess."""
    sides = write(
        actual={"run-0001": b"a", "run-0003": b"b"},
        expected={"run-0002": b"a"},
    )
    (found,), _ = compare_outputs(sides[0], sides[1], (), names=RUN_ID)
    assert found.verdict is Verdict.FAILED
    assert "2 names of the actual run and 1 name of the reference are called run-ID" in found.note
    assert "run-0001, run-0003 and run-0002" in found.note


def test_items_of_an_npz_meet_by_their_names(write: Write) -> None:
    """And a rule reaches them by either."""
    sides = write(
        actual={"w.npz": npz(**{"run-00aa/w": np.array([1.0]), "b": np.array([1.0])})},
        expected={"w.npz": npz(**{"run-11bb/w": np.array([2.0]), "b": np.array([1.0])})},
    )
    differences, _ = compare_outputs(sides[0], sides[1], (), names=RUN_ID)
    assert {each.item: each.verdict for each in differences} == {
        "run-ID/w": Verdict.DRIFT,
        "b": Verdict.IDENTICAL,
    }
    for item in ("run-ID/*", "run-00aa/w", "run-11bb/w"):
        rules = (Rule("w.npz", item, Tolerance(atol=2.0)),)
        differences, notes = compare_outputs(sides[0], sides[1], rules, names=RUN_ID)
        assert all(each.verdict.passes for each in differences)
        assert notes == ()


def test_keys_of_json_and_columns_of_csv_meet_by_their_names(write: Write) -> None:
    """At any depth; a key that only one side has is still seen."""
    left = {"runs": {"run-00aa": {"loss": 1.5, "n": 1}}}
    right = {"runs": {"run-11bb": {"loss": 1.5, "m": 1}}}
    sides = write(
        actual={"m.json": json.dumps(left).encode(), "p.csv": b"run-00aa,b\n1,2\n"},
        expected={"m.json": json.dumps(right).encode(), "p.csv": b"run-11bb,b\n1,3\n"},
    )
    differences, _ = compare_outputs(sides[0], sides[1], (), names=RUN_ID)
    drifts = {each.where for each in differences if not each.verdict.passes}
    assert drifts == {"m.json:runs.run-ID.n", "m.json:runs.run-ID.m", "p.csv:b"}
    rules = (Rule("m.json", "runs.run-11bb.*", Tolerance(ignore=True)),)
    differences, _ = compare_outputs(sides[0], sides[1], rules, names=RUN_ID)
    assert not any(each.item.endswith((".n", ".m")) for each in differences)


def test_items_of_one_name_are_noted_or_fail() -> None:
    """As outputs are."""
    book = RuleBook((), RUN_ID)
    left, right, undecided = book.rename("o", {"run-0001": 1, "run-0002": 2}, {"run-0003": 3})
    assert (dict(left), dict(right)) == ({}, {})
    assert undecided[0].verdict is Verdict.FAILED
    left, right, undecided = book.rename(
        "o", {"run-0001": 1, "run-0002": 2}, {"run-0004": 4, "run-0003": 3}
    )
    assert (dict(left), dict(right)) == (
        {"run-ID#1": 1, "run-ID#2": 2},
        {"run-ID#2": 4, "run-ID#1": 3},
    )
    assert "met in sorted order" in book.notes()[0]


def test_members_inside_archives_are_reached_by_either_name() -> None:
    """Rules for what lies in an archive that lies in an archive."""
    for item in ("run-00aa.zip/w", "run-ID.zip/w", "run-00aa.zip", "run-ID.zip"):
        book = RuleBook((Rule("a.zip", item, Tolerance(atol=2.0)),), RUN_ID)
        book.meet(["run-00aa.zip"], ["run-11bb.zip"])
        nested = book.inside("run-ID.zip")
        assert nested.find("a.zip", "w").tolerance.atol == 2.0
        assert book.notes() == ()


NAMES = st.lists(st.text("ab01", min_size=1, max_size=4), unique=True, max_size=8)


@given(actual=NAMES, expected=NAMES)
def test_nobody_is_lost_or_met_twice(actual: list[str], expected: list[str]) -> None:
    """Every name is in exactly one meeting, or in a group that is told to be undecided."""
    names = Names((("[01]+", "N"),))
    meetings = list(names.meet(actual, expected))
    for side, given_ in (("actual", actual), ("expected", expected)):
        met = [name for each in meetings if (name := getattr(each, side)) is not None]
        assert len(met) == len({*met})
        undecided = {
            each.name for each in meetings if each.actual is None and each.expected is None
        }
        rest = [name for name in given_ if name not in met]
        assert {names.normalise(name) for name in rest} <= undecided
    assert len({each.name for each in meetings}) == len(meetings)
    for each in meetings:
        if each.actual is not None and each.expected is not None:
            assert names.normalise(each.actual) == names.normalise(each.expected)


def run(folder: Path, stdout: bytes, stderr: bytes = b"", outputs: tuple[Output, ...] = ()) -> Run:
    folder.mkdir()
    (folder / "stdout.log").write_bytes(stdout)
    (folder / "stderr.log").write_bytes(stderr)
    return Run(
        id=folder.name,
        entrypoint="infer",
        target=Target(AMD64),
        exit_code=0,
        duration_s=1.0,
        folder=folder,
        stdout=folder / "stdout.log",
        stderr=folder / "stderr.log",
        outputs=outputs,
    )


def test_what_is_printed_is_compared_where_it_is_asked_for(tmp_path: Path) -> None:
    """By a rule, or as a declared output; otherwise it is left alone without a word."""
    sides = (
        run(tmp_path / "a", "Vorhersage: größer 0.93\n".encode(), b"x"),
        run(tmp_path / "b", "Vorhersage: größer 0.95\n".encode(), b"y"),
    )
    quiet = compare_runs(*sides, ())
    assert quiet.differences == ()
    assert not any("stdout" in note for note in quiet.notes)
    for rules, declared in (
        ((Rule("stdout", None, Tolerance()),), ()),
        ((), ("stdout", "out/*")),
    ):
        (found,) = compare_runs(*sides, rules, declared=declared).differences
        assert (found.output, found.verdict) == ("stdout", Verdict.DRIFT)
    both = compare_runs(*sides, (Rule("std*", None, Tolerance()),), declared=("stderr",))
    assert [each.output for each in both.differences] == ["stderr"]


def test_a_file_called_stdout_is_that_file(tmp_path: Path) -> None:
    """What the program wrote under the name comes first, on either side."""
    file = tmp_path / "stdout"
    file.write_bytes(b"written\n")
    written = (Output("stdout", file, 8),)
    sides = run(tmp_path / "a", b"printed", outputs=written), run(tmp_path / "b", b"other")
    (found,) = compare_runs(*sides, (Rule("stdout", None, Tolerance()),)).differences
    assert found.note == "only in the actual run"
    sides = sides[0], run(tmp_path / "c", b"other", outputs=written)
    (found,) = compare_runs(*sides, (), declared=("stdout",)).differences
    assert found.verdict is Verdict.IDENTICAL


def test_printing_is_planned_and_never_missing() -> None:
    """No file of that name is looked for, and a rule for it is enough to compare two platforms."""
    assert Collected().missing(("stdout", "stderr", "out/*")) == ("out/*",)
    rule = Rule("stdout", None, Tolerance())
    entries = (
        Entrypoint("a", rules=(rule,)),
        Entrypoint("b", outputs=("stdout",)),
        Entrypoint("c"),
    )
    platforms = (AMD64, Platform("linux", "arm64"))
    build = BuildSettings(Path("/p"), Path("/p/Dockerfile"))
    settings = Settings(Path("/p/x"), "p", build, platforms, AMD64, entrypoints=entries)
    names = [str(job) for job in matrix.plan(settings, Options()) if "::agrees" in str(job)]
    assert [name.partition("::")[0] for name in names] == ["a", "b"]
