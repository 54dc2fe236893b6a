"""The reader by itself: what it finds, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mlcontainer_matrix_market import mlcontainer_comparators, read

from pytest_mlcontainer.testing import ComparatorContract

SPARSE = """\
%%MatrixMarket matrix coordinate real general
% written today
3 4 3
3 1 2.5
1 1 -1e-3
2 4 7
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "a.mtx"
    path.write_text(text)
    return path


def test_entries_come_in_one_order_whatever_the_file_has(tmp_path):
    items = read(write(tmp_path, SPARSE))

    assert items["size"] == [3, 4]
    assert items["row"].tolist() == [1, 3, 2]
    assert items["column"].tolist() == [1, 1, 4]
    assert items["value"].tolist() == [-1e-3, 2.5, 7.0]


def test_a_dense_matrix_is_its_values(tmp_path):
    text = "%%MatrixMarket matrix array complex general\n1 2\n1 2\n3 -4\n"

    assert read(write(tmp_path, text))["value"].tolist() == [1 + 2j, 3 - 4j]


def test_a_pattern_has_no_values(tmp_path):
    text = "%%MatrixMarket matrix coordinate pattern symmetric\n2 2 1\n2 1\n"

    items = read(write(tmp_path, text))

    assert items["symmetry"] == "symmetric"
    assert "value" not in items


def test_an_empty_matrix_can_be_read(tmp_path):
    text = "%%MatrixMarket matrix coordinate integer general\n2 2 0\n"

    assert read(write(tmp_path, text))["value"].dtype == np.int64


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2\n3,4\n", "no Matrix Market header"),
        (SPARSE.replace("real", "quaternion"), "cannot read a matrix that is coordinate quatern"),
        (SPARSE.replace("3 4 3", "3 4 9"), "3 entries, but the file announces 9"),
        (SPARSE.replace("2.5", "2.5 1").replace("-3", "-3 1").replace("7", "7 1"), "4 numbers in"),
        (SPARSE.replace("3 4 3", "3 4"), "expected 3 numbers"),
        (SPARSE.replace("2.5", "two"), "two"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        read(write(tmp_path, text))


class TestContract(ComparatorContract):
    """What every format promises."""

    filename = "a.mtx"

    def comparator(self):
        (found,) = mlcontainer_comparators()
        return found

    def write(self, path):
        path.write_text(SPARSE)

    def write_otherwise(self, path):
        first, _comment, size, *entries = SPARSE.splitlines()
        path.write_text("\n".join([first, "% another day", size, *reversed(entries), ""]))

    def change(self, path):
        path.write_text(SPARSE.replace("2.5", "2.75"))
        return "value"
