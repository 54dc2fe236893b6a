"""JSON: items, values, broken documents."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.formats.json_text import parse_carefully
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.trees.trees import compare_trees
from pytest_mlcontainer.compare.values.few import MOST
from pytest_mlcontainer.model import NAMED_PATTERNS, Difference, Rule, Tolerance, Verdict
from tests.fixture_types import Compare, Compared, Only
from tests.growth import times_longer

PROPERTY = settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=[])),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=15,
)


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(TREES)
def test_a_document_is_identical_with_itself_in_another_layout(
    compare: Compare, tree: int | list[object] | dict[str, object] | None
) -> None:
    compact, wide = json.dumps(tree, sort_keys=True), json.dumps(tree, indent=3) + " "
    differences, _notes = compare("a.json", compact, wide)
    assert {each.verdict for each in differences} <= {Verdict.IDENTICAL}


@PROPERTY
@given(TREES)
def test_both_readers_read_the_same(tree: str | list[object] | dict[str, object] | None) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    assert repr(parse_carefully(text)) == repr(json.loads(text))


@PROPERTY
@given(st.text(alphabet='{}[]",:01.eE-+ truefalsn\\u\n', max_size=30))
def test_both_readers_refuse_the_same(text: str) -> None:
    def attempt(read: Callable[[str], object]) -> str:
        try:
            return repr(read(text))
        except ValueError:
            return "broken"

    pairs: list[list[tuple[str, object]]] = []

    def noted(found: list[tuple[str, object]]) -> dict[str, object]:
        pairs.append(found)
        return dict(found)

    plain = attempt(lambda text: json.loads(text, object_pairs_hook=noted))
    if all(len(dict(found)) == len(found) for found in pairs):
        assert attempt(parse_carefully) == plain


def test_items_are_paths_to_what_differs(compare: Compare) -> None:
    expected = {"accuracy": 0.9, "metrics": {"auc": 0.8}, "history": [{"loss": 1.0}, {"loss": 0.5}]}
    actual = {"accuracy": 0.8, "metrics": {"auc": 0.7}, "history": [{"loss": 1.0}, {"loss": 0.4}]}
    differences, _notes = compare("m.json", actual, expected)
    assert set(drifting(differences)) == {"accuracy", "metrics.auc", "history[1].loss"}


def test_identical_leaves_are_counted_not_listed(compare: Compare) -> None:
    expected = {str(number): number for number in range(200)}
    actual = {**expected, "7": 8}
    drift, folded = compare("m.json", actual, expected)[0]
    assert (drift.item, drift.worst_actual, drift.worst_expected) == ("7", "8", "7")
    assert (folded.verdict, folded.size, folded.unit) == (Verdict.IDENTICAL, 199, "items")


def test_a_list_of_numbers_is_one_item_with_an_index(compare: Compare) -> None:
    expected = {"cm": [[1, 2], [3, 4]], "loss": [0.5, 0.25]}
    actual = {"cm": [[1, 2], [4, 4]], "loss": [0.5, 0.25]}
    found = drifting(compare("m.json", actual, expected)[0])
    assert found["cm"].worst_index == (1, 0)


def test_a_curve_of_another_length_is_drift(only: Only) -> None:
    found = only("m.json", [0.1] * 348, [0.1] * 349)
    assert (found.verdict, found.note) == (Verdict.DRIFT, "shape (348,), expected (349,)")


def test_labels_in_a_list_are_exact(only: Only) -> None:
    labels = ["cat", "dog", "newt"] * 100
    changed = [*labels[:17], "eft", *labels[18:]]
    found = only("m.json", changed, labels)
    assert (found.verdict, found.beyond, found.worst_actual) == (Verdict.DRIFT, 1, "eft")


def test_a_string_that_ends_in_nul_is_another_string(only: Only) -> None:
    assert only("m.json", ["a\0"], ["a"]).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("actual", "expected", "note"),
    [
        ({}, {"a": 1}, "missing in the actual run; expected 1"),
        ({"a": {"b": 1}}, {}, "only in the actual run: an object of 1"),
        ({"a": True}, {"a": 1}, "the boolean true, expected the number 1"),
        ({"a": "1"}, {"a": 1}, 'the string "1", expected the number 1'),
        ({"a": None}, {"a": {}}, "null, expected an empty object"),
        ({"a": [True]}, {"a": [1]}, "a list of booleans, expected numbers"),
        ({"a": []}, {"a": [1, 2]}, "shape (0,), expected (2,)"),
        (
            {"a": [{}]},
            {"a": [{}, {}]},
            "a list of 1 record, expected 2; those that both have are the same",
        ),
    ],
)
def test_another_structure_is_drift_and_says_what_is_there(
    only: Only, actual: dict[str, object], expected: dict[str, object], note: str
) -> None:
    found = only("m.json", actual, expected)
    assert (found.verdict, found.item, found.note) == (Verdict.DRIFT, "a", note)


@pytest.mark.parametrize(("actual", "expected"), [(1, 1.0), ([1, 2], [1.0, 2.0])])
def test_1_and_1_0_are_the_same_number_with_a_note(
    only: Only, actual: int | list[int], expected: float | list[float]
) -> None:
    found = only("m.json", {"a": actual}, {"a": expected})
    assert found.verdict is Verdict.IDENTICAL
    assert found.note == "written as whole numbers, expected decimals"


def test_numbers_no_machine_type_holds_are_compared_exactly(compare: Compare) -> None:
    expected = {"huge": 10**30, "list": [10**30, 1], "mixed": [10**400, 0.5], "u": 2**64 - 1}
    assert drifting(compare("m.json", json.dumps(expected) + " ", expected)[0]) == {}
    for key, value in (("huge", 10**30 + 1), ("list", [10**30, 2]), ("mixed", [10**400 + 1, 0.5])):
        assert set(drifting(compare("m.json", {**expected, key: value}, expected)[0])) == {key}
    assert set(drifting(compare("m.json", {**expected, "u": -1}, expected)[0])) == {"u"}


def test_nan_and_infinity_are_values(compare: Compare) -> None:
    expected = {"a": math.nan, "b": math.inf, "c": [math.nan, 1.0]}
    assert drifting(compare("m.json", json.dumps(expected) + " ", expected)[0]) == {}
    assert set(drifting(compare("m.json", {**expected, "b": -math.inf}, expected)[0])) == {"b"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1,\n "b": }', "expected a value at line 2, column 7"),
        ('{"a": 1', "the file ends at line 1, column 8"),
        ('{"a": 1}\n{"a": 2}', "something follows the value at line 2, column 1"),
        ('{"a": 1,\n "a": 2}', "duplicate key 'a' at line 2, column 2"),
        ("", "expected a value, but the file ends at line 1, column 1"),
        ('["a\nb"]', "broken string at line 1, column 4"),
        ("[1,]", "expected a value at line 1, column 4"),
        ("[" + "1" * 5000 + "]", "a number of 5000 digits at line 1, column 2"),
        (b"[\xff]", "is not utf-8 text (byte 1)"),
    ],
)
def test_broken_json_fails_with_line_and_column(only: Only, text: bytes | str, reason: str) -> None:
    found = only("m.json", text, {"a": 1})
    assert not found.verdict.passes
    assert found.note.startswith("actual run: m.json ")
    assert reason in found.note


@pytest.mark.parametrize(
    "text", ["[" * 20_000, '{"a":' * 20_000, "[" * 20_000 + "]" * 20_000 + "]"]
)
def test_broken_nesting_of_any_depth_fails(only: Only, text: str) -> None:
    assert only("m.json", text, {"a": 1}).verdict is Verdict.DRIFT


@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_10000_levels_are_read_and_compared(only: Only, left: str, right: str) -> None:
    def nest(value: str) -> str:
        return left * 10_000 + value + right * 10_000

    assert only("m.json", nest("1"), nest("1.0")).verdict is Verdict.IDENTICAL
    assert only("m.json", nest("1"), nest("2")).verdict is Verdict.DRIFT


def test_a_byte_order_mark_and_utf_16_are_read(only: Only) -> None:
    text = '{"a": "é"}'
    assert only("m.json", text.encode("utf-8-sig"), text).verdict is Verdict.IDENTICAL
    assert only("m.json", text.encode("utf-16"), text).verdict is Verdict.IDENTICAL


def test_floats_that_were_float32_are_judged_as_float32(only: Only) -> None:
    rng = np.random.default_rng(0)
    expected = rng.random(50, np.float32)
    actual = np.nextafter(np.nextafter(expected, np.float32(2)), np.float32(2))
    for write in (float, lambda value: float(str(value))):
        sides = [[write(value) for value in side] for side in (actual, expected)]
        found = only("m.json", *sides)
        assert (found.verdict, found.max_ulp) == (Verdict.EQUIVALENT, 2)
        assert "float32" in found.rule
    doubles = rng.random(50)
    found = only("m.json", (doubles * (1 + 3e-7)).tolist(), doubles.tolist())
    assert (found.verdict, "float64" in found.rule) == (Verdict.DRIFT, True)


AMOUNTS = [0.12, 0.33, 0.55, 12345.67]
LONG_TOTAL = [0.1234567, 0.3312345, 1048576.45]


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([0.12, 0.34, 0.55, 12345.68], AMOUNTS),
        ([0.12, 0.33, 0.55, 12345.672], AMOUNTS),
        ([0.1234567, 0.3412345, 1048576.46], LONG_TOTAL),
    ],
)
def test_amounts_beside_a_total_are_no_float32(
    only: Only, compare: Compare, actual: list[float], expected: list[float]
) -> None:
    found = only("m.json", {"rows": actual}, {"rows": expected})
    assert (found.verdict, "float64" in found.rule) == (Verdict.DRIFT, True)
    texts = ("x\n" + "".join(f"{each}\n" for each in side) for side in (actual, expected))
    assert not all(each.verdict.passes for each in compare("m.csv", *texts)[0])


@pytest.mark.parametrize("digits", [7, 8, 9])
def test_float32_beside_halves_and_ones_stays_float32(only: Only, digits: int) -> None:
    """As thresholds beside leaves: numbers that a float32 can be count for neither."""
    expected = np.array([1, 0.5, 2.5, 0.25, 1, 1, 0.33333334, 0.71], np.float32)
    actual = expected.copy()
    actual[6] = np.nextafter(np.nextafter(expected[6], np.float32(0)), np.float32(0))
    sides = ([float(f"{each:.{digits}g}") for each in side] for side in (actual, expected))
    found = only("m.json", *({"w": side} for side in sides))
    assert found.verdict.passes


@pytest.mark.parametrize(("actual", "expected"), [(0.9156, 0.9155), (123456789.0, 123456788.5)])
def test_few_digits_are_no_sign_of_float32(only: Only, actual: float, expected: float) -> None:
    found = only("m.json", {"a": actual}, {"a": expected})
    assert "float64" in found.rule


def test_a_rule_for_an_object_holds_for_all_in_it(compare: Compare) -> None:
    expected = {"time": {"fit": 1.0, "steps": [1.0, 2.0]}, "loss": 0.5}
    actual = {"time": {"fit": 9.0, "steps": [8.0, 2.0]}, "loss": 0.5}
    ignore = Tolerance(ignore=True)
    differences, notes = compare("m.json", actual, expected, ignore, item="time")
    assert drifting(differences) == {}
    assert notes == ("not compared: 2 items by rule m.json:time (ignore)",)


def test_a_margin_holds_in_both_directions(only: Only) -> None:
    for actual in (0.904, 0.896):
        found = only("m.json", {"acc": actual}, {"acc": 0.9}, Tolerance(margin=0.005), item="acc")
        assert found.verdict is Verdict.EQUIVALENT
    for actual in (0.906, 0.894):
        found = only("m.json", {"acc": actual}, {"acc": 0.9}, Tolerance(margin=0.005), item="acc")
        assert found.verdict is Verdict.DRIFT


def test_json_is_recognised_without_its_name_and_text_is_not_json(
    only: Only, compare: Compare
) -> None:
    differences, _notes = compare("metrics.txt", '{"a": 1.0}', '{ "a": 1.00000000000001}')
    assert [(each.item, each.verdict) for each in differences] == [("a", Verdict.EQUIVALENT)]
    assert only("log.txt", "[info] 1", "[info] 2").unit == "lines"


NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.floats(width=32),
    st.floats(0, 1).map(lambda value: round(value, 4)),
)
FIELDS = (
    "item", "verdict", "max_abs", "max_rel", "max_ulp", "scale_error", "worst_index",
    "worst_actual", "worst_expected", "differing", "beyond", "size", "note", "rule",
)  # fmt: skip
BOUNDS = st.sampled_from(
    [
        Tolerance(),
        Tolerance(rtol=1e-3),
        Tolerance(atol=0.5, rtol=0.1),
        Tolerance(ulp=3),
        Tolerance(margin=0.25),
        Tolerance(exact=True),
        Tolerance(scale=4.0),
    ]
)


@PROPERTY
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from([0, 1e-9, 1e-3, None])), min_size=1),
    st.booleans(),
    BOUNDS,
)
@example([(-68719476736.0, -8388609.0, None)], False, Tolerance())
@example([(0, 1e-128, None), (1.0, 0, 0)], False, Tolerance())
def test_a_few_numbers_are_compared_as_arrays_are(
    rows: list[tuple[float, float, float | None]],
    scalar: bool,
    tolerance: Tolerance,
) -> None:
    expected = [row[0] for row in rows][:MOST]
    actual = [_moved(*row) for row in rows][:MOST]
    sides = (actual[0], expected[0]) if scalar else (actual, expected)
    book = RuleBook((Rule("m.json", None, tolerance),))
    quick, slow = (
        list(compare_trees("m.json", {"a": sides[0]}, {"a": sides[1]}, book, most_few=most))
        for most in (MOST, -1)
    )
    for left, right in zip(quick, slow, strict=True):
        if left.verdict is not Verdict.IDENTICAL:
            for field in FIELDS:
                assert getattr(left, field) == getattr(right, field), field


def _moved(value: float, other: float, factor: float | None) -> float:
    if factor is None:
        return other
    return value if not factor or abs(value) > 1e300 else value * (1 + factor)


def test_what_is_the_same_is_skipped_and_counted(compare: Compare) -> None:
    same = {str(number): {"a": [1, 2.5], "b": None, "c": {"d": "x"}} for number in range(500)}
    expected = {"first": same, "value": 1, "last": same}
    differences, _notes = compare("m.json", {**expected, "value": 2}, expected)
    (folded,) = (each for each in differences if each.verdict is Verdict.IDENTICAL)
    assert folded.size == 3000
    assert set(drifting(differences)) == {"value"}


@pytest.mark.parametrize("other", ["0", "0.0", "true", "1e400", '"NaN"', "null"])
def test_the_shortcut_takes_nothing_for_something_else(compare: Compare, other: str) -> None:
    values = {"0": "-0.0", "0.0": "-0.0", "true": "1", "1e400": "NaN"}
    same = ",".join(["{}", "null"] * 60)
    sides = [
        f'{{"same": [{same}], "deep": {{"deeper": {{"value": {value}}}}}}}'
        for value in (other, values.get(other, "0.5"))
    ]
    if other in ("0", "0.0"):
        exact = Tolerance(exact=True)
        found = drifting(compare("m.json", *sides, exact)[0])
    else:
        found = drifting(compare("m.json", *sides)[0])
    assert set(found) == {"deep.deeper.value"}


def test_leaves_that_differ_take_time_in_proportion_to_their_number(compare: Compare) -> None:
    values = np.random.default_rng(0).random(100_000).tolist()
    found: list[Compared] = []

    def run(count: int) -> None:
        expected = {f"k{number}": value for number, value in enumerate(values[:count])}
        actual = {key: value * 1.001 for key, value in expected.items()}
        found.append(compare("m.json", actual, expected))

    assert times_longer(run, 12_500, 100_000, tries=1) < 8 * 4
    differences, notes = found[-1]
    assert (len(differences), notes[0].endswith("not listed: 99950 drift")) == (50, True)


def test_a_digest_is_no_id_that_may_be_left_out(only: Only) -> None:
    """The `md5` of an output in a lock file: where it is another, so is the output."""
    digests = "0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"
    found = only("dvc.json", *({"outs": {"md5": each}} for each in digests))
    assert found.excuses == ()
    assert "what it was made of is not the same" in found.note
    assert only("m.json", *({"batch": {"id": each}} for each in digests)).excuses == ("hex",)


def failing(compared: Compared) -> list[Difference]:
    return [each for each in compared[0] if not each.verdict.passes]


def trials(start: int, auc: float = 0.7, version: int = 4) -> dict[str, object]:
    keys = [f"{start + n:08d}-0000-{version}000-8000-000000000000" for n in range(3)]
    return {"trials": {key: {"depth": n, "auc": auc} for n, key in enumerate(keys)}, "best": 0.8}


def test_keys_that_are_random_uuids_meet_in_their_order(compare: Compare) -> None:
    """That they are others is one difference, with a rule; what is under them is compared."""
    (only_keys,) = failing(compare("t.json", trials(10), trials(20)))
    assert (only_keys.item, only_keys.excuses) == ("trials", ("uuid",))
    assert '"t.json:trials" = { ignore = ["uuid"] }' in only_keys.note
    rule = Rule("t.json", "trials", Tolerance(patterns=(NAMED_PATTERNS["uuid"],)))
    assert not failing(compare("t.json", trials(10), trials(20), rules=(rule,)))
    moved = failing(compare("t.json", trials(10, 0.6), trials(20), rules=(rule,)))
    assert {each.item.rpartition(".")[2] for each in moved} == {"auc"}


def test_keys_that_are_made_of_contents_stay_apart(compare: Compare) -> None:
    """A UUID of version 5 is a digest: another one is another thing."""
    found = failing(compare("t.json", trials(10, version=5), trials(20, version=5)))
    assert len(found) == 6


def test_a_key_more_is_missing_whatever_the_others_are_called(compare: Compare) -> None:
    more = trials(20)
    more["trials"] = {**trials(30)["trials"], "last": 1}  # type: ignore[dict-item]
    assert len(failing(compare("t.json", more, trials(20)))) == 7
