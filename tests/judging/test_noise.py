"""Several runs of the same: the noise floor, and the bound calibrated by them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.numeric.tolerance import FLOAT64, Calibration, make_bound
from pytest_mlcontainer.compare.rules.study import Study
from pytest_mlcontainer.judging import noise
from pytest_mlcontainer.judging.noise import (
    RepeatSpread,
    calibrated_bound,
    keep_worst,
    measure_spread,
)
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict

Outputs = tuple[Output, ...]
Compared = tuple[tuple[Difference, ...], tuple[str, ...]]
Spread = Callable[..., RepeatSpread]
RULES = (Rule("*", None, Tolerance(atol=0.01, rtol=0.0)),)


@pytest.fixture
def spread(tmp_path: Path) -> Spread:
    """`spread([…], [{"a.json": …}, …])`: of runs that wrote these files."""

    def measure(results: Iterable[dict[str, Any]], rules: tuple[Rule, ...] = RULES) -> RepeatSpread:
        runs = []
        for number, files in enumerate(results):
            folder = tmp_path / str(number)
            folder.mkdir()
            runs.append(tuple(_output(folder, *file) for file in files.items()))
        labels = [f"repeat {number}" for number in range(len(runs))]

        def compare(actual: Outputs, expected: Outputs, study: Study) -> Compared:
            return compare_outputs(actual, expected, rules, study=study)

        return measure_spread(runs, labels, compare)

    return measure


def _output(folder: Path, name: str, value: object) -> Output:
    path = folder / name
    if isinstance(value, np.ndarray):
        with path.open("wb") as stream:
            np.save(stream, value)
    else:
        path.write_text(str(value))
    return Output(name, path, path.stat().st_size)


def item(name: str, output: str = "a.json") -> Difference:
    return Difference(output, name, Verdict.EQUIVALENT)


def total_of_pairs(values: list[float]) -> tuple[float, float]:
    errors = [abs(left - right) for left, right in itertools.combinations(values, 2)]
    return sum(error**2 for error in errors), max(errors)


def test_the_floor_is_the_largest_error_between_any_two_runs(spread: Spread) -> None:
    values = (0.997, 1.004, 1.0)

    found = spread([{"a.json": f'{{"loss": {value}, "steps": 5}}'} for value in values])

    assert found.floor(item("loss")) == pytest.approx(0.007)
    assert found.floor(item("steps")) == 0
    assert (found.runs, found.distinct) == (3, 3)
    (loss,) = [each for each in found.differences if each.item == "loss"]
    assert loss.verdict is Verdict.EQUIVALENT
    assert loss.note == "repeat 1 and repeat 0"


def test_runs_that_wrote_the_same_have_no_noise(spread: Spread) -> None:
    found = spread([{"a.json": '{"loss": 1.5}'}] * 4)

    assert (found.distinct, found.like_first) == (1, (1, 2, 3))
    assert found.floor(item("loss")) == 0
    assert found.floor(Difference("a.json", "", Verdict.IDENTICAL, unit="bytes")) == 0
    assert [each.verdict for each in found.differences] == [Verdict.IDENTICAL]


def test_what_differs_beyond_the_rules_is_told_apart_from_what_does_not(spread: Spread) -> None:
    found = spread([{"a.json": f'{{"loss": {value}, "auc": {value / 100}}}'} for value in (1, 1.5)])

    assert found.disagrees(item("loss"))
    assert not found.disagrees(item("auc"))


def test_what_has_no_distance_has_no_floor(spread: Spread) -> None:
    found = spread([{"a.json": f'{{"label": "{label}"}}'} for label in ("cat", "dog")])

    assert found.floor(item("label")) is None
    assert found.disagrees(item("label"))
    assert math.isinf(found.calibration(("a.json", "label")).bound)


def test_a_whole_file_has_the_floor_of_what_is_in_it(spread: Spread) -> None:
    found = spread([{"a.json": f'{{"x": {value}, "y": 1}}'} for value in (1.0, 1.004)])

    whole = Difference("a.json", "", Verdict.IDENTICAL, unit="bytes")
    assert found.floor(whole) == pytest.approx(0.004)


def test_a_file_that_only_one_run_wrote_disagrees(spread: Spread) -> None:
    found = spread([{"a.json": "1", "b.json": "1"}, {"a.json": "1"}])

    assert found.disagrees(Difference("b.json", "", Verdict.DRIFT))


def test_every_item_has_its_floor_also_those_that_are_not_listed(spread: Spread) -> None:
    """A model has hundreds of tensors; fifty of an output are listed."""
    runs = [{"a.json": str({f"w{n}": n + step for n in range(200)}).replace("'", '"')}
            for step in (0.0, 0.001)]  # fmt: skip

    found = spread(runs)

    assert len(found.differences) == 50
    assert all(found.floor(item(f"w{n}")) == pytest.approx(0.001) for n in range(200))


def test_a_file_that_cannot_be_read_fails(spread: Spread) -> None:
    found = spread([{"a.npy": np.zeros(3)}, {"a.npy": "\x93NUMPY\x01\x00broken"}])

    assert Verdict.FAILED in {each.verdict for each in found.differences}


def test_of_a_single_number_the_spread_is_the_standard_deviation() -> None:
    values = [1.0, 1.2, 0.7, 1.1, 0.9, 1.05]
    squares, largest = total_of_pairs(values)

    bound = calibrated_bound(squares, largest, 6)

    assert bound == pytest.approx(
        stats.t.ppf(0.995, 5) * math.sqrt(2) * np.std(values, ddof=1), rel=1e-3
    )


def test_the_quantiles_are_students() -> None:
    expected = stats.t.ppf(0.995, np.arange(1, len(noise._STUDENT) + 1))

    assert np.allclose(noise._STUDENT, expected, atol=6e-4)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_what_was_seen_among_the_runs_is_never_beyond_the_bound(values: list[float]) -> None:
    squares, largest = total_of_pairs(values)

    assert calibrated_bound(squares, largest, len(values)) >= largest


@pytest.mark.parametrize("elements", [1, 100])
@pytest.mark.parametrize("runs", [4, 8])
def test_noise_of_the_same_kind_stays_within_the_bound(runs: int, elements: int) -> None:
    """It is beyond it less than one time in a hundred, and more often than never."""
    rng = np.random.default_rng(3)
    cases = 4000
    values = rng.normal(5.0, 0.1, (cases, runs + 1, elements))
    pairs = list(itertools.combinations(range(runs), 2))
    errors = np.stack([np.abs(values[:, i] - values[:, k]).max(axis=1) for i, k in pairs])

    bounds = [
        calibrated_bound(float((each**2).sum()), float(each.max()), runs) for each in errors.T
    ]
    beyond = np.abs(values[:, runs] - values[:, 0]).max(axis=1) > bounds

    assert beyond.mean() < 0.01
    if elements == 1:
        assert beyond.mean() > 0.001


def test_a_drift_of_many_times_the_noise_is_beyond_the_bound() -> None:
    squares, largest = total_of_pairs([1.0, 1.001, 0.999, 1.0, 1.0005])

    assert calibrated_bound(squares, largest, 5) < 0.01


def test_runs_that_change_nothing_make_the_bound_tighter_never_wider() -> None:
    """A knob that cannot apply does no harm."""
    varied = [1.0, 1.001, 0.999]
    bounds = [
        calibrated_bound(*total_of_pairs(varied + [1.0] * further), 3 + further)
        for further in range(20)
    ]

    assert bounds == sorted(bounds, reverse=True)


@pytest.mark.parametrize(
    ("bound", "text"),
    [(0.0, "8 runs are identical"), (math.inf, "8 runs differ without a distance")],
)
def test_without_a_usable_spread_the_default_holds_and_says_why(bound: float, text: str) -> None:
    tolerance, default = Tolerance(calibrated=True), make_bound(Tolerance(), FLOAT64)

    found = make_bound(tolerance, FLOAT64, Calibration(bound, 8))

    assert found.text == f"{default.text}, not calibrated: {text}"
    assert (found.atol, found.rtol, found.floor) == (default.atol, default.rtol, default.floor)
    alone = make_bound(tolerance, FLOAT64)
    assert alone.text.endswith("not calibrated: without runs of the reference")


def test_the_bound_is_named_with_the_number_of_runs(spread: Spread) -> None:
    found = make_bound(Tolerance(calibrated=True), FLOAT64, Calibration(3.2e-5, 5))

    assert found.text == "calibrated 3.2e-05 from 5 runs or rtol 1e-07 or 2.8e-14 of scale"
    assert found.floor == 3.2e-5


def test_integers_are_calibrated_too() -> None:
    found = make_bound(Tolerance(calibrated=True), None, Calibration(2.0, 5))

    assert (found.text, found.exact) == ("calibrated 2 from 5 runs", False)
    assert make_bound(Tolerance(calibrated=True), None, Calibration(0.0, 5)).exact


@pytest.mark.parametrize(("error", "verdict"), [(4e-3, "equivalent"), (6e-3, "drift")])
@pytest.mark.parametrize("integers", [False, True])
def test_each_element_is_judged_by_the_items_bound(
    tmp_path: Path, error: float, verdict: str, integers: bool
) -> None:
    unit = 1000 if integers else 1
    expected = np.arange(4.0) * unit
    sides = []
    for name, values in (("actual", expected + error * unit), ("expected", expected)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "w.npz"
        np.savez(path, w=values.astype("i8") if integers else values)
        sides.append((Output("w.npz", path, path.stat().st_size),))
    rules = (Rule("*", None, Tolerance(calibrated=True)),)
    bounds = {("w.npz", "w"): Calibration(5e-3 * unit, 8)}

    (found,), _notes = compare_outputs(
        sides[0], sides[1], rules, study=Study(calibrate=bounds.__getitem__)
    )

    assert found.verdict.value == verdict
    assert found.rule.startswith("calibrated ")


def test_of_several_comparisons_each_item_is_kept_where_it_is_furthest_off() -> None:
    def found(name: str, verdict: Verdict, error: float | None = None) -> Difference:
        return Difference("a.json", name, verdict, max_abs=error)

    kept = keep_worst(
        [
            ("seed 1", [found("x", Verdict.EQUIVALENT, 1.0), found("", Verdict.IDENTICAL)]),
            ("seed 2", [found("x", Verdict.DRIFT, 0.5), found("y", Verdict.IDENTICAL, 0.0)]),
            ("seed 3", [found("x", Verdict.DRIFT, 0.2), found("y", Verdict.EQUIVALENT, 0.1)]),
        ]
    )

    assert {(each.item, each.note) for each in kept} == {("x", "seed 2"), ("y", "seed 3")}


class TestManyResults:
    """How many comparisons it takes to settle what several runs are."""

    def measured(
        self, tmp_path: Path, values: list[float], **options: bool
    ) -> tuple[RepeatSpread, list[tuple[str, str]]]:
        pairs: list[tuple[str, str]] = []
        runs = []
        for number, value in enumerate(values):
            folder = tmp_path / str(number)
            folder.mkdir()
            runs.append((_output(folder, "a.json", f'{{"loss": {value!r}}}'),))

        def compare(actual: Outputs, expected: Outputs, study: Study) -> Compared:
            pairs.append((actual[0].path.parent.name, expected[0].path.parent.name))
            return compare_outputs(actual, expected, RULES, study=study)

        labels = [f"repeat {number}" for number in range(len(values))]
        return measure_spread(runs, labels, compare, **options), pairs

    def test_results_that_disagree_take_as_many_as_there_are_runs(self, tmp_path: Path) -> None:
        """Each against the first, and against the one furthest from it: none twice."""
        values = [math.sin(number) for number in range(50)]

        found, pairs = self.measured(tmp_path, values)

        assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 49 + 48
        assert found.disagrees(item("loss"))
        assert found.floor(item("loss")) == pytest.approx(max(values) - min(values))
        assert "97 of 1225 pairs of different results were compared" in found.notes[-1]

    def test_a_disagreement_far_from_the_first_run_is_found(self, tmp_path: Path) -> None:
        """Two may each agree with the first and not with one another."""
        values = [1.0, *(1.0 + step / 10_000 for step in range(1, 10)), 1.008, 0.992]

        found, pairs = self.measured(tmp_path, values)

        assert found.disagrees(item("loss"))
        assert len(pairs) == 66  # it is the last pair

    def test_what_agrees_is_compared_each_with_each(self, tmp_path: Path) -> None:
        """That no two disagree is known when all were looked at."""
        values = [1.0 + step / 10_000 for step in range(12)]

        found, pairs = self.measured(tmp_path, values)

        assert len(pairs) == 66
        assert not found.disagrees(item("loss"))
        assert found.floor(item("loss")) == pytest.approx(0.0011)
        assert not [note for note in found.notes if "pairs" in note]

    def test_few_results_and_a_calibration_take_every_pair(self, tmp_path: Path) -> None:
        """The bound is made of all errors."""
        (tmp_path / "few").mkdir()
        _found, pairs = self.measured(tmp_path / "few", [float(value) for value in range(6)])
        assert len(pairs) == 15
        found, pairs = self.measured(tmp_path, [float(n) for n in range(8)], every_pair=True)
        assert len(pairs) == 28
        squares, largest = total_of_pairs([float(n) for n in range(8)])
        bound = calibrated_bound(squares, largest, 8)
        assert found.calibration(("a.json", "loss")).bound == pytest.approx(bound)
