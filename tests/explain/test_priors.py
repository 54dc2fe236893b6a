"""Where a search looks first: what a drift looks like, and what a failure says."""

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
from pytest_mlcontainer.explain.priors import after_drift, after_failure
from pytest_mlcontainer.model import Output
from pytest_mlcontainer.variations import FAMILIES

ARITHMETIC = {family.name for family in FAMILIES if family.numeric}
COEF = np.linspace(-2.0, 2.0, 50)
LABELS = np.arange(400) % 3
ONE_FLIPPED = np.where(np.arange(400) == 7, 0, LABELS)


def factors(tmp_path: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """Factors after a drift between files of such contents, compared for real."""
    sides = []
    for folder, files in ((tmp_path / "after", after), (tmp_path / "before", before)):
        folder.mkdir()
        for name, what in files.items():
            if isinstance(what, np.ndarray):
                np.save(folder / name, what)
            else:
                (folder / name).write_text(json.dumps(what))
        sides.append(
            tuple(Output(name, folder / name, (folder / name).stat().st_size) for name in files)
        )
    differences, _notes = compare_outputs(sides[0], sides[1], ())
    assert any(not each.verdict.passes for each in differences), "there is something to explain"
    return after_drift(differences, FAMILIES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"coef.npy": COEF}, {"coef.npy": COEF + 1e-5}),
        ({"m.json": {"loss": 0.51}}, {"m.json": {"loss": 0.51001}}),
        # Where scores are close, rounding makes a few labels others.
        ({"coef.npy": COEF, "y.npy": LABELS}, {"coef.npy": COEF + 1e-5, "y.npy": ONE_FLIPPED}),
    ],
    ids=["array", "metric", "labels with scores"],
)
def test_numbers_that_are_a_little_off_speak_for_arithmetic(
    tmp_path: Path, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Families that change last digits come before all others then."""
    found = factors(tmp_path, before, after)
    assert set(found) == {family.name for family in FAMILIES}
    least = min(found[name] for name in ARITHMETIC)
    assert least > max(factor for name, factor in found.items() if name not in ARITHMETIC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.json": {"classes": ["cat", "dog"]}}, {"a.json": {"classes": ["dog", "cat"]}}),
        ({"a.json": {"rows": 100}}, {"a.json": {"rows": 99}}),
        ({"y.npy": LABELS}, {"y.npy": LABELS[::-1]}),
        ({"y.npy": COEF}, {"y.npy": COEF[:-1]}),
        # Rounding alone changes no text beside the numbers that it moves.
        (
            {"coef.npy": COEF, "a.json": {"day": "2024-02-29"}},
            {"coef.npy": COEF + 1e-5, "a.json": {"day": "2024-03-01"}},
        ),
    ],
    ids=["text", "count", "labels alone", "length", "numbers and text"],
)
def test_text_counts_and_lengths_speak_for_the_environment(
    tmp_path: Path, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """What a program is told, rather than how it computes, is looked at first."""
    found = factors(tmp_path, before, after)
    most = max(found[name] for name in ARITHMETIC)
    assert most < min(factor for name, factor in found.items() if name not in ARITHMETIC)


def test_labels_alone_do_not_acquit_arithmetic(tmp_path: Path) -> None:
    """Ties and the nearest of several are decided by rounding, and show in no number."""
    found = factors(tmp_path, {"best.npy": LABELS}, {"best.npy": np.roll(LABELS, 1)})
    assert {found[name] for name in ARITHMETIC} == {1.0}
    assert all(found[name] > 1.0 for name in set(found) - ARITHMETIC)


def test_numbers_that_are_far_off_may_be_either(tmp_path: Path) -> None:
    """An amplifier makes much of rounding: neither is put aside as where it is plain."""
    found = factors(tmp_path, {"coef.npy": COEF}, {"coef.npy": COEF * -3})
    assert 1 <= max(found.values()) / min(found.values()) < 4


@pytest.mark.parametrize(
    ("text", "suspect"),
    [
        ("exited with code 1: OSError: [Errno 30] Read-only file system: '/c'", "read-only"),
        ("exited with code 1: PermissionError: [Errno 13] Permission denied: '/app/x'", "user"),
        ("exited with code 1: KeyError: 'getpwuid(): uid not found: 12345'", "user"),
        ("exited with code 1: OSError: No username set in the environment", "user"),
        ("exited with code 1: OSError: cannot make /nonexistent/.cache", "home"),
        (
            "exited with code 1: UnicodeDecodeError: 'ascii' codec can't decode byte 0xc3",
            "encoding",
        ),
        ("exited with code 1: locale.Error: unsupported locale setting", "locale"),
        ("exited with code 137: the container ran out of memory", "memory"),
        ("exited with code 135: Bus error (core dumped)", "shm"),
        ("exited with code 1: FileNotFoundError: /mlcontainer-elsewhere/conf.toml", "workdir"),
        ("exited with code 1: socket.gaierror: Temporary failure in name resolution", "network"),
        ("exited with code 1: zoneinfo.ZoneInfoNotFoundError: 'No time zone'", "timezone"),
        ("exited with code 1: RuntimeError: the licence is expired", "clock"),
        ("exited with code 132: Illegal instruction", "simd"),
        ("train ran past its timeout", "threads"),
        ("exited with code 1: ZeroDivisionError: division by zero", "cpus"),
    ],
)
def test_a_failure_names_its_suspect(text: str, suspect: str) -> None:
    """Each of these messages is of a program that was run under just this variation."""
    found = after_failure(text)
    assert found[suspect] == max(found.values()) > 1


def test_a_failure_that_says_nothing_suspects_nobody() -> None:
    """Then all are as likely as they were."""
    assert after_failure("exited with code 1: AssertionError") == {}


@given(st.text())
def test_only_families_that_there_are_get_factors(text: str) -> None:
    """Whatever a program says at its end."""
    found = after_failure(text)
    assert set(found) <= {family.name for family in FAMILIES}
    assert all(factor > 0 for factor in found.values())
