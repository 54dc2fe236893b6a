"""Parameters that moved as training moves them pass where predictions vouch for the model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.judging.moved import MOST, settle_moved
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict

LABELS = [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1]


def write_parquet(path: Path, columns: Values) -> None:
    pq.write_table(pa.table(columns), path)


def write_feather(path: Path, columns: Values) -> None:
    feather.write_feather(pa.table(columns), str(path))


def write_stream(path: Path, columns: Values) -> None:
    table = pa.table(columns)
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)


def write_hdf5(path: Path, columns: Values) -> None:
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            file[name] = column


def write_sqlite(path: Path, columns: Values) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE predictions ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        rows = zip(*columns.values(), strict=True)
        database.executemany(f"INSERT INTO predictions VALUES ({marks})", rows)


def write_npz(path: Path, arrays: Values) -> None:
    np.savez(path, **arrays)


def write_png(path: Path, picture: Values) -> None:
    Image.fromarray(picture["pixels"]).save(path)


Values = dict[str, Any]
WRITERS: dict[str, Callable[[Path, Values], None]] = {
    "model.npz": write_npz,
    "pred_mask.png": write_png,
    "features.npz": write_npz,
    "predictions.npz": write_npz,
    "predictions.parquet": write_parquet,
    "predictions.feather": write_feather,
    "predictions.arrows": write_stream,
    "predictions.h5": write_hdf5,
    "predictions.sqlite": write_sqlite,
}
Judge = Callable[..., tuple[Difference, ...]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Outputs of both runs, by name → the differences, settled."""

    def run(
        actual: Values, expected: Values, rules: tuple[Rule, ...] = ()
    ) -> tuple[Difference, ...]:
        sides = []
        for side, files in (("actual", actual), ("expected", expected)):
            outputs = []
            for name, value in files.items():
                path = tmp_path / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if name in WRITERS:
                    WRITERS[name](path, value)
                else:
                    path.write_text(value if isinstance(value, str) else json.dumps(value))
                outputs.append(Output(name, path, path.stat().st_size))
            sides.append(tuple(outputs))
        return settle_moved(compare_outputs(sides[0], sides[1], rules)[0], sides[1])

    return run


def model(off: float) -> Values:
    """A model whose intercept moved, of which nothing else did."""
    return {"coef_": np.array([[0.5, -1.25, 2.0]]), "intercept_": np.array([0.75 * (1 + off)])}


def test_an_intercept_that_moved_passes_where_predictions_are_identical(judge: Judge) -> None:
    moved = {"model.npz": model(2.4e-7), "predictions.json": LABELS}
    found = judge(moved, {"model.npz": model(0), "predictions.json": LABELS})

    assert verdict_of(found) is Verdict.EQUIVALENT
    (note,) = (each.note for each in found if each.item == "intercept_")
    assert note.startswith("moved by 2.4e-07 of its typical size")
    assert "predictions.json agrees" in note


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        pytest.param({}, {}, id="without predictions"),
        pytest.param(
            {"predictions.json": [1, *LABELS[1:]]}, {"predictions.json": LABELS}, id="one differs"
        ),
        pytest.param(
            {"predictions.json": LABELS[:3]}, {"predictions.json": LABELS[:3]}, id="too few"
        ),
        pytest.param({"metrics.json": LABELS}, {"metrics.json": LABELS}, id="only metrics"),
        pytest.param(
            {"predictions.json": LABELS, "probabilities.json": [0.25] * 12},
            {"predictions.json": LABELS, "probabilities.json": [0.25] * 11 + [0.26]},
            id="labels alone agree",
        ),
    ],
)
def test_nothing_is_excused_where_predictions_do_not_vouch(
    judge: Judge, actual: Values, expected: Values
) -> None:
    found = judge({"model.npz": model(2.4e-7), **actual}, {"model.npz": model(0), **expected})
    (intercept,) = (each for each in found if each.item == "intercept_")
    assert intercept.verdict is Verdict.DRIFT


ROWS = range(30)
CLASSES = [f"class {number}" for number in range(20)]
ROUNDED = [number % 3 for number in ROWS]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("labels.json", CLASSES, id="names of classes"),
        pytest.param("labels.txt", "\n".join(CLASSES), id="names of classes, one a line"),
        pytest.param("classes.csv", "n,label\n" + "".join(f"{n},c{n}\n" for n in ROWS), id="a map"),
        pytest.param("label_encoder.json", {c: n for n, c in enumerate(CLASSES)}, id="an encoder"),
        pytest.param("test_labels.json", ROUNDED, id="what is true"),
        pytest.param("labels_val.json", ROUNDED, id="what is true of another split"),
        pytest.param("true_labels.json", ROUNDED, id="what is said to be true"),
        pytest.param("labelled.json", ROUNDED, id="what it learns from"),
        pytest.param("predictors.json", CLASSES, id="names of features"),
        pytest.param(
            "predictions.csv",
            "id,y_true\n" + "".join(f"{n},{n % 2}\n" for n in ROWS),
            id="predictions that are missing",
        ),
        pytest.param("predictions.png", "a plot" * 9, id="a plot"),
        pytest.param("predict.log", "loaded 30 rows\nwrote 30 rows\n", id="a log"),
        pytest.param("prediction_report.md", "# Predictions\n\nall is well\n", id="a report"),
        pytest.param("forecast_config.yaml", "horizon: 12\nfreq: D\n", id="settings"),
        pytest.param("scores.json", {"accuracy": 0.91, "f1": 0.9, "auc": 0.95}, id="metrics"),
        pytest.param(
            "scores.json",
            {f"{part}_{name}": 0.01 * n for n, part in enumerate("abcd") for name in ("f1", "auc")},
            id="many metrics",
        ),
        pytest.param(
            "scores.json", {f"data set {n}": 0.1 * n for n in ROWS}, id="a metric by data sets"
        ),
        pytest.param(
            "scores.json",
            {"fit_time": [0.1 * n for n in ROWS], "test_score": [0.2 * n for n in ROWS]},
            id="metrics and times by folds",
        ),
        pytest.param("cv_scores.json", [0.91, 0.92, 0.9, 0.89, 0.93] * 2, id="a metric by folds"),
        pytest.param("prediction_times.json", [0.1 * n for n in ROWS], id="how long it took"),
    ],
)
def test_what_is_only_called_alike_vouches_for_nothing(judge: Judge, name: str, value: Any) -> None:
    """None of it would be another with another model."""
    found = judge({"model.npz": model(2.4e-7), name: value}, {"model.npz": model(0), name: value})
    assert verdict_of(found) is Verdict.DRIFT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels.json", ROUNDED),
        ("labels.txt", "cat\ndog\ncat\n" * 5),
        ("label.csv", "id,label\n" + "".join(f"{n},{'cat' * (n % 2)}\n" for n in ROWS)),
        ("test_predictions.json", ROUNDED),
        ("scores.json", [0.1 * n for n in ROWS]),
        ("y_pred.json", [n / 7 for n in ROWS]),
        ("pred_mask.png", {"pixels": np.arange(64, dtype=np.uint8).reshape(8, 8) % 3}),
        ("predictions.json", {f"{n}.png": n % 2 for n in ROWS}),
        ("class_probabilities.json", [[n / 30, 1 - n / 30] for n in ROWS]),
        ("testpredictions.json", ROUNDED),
    ],
)
def test_what_a_model_chose_vouches_for_it(judge: Judge, name: str, value: Any) -> None:
    found = judge({"model.npz": model(2.4e-7), name: value}, {"model.npz": model(0), name: value})
    assert verdict_of(found) is Verdict.EQUIVALENT


def test_predictions_of_a_file_each_vouch_together(judge: Judge) -> None:
    def answers(number: int) -> Values:
        return {f"answers/prediction_{n}.json": {"label": n % number, "p": 0.5} for n in range(12)}

    for number, verdict in ((3, Verdict.EQUIVALENT), (1, Verdict.DRIFT)):
        predicted = answers(number)
        found = judge(
            {"model.npz": model(2.4e-7), **predicted}, {"model.npz": model(0), **predicted}
        )
        assert verdict_of(found) is verdict


@pytest.mark.parametrize(
    ("name", "constant", "other"),
    [
        ("predictions.json", [1] * 30, [1, 0] * 15),
        ("predictions.json", ["cat"] * 30, ["cat", "dog"] * 15),
        ("predictions.json", [{"id": n, "y": 1} for n in ROWS], [{"id": n, "y": n} for n in ROWS]),
        ("predictions.json", {f"{n}.png": 1 for n in ROWS}, {f"{n}.png": n % 2 for n in ROWS}),
        ("predictions.npz", {"y": np.full(30, np.nan)}, {"y": np.arange(30) / 7}),
        ("probabilities.json", [[0.25, 0.75]] * 30, [[0.25, 0.75], [0.5, 0.5]] * 15),
        (
            "predictions.csv",
            "id,truth,pred\n" + "".join(f"{n},{n % 2},cat\n" for n in ROWS),
            "id,truth,pred\n" + "".join(f"{n},1,{'cat' * (n % 2)}\n" for n in ROWS),
        ),
        (
            "predictions.jsonl",
            "".join(f'{{"text": "t{n}", "score": 0.5}}\n' for n in ROWS),
            "".join(f'{{"text": "t{n}", "score": 0.{n}5}}\n' for n in ROWS),
        ),
        ("predictions.txt", "cat\n" * 30, "cat\ndog\n" * 15),
    ],
)
def test_predictions_that_are_all_the_same_vouch_for_nothing(
    judge: Judge, name: str, constant: Any, other: Any
) -> None:
    """A model that learnt nothing predicts them, too."""
    verdicts = [
        verdict_of(
            judge({"model.npz": model(2.4e-7), name: each}, {"model.npz": model(0), name: each})
        )
        for each in (constant, other)
    ]
    assert verdicts == [Verdict.DRIFT, Verdict.EQUIVALENT]


@pytest.mark.parametrize(
    "name", [each for each in WRITERS if each.startswith("predictions")], ids=lambda n: n[12:]
)
@pytest.mark.parametrize(("one", "two"), [(0.5, 0.25), ("cat", "dog")], ids=["numbers", "text"])
def test_that_is_so_in_every_format_and_at_any_length(
    judge: Judge, name: str, one: object, two: object
) -> None:
    ids, verdicts = list(range(3000)), []
    for predicted in ([one] * 3000, [one, two] * 1500):
        written = {name: {"id": ids, "pred": predicted}}
        found = judge({"model.npz": model(2.4e-7), **written}, {"model.npz": model(0), **written})
        verdicts.append(verdict_of(found))
    assert verdicts == [Verdict.DRIFT, Verdict.EQUIVALENT]


def test_a_model_that_is_another_one_drifts_whatever_it_predicts(judge: Judge) -> None:
    predicted = {"predictions.json": LABELS}
    found = judge({"model.npz": model(2 * MOST), **predicted}, {"model.npz": model(0), **predicted})
    assert verdict_of(found) is Verdict.DRIFT


def test_one_large_parameter_does_not_excuse_the_small_ones(judge: Judge) -> None:
    """What is typical of those that differ is the measure, not the largest value."""
    expected = {"weights": np.array([1e6, *np.linspace(0.1, 1, 40)])}
    actual = {"weights": expected["weights"].copy()}
    actual["weights"][7] *= 1.5
    predicted = {"predictions.json": LABELS}
    found = judge({"model.npz": actual, **predicted}, {"model.npz": expected, **predicted})
    assert verdict_of(found) is Verdict.DRIFT


def test_what_is_no_parameter_is_judged_as_ever(judge: Judge) -> None:
    predicted = {"predictions.json": LABELS}
    found = judge(
        {"features.npz": {"x": np.array([0.75 * (1 + 1e-6)])}, **predicted},
        {"features.npz": {"x": np.array([0.75])}, **predicted},
    )
    assert verdict_of(found) is Verdict.DRIFT


def test_a_rule_of_its_own_decides(judge: Judge) -> None:
    predicted = {"predictions.json": LABELS}
    rules = (Rule("model.npz", None, Tolerance(rtol=1e-9)),)
    found = judge(
        {"model.npz": model(2.4e-7), **predicted}, {"model.npz": model(0), **predicted}, rules
    )
    assert verdict_of(found) is Verdict.DRIFT
