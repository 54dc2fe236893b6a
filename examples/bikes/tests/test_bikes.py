"""The project's own tests: data, features, models and the command line."""

import csv
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bikes import model
from bikes.cli import main
from bikes.data import Hours, read_hours
from bikes.features import TREE_FEATURES, calendar, linear_features, tree_features
from bikes.synthetic import generate, tenths, wave

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def hours() -> Hours:
    return read_hours(PROJECT / "data" / "hours.csv")


@pytest.fixture(scope="module")
def few_hours(hours: Hours) -> Hours:
    """The first 100 days: enough to train on, quick to train on."""
    return hours.where(np.arange(len(hours)) < 2400)


@pytest.fixture(scope="module")
def trained(few_hours: Hours) -> model.BikesModel:
    return model.fit(few_hours)


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    """A data folder with the first 100 days of history and the whole forecast."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = (PROJECT / "data" / "hours.csv").read_text().splitlines(keepends=True)
    (folder / "hours.csv").write_text("".join(lines[:2401]))
    (folder / "forecast.csv").write_bytes((PROJECT / "data" / "forecast.csv").read_bytes())
    return folder


@pytest.mark.parametrize("name", ["hours.csv", "forecast.csv"])
def test_committed_data_is_what_the_generator_writes(name: str, tmp_path: Path) -> None:
    generate(tmp_path)
    assert (tmp_path / name).read_bytes() == (PROJECT / "data" / name).read_bytes()


def test_history_is_every_hour_of_two_years(hours: Hours) -> None:
    assert len(hours) == (365 + 366) * 24
    assert set(np.diff(hours.timestamp).astype(int)) == {1}


def test_history_has_the_peaks_of_commuters_and_of_idlers(hours: Hours) -> None:
    hour, _, _ = calendar(hours)
    counts = model.counts_of(hours)

    def busiest(workingday: int) -> int:
        chosen = hours.workingday == workingday
        return int(np.argmax([counts[chosen & (hour == h)].mean() for h in range(24)]))

    assert busiest(workingday=1) in (8, 17)
    assert busiest(workingday=0) in range(11, 16)


def test_rain_and_cold_keep_people_off_bikes(hours: Hours) -> None:
    counts = model.counts_of(hours)
    assert counts[hours.weather >= 3].mean() < 0.7 * counts[hours.weather == 1].mean()
    assert counts[hours.temperature < 5].mean() < 0.7 * counts[hours.temperature > 15].mean()


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.0"), (-7, "-0.7"), (-10, "-1.0"), (123, "12.3")]
)
def test_tenths_are_written_with_their_sign(value: int, text: str) -> None:
    assert tenths(value) == text


def test_wave_is_zero_at_its_nodes_and_full_between_them() -> None:
    assert [wave(hour, 24, 40) for hour in (0, 6, 12, 18, 24)] == [0, 40, 0, -40, 0]


def test_calendar_knows_weekday_and_day_of_year(hours: Hours) -> None:
    hour, weekday, day_of_year = calendar(hours)
    leap_day = int(np.flatnonzero(hours.timestamp == np.datetime64("2024-02-29T17", "h"))[0])
    assert (hour[leap_day], weekday[leap_day], day_of_year[leap_day]) == (17, 3, 59)


def test_features_are_finite_float32_of_the_documented_shape(hours: Hours) -> None:
    for matrix, width in ((tree_features(hours), len(TREE_FEATURES)), (linear_features(hours), 17)):
        assert matrix.shape == (len(hours), width)
        assert matrix.dtype == np.float32
        assert np.isfinite(matrix).all()


def test_split_keeps_every_hour_once_and_in_order(hours: Hours) -> None:
    before, after = hours.split(last_days=56)
    assert len(after) == 56 * 24
    assert np.array_equal(np.concatenate([before.timestamp, after.timestamp]), hours.timestamp)


def test_training_twice_gives_the_same_bits(few_hours: Hours, trained: model.BikesModel) -> None:
    first, second = model.weights(trained), model.weights(model.fit(few_hours))
    for name, values in first.items():
        assert values.tobytes() == second[name].tobytes(), name


def test_models_beat_the_obvious_guesses(hours: Hours) -> None:
    history, holdout = hours.split(model.HOLDOUT_DAYS)
    fitted = model.fit(history)
    metrics = model.evaluate(fitted, holdout, model.predict(fitted, holdout))
    counts = model.counts_of(holdout)
    assert metrics["mae"] < 0.3 * np.abs(counts - counts.mean()).mean()
    assert metrics["accuracy"] > 1.05 * (counts < fitted.busy_count).mean()
    assert metrics["auc"] > 0.95


def test_saved_model_predicts_as_the_one_in_memory(
    few_hours: Hours, trained: model.BikesModel, tmp_path: Path
) -> None:
    model.save(trained, tmp_path / "model.joblib")
    before = model.predict(trained, few_hours)
    after = model.predict(model.load(tmp_path / "model.joblib"), few_hours)
    assert before.count.tobytes() == after.count.tobytes()
    assert before.busy_probability.tobytes() == after.busy_probability.tobytes()


def test_hours_without_counts_cannot_be_trained_on(few_hours: Hours) -> None:
    with pytest.raises(ValueError, match="no counts"):
        model.fit(replace(few_hours, count=None))


def test_train_then_infer_writes_the_documented_files(small_data: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    folders = ["--data", str(small_data), "--outputs", str(outputs)]
    assert main(["train", *folders]) == 0
    assert main(["infer", *folders]) == 0
    assert {path.name for path in outputs.iterdir()} == {
        "model.joblib",
        "weights.npz",
        "holdout.npz",
        "metrics.json",
        "predictions.npz",
        "predictions.csv",
    }
    metrics = json.loads((outputs / "metrics.json").read_text())
    assert metrics["holdout_hours"] == 56 * 24
    with (outputs / "predictions.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert (len(table), table[0]["timestamp"]) == (28 * 24, "2025-01-01T00:00")
    with np.load(outputs / "predictions.npz") as arrays:
        assert [int(row["busy"]) for row in table] == arrays["busy"].astype(int).tolist()


def test_infer_without_a_model_says_which_file_is_missing(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["infer", "--data", str(small_data), "--outputs", str(tmp_path)]) == 1
    assert "model.joblib" in capsys.readouterr().err


def test_csv_without_a_column_says_which(tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    path.write_text("timestamp,season\n2023-01-01T00:00,1\n")
    with pytest.raises(ValueError, match="lacks the columns holiday, workingday"):
        read_hours(path)


def test_pinned_requirements_start_from_the_declared_dependencies() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert (PROJECT / "requirements.in").read_text().split() == declared
    pinned = (PROJECT / "requirements.txt").read_text()
    assert "://" not in pinned
    for requirement in declared:
        assert f"\n{requirement.split('>')[0]}==" in pinned
