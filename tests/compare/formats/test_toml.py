"""TOML: leaves by value."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.model import Difference, Verdict
from tests.fixture_types import Compare, Only


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


def test_leaves_are_items_and_layout_does_not_count(compare: Compare) -> None:
    expected = 'seed = 1\n[train]\nlr = 0.001\nbetas = [0.9, 0.99]\nname = "a"\n'
    other = 'seed=1\ntrain = {name="a", betas=[0.9,0.99], lr=1e-3} # same\n'
    assert drifting(compare("c.toml", other, expected)[0]) == {}
    found = drifting(compare("c.toml", expected.replace("0.99", "0.98"), expected)[0])
    assert {item: each.worst_index for item, each in found.items()} == {"train.betas": (1,)}


def test_tables_in_lists_are_reached(compare: Compare) -> None:
    expected = '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "b"\nversion = "2"\n'
    found = drifting(compare("uv.lock", expected.replace('"2"', '"3"'), expected)[0])
    assert set(found) == {"package[1].version"}


def test_dates_are_what_is_written(only: Only) -> None:
    found = only("c.toml", "at = 2026-01-02T03:04:05Z\n", "at = 2026-01-02T03:04:06Z\n")
    assert found.worst_actual == "2026-01-02T03:04:05+00:00"
    found = only("c.toml", "at = [2026-01-02]\n", "at = [2026-01-03]\n")
    assert found.worst_expected == "2026-01-03"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = 1\na = 2\n", "is broken TOML"),
        ("a = \n", "is broken TOML"),
        ("a = " + "[" * 5000, "TOML"),
        ("a = " + "1" * 5000, "is broken TOML"),
    ],
)
def test_broken_toml_fails_and_names_the_side(only: Only, text: str, reason: str) -> None:
    found = only("c.toml", text, "a = 1\n")
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith("actual run: c.toml ")
    assert reason in found.note
