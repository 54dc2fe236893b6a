"""How long a training took, told from an axis of time by what stands beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import pytest

from pytest_mlcontainer.judging.apart import set_apart
from pytest_mlcontainer.model import Difference, Tolerance
from pytest_mlcontainer.report.acceptance import acceptance
from tests.fixture_types import Compare

Record = dict[str, Any]
Write = Callable[[Sequence[Record]], tuple[str, bytes]]

MINE, THEIRS = (10.31, 20.55, 31.2, 41.77), (11.02, 22.9, 33.3, 45.1)
AXES = (0.1, 0.2, 0.3, 0.4), (0.2, 0.4, 0.6, 0.8)  # two steps of integration, both even


def as_csv(records: Sequence[Record]) -> tuple[str, bytes]:
    lines = [",".join(records[0]), *(",".join(map(str, each.values())) for each in records)]
    return "results.csv", "\n".join(lines).encode()


def as_lines(records: Sequence[Record]) -> tuple[str, bytes]:
    return "log.jsonl", "".join(json.dumps(each) + "\n" for each in records).encode()


def as_json(records: Sequence[Record]) -> tuple[str, bytes]:
    return "history.json", json.dumps({"history": list(records)}).encode()


def as_lists(records: Sequence[Record]) -> tuple[str, bytes]:
    return "history.json", json.dumps({"history": _columns(records)}).encode()


def as_arrays(records: Sequence[Record]) -> tuple[str, bytes]:
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for name, values in _columns(records).items():
            file[name] = values
    return "history.h5", sink.getvalue()


def _columns(records: Sequence[Record]) -> dict[str, list[Any]]:
    return {name: [each[name] for each in records] for name in records[0]}


WAYS = [as_csv, as_lines, as_json, as_lists, as_arrays]


def rows(times: Sequence[object], time: str, *beside: str, counter: str) -> list[Record]:
    """A table as a tool writes it; what stands beside the time is the same on both sides."""
    return [
        {counter: number, time: at, **dict.fromkeys(beside, 1 / (number + 3))}
        for number, at in enumerate(times, 1)
    ]


LOGS = {
    "ultralytics": ("epoch", "time", ("train/box_loss", "metrics/mAP50(B)", "lr/pg0")),
    "fastai": ("epoch", "time", ("train_loss", "valid_loss", "accuracy")),
    "lightning": ("step", "train/time", ("epoch", "train_loss")),
    "a loop": ("step", "seconds", ("loss", "acc")),
    "stable-baselines3": ("time/iterations", "time/time_elapsed", ("rollout/ep_rew_mean",)),
    "catboost": ("iteration", "passed_time", ("remaining_time",)),
}
AXES_OF_TIME = {
    "a simulation": ("step", "time", ("temperature", "pressure")),
    "a sensor": ("id", "time", ("acc", "gyro")),
    "an accelerometer": ("step", "time", ("acc", "error")),
    "survival": ("iteration", "time", ("hazard", "event")),
    "losses of a grid": ("hour", "time", ("loss",)),
}


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("log", LOGS)
def test_how_long_training_took_is_set_apart_with_the_rule_that_leaves_it_out(
    compare: Compare, log: str, write: Write
) -> None:
    counter, time, beside = LOGS[log]
    found = differing(compare, write, *(rows(s, time, *beside, counter=counter) for s in BOTH))
    assert all(set_apart((each,), ()) for each in found)
    assert {_proposal(each) for each in found} == {"ignore = true"}


BOTH = (MINE, THEIRS)


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("axis", AXES_OF_TIME)
def test_an_axis_of_time_is_data(compare: Compare, axis: str, write: Write) -> None:
    counter, time, beside = AXES_OF_TIME[axis]
    found = differing(compare, write, *(rows(s, time, *beside, counter=counter) for s in BOTH))
    assert not any(set_apart((each,), ()) for each in found)
    assert "ignore = true" not in {_proposal(each) for each in found}


@pytest.mark.parametrize("write", WAYS)
def test_an_even_grid_is_an_axis_also_beside_a_loss(compare: Compare, write: Write) -> None:
    """No clock is as even as that, on both sides."""
    found = differing(compare, write, *(rows(s, "time", "loss", counter="step") for s in AXES))
    assert not any(set_apart((each,), ()) for each in found)


def test_minutes_and_seconds_as_text_are_a_clocks_beside_a_loss(compare: Compare) -> None:
    """As fastai writes them; words in such a column are not."""
    clocks = ("00:12", "00:11", "01:02"), ("00:14", "00:11", "01:04")
    words = ("fast", "00:11", "01:02"), ("slow", "00:11", "01:04")
    for sides, apart in ((clocks, True), (words, False)):
        tables = (rows(side, "time", "train_loss", counter="epoch") for side in sides)
        (found,) = differing(compare, as_csv, *tables)
        assert bool(set_apart((found,), ())) is apart


def test_times_of_folds_are_a_clocks_as_they_do_not_only_rise(compare: Compare) -> None:
    sides = ({"fold": 0, "time": 9.1}, {"fold": 1, "time": 8.7}, {"fold": 2, "time": 9.4})
    slower = [{**each, "time": each["time"] + 1.0} for each in sides]
    found = differing(compare, as_json, sides, slower)
    assert all(set_apart((each,), ()) for each in found)


def test_a_log_whose_losses_are_nested_is_one(compare: Compare) -> None:
    sides = [
        [
            {"epoch": n, "time": at, "size": 3, "train": {"loss": 1 / (n + 1)}}
            for n, at in enumerate(side)
        ]
        for side in BOTH
    ]
    found = differing(compare, as_json, *sides)
    assert all(set_apart((each,), ()) for each in found)


def test_times_of_what_happened_are_a_clocks(compare: Compare) -> None:
    """They rise, and there is nothing over which they could be an axis."""
    sides = [[{"step": n, "event": "e", "time": at} for n, at in enumerate(side)] for side in BOTH]
    found = differing(compare, as_json, *sides)
    assert all(set_apart((each,), ()) for each in found)


@pytest.mark.parametrize("time", ["time", "times", "dur"])
def test_a_history_of_keras_counts_no_steps(compare: Compare, time: str) -> None:
    """Lists beside each other, of which a validation loss says that they are of training."""
    sides = [
        [{"loss": 1 / n, "val_loss": 2 / n, time: at} for n, at in enumerate(s, 1)] for s in BOTH
    ]
    found = differing(compare, as_lists, *sides)
    assert [(each.item, bool(set_apart((each,), ()))) for each in found] == [
        (f"history.{time}", True)
    ]


def test_keys_that_are_no_names_are_no_matter(compare: Compare) -> None:
    """In YAML a key may be a number, or nothing."""
    sides = (f"- {{1: 2, time: {at}, null: 3}}\n- {{1: 2, time: 9.5, true: 4}}\n" for at in (3, 4))
    actual, expected = (side.encode() for side in sides)
    found = [each for each in compare("a.yaml", actual, expected)[0] if not each.verdict.passes]
    assert [each.item for each in found] == ["[0].time"]


def test_a_log_with_more_than_its_times_off_still_differs(compare: Compare) -> None:
    """What is set apart is the column of times alone."""
    mine = rows(MINE, "time", "train/loss", counter="epoch")
    theirs = rows(THEIRS, "time", "train/loss", counter="epoch")
    theirs[2]["train/loss"] *= 1.5
    names = {
        each.item: bool(set_apart((each,), ())) for each in differing(compare, as_csv, mine, theirs)
    }
    assert names == {"time": True, "train/loss": False}


def test_a_rule_of_the_project_comes_first(compare: Compare) -> None:
    tables = [as_csv(rows(s, "time", "loss", counter="epoch")) for s in BOTH]
    (name, mine), (_name, theirs) = tables
    found, _notes = compare(name, mine, theirs, Tolerance(rtol=0.5))
    assert all(each.verdict.passes for each in found)


def differing(
    compare: Compare, write: Write, actual: Sequence[Record], expected: Sequence[Record]
) -> list[Difference]:
    (name, mine), (_name, theirs) = write(actual), write(expected)
    found = [each for each in compare(name, mine, theirs)[0] if not each.verdict.passes]
    assert found
    return found


def _proposal(difference: Difference) -> str:
    found = acceptance(difference)
    return "" if found is None else f"{found.key} = {found.text}"


def test_the_times_in_mlflows_metrics_are_a_clocks(compare: Compare) -> None:
    """One a line, before the value and its step; in a table without names."""
    at = 1_796_003_422_482
    sides = [
        "".join(f"{at + day + step * 7} {1 / (step + 1)} {step}\n" for step in range(4)).encode()
        for day in (0, 86_400_000)
    ]
    found, _notes = compare("metrics/loss", *sides)
    (times,) = [each for each in found if not each.verdict.passes]
    assert (times.item, times.clock) == ("0", True)
    assert set_apart(found, ()).parts


@pytest.mark.parametrize(
    "rows",
    [
        ["1796003422482", "1796003422483"],  # alone: what the file is for
        ["1796003422483 0.5", "1796003422482 0.5"],  # not in order
        ["1796003.5 0.5", "1796004.5 0.5"],
        ["4711 0.5", "4712 0.5"],
    ],
)
def test_a_first_column_of_other_numbers_is_data(compare: Compare, rows: list[str]) -> None:
    data = "".join(f"{row}\n" for row in rows).encode()
    found, _notes = compare("numbers", data, data.replace(b"1", b"2"))
    assert not any(each.clock for each in found)
