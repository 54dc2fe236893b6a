"""What a drift amounts to, said in one or two clauses, the most material first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.explain.materiality import materiality
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict


def written(folder: Path, files: Mapping[str, Any]) -> tuple[Output, ...]:
    """A run's outputs: arrays as npz, text as it is, anything else as JSON."""
    folder.mkdir()
    for name, what in files.items():
        if name.endswith(".npz"):
            np.savez(folder / name, **what)
        elif isinstance(what, str):
            (folder / name).write_text(what)
        else:
            (folder / name).write_text(json.dumps(what))
    return tuple(
        Output(f"outputs/{name}", folder / name, (folder / name).stat().st_size) for name in files
    )


def says(
    tmp_path: Path,
    expected: Mapping[str, Any],
    actual: Mapping[str, Any],
    rules: tuple[Rule, ...] = (),
) -> str:
    """What the drift of two such runs amounts to, compared for real."""
    sides = written(tmp_path / "actual", actual), written(tmp_path / "expected", expected)
    differences, _notes = compare_outputs(sides[0], sides[1], rules)
    return materiality(differences)


EXACT = Tolerance(exact=True)
LABELS = np.arange(400) % 3
COEF = np.linspace(-2.0, 2.0, 50)


def test_labels_and_a_metric_are_counted_together(tmp_path: Path) -> None:
    """Flipped labels come first, then the metric that moved, before weights and probabilities."""
    flipped = LABELS.copy()
    flipped[[3, 77, 200]] += 1
    text = says(
        tmp_path,
        {"pred.npz": {"label": LABELS, "proba": COEF}, "metrics.json": {"accuracy": 0.9121}},
        {"pred.npz": {"label": flipped, "proba": COEF + 0.01}, "metrics.json": {"accuracy": 0.909}},
    )
    assert text == "3 of 400 labels flipped, accuracy 0.912 → 0.909"


def test_a_metric_is_said_with_digits_that_tell_its_values_apart(tmp_path: Path) -> None:
    """Never "0.912 → 0.912"."""
    text = says(tmp_path, {"m.json": {"val_auc": 0.91234}}, {"m.json": {"val_auc": 0.91239}})
    assert text == "val_auc 0.9123 → 0.9124"


def test_many_metrics_are_counted(tmp_path: Path) -> None:
    """Two are named, the furthest moved first."""
    expected = {"test": {"f1": 0.8, "recall": 0.7, "mae": 3.0, "rmse": 5.0}}
    actual = {"test": {"f1": 0.79, "recall": 0.6, "mae": 3.9, "rmse": 5.1}}
    text = says(tmp_path, {"m.json": expected}, {"m.json": actual})
    assert text == "mae 3 → 3.9, recall 0.7 → 0.6 and 2 more metrics"


def test_probabilities_and_weights_are_said_by_how_far_they_moved(tmp_path: Path) -> None:
    """Probabilities in their own unit, weights by the scale of their array."""
    text = says(
        tmp_path,
        {"out.npz": {"proba": COEF / 4 + 0.5, "coef": COEF}},
        {"out.npz": {"proba": COEF / 4 + 0.512, "coef": COEF + 0.01}},
    )
    assert text == (
        "predicted probabilities moved by at most 0.012, weights moved by up to 0.5% of their scale"
    )


def test_only_bits_are_called_so(tmp_path: Path) -> None:
    """A strict rule makes a drift of what is rounding, and the reader is told."""
    text = says(
        tmp_path,
        {"w.npz": {"coef": COEF}},
        {"w.npz": {"coef": np.nextafter(COEF, 9)}},
        (Rule("outputs/w.npz", None, EXACT),),
    )
    assert text == "only the last bits of numbers (at most 1 ULP)"


def test_a_metric_within_rounding_is_no_metric_that_moved(tmp_path: Path) -> None:
    """Half an ULP of accuracy moves nobody."""
    text = says(
        tmp_path,
        {"m.json": {"accuracy": 0.1 + 0.2}},
        {"m.json": {"accuracy": 0.3}},
        (Rule("outputs/m.json", None, EXACT),),
    )
    assert text == "only the last bits of numbers (at most 1 ULP)"


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        ("c\nb\na\n", "the same lines in another order in outputs/names.txt"),
        ("c\nb\nd\n", "only text of outputs/names.txt: 2 of 3 lines"),
    ],
)
def test_the_same_lines_in_another_order_are_told_from_other_lines(
    tmp_path: Path, actual: str, said: str
) -> None:
    """Only where all lines that differ are known, and are the same ones."""
    assert says(tmp_path, {"names.txt": "a\nb\nc\n"}, {"names.txt": actual}) == said


def test_a_value_that_is_there_twice_is_no_other_order(tmp_path: Path) -> None:
    """Where it went cannot be told."""
    counts = np.array([3, 1, 1, 3, 5, 6])
    moved = np.array([1, 3, 3, 1, 5, 6])
    text = says(tmp_path, {"c.npz": {"counts": counts}}, {"c.npz": {"counts": moved}})
    assert text == "4 of 6 whole numbers changed in outputs/c.npz:counts"


def test_of_a_metric_at_many_steps_the_step_that_moved_most_is_named(tmp_path: Path) -> None:
    """By its whole name; the others are counted."""
    steps = [{"loss": 0.5}, {"loss": 0.4}, {"loss": 0.3}]
    moved = [{"loss": 0.49}, {"loss": 0.4}, {"loss": 0.2}]
    text = says(tmp_path, {"m.json": {"h": steps}}, {"m.json": {"h": moved}})
    assert text == "h[2].loss 0.3 → 0.2 and 1 more metric"


def test_lines_that_differ_in_numbers_alone_are_called_so(tmp_path: Path) -> None:
    """A log line with another loss is not another text."""
    text = says(tmp_path, {"log.txt": "loss 0.5\nend\n"}, {"log.txt": "loss 6e-1\nend\n"})
    assert text == "only numbers in text of outputs/log.txt: 1 of 2 lines"


def test_a_whole_number_that_was_zero_is_one_as_well(tmp_path: Path) -> None:
    """It has no scale."""
    text = says(tmp_path, {"m.json": {"cat": 0}}, {"m.json": {"cat": 1}})
    assert text == "cat 0 → 1"


def test_labels_that_flip_to_and_fro_are_not_called_reordered(tmp_path: Path) -> None:
    """One up and one down are the same values at other places, and are no other order."""
    flipped = LABELS.copy()
    flipped[[4, 5]] = flipped[[5, 4]]
    text = says(tmp_path, {"p.npz": {"label": LABELS}}, {"p.npz": {"label": flipped}})
    assert text == "2 of 400 labels flipped"


def test_a_list_of_classes_in_another_order_is_called_so(tmp_path: Path) -> None:
    """Each name is there once, and most stand elsewhere."""
    text = says(
        tmp_path,
        {"m.json": {"classes": ["cat", "dog", "owl"]}},
        {"m.json": {"classes": ["owl", "cat", "dog"]}},
    )
    assert text == "the same values in another order in outputs/m.json:classes"


def test_a_chosen_text_or_number_is_shown(tmp_path: Path) -> None:
    """Which model won is worth both names."""
    text = says(tmp_path, {"m.json": {"best": "forest"}}, {"m.json": {"best": "boosting"}})
    assert text == "best forest → boosting"


def test_whole_numbers_that_are_no_labels_are_not_called_so(tmp_path: Path) -> None:
    """Counts do not flip."""
    text = says(tmp_path, {"c.npz": {"counts": LABELS}}, {"c.npz": {"counts": LABELS + 1}})
    assert text == "400 of 400 whole numbers changed in outputs/c.npz:counts"


@pytest.mark.parametrize("item", ["tree.feature", "nodes.left_child", "node_count"])
def test_what_a_tree_is_made_of_are_no_labels(tmp_path: Path, item: str) -> None:
    """Which feature a node asks for is no prediction, although its file is one of a classifier."""
    name = "class_labels.npz"
    text = says(tmp_path, {name: {item: LABELS}}, {name: {item: LABELS + 1}})
    assert text == f"400 of 400 whole numbers changed in outputs/{name}:{item}"


def test_an_array_without_a_name_of_its_own_is_called_as_its_file(tmp_path: Path) -> None:
    """As `np.savez(file, labels)` writes it."""
    text = says(tmp_path, {"labels.npz": {"arr_0": LABELS}}, {"labels.npz": {"arr_0": LABELS + 1}})
    assert text == "400 of 400 labels flipped"


def test_missing_and_new_outputs_come_before_all_else(tmp_path: Path) -> None:
    """With their names; two clauses are all there is."""
    text = says(
        tmp_path,
        {"a.json": {"accuracy": 1.0}, "before.json": {"x": 1}},
        {"a.json": {"accuracy": 0.5}, "after.json": {"y": 22}},
    )
    assert text == (
        "1 output is new (outputs/after.json), 1 output is missing (outputs/before.json)"
    )


def test_what_is_new_or_missing_within_a_file_is_no_output(tmp_path: Path) -> None:
    text = says(tmp_path, {"a.json": {"x": 1, "even": 2}}, {"a.json": {"x": 1, "evening": 2}})
    assert text == (
        "1 item is new (outputs/a.json:evening), 1 item is missing (outputs/a.json:even)"
    )


def test_an_output_under_another_name_is_said(tmp_path: Path) -> None:
    """Its bytes are the same; what else changed is said after it."""
    text = says(
        tmp_path,
        {"a.json": {"accuracy": 1.0}, "run-4f2a91c8.json": {"x": 1}},
        {"a.json": {"accuracy": 0.5}, "run-90be77d1.json": {"x": 1}},
    )
    assert text.startswith("1 output has another name (outputs/run-")
    assert text.endswith("accuracy 1 → 0.5")


def test_nan_on_one_side_is_said(tmp_path: Path) -> None:
    """Not as a distance, for it has none."""
    broken = COEF.copy()
    broken[4] = np.nan
    text = says(tmp_path, {"w.npz": {"coef": COEF}}, {"w.npz": {"coef": broken}})
    assert text == "NaN or infinite values on one side only in outputs/w.npz:coef"


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        (COEF[:49], "another shape of outputs/w.npz:coef: (49,) instead of (50,)"),
        (LABELS[:50], "another type of outputs/w.npz:coef: int64 instead of float64"),
    ],
)
def test_another_shape_or_type_is_said_before_numbers(
    tmp_path: Path, actual: Any, said: str
) -> None:
    """A structure that changed makes distances mean little."""
    text = says(tmp_path, {"w.npz": {"coef": COEF}}, {"w.npz": {"coef": actual}})
    assert text.startswith(said)


def test_rows_that_are_missing_are_counted(tmp_path: Path) -> None:
    """Both numbers of rows."""
    text = says(tmp_path, {"t.csv": "a,b\n1,2\n3,4\n"}, {"t.csv": "a,b\n1,2\n"})
    assert text == "1 instead of 2 rows in outputs/t.csv"


def test_nothing_that_differs_amounts_to_nothing() -> None:
    """Identical items do not count."""
    assert materiality([Difference("a", "", Verdict.IDENTICAL, size=3)]) == ""


@given(
    st.builds(
        Difference,
        output=st.text(max_size=20),
        item=st.text(max_size=40),
        verdict=st.sampled_from(Verdict),
        max_abs=st.none() | st.floats(0),
        max_rel=st.none() | st.floats(0),
        max_ulp=st.none() | st.integers(0, 10**20),
        scale_error=st.none() | st.floats(0),
        worst_actual=st.text(max_size=9),
        worst_expected=st.text(max_size=9),
        differing=st.integers(0, 9),
        size=st.integers(0, 9),
        rule=st.text(max_size=9),
        note=st.text(max_size=30),
        unit=st.sampled_from(("elements", "lines", "bytes", "items", "points", "seeds")),
    )
)
def test_any_difference_can_be_summed_up(difference: Difference) -> None:
    """Whatever a container wrote: no name and no number makes it fail."""
    assert len(materiality([difference, difference])) < 600
