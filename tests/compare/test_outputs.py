"""Whole comparisons: which outputs, which rules, how much is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.compare.collect import KEPT
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict
from tests.fixture_types import Compare, Only

IGNORE = Tolerance(ignore=True)
LOOSE = Tolerance(rtol=10.0)


def test_an_output_of_one_side_only_is_drift(only: Only) -> None:
    found = only("a.txt", "x", None)
    assert (found.verdict, found.note) == (Verdict.DRIFT, "only in the actual run")
    found = only("a.txt", None, "x")
    assert (found.verdict, found.note) == (Verdict.DRIFT, "missing in the actual run")
    assert not found.item


def test_an_ignored_output_may_be_on_one_side_only(compare: Compare) -> None:
    differences, notes = compare("a.txt", "x", None, IGNORE)
    assert differences == ()
    assert notes == ("not compared: 1 item by rule a.txt (ignore)",)


def test_nothing_to_compare_says_so() -> None:
    differences, notes = compare_outputs((), (), ())
    assert differences == ()
    assert "nothing was compared" in notes[0]


def test_the_first_rule_that_matches_wins(only: Only) -> None:
    rules = (Rule("*.json", "acc", LOOSE), Rule("m.json", None, Tolerance(exact=True)))
    sides = {"acc": 2.0}, {"acc": 1.0}
    assert only("m.json", *sides, rules=rules).verdict is Verdict.EQUIVALENT
    assert only("m.json", *sides, rules=rules[::-1]).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("pattern", "applies"),
    [
        ("layer1/*", True),
        ("*", True),
        ("layer?/w[0]", True),
        ("*/w[0]", True),
        ("layer1", False),
        ("layer1/w0", False),
        ("Layer1/*", False),
    ],
)
def test_item_patterns_take_brackets_as_they_are(only: Only, pattern: str, applies: bool) -> None:
    sides = {"layer1/w[0]": np.array([2.0])}, {"layer1/w[0]": np.array([1.0])}
    found = only("w.npz", *sides, LOOSE, item=pattern)
    assert found.verdict.passes is applies


@pytest.mark.parametrize(
    ("pattern", "applies"),
    [
        ("out/*.npy", True),
        ("*/a.npy", True),
        ("**/a.npy", True),
        ("out/**", True),
        ("**", True),
        ("*.npy", True),
        ("a.npy", True),
        ("*", True),
        ("./*.npy", False),
        ("/*.npy", False),
        ("*/b.npy", False),
        ("out", False),
        ("npy", False),
    ],
)
def test_an_output_pattern_without_a_slash_is_for_files_in_any_folder(
    only: Only, pattern: str, applies: bool
) -> None:
    """As in .gitignore; with a slash the whole name has to match, and `*` stops there."""
    found = only("out/a.npy", np.array([2.0]), np.array([1.0]), rules=[Rule(pattern, None, LOOSE)])
    assert found.verdict.passes is applies


def test_a_rule_for_an_item_leaves_a_whole_file_alone(only: Only) -> None:
    found = only("a.npy", np.array([2.0]), np.array([1.0]), LOOSE, item="*")
    assert found.verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("rule", "note"),
    [
        (Rule("m.json", "acurracy", LOOSE), "matched nothing; did you mean accuracy?"),
        (Rule("m.jsn", None, LOOSE), "matched nothing; did you mean m.json?"),
        (Rule("zzz", None, LOOSE), "matched nothing; outputs there: m.json"),
        (Rule("m.json", "zzz", LOOSE), "matched nothing; items there: accuracy, loss"),
    ],
)
def test_a_rule_that_matches_nothing_is_noted_with_the_nearest_name(
    compare: Compare, rule: Rule, note: str
) -> None:
    sides = {"accuracy": 1.5, "loss": 2.5}, {"accuracy": 1.25, "loss": 2.5}
    _differences, notes = compare("m.json", *sides, rules=[rule])
    assert notes == (f"rule {rule} {note}",)


def test_a_rule_that_another_hides_is_noted(compare: Compare) -> None:
    rules = (Rule("*.json", None, LOOSE), Rule("m.json", "a", Tolerance(exact=True)))
    _differences, notes = compare("m.json", {"a": 1.5}, {"a": 1.25}, rules=rules)
    assert notes == ("rule m.json:a never applied: *.json comes first and matches too",)


def test_rules_for_items_of_files_with_the_same_bytes_are_not_called_idle(compare: Compare) -> None:
    _differences, notes = compare("m.json", {"a": 1}, {"a": 1}, LOOSE, item="a")
    assert notes == ()


def test_of_many_items_that_differ_the_worst_are_kept_and_the_rest_counted(
    compare: Compare,
) -> None:
    expected = {f"k{number}": 1.0 for number in range(3000)}
    actual = {key: 1.0 + number * 1e-12 for number, key in enumerate(expected)}
    actual["k1234"] = 2.0
    differences, notes = compare("m.json", actual, expected)
    assert len(differences) == KEPT + 1
    assert (differences[0].item, differences[1].item) == ("k1234", "k2999")
    assert notes == (f"m.json: the worst {KEPT} items are listed; not listed: 2949 equivalent",)


def test_drift_is_never_dropped_for_what_is_merely_equivalent(compare: Compare) -> None:
    expected = {f"k{number}": 1.0 for number in range(1500)} | {"s": "x"}
    actual = {f"k{number}": 1.0 + 1e-9 for number in range(1500)} | {"s": "y"}
    differences, _notes = compare("m.json", actual, expected)
    assert differences[0].item == "s"
    assert verdict_of(differences) is Verdict.DRIFT


def test_the_worst_verdict_is_the_whole_verdict() -> None:
    def one(verdict: Verdict) -> Difference:
        return Difference("a", "", verdict)

    assert verdict_of(()) is Verdict.IDENTICAL
    assert verdict_of([one(Verdict.EQUIVALENT), one(Verdict.IDENTICAL)]) is Verdict.EQUIVALENT
    assert verdict_of([one(Verdict.FAILED), one(Verdict.DRIFT)]) is Verdict.FAILED


@pytest.mark.parametrize("kind", ["gone", "folder"])
def test_a_file_that_cannot_be_opened_fails_and_names_its_side(tmp_path: Path, kind: str) -> None:
    there, other = tmp_path / "there", tmp_path / "other"
    there.write_text("x")
    if kind == "folder":
        other.mkdir()
    outputs = [(Output("a.txt", Path(path), 1),) for path in (other, there)]
    (found,), _notes = compare_outputs(outputs[0], outputs[1], ())
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: a.txt cannot be opened")
