"""Curves: where a line goes counts, not where its points are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.matching.polylines import furthest
from pytest_mlcontainer.model import Difference, Rule, Tolerance, Verdict
from tests.fixture_types import Compare

CURVE = Tolerance(curve="fpr")
QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def roc(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """As scikit-learn has it: one point for each score that occurs, corners only, inf first."""
    order = np.argsort(-scores, kind="stable")
    scores, truth = scores[order], truth[order]
    last = np.r_[np.flatnonzero(np.diff(scores)), len(scores) - 1]
    hits = np.cumsum(truth)[last]
    misses = 1 + last - hits
    corner = np.ones(len(last), bool)
    corner[1:-1] = (np.diff(hits, 2) != 0) | (np.diff(misses, 2) != 0)
    return {
        "fpr": np.r_[0, misses[corner]] / misses[-1],
        "tpr": np.r_[0, hits[corner]] / hits[-1],
        "thresholds": np.r_[np.inf, scores[last][corner]],
    }


def scored(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a grid, so that many tie, of two classes that overlap."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, count)
    return np.round(random.normal(truth * 1.5, 1), 2), truth


Columns = dict[str, np.ndarray]
Pair = tuple[Columns, Columns]
Points = Sequence[tuple[float, float]]


@pytest.fixture
def pair() -> Pair:
    """Two machines' curves of one model: on one of them a tie comes apart by a rounding."""
    scores, truth = scored()
    moved = scores.copy()
    tied = next(
        place
        for place in np.flatnonzero(truth)
        if ((scores == scores[place]) & (truth == 0)).sum() == 1
        and ((scores == scores[place]) & (truth == 1)).sum() == 1
    )
    moved[tied] = np.nextafter(moved[tied], np.inf)
    actual, expected = roc(moved, truth), roc(scores, truth)
    assert len(actual["fpr"]) != len(expected["fpr"])
    return actual, expected


def by_name(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences}


def as_csv(columns: dict[str, np.ndarray]) -> str:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [",".join(map(repr, row)) for row in rows]
    return "\n".join([",".join(columns), *lines]) + "\n"


def as_lists(columns: dict[str, np.ndarray]) -> dict[str, dict[str, dict[str, list[object]]]]:
    return {"model": {"roc": {name: column.tolist() for name, column in columns.items()}}}


@pytest.mark.parametrize("name", ["roc.npz", "roc.csv", "roc.json"])
def test_a_tie_that_came_apart_is_no_drift(compare: Compare, pair: Pair, name: str) -> None:
    """One point more: the curve of the rates, and that of the thresholds with its infinity."""
    writers: dict[str, Callable[[Columns], object]] = {
        "roc.npz": dict,
        "roc.csv": as_csv,
        "roc.json": as_lists,
    }
    write = writers[name]
    actual, expected = (write(side) for side in pair)
    differences, notes = compare(name, actual, expected, CURVE)
    found = by_name(differences)
    under = "model.roc." if name == "roc.json" else ""
    assert {*found} == {f"{under}{item}" for item in ("fpr", "tpr", "thresholds")}
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT}
    tpr = found[f"{under}tpr"]
    assert f"{len(pair[0]['fpr'])} points, expected {len(pair[1]['fpr'])}" in tpr.note
    assert tpr.scale_error is not None
    assert 0 < tpr.scale_error < 0.01
    assert not notes
    assert any(each.verdict is Verdict.DRIFT for each in compare(name, actual, expected)[0])


def test_another_model_is_a_drift(compare: Compare) -> None:
    """A little worse a classifier, and where its curve is furthest off."""
    scores, truth = scored()
    noise = np.random.default_rng(1).normal(0, 0.5, len(scores))
    actual, expected = roc(scores + noise, truth), roc(scores, truth)
    tpr = by_name(compare("roc.npz", actual, expected, CURVE)[0])["tpr"]
    assert tpr.verdict is Verdict.DRIFT
    assert tpr.beyond > 1
    assert "furthest apart by" in tpr.note
    assert " at fpr = " in tpr.note
    assert tpr.worst_actual.startswith("(")
    assert tpr.worst_expected.startswith("(")


def test_atol_is_a_share_of_the_range(compare: Compare) -> None:
    """In place of the default bound, whatever the axis' unit is."""
    x = np.linspace(0, 1, 50)
    sides = {"fpr": x, "tpr": 1000 * x + 30 * (x > 0.5)}, {"fpr": x, "tpr": 1000 * x}
    for atol, verdict in ((0.01, Verdict.DRIFT), (0.03, Verdict.EQUIVALENT)):
        tolerance = Tolerance(curve="fpr", atol=atol)
        assert by_name(compare("c.npz", *sides, tolerance)[0])["tpr"].verdict is verdict


def test_a_rule_for_one_item_needs_the_abscissa_only(compare: Compare, pair: Pair) -> None:
    """`"roc.npz:tpr" = { curve = "fpr" }` is what a user may write, too."""
    actual, expected = ({key: side[key] for key in ("fpr", "tpr")} for side in pair)
    differences, notes = compare("roc.npz", actual, expected, CURVE, item="tpr")
    assert by_name(differences)["tpr"].verdict is Verdict.EQUIVALENT
    assert "fpr" in by_name(differences)
    assert not [line for line in notes if "matched nothing" in line]


def test_what_is_no_part_of_the_curve_is_compared_as_ever(compare: Compare, pair: Pair) -> None:
    """A number beside it, and a list of another length; the bound of the curve is not theirs."""
    extra = {"auc": np.array(0.5), "counts": np.array([1, 2, 3])}
    other = {"auc": np.array(0.51), "counts": np.array([1, 2, 4])}
    tolerance = Tolerance(curve="fpr", atol=0.5)
    found = by_name(compare("r.npz", {**pair[0], **other}, {**pair[1], **extra}, tolerance)[0])
    assert found["auc"].verdict is Verdict.DRIFT
    assert found["counts"].verdict is Verdict.DRIFT
    assert found["tpr"].verdict is Verdict.EQUIVALENT


def test_without_its_abscissa_nothing_is_a_curve(compare: Compare, pair: Pair) -> None:
    """A misspelt name loosens nothing."""
    differences, _ = compare("r.npz", *pair, Tolerance(curve="fprr"))
    assert {each.verdict for each in differences} == {Verdict.DRIFT}
    assert all("no curve over fprr" in each.note for each in differences)


def test_each_group_has_its_own_abscissa(compare: Compare) -> None:
    """Two folds beside each other in one document."""
    first = {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, 0.8, 1.0]}
    more = {"fpr": [0.0, 0.25, 0.5, 1.0], "tpr": [0.0, 0.4, 0.8, 1.0]}
    bad = {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]}
    sides = {"folds": [{"roc": more}, {"roc": bad}]}, {"folds": [{"roc": first}, {"roc": first}]}
    rules = (Rule("m.json", "folds*", CURVE),)
    found = by_name(compare("m.json", *sides, rules=rules)[0])
    assert found["folds[0].roc.tpr"].verdict is Verdict.EQUIVALENT
    assert found["folds[1].roc.tpr"].verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    ("actual", "note"),
    [
        ([0.9, 0.5, 0.1], "0 points with an infinity or NaN, expected 1 point"),
        ([-np.inf, 0.5, 0.1], "a point (finite, -inf), expected (finite, inf)"),
        ([0.9, 0.5, np.inf], "the point (finite, inf) is at another place"),
        ([np.nan, 0.5, 0.1], "a point (finite, nan), expected (finite, inf)"),
    ],
)
def test_infinities_are_points_of_their_own(
    compare: Compare, actual: list[float], note: str
) -> None:
    """As many, the same, at the same place."""
    x = np.array([0.0, 0.5, 1.0])
    sides = {"fpr": x, "t": np.array(actual)}, {"fpr": x, "t": np.array([np.inf, 0.5, 0.1])}
    found = by_name(compare("r.npz", *sides, CURVE)[0])["t"]
    assert found.verdict is Verdict.DRIFT
    assert note in found.note


def test_nan_in_a_curve_can_be_refused(compare: Compare) -> None:
    """equal-nan = false holds for points, too."""
    side = {"fpr": np.array([0.0, 1.0]), "t": np.array([np.nan, 1.0])}
    assert by_name(compare("r.npz", side, side, CURVE)[0])[""].verdict is Verdict.IDENTICAL
    strict = Tolerance(curve="fpr", equal_nan=False)
    assert by_name(compare("r.npz", side, side, strict)[0])["t"].verdict is Verdict.DRIFT


def test_the_type_of_a_curve_is_part_of_it(compare: Compare, pair: Pair) -> None:
    """Unless the rule says that any will do."""
    narrow = {name: column.astype(np.float32) for name, column in pair[0].items()}
    assert by_name(compare("r.npz", narrow, pair[1], CURVE)[0])["tpr"].verdict is Verdict.DRIFT
    loose = Tolerance(curve="fpr", any_dtype=True)
    assert by_name(compare("r.npz", narrow, pair[1], loose)[0])["tpr"].verdict.passes


def test_the_way_between_corners_counts() -> None:
    """Two paths through the same four corners are not the same line."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    other = corners[[0, 3, 2, 1]]
    assert furthest(corners, other, 0.01).distance == pytest.approx(0.5, abs=0.01)


def test_a_line_that_turns_back_keeps_its_turn() -> None:
    """Stretches that are upright are made shorter only as far as they go one way."""
    there_and_back = np.array([[0, 0], [0, 1], [0, 2], [0, 1]], float)
    assert furthest(np.array([[0.0, 2.0]]), there_and_back, 0.01).distance == 0.0


def test_long_curves_are_compared_in_little_time(compare: Compare) -> None:
    """A hundred thousand points and one less; many of them upright."""
    count = 100_000
    x = np.floor(np.linspace(0, 50, count)) / 50
    y = np.sort(np.random.default_rng(5).random(count))
    keep = np.arange(count) != count // 2
    found = by_name(compare("c.npz", {"fpr": x[keep], "y": y[keep]}, {"fpr": x, "y": y}, CURVE)[0])
    assert found["y"].verdict is Verdict.EQUIVALENT
    back = {"fpr": x[keep][::-1], "y": y[keep][::-1]}, {"fpr": x[::-1], "y": y[::-1]}
    found = by_name(compare("c.npz", *back, CURVE)[0])
    assert found["y"].verdict is Verdict.EQUIVALENT
    found = by_name(compare("c.npz", {"fpr": x, "y": y**1.1}, {"fpr": x, "y": y}, CURVE)[0])
    assert found["y"].verdict is Verdict.DRIFT


POINTS = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=12, unique=True
)


@QUICK
@given(left=POINTS, right=POINTS, factor=st.sampled_from([2.0**-40, 3.7, 2.0**60]))
def test_the_verdict_is_symmetric_and_has_no_unit(
    compare: Compare,
    left: list[tuple[int, int]],
    right: list[tuple[int, int]],
    factor: float,
) -> None:
    """Either side may be the reference, and an axis may be in any unit."""
    tolerance = Tolerance(curve="x", atol=0.3)

    def judge(mine: Points, theirs: Points, stretch: float = 1.0) -> Difference | None:
        sides = [
            {
                "x": np.array([x for x, _ in side]) * 1.0,
                "y": np.array([y for _, y in side]) * stretch,
            }
            for side in (mine, theirs)
        ]
        return by_name(compare("c.npz", *sides, tolerance)[0]).get("y")

    found = judge(left, right)
    assume(found is not None and abs((found.scale_error or 0.0) - 0.3) > 1e-6)
    again, scaled = judge(right, left), judge(left, right, factor)
    assert found is not None
    assert again is not None
    assert scaled is not None
    assert again.verdict is scaled.verdict is found.verdict


@QUICK
@given(points=POINTS, data=st.data())
def test_more_points_on_the_same_line_change_nothing(
    compare: Compare, points: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Points in the middle of segments: the line is the same to the last digit."""
    line = np.array(points, float)
    cuts = data.draw(st.sets(st.integers(0, len(line) - 2)))
    dense = [[line[0]]]
    for place in range(len(line) - 1):
        if place in cuts:
            dense.append([(line[place] + line[place + 1]) / 2])
        dense.append([line[place + 1]])
    fine = np.concatenate(dense)
    sides = [{"x": side[:, 0].copy(), "y": side[:, 1].copy()} for side in (fine, line)]
    for pair in (sides, sides[::-1]):
        found = compare("c.npz", *pair, Tolerance(curve="x", atol=0.0))[0]
        assert all(each.verdict.passes for each in found)
