"""What is said of all differences of one output together."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Verdict
from tests.fixture_types import Compare

PLAIN = {name: np.arange(n + 2.0) for n, name in enumerate(("a.weight", "bb.weight", "c.bias"))}


@pytest.mark.parametrize("is_turned", [False, True])
def test_names_with_the_same_before_them_are_brought_together(
    compare: Compare, is_turned: bool
) -> None:
    """As `DataParallel` and `torch.compile` put it there."""
    wrapped = {f"module.{name}": values for name, values in PLAIN.items()}
    sides = (PLAIN, wrapped) if is_turned else (wrapped, PLAIN)
    found, notes = compare("m.npz", *sides)
    assert verdict_of(found) is Verdict.DRIFT
    assert notes == (
        "m.npz: module. stands before 3 names of one run alone; they meet where the entrypoint has "
        "names = { '^module\\.' = \"\" }",
    )


def test_names_that_only_begin_alike_are_not(compare: Compare) -> None:
    wrapped = {f"module.{name}x": values for name, values in PLAIN.items()}
    assert compare("m.npz", wrapped, PLAIN)[1] == ()
    assert compare("m.npz", {**PLAIN, "d": np.ones(2)}, PLAIN)[1] == ()


def test_what_a_clock_or_a_generator_of_ids_made_comes_behind_results(compare: Compare) -> None:
    """The first is what a summary shows of the whole comparison."""
    sides = [
        {
            "run_id": f"3f2504e0-4f89-41d3-9a0c-0305e82c330{n}",
            "saved_to": f"/home/ann{n}/run",
            "fit_time": [1.5, 700.0][n],
            "loss": 0.5 + n / 1000,
            "optimiser": ["adam", "sgd"][n],
        }
        for n in (1, 0)
    ]
    found = [each.item for each in compare("m.json", *sides)[0]]
    assert found[:2] == ["optimiser", "loss"]
    assert set(found[2:]) == {"run_id", "saved_to", "fit_time"}
