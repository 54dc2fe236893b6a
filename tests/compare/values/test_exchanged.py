"""Columns and arrays that were exchanged: drift, with a note on whose values an item holds."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import h5py
import numpy as np
import pytest

from tests.fixture_types import Compare

_SWAPPED = "exchanged with {}: each holds what the other holds in the reference"
_A, _B = np.arange(6.0), np.arange(6.0) ** 2 + 1


def _hdf5(arrays: dict[str, Any]) -> bytes:
    data = BytesIO()
    with h5py.File(data, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return data.getvalue()


def _csv(columns: dict[str, Any]) -> bytes:
    rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]  # noqa: B905
    return "\n".join(rows).encode() + b"\n"


_FILES = (("w.npz", dict), ("w.h5", _hdf5), ("w.csv", _csv))


@pytest.mark.parametrize(("name", "write"), _FILES)
def test_exchanged_items_are_drift_and_name_each_other(
    compare: Compare, name: str, write: Any
) -> None:
    """Also where numbers are those of another platform."""
    found, _notes = compare(
        name,
        write({"p": _B * (1 + 1e-9), "q": _A, "r": _A + 7}),
        write({"p": _A, "q": _B, "r": _A + 7}),
    )
    notes = {each.item: each.note for each in found if not each.verdict.passes}
    assert _SWAPPED.format("q") in notes["p"]
    assert _SWAPPED.format("p") in notes["q"]
    assert notes.keys() == {"p", "q"}


@pytest.mark.parametrize(("name", "write"), _FILES)
def test_an_item_that_holds_what_the_next_should_says_so(
    compare: Compare, name: str, write: Any
) -> None:
    found, _notes = compare(
        name, write({"p": _B, "q": _A + 7, "r": -_A}), write({"p": _A, "q": _B, "r": _A + 7})
    )
    notes = {each.item: each.note for each in found}
    assert "holds what q holds in the reference" in notes["p"]
    assert "holds what r holds in the reference" in notes["q"]
    assert "holds what" not in notes["r"]


@pytest.mark.parametrize(("name", "write"), _FILES)
def test_zeros_and_values_of_two_others_are_nobodys(
    compare: Compare, name: str, write: Any
) -> None:
    found, _notes = compare(
        name,
        write({"p": _A * 0, "q": _A, "r": _B, "s": _B + 9}),
        write({"p": _A, "q": _A * 0, "r": _B + 9, "s": _B}),
    )
    notes = {each.item: each.note for each in found}
    assert "reference" not in notes["p"]
    assert notes["q"].endswith("holds what p holds in the reference")
    found, _notes = compare(
        name,
        write({"p": _B, "q": _A, "r": _A}),
        write({"p": _A, "q": _B, "r": _B}),
    )
    assert all("reference" not in each.note for each in found if each.item == "p")


def test_columns_of_text_name_each_other_too(compare: Compare) -> None:
    found, _notes = compare("w.csv", b"p,q\na,x\nb,y\n", b"p,q\nx,a\ny,b\n")
    assert {each.item: each.note for each in found} == {
        "p": _SWAPPED.format("q"),
        "q": _SWAPPED.format("p"),
    }
