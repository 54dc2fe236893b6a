"""What a failure proposes to let it pass: the line does, and says what it hides."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict
from pytest_mlcontainer.report.acceptance import acceptance


def sides(folder: Path, **values: np.ndarray) -> list[tuple[Output, ...]]:
    found: list[tuple[Output, ...]] = []
    for side, value in values.items():
        path = folder / f"{side}.npy"
        np.save(path, value)
        found.append((Output("outputs/a.npy", path, path.stat().st_size),))
    return found


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["f4", "f8"]),
    st.sampled_from([1, 2, 40]),
    st.sampled_from([1e-3, 0.05, 0.4]),
    st.sampled_from([1e-6, 1.0, 1e9]),
    st.integers(0, 99),
)
def test_the_line_that_is_proposed_accepts_the_difference(
    tmp_path: Path, kind: str, size: int, off: float, unit: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    expected = (rng.uniform(0.5, 1, size) * unit).astype(kind)
    actual = expected.copy()
    actual[0] *= 1 + off
    both = sides(tmp_path, actual=actual, expected=expected)
    differences, _notes = compare_outputs(both[0], both[1], ())
    assert verdict_of(differences) is Verdict.DRIFT

    proposal = acceptance(differences[0])

    assert proposal is not None
    ((key, rule),) = tomllib.loads(proposal.line).items()
    output, _colon, item = key.partition(":")
    rules = (Rule(output, item or None, Tolerance(**rule)),)
    assert verdict_of(compare_outputs(both[0], both[1], rules)[0]).passes
    assert proposal.hides.startswith("changes of up to")


def accepted(folder: Path, actual: np.ndarray, expected: np.ndarray) -> str:
    """The line that is proposed, which was tried; "" for none."""
    both = sides(folder, actual=actual, expected=expected)
    ((difference,), _notes) = compare_outputs(both[0], both[1], ())
    proposal = acceptance(difference)
    if proposal is None:
        return ""
    ((_key, rule),) = tomllib.loads(proposal.line).items()
    rules = (Rule("outputs/a.npy", None, Tolerance(**rule)),)
    assert verdict_of(compare_outputs(both[0], both[1], rules)[0]).passes
    return proposal.line.partition(" = ")[2]


@pytest.mark.parametrize(
    ("off", "rule"), [(1, "{ atol = 1 }"), (23, "{ atol = 23 }"), (63, "{ atol = 63 }")]
)
def test_pixels_are_accepted_by_whole_steps_as_many_as_they_are_off(
    tmp_path: Path, off: int, rule: str
) -> None:
    """Twice as many, rounded up, was 200 of 255 for the last: that accepts any picture."""
    expected = np.full((20, 20), 192, np.uint8)
    actual = expected.copy()
    expected[0, 0], actual[0, 1] = 255, 192 + off
    actual[0, 0] = 255
    assert accepted(tmp_path, actual, expected) == rule


def test_a_mask_is_accepted_by_the_share_that_agrees(tmp_path: Path) -> None:
    """A bound of 255 accepts any other mask."""
    expected = np.zeros((40, 50), np.uint8)
    expected[:20] = 255
    actual = expected.copy()
    actual[20, :6] = 255
    assert accepted(tmp_path, actual, expected) == "{ agreement = 0.997 }"
    assert accepted(tmp_path, 255 - expected, expected) == ""


def test_a_bound_that_is_larger_than_the_values_is_not_proposed(tmp_path: Path) -> None:
    """It would accept any other values. Where one is off, the share that agrees says more."""
    expected = np.random.default_rng(0).normal(size=100)
    assert accepted(tmp_path, expected[::-1] + 1, expected) == ""
    assert accepted(tmp_path, np.array([5.0]), np.array([2.0])) == ""
    actual = expected.copy()
    actual[3] = 9.0
    assert accepted(tmp_path, actual, expected) == "{ agreement = 0.99 }"
    residuals = expected * 1e-17  # what is as small is zero whatever it is
    assert accepted(tmp_path, residuals[::-1] * 2, residuals).startswith("{ atol = ")


def test_large_counts_are_accepted_by_a_share_of_each(tmp_path: Path) -> None:
    expected = np.arange(1, 100) * 100_000
    assert accepted(tmp_path, expected + expected // 1000, expected) == "{ rtol = 0.002 }"


def test_labels_are_accepted_by_the_share_that_agrees(tmp_path: Path) -> None:
    expected = np.arange(1000)
    actual = expected.copy()
    actual[:3] += 1
    both = sides(tmp_path, actual=actual.astype(str), expected=expected.astype(str))
    ((difference,), _notes) = compare_outputs(both[0], both[1], ())
    proposal = acceptance(difference)
    assert proposal is not None
    assert proposal.line == '"outputs/a.npy" = { agreement = 0.997 }'
    assert "0.3%" in proposal.hides


@pytest.mark.parametrize("flipped", [3, 400])
def test_classes_that_are_numbers_are_labels(tmp_path: Path, flipped: int) -> None:
    """A bound above the distance of two numbers of classes would let every class pass."""
    expected = np.arange(1000) % 3
    actual = expected.copy()
    actual[:flipped] = (actual[:flipped] + 1) % 3
    first, second = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(first, actual)
    np.save(second, expected)
    name = "outputs/predictions.npy"
    mine, theirs = (Output(name, path, path.stat().st_size) for path in (first, second))
    ((difference,), _notes) = compare_outputs((mine,), (theirs,), ())
    proposal = acceptance(difference)
    if flipped > 100:
        assert proposal is None
        return
    assert proposal is not None
    assert proposal.line == '"outputs/predictions.npy" = { agreement = 0.997 }'
    rule = Rule(name, None, Tolerance(agreement=0.997))
    assert verdict_of(compare_outputs((mine,), (theirs,), (rule,))[0]).passes


@pytest.mark.parametrize(
    "difference",
    [
        Difference("a", "", Verdict.FAILED, note="damaged"),
        Difference("a", "", Verdict.DRIFT, note="missing in the actual run"),
        Difference("a", "", Verdict.DRIFT, max_abs=float("inf"), size=3, differing=1),
        Difference("a", "", Verdict.EQUIVALENT, max_abs=1.0, size=3, differing=1),
    ],
)
def test_what_no_bound_can_accept_is_not_proposed(difference: Difference) -> None:
    assert acceptance(difference) is None


def test_a_bound_is_no_measure_of_what_points_into_another_array() -> None:
    """As positions in a sparse matrix, or the nearest neighbours of a query."""
    for item, proposes in (("indptr", False), ("knn.neighbors", False), ("levels", True)):
        found = Difference(
            "m.npz", item, Verdict.DRIFT, max_abs=1.0, max_rel=0.1, worst_actual="6",
            worst_expected="5", differing=20, size=40, scale_error=0.02,
        )  # fmt: skip
        assert (acceptance(found) is not None) is proposes, item


@pytest.mark.parametrize(
    ("output", "item", "is_proposed"),
    [
        ("outputs/users.json", "matched", True),
        ("outputs/classes.npy", "", False),
        ("outputs/encoder.pkl", "categories_[0]", False),
        ("outputs/model.json", "feature_names", False),
        ("outputs/model.npz", "coef", False),  # each belongs to a feature
    ],
)
def test_any_order_is_proposed_only_for_what_nothing_else_is_in_the_order_of(
    output: str, item: str, is_proposed: bool
) -> None:
    found = Difference(output, item, Verdict.DRIFT, differing=3, size=3, free="unordered = true")
    for each in (found, replace(found, max_abs=2.0, max_rel=0.5, scale_error=0.5)):
        assert (acceptance(each) is not None) is is_proposed


def test_noise_that_was_measured_is_proposed_as_the_bound() -> None:
    difference = Difference(
        "a.npz", "w", Verdict.DRIFT, max_abs=1e-3, max_rel=0.5, size=9, differing=3, noise=2e-3
    )
    proposal = acceptance(difference)
    assert proposal is not None
    assert proposal.line == '"a.npz:w" = { tolerance = "calibrated" }'


@pytest.mark.parametrize(("number", "proposes"), [("223456789", False), ("2234567.5", True)])
def test_whole_numbers_of_nine_digits_may_be_ids(number: str, proposes: bool) -> None:
    """A bound would let any other id of about the size pass."""
    found = Difference(
        "users.csv", "user", Verdict.DRIFT, max_abs=1.0, max_rel=4e-9, size=4, differing=2,
        worst_actual=number.replace("9", "8"), worst_expected=number, scale_error=4e-9,
    )  # fmt: skip
    assert (acceptance(found) is not None) is proposes


def test_noise_as_large_as_the_values_is_no_bound() -> None:
    """As where each repeat draws its data anew."""
    difference = Difference(
        "a.npz", "w", Verdict.NONDETERMINISTIC, max_abs=1.1, max_rel=0.9, size=9, differing=9,
        noise=1.2, typical=0.7, worst_actual="0.4", worst_expected="1.5",
    )  # fmt: skip
    assert acceptance(difference) is None
    near = acceptance(replace(difference, max_abs=0.2, noise=0.3))
    assert near is not None
    assert near.text == '"calibrated"'


@pytest.mark.parametrize("item", ["time_ms", "run.started_at", "train_time", "elapsed_seconds"])
def test_a_time_is_left_out_instead_of_bounded(item: str) -> None:
    difference = Difference(
        "m.json", item, Verdict.DRIFT, max_abs=5321.0, max_rel=3e-9, size=1, differing=1
    )
    proposal = acceptance(difference)
    assert proposal is not None
    assert proposal.line == f'"m.json:{item}" = {{ ignore = true }}'


@pytest.mark.parametrize(
    ("item", "worst"),
    [
        ("fit_time", "0.3"),
        ("cv.mean_fit_time", "0.3"),
        ("timestamp", "3.5"),
        ("ts", "1764343264.12"),
    ],
)
def test_many_times_are_left_out_instead_of_bounded(item: str, worst: str) -> None:
    difference = Difference(
        "m.json",
        item,
        Verdict.DRIFT,
        max_abs=0.05,
        max_rel=0.5,
        size=3,
        differing=3,
        worst_actual=worst,
        worst_expected=worst,
    )
    proposal = acceptance(difference)
    assert proposal is not None
    assert proposal.line == f'"m.json:{item}" = {{ ignore = true }}'
    data = acceptance(replace(difference, item="time", worst_actual="12.5"))
    assert data is not None
    assert "ignore" not in data.line


@pytest.mark.parametrize("item", ["times_seen", "loss", "timeout_rate", "accuracy", "estimate"])
def test_what_only_sounds_like_a_time_is_bounded(item: str) -> None:
    difference = Difference(
        "m.json", item, Verdict.DRIFT, max_abs=0.5, max_rel=0.5, size=1, differing=1
    )
    proposal = acceptance(difference)
    assert proposal is not None
    assert "ignore" not in proposal.line


def test_many_times_that_moved_by_whole_hours_are_data() -> None:
    found = Difference(
        "e.csv", "ts", Verdict.DRIFT, max_abs=3600.0, max_rel=2e-6, scale_error=2e-6, size=9,
        differing=9, worst_actual="1714503600", worst_expected="1714500000",
    )  # fmt: skip
    assert acceptance(found) is None
    proposal = acceptance(replace(found, max_abs=3617.0, worst_actual="1714503617"))
    assert proposal is not None
    assert proposal.key == "ignore"


@pytest.mark.parametrize(
    ("item", "texts", "accepts"),
    [
        ("run_id", ("99aabbcc", "a1b2c3d4"), "ignore = true"),
        ("hostname", ("d3e4", "b1c2"), "ignore = true"),
        ("node_ip", ("172.17.0.3", "172.17.0.2"), "ignore = true"),
        ("pid", ("12", "11"), "ignore = true"),
        ("0", ("1764486400893", "1764400000123"), "ignore = true"),
        ("[3].category_id", ("4", "3"), ""),
        ("image_id", ("17", "3"), ""),
        ("session_id", ("17", "3"), ""),
        ("class_to_idx.eel", ("17", "16"), ""),
        ("config.label2id.eel", ("17", "16"), ""),
        ("vocab.the", ("17", "16"), ""),
        ("opset.ai.onnx", ("18", "17"), ""),
        ("config.seed", ("43", "42"), ""),
        ("per_class.eel.support", ("17", "16"), "margin = 2"),
        ("n_rows", ("17", "16"), "margin = 2"),
        ("user", ("9007199254740992", "9007199254740993"), ""),
        ("split_date", ("2026-11-29", "2026-11-30"), ""),
    ],
)
def test_what_has_no_distance_is_given_no_bound(
    item: str, texts: tuple[str, str], accepts: str
) -> None:
    """An id of the run is left out; that of a class is never close to another."""
    numbers = [int(text) for text in texts if text.isdecimal()]
    off = float(abs(numbers[0] - numbers[1])) if numbers else None
    actual, expected = texts
    difference = Difference(
        "m.json",
        item,
        Verdict.DRIFT,
        max_abs=off,
        size=1,
        differing=1,
        worst_actual=actual,
        worst_expected=expected,
    )
    proposal = acceptance(difference)
    assert accepts == ("" if proposal is None else f"{proposal.key} = {proposal.text}")


def texts(folder: Path, actual: str, expected: str, *rules: Rule) -> Difference:
    found: list[tuple[Output, ...]] = []
    for side, said in (("actual", actual), ("expected", expected)):
        path = folder / f"{side}.log"
        path.write_text(said)
        found.append((Output("a.log", path, path.stat().st_size),))
    return compare_outputs(found[0], found[1], rules)[0][0]


@pytest.mark.parametrize(
    ("actual", "expected", "is_proposed"),
    [
        ("loss 0.51\nend\n", "loss 0.5\nend\n", True),
        ("loss 0.51 new\nend\n", "loss 0.5 old\nend\n", False),
        ("loss 0.51\nnew\n", "loss 0.5\nold\n", False),
        ("loss 0.51\n", "loss 0.5\nend\n", False),
        (
            "".join(f"x {n}.26\n" for n in range(50)),
            "".join(f"x {n}.25\n" for n in range(50)),
            True,
        ),
        ("| rf | 0.912 | 1.53 |\n", "| rf | 0.912 | 1.23 |\n", False),
        ("t0 1764486400.8\n3.1 0.04\n", "t0 1764400000.1\n3.1 0.01\n", False),
        ("##date=20261130\n1\t0.5\n", "##date=20261129\n1\t0.5\n", False),
    ],
    ids=[
        "numbers",
        "words",
        "words elsewhere",
        "a line",
        "more than is listed",
        "a time beside an accuracy",
        "a moment above a table",
        "a day above a table",
    ],
)
def test_of_text_a_bound_is_proposed_where_numbers_alone_differ(
    tmp_path: Path, actual: str, expected: str, is_proposed: bool
) -> None:
    proposal = acceptance(texts(tmp_path, actual, expected))
    assert (proposal is not None) is is_proposed
    if proposal is not None:
        ((_key, rule),) = tomllib.loads(proposal.line).items()
        assert texts(
            tmp_path, actual, expected, Rule("a.log", None, Tolerance(**rule))
        ).verdict.passes
