"""Notebooks: what their cells print counts, when and under which ids they were run does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Rule, Tolerance, Verdict
from tests.fixture_types import Compare


def cell(place: int, day: int, printed: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": place,
        "id": f"{day}{place}a1b2c3",
        "metadata": {
            "execution": {"iopub.status.busy": f"2026-11-{day}T10:15:00Z"},
            "ExecuteTime": {"end_time": f"2026-11-{day}T10:15:01Z"},
            "papermill": {"duration": day / 10, "status": "completed"},
        },
        "outputs": [{"name": "stdout", "output_type": "stream", "text": [f"{printed}\n"]}],
        "source": ["print(loss)"],
    }


def notebook(day: int, *printed: str, **changed: Any) -> bytes:
    cells = [cell(place, day, text) for place, text in enumerate(printed)]
    about = {"start_time": f"2026-11-{day}", "duration": day / 7, "output_path": f"{day}.ipynb"}
    metadata = {"papermill": about, **changed}
    return json.dumps(
        {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1
    ).encode()


@pytest.mark.parametrize("name", ["out.ipynb", "report"])
def test_when_and_under_which_ids_it_was_run_does_not_count(compare: Compare, name: str) -> None:
    found, _notes = compare(
        name, notebook(28, "loss 0.5", "done"), notebook(29, "loss 0.5", "done")
    )
    assert verdict_of(found) is Verdict.EQUIVALENT
    (stamps,) = [each for each in found if each.verdict is Verdict.EQUIVALENT]
    assert stamps.note == "the same but for when, and under which ids, it was run"
    assert stamps.differing == 11  # four of each cell, three of the whole


def test_how_often_the_kernel_had_run_something_does_not_count(compare: Compare) -> None:
    """Whether a cell was run at all does."""
    again = notebook(28, "1", "2").replace(b'"execution_count": 1', b'"execution_count": 17')
    assert verdict_of(compare("out.ipynb", again, notebook(28, "1", "2"))[0]) is Verdict.EQUIVALENT
    never = notebook(28, "1", "2").replace(b'"execution_count": 1', b'"execution_count": null')
    assert verdict_of(compare("out.ipynb", never, notebook(28, "1", "2"))[0]) is Verdict.DRIFT


def test_what_a_cell_prints_counts(compare: Compare) -> None:
    found, _notes = compare("out.ipynb", notebook(28, "0.5", "done"), notebook(29, "0.6", "done"))
    drifting = [each.item for each in found if each.verdict is Verdict.DRIFT]
    assert drifting == ["cells[0].outputs[0].text"]


def test_states_of_widgets_do_not_count(compare: Compare) -> None:
    sides = [
        notebook(28, "done", widgets={"state": {f"{day}a1b2c3": {"value": day}}}) for day in (8, 9)
    ]
    assert verdict_of(compare("out.ipynb", *sides)[0]) is Verdict.EQUIVALENT


def test_a_cell_more_counts(compare: Compare) -> None:
    found, _notes = compare("out.ipynb", notebook(28, "1", "2"), notebook(28, "1"))
    assert verdict_of(found) is Verdict.DRIFT


@pytest.mark.parametrize(
    "changed", [{"kernelspec": {"name": "python3"}}, {"language_info": {"version": "3.13.1"}}]
)
def test_other_metadata_counts(compare: Compare, changed: dict[str, Any]) -> None:
    found, _notes = compare("out.ipynb", notebook(28, "1", **changed), notebook(28, "1"))
    assert verdict_of(found) is Verdict.DRIFT


def test_a_rule_may_want_them(compare: Compare) -> None:
    exact = Rule("*.ipynb", "cells[*].metadata.papermill.duration", Tolerance(exact=True))
    found, _notes = compare("out.ipynb", notebook(28, "1"), notebook(29, "1"), rules=[exact])
    drifting = [each.item for each in found if each.verdict is Verdict.DRIFT]
    assert drifting == ["cells[0].metadata.papermill.duration"]


def test_json_that_only_has_such_keys_is_none(compare: Compare) -> None:
    sides = [json.dumps({"cells": [{"id": day}], "n": 1}).encode() for day in (8, 9)]
    assert verdict_of(compare("cells.json", *sides)[0]) is Verdict.DRIFT


def test_a_broken_notebook_is_compared_as_text(compare: Compare) -> None:
    found, _notes = compare("out.ipynb", notebook(28, "1")[:-20], notebook(28, "1"))
    assert verdict_of(found) is Verdict.DRIFT
    assert any("compared as text" in each.note for each in found)
