"""The measurement of the default tolerance: what is computed, and what is not again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.noise import judges
from benchmarks.noise.settings import SETTINGS, compute, noise


def test_nothing_is_built_or_run_where_every_result_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results that were kept need no engine, not even its command."""
    for setting in SETTINGS:
        (tmp_path / f"{setting.name}.npz").touch()
    monkeypatch.setenv("PATH", "")
    compute(tmp_path)
    (tmp_path / f"{SETTINGS[0].name}.npz").unlink()
    with pytest.raises(FileNotFoundError):
        compute(tmp_path)


def test_pairs_of_noise_differ_and_come_once(tmp_path: Path) -> None:
    """What two settings compute alike says nothing, and the same two results count once."""
    for number, setting in enumerate(SETTINGS):
        off = 1.0 + (number == 2) * 2.0**-52
        results: dict[str, Any] = {
            "sums.same.float64.1": np.ones(1),
            "sums.other.float64.1": np.array([off]),
        }
        with (tmp_path / f"{setting.name}.npz").open("wb") as file:
            np.savez(file, **results)
    found = list(noise(tmp_path))
    assert {each.name for each in found} == {"sums.other.float64.1"}
    assert {each.family for each in found} == {"sums"}
    assert len(found) == 1 or len({each.between for each in found}) == len(found)
    assert all(judges.ours()(each.actual, each.expected) for each in found)


def test_the_judges_differ_where_a_large_value_hides_a_drift() -> None:
    """The old rule lets pass what the others see."""
    expected = np.array([1e9, 0.5, 0.25])
    actual = np.array([1e9, 0.5 + 1e-6, 0.25])
    assert judges.largest_value()(actual, expected)
    for judge in (judges.ours(), judges.torch()):
        assert not judge(actual, expected)
