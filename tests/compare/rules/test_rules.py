"""Rules at work: what they let differ, what they leave out, and which of them met nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.rules.study import Needed, Study
from pytest_mlcontainer.config import parse_rules
from pytest_mlcontainer.model import Freedom, Rule, Tolerance, Verdict
from tests.fixture_types import Compare, Only

ANY_DTYPE = Tolerance(any_dtype=True)
ANY_SHAPE = Tolerance(any_shape=True)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.array([1, 2], "i8"), np.array([1, 2], "f8")),
        (np.array([1.5, 2], "f4"), np.array([1.5, 2], "f8")),
        (np.array([1, 2], "u1"), np.array([1, 2], "i8")),
        (np.array([True, False]), np.array([1, 0], "i4")),
        (np.array([1.5], "f8"), np.array([1.5], "c16")),
        (np.array([b"caf\xc3\xa9"]), np.array(["café"])),
        (np.array(["2024-01-01"], "M8[D]"), np.array(["2024-01-01"], "M8[s]")),
    ],
)
def test_the_dtype_counts_unless_the_rule_says_any(
    only: Only, actual: np.ndarray, expected: np.ndarray
) -> None:
    """The same values in another type: a drift by default, in either direction."""
    for sides in ((actual, expected), (expected, actual)):
        assert only("a.npy", *sides).verdict is Verdict.DRIFT
        found = only("a.npy", *sides, ANY_DTYPE)
        assert found.verdict is Verdict.IDENTICAL
        assert found.note.startswith("dtype ")


def test_any_dtype_does_not_mean_any_value(only: Only) -> None:
    """Judged by the coarser of the two; what has nothing in common stays a drift."""
    fine = np.array([1.0, 2.0])
    near = (fine * (1 + 1e-6)).astype("f4")
    assert only("a.npy", near, fine, ANY_DTYPE).verdict is Verdict.EQUIVALENT
    far = (fine * (1 + 1e-4)).astype("f4")
    assert only("a.npy", far, fine, ANY_DTYPE).verdict is Verdict.DRIFT
    assert only("a.npy", np.array(["1.0", "2.0"]), fine, ANY_DTYPE).verdict is Verdict.DRIFT


def test_the_shape_counts_unless_the_rule_says_any(only: Only) -> None:
    """As many elements in the same order, however they are laid out in memory."""
    flat = np.arange(6.0)
    assert only("a.npy", flat.reshape(2, 3), flat).verdict is Verdict.DRIFT
    assert only("a.npy", flat.reshape(2, 3), flat, ANY_SHAPE).verdict is Verdict.IDENTICAL
    fortran = np.asfortranarray(flat.reshape(2, 3))
    assert only("a.npy", fortran, flat, ANY_SHAPE).verdict is Verdict.IDENTICAL
    assert only("a.npy", flat, fortran, ANY_SHAPE).verdict is Verdict.IDENTICAL
    assert only("a.npy", flat[:5], flat, ANY_SHAPE).verdict is Verdict.DRIFT
    assert only("a.npy", flat.reshape(3, 2).T, flat, ANY_SHAPE).verdict is Verdict.DRIFT


def test_both_may_be_any(only: Only) -> None:
    """A column of whole numbers against a list of doubles."""
    both = Tolerance(any_dtype=True, any_shape=True)
    found = only("a.npy", np.array([[1], [2]]), np.array([1.0, 2.0]), both)
    assert found.verdict is Verdict.IDENTICAL
    assert found.note == "dtype int64, expected float64; shape (2, 1), expected (2,)"


def test_patterns_leave_out_parts_of_texts_in_arrays(only: Only) -> None:
    """A run's id does not count; the rest of the text does."""
    tolerance = Tolerance(patterns=("[0-9a-f]{8}",))
    expected = np.array(["run deadbeef", "ok"])
    found = only("a.npy", np.array(["run cafebabe", "ok"]), expected, tolerance)
    assert (found.verdict, found.beyond) == (Verdict.EQUIVALENT, 0)
    found = only("a.npy", np.array(["ran cafebabe", "ok"]), expected, tolerance)
    assert (found.verdict, found.beyond) == (Verdict.DRIFT, 1)


def test_a_rule_of_each_kind_that_meets_nothing_is_told(compare: Compare) -> None:
    """With the nearest name."""
    rules = parse_rules(
        {
            "m.json:los": {"agreement": 0.9},
            "m.jsn": {"curve": "fpr"},
            "m.json:accuracy": {"margin": 1, "better": "higher"},
        }
    )
    _, notes = compare(
        "m.json", {"loss": 1, "accuracy": 1}, {"loss": 2, "accuracy": 2}, rules=rules
    )
    assert notes == (
        "rule m.json:los matched nothing; did you mean loss?",
        "rule m.jsn matched nothing; did you mean m.json?",
    )


def test_rules_for_what_is_the_same_byte_for_byte_are_not_idle(compare: Compare) -> None:
    """Nothing inside was looked at, so nothing can be said about them."""
    rules = parse_rules({"m.json:nothing": {"free": "sign"}, "x.json": {"exact": True}})
    _, notes = compare("m.json", {"a": 1}, {"a": 1}, rules=rules)
    assert notes == ("rule x.json matched nothing; did you mean m.json?",)


def test_rules_reach_into_archives_that_lie_in_archives() -> None:
    """By the whole path, by what holds it, and not by less."""
    rules = tuple(
        Rule("a.zip", item, Tolerance(atol=float(number)))
        for number, item in enumerate(("in.npz/w", "models/m.zip", "in.np"))
    )
    book = RuleBook(rules)
    assert book.inside("in.npz").find("a.zip", "w").tolerance.atol == 0.0
    assert book.inside("models/m.zip").inside("x.json").find("a.zip", "b.c").tolerance.atol == 1.0
    assert book.notes() == ("rule a.zip:in.np matched nothing; did you mean in.npz/w?",)


def test_a_look_ahead_is_not_remembered() -> None:
    """`peek` leaves no trace in the notes."""
    book = RuleBook((Rule("a", "b", Tolerance(exact=True)),))
    assert book.peek("a", "b").tolerance.exact
    assert not book.peek("a", "c").tolerance.exact
    assert book.notes() == ("rule a:b matched nothing",)


NUMBERS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.complex64, np.complex128]),
    hnp.array_shapes(max_dims=2, max_side=5),
)
SYMMETRIC = st.sampled_from(
    [
        Tolerance(margin=0.5),
        Tolerance(agreement=0.5),
        Tolerance(ulp=4),
        Tolerance(exact=True),
        Tolerance(atol=0.5, rtol=0.0),
        Tolerance(atol=0.5, rtol=0.0, unordered=True),
        Tolerance(atol=0.5, rtol=0.0, free=(Freedom.SIGN,)),
    ]
)


@QUICK
@given(expected=NUMBERS, tolerance=SYMMETRIC, seed=st.integers(0, 2**32 - 1))
def test_rules_without_a_reference_in_their_bound_are_symmetric(
    compare: Compare, expected: np.ndarray, tolerance: Tolerance, seed: int
) -> None:
    """Which side is called the reference does not matter where the bound has no |expected|."""
    assume(expected.ndim == 1 or not tolerance.unordered)  # equally near rows have no best order
    random = np.random.default_rng(seed)
    noise = random.choice([0.0, 0.25, 1.0], expected.shape)
    with np.errstate(all="ignore"):
        actual = (expected + noise).astype(expected.dtype)
    verdicts = {
        max(each.verdict.severity for each in compare("a.npy", *sides, tolerance)[0])
        for sides in ((actual, expected), (expected, actual))
    }
    assert len(verdicts) == 1


RELATIVE = st.sampled_from(
    [
        Tolerance(),
        Tolerance(rtol=1e-3),
        Tolerance(scale=64.0),
        Tolerance(rtol=1e-3, free=(Freedom.SIGN,)),
        Tolerance(rtol=1e-3, unordered=True),
    ]
)


@QUICK
@given(
    values=hnp.arrays(
        np.float64,
        hnp.array_shapes(max_dims=2, max_side=6),
        elements=st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda value: round(value, 3)),
    ),
    tolerance=RELATIVE,
    power=st.integers(-60, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_relative_rules_have_no_unit(
    compare: Compare, values: np.ndarray, tolerance: Tolerance, power: int, seed: int
) -> None:
    """Both sides times the same power of two: the same verdict."""
    noise = np.random.default_rng(seed).choice([0, 1e-9, 5e-4, 1e-2], values.shape)
    actual = values * (1 + noise)
    assume(not np.array_equal(actual, values))
    verdicts = {
        max(each.verdict.severity for each in compare("a.npy", *sides, tolerance)[0])
        for sides in ((actual, values), (actual * 2.0**power, values * 2.0**power))
    }
    assert len(verdicts) == 1


SPECIAL = [
    np.array([np.nan, 1.0]),
    np.array([np.inf, -np.inf]),
    np.array([-0.0, 0.0]),
    np.array([5e-324, -5e-324]),
    np.empty((0, 3)),
    np.array(2.5),
    np.array([("a", 1.5), ("b", 2.5)], [("n", "U1"), ("v", "f4")]),
    np.array([1.5, 2.5], ">f8"),
    np.array([1 + 2j, 3 - 1j]),
    np.array([True, False]),
    np.array([b"\x00\x01", b"\x02\x03"], "V2"),
    np.array(["2024-01-01", "NaT"], "M8[D]"),
]
KINDS = [
    Tolerance(),
    Tolerance(margin=0.1),
    Tolerance(agreement=1.0),
    Tolerance(unordered=True),
    Tolerance(free=(Freedom.SIGN,)),
    Tolerance(free=(Freedom.ORDER,)),
    Tolerance(free=(Freedom.SIGN, Freedom.ORDER), axis=1),
    Tolerance(free=(Freedom.LABELS,)),
    Tolerance(any_dtype=True, any_shape=True),
    Tolerance(patterns=("x",)),
    Tolerance(curve="x"),
]


@pytest.mark.parametrize("tolerance", KINDS, ids=range(len(KINDS)))
@pytest.mark.parametrize("values", SPECIAL, ids=range(len(SPECIAL)))
def test_every_kind_of_rule_takes_every_kind_of_value(
    compare: Compare, values: np.ndarray, tolerance: Tolerance
) -> None:
    """A value agrees with itself, beside another array that makes the files differ."""
    sides = {"v": values, "other": np.array([1])}, {"v": values, "other": np.array([2])}
    differences, _ = compare("a.npz", *sides, tolerance)
    found = [each for each in differences if each.item.partition(".")[0] == "v"]
    assert found
    assert {each.verdict for each in found} == {Verdict.IDENTICAL}, found
    assert not [each for each in differences if each.verdict is Verdict.FAILED]


@pytest.mark.parametrize("tolerance", KINDS, ids=range(len(KINDS)))
def test_objects_fail_whatever_the_rule(compare: Compare, tolerance: Tolerance) -> None:
    """They are pickles, which are never loaded."""
    sides = [{"v": np.array([{"a": number}], object)} for number in (1, 2)]
    differences, _ = compare("a.npz", *sides, tolerance)
    assert {each.verdict for each in differences} == {Verdict.FAILED}


def needing(*rules: Rule, names: tuple[str, ...] = ()) -> Study:
    return Study(needed=Needed(frozenset(rules), frozenset(names)))


class TestIdleRules:
    """What is written for a comparison has to match something: a pass would rest on a typo."""

    SIDES = {"accuracy": 1.5, "loss": 2.5}, {"accuracy": 1.5, "loss": 2.75}

    @pytest.mark.parametrize(
        ("rule", "nearest"),
        [
            (Rule("m.jsn", None, Tolerance(rtol=1.0)), "did you mean m.json?"),
            (Rule("m.json", "los", Tolerance(rtol=1.0)), "did you mean loss?"),
            (Rule("m.jsn", "x", Tolerance(ignore=True)), "did you mean m.json?"),
        ],
    )
    def test_a_rule_that_matches_nothing_fails_the_comparison(
        self, compare: Compare, rule: Rule, nearest: str
    ) -> None:
        """With the nearest name there is; all else is compared as ever."""
        differences, notes = compare("m.json", *self.SIDES, rules=[rule], study=needing(rule))

        (idle,) = [each for each in differences if each.output.startswith("rule ")]
        assert (idle.output, idle.verdict) == (f"rule {rule}", Verdict.FAILED)
        assert nearest in idle.note
        assert not [note for note in notes if "matched nothing" in note]
        assert "loss" in {each.item for each in differences if each.output == "m.json"}

    def test_a_rule_of_others_is_only_noted(self, compare: Compare) -> None:
        """Where the configuration is held against something else than two of its platforms."""
        rule = Rule("x.json", None, Tolerance(rtol=1.0))
        differences, notes = compare("m.json", *self.SIDES, rules=[rule])
        assert [each for each in differences if each.verdict is Verdict.FAILED] == []
        assert notes == ("rule x.json matched nothing; did you mean m.json?",)

    @pytest.mark.parametrize(
        "rules",
        [
            [Rule("m.json", "gone", Tolerance(rtol=1.0))],
            [Rule("*.json", "gone", Tolerance(ignore=True))],
        ],
    )
    def test_items_of_equal_files_were_not_looked_at(
        self, compare: Compare, rules: list[Rule]
    ) -> None:
        """Nobody knows what is in them, so that a rule for it may be right."""
        same = {"accuracy": 1.5}
        differences, _notes = compare("m.json", same, same, rules=rules, study=needing(*rules))
        assert [each.verdict for each in differences] == [Verdict.IDENTICAL]

    def test_nor_were_those_of_ignored_ones(self, compare: Compare) -> None:
        """A rule for what another rule leaves out is no typo."""
        rules = [
            Rule("m.json", None, Tolerance(ignore=True)),
            Rule("m.json", "loss", Tolerance(rtol=1.0)),
        ]
        differences, _notes = compare("m.json", *self.SIDES, rules=rules, study=needing(*rules))
        assert differences == ()

    def test_nor_were_those_of_what_cannot_be_read(self, compare: Compare) -> None:
        """One failure is enough."""
        rule = Rule("m.npz", "weights", Tolerance(rtol=1.0))
        differences, _notes = compare(
            "m.npz", b"PK\x03\x04broken", b"PK\x03\x04torn", rules=[rule], study=needing(rule)
        )
        assert [each.output for each in differences] == ["m.npz"]

    @pytest.mark.parametrize(
        ("pattern", "fails"), [("[0-9]{4}", True), ("loss", False), ("json$", False)]
    )
    def test_a_pattern_of_names_has_to_match_a_name(
        self, compare: Compare, pattern: str, fails: bool
    ) -> None:
        """Of an output, or of an item in one."""
        names = ((pattern, "x"),)
        differences, _notes = compare(
            "m.json", *self.SIDES, names=names, study=needing(names=(pattern,))
        )
        idle = [each for each in differences if each.output.startswith("names ")]
        assert bool(idle) is fails
        if fails:
            assert idle[0].verdict is Verdict.FAILED
            assert "outputs there: m.json" in idle[0].note
