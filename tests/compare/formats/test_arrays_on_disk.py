"""npy and npz: what is read, what is refused, and how a side that cannot be read is named."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats import npz as npz_format
from pytest_mlcontainer.model import Tolerance, Verdict
from pytest_mlcontainer.report.acceptance import acceptance
from tests.fixture_types import Compare, Only


def npy(array: np.ndarray, **kwargs: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


def npz(**members: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


def archive(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return stream.getvalue()


def header(text: str) -> bytes:
    encoded = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded


WHOLE = np.arange(1000, dtype="f8")


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_each_member_of_an_npz_is_an_item(compare: Compare) -> None:
    expected = {"a/w": np.ones(3), "b": np.arange(3), "c": np.ones(2, "f4")}
    actual = {"a/w": np.ones(3), "b": np.arange(3) + 1, "d": np.ones(2, "f4")}
    found = {each.item: each for each in compare("w.npz", actual, expected)[0]}
    assert found["a/w"].verdict is Verdict.IDENTICAL
    assert (found["b"].verdict, found["b"].max_abs) == (Verdict.DRIFT, 1)
    assert (found["c"].verdict, found["c"].note) == (Verdict.DRIFT, "missing in the actual run")
    assert (found["d"].verdict, found["d"].note) == (Verdict.DRIFT, "only in the actual run")


def test_zip_times_order_and_compression_are_no_difference(compare: Compare) -> None:
    one, two = npy(WHOLE), npy(WHOLE + 1)
    actual = archive([("a.npy", one), ("b.npy", two)])
    expected = archive([("b.npy", two), ("a.npy", one)], zipfile.ZIP_DEFLATED)
    differences, _notes = compare("w.npz", actual, expected)
    assert [each.verdict for each in differences] == [Verdict.IDENTICAL] * 2


def test_an_npz_is_recognised_by_content_under_any_name(compare: Compare) -> None:
    differences, _notes = compare("weights.bin", npz(w=WHOLE + 1e-12), npz(w=WHOLE))
    assert [(each.item, each.verdict) for each in differences] == [("w", Verdict.EQUIVALENT)]
    (found,), _notes = compare("odd.npz", npy(WHOLE + 1e-12), npy(WHOLE))
    assert found.verdict is Verdict.EQUIVALENT


def test_two_kinds_of_file_under_one_name_drift(only: Only) -> None:
    found = only("a.npz", npy(WHOLE), npz(w=WHOLE))
    assert (found.verdict, found.note) == (Verdict.DRIFT, "the file is npy, expected npz")


@pytest.mark.parametrize("keep", [0, 1, 5, 7, 9, 60, 127, 500, -1])
def test_a_truncated_npy_fails_and_names_side_file_and_reason(only: Only, keep: int) -> None:
    found = only("out/a.npy", npy(WHOLE)[:keep], npy(WHOLE))
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: out/a.npy ")
    assert "trunc" in found.note or "empty" in found.note or "not an npy" in found.note


@pytest.mark.parametrize("keep", [0, 3, 50, 2000, -1])
def test_a_truncated_npz_fails_and_names_side_and_file(only: Only, keep: int) -> None:
    found = only("a.npz", npz(w=WHOLE), npz(w=WHOLE)[:keep])
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("reference: a.npz ")


def test_both_sides_are_named_when_neither_can_be_read(only: Only) -> None:
    found = only("a.npy", npy(WHOLE)[:300], npy(WHOLE)[:200])
    assert found.note.startswith("actual run: a.npy is truncated")
    assert "; reference: a.npy is truncated" in found.note


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_fails_alone(compare: Compare, compression: int) -> None:
    members = [("a.npy", npy(WHOLE)), ("b.npy", npy(WHOLE))]
    good = archive(members, compression)
    broken = bytearray(good)
    broken[len(good) // 4] ^= 0xFF
    found = {each.item: each for each in compare("w.npz", bytes(broken), good)[0]}
    assert found["a"].verdict is Verdict.FAILED
    assert found["a"].note.startswith("actual run: w.npz member 'a' is damaged")
    assert found["b"].verdict is Verdict.IDENTICAL


def test_a_member_cut_short_inside_a_sound_zip_fails(compare: Compare) -> None:
    cut = archive([("a.npy", npy(WHOLE)[:-8])])
    (found,), _notes = compare("w.npz", cut, npz(a=WHOLE))
    assert found.verdict is Verdict.FAILED
    assert "member 'a' is truncated: its header promises 8000 bytes" in found.note


def test_a_zip_that_names_a_member_twice_fails(only: Only) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive([("a.npy", npy(WHOLE)), ("a.npy", npy(WHOLE + 1))])
    found = only("w.npz", twice, npz(a=WHOLE))
    assert (found.verdict, found.note) == (
        Verdict.FAILED,
        "actual run: w.npz holds 'a' more than once",
    )


def test_a_member_that_is_no_array_is_compared_by_its_bytes(compare: Compare) -> None:
    sides = [archive([("a.npy", npy(WHOLE)), ("x.txt", text)]) for text in (b"one", b"two")]
    found = {each.item: each for each in compare("w.npz", *sides)[0]}
    assert (found["x.txt"].verdict, found["a"].verdict) == (Verdict.DRIFT, Verdict.IDENTICAL)


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f8', 'fortran_order': 7, 'shape': (0,)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (0,)}",
        "{'descr': [('a', 'zz')], 'fortran_order': False, 'shape': (0,)}",
        "{'descr': '<U999999999', 'fortran_order': False, 'shape': (0,)}",
        "{'shape': (0,)}",
        "print('hello')",
        "(" * 5000,
        "-" * 5000 + "1",
        "",
    ],
)
def test_a_header_that_lies_fails(only: Only, text: str) -> None:
    found = only("a.npy", header(text), npy(WHOLE))
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: a.npy ")


def test_a_header_of_gigabytes_is_not_read(only: Only) -> None:
    huge = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1)
    assert "header of 4294967295 bytes" in only("a.npy", huge, npy(WHOLE)).note


def test_elements_without_size_cost_no_time(only: Only) -> None:
    text = "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000000000,)}"
    other = header(text + " ")
    assert only("a.npy", header(text), other).verdict is Verdict.IDENTICAL


def test_bytes_after_the_array_are_not_overlooked(only: Only) -> None:
    found = only("a.npy", npy(WHOLE) + npy(WHOLE), npy(WHOLE))
    assert (found.verdict, found.note) == (
        Verdict.FAILED,
        "actual run: a.npy has 8128 bytes after its array",
    )


def test_objects_fail_without_being_unpickled(only: Only, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    bomb = np.array([Bomb(trap)], object)
    found = only("a.npy", npy(bomb, allow_pickle=True), npy(np.array([None])))
    assert found.verdict is Verdict.FAILED
    assert "pickles are never loaded" in found.note
    assert not trap.exists()
    pickle.loads(pickle.dumps(Bomb(trap))).close()
    assert trap.exists()


def test_only_the_member_that_holds_objects_fails(compare: Compare) -> None:
    expected = {"w": WHOLE, "names": np.array(["a", None], object)}
    actual = {"w": WHOLE + 1e-12, "names": np.array(["b", None], object)}
    found = {each.item: each for each in compare("w.npz", actual, expected)[0]}
    assert (found["w"].verdict, found["names"].verdict) == (Verdict.EQUIVALENT, Verdict.FAILED)


def test_objects_pickled_to_the_same_bytes_are_identical(compare: Compare) -> None:
    names = np.array(["a", None], object)
    differences, _notes = compare(
        "w.npz", {"w": WHOLE + 1e-12, "names": names}, {"w": WHOLE, "names": names}
    )
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT, Verdict.IDENTICAL}


@pytest.mark.skipif(np.dtype("longdouble").itemsize == 8, reason="long double is float64 here")
def test_long_double_fails_because_its_layout_is_the_machines(only: Only) -> None:
    values = np.arange(3, dtype="longdouble")
    found = only("a.npy", values, values + 1)
    assert (found.verdict, "save float64" in found.note) == (Verdict.FAILED, True)


def test_raw_bytes_with_zeros_at_the_end_are_told_apart(only: Only) -> None:
    left, right = np.array([b"a\0b"], "V3"), np.array([b"a\0c"], "V3")
    found = only("a.npy", left, right)
    assert (found.verdict, found.worst_actual) == (Verdict.DRIFT, "0x610062")


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_large_member_is_read_in_blocks_with_the_same_result(
    only: Only, write: Callable[..., None]
) -> None:
    expected = np.random.default_rng(0).random(2_000_000)
    assert expected.nbytes > npz_format._IN_MEMORY_BYTES
    actual = expected.copy()
    actual[1_999_999] += 1

    def written(values: np.ndarray) -> bytes:
        stream = io.BytesIO()
        write(stream, w=values)
        return stream.getvalue()

    whole = only("w.npy", actual, expected)
    blocks = only("w.npz", written(actual), written(expected))
    assert replace(blocks, output="w.npy", item="") == whole
    assert blocks.worst_index == (1_999_999,)


def test_an_ignored_member_is_not_even_read(compare: Compare) -> None:
    sides = npz(w=WHOLE, n=np.array([1])), npz(w=WHOLE, n=np.array([2]))
    differences, notes = compare("w.npz", *sides, Tolerance(ignore=True), item="n")
    assert [each.item for each in differences] == ["w"]
    assert notes == ("not compared: 1 item by rule w.npz:n (ignore)",)


def test_a_member_without_a_name_is_one_like_others(only: Only) -> None:
    """A name in the zip's directory may begin with NUL, where it then ends."""
    sides = [bytearray(archive([("a", npy(value))])) for value in (WHOLE, WHOLE + 1)]
    for side in sides:
        side[side.rfind(b"PK\1\2") + 46] = 0
    found = only("w.npz", *map(bytes, sides))
    assert found.verdict is Verdict.DRIFT
    assert "raised" not in found.note


def sparse(indptr: list[int], indices: list[int], data: list[float]) -> dict[str, np.ndarray]:
    """As `scipy.sparse.save_npz` writes it."""
    shape = np.array([len(indptr) - 1, 9])
    parts = {"indptr": np.array(indptr, np.int32), "indices": np.array(indices, np.int32)}
    return {**parts, "data": np.array(data), "shape": shape, "format": np.array(b"csr")}


def test_the_order_of_places_in_a_row_is_no_part_of_a_sparse_matrix(compare: Compare) -> None:
    expected = sparse([0, 3, 3, 5], [1, 4, 8, 0, 2], [0.5, 1.5, 2.5, 3.5, 4.5])
    shuffled = sparse([0, 3, 3, 5], [8, 1, 4, 2, 0], [2.5, 0.5, 1.5, 4.5, 3.5])
    assert verdict_of(compare("m.npz", shuffled, expected)[0]) is Verdict.IDENTICAL
    moved = sparse([0, 3, 3, 5], [8, 1, 4, 2, 0], [2.5, 1.5, 0.5, 4.5, 3.5])
    assert verdict_of(compare("m.npz", moved, expected)[0]) is Verdict.DRIFT


def test_neither_are_zeros_that_are_stored_nor_in_how_many_parts_an_entry_is(
    compare: Compare,
) -> None:
    expected = sparse([0, 3, 3, 5], [1, 4, 8, 0, 2], [0.5, 1.5, 2.5, 3.5, 4.5])
    fuller = sparse([0, 4, 4, 7], [1, 3, 4, 8, 0, 2, 2], [0.5, 0.0, 1.5, 2.5, 3.5, 4.0, 0.5])
    assert verdict_of(compare("m.npz", fuller, expected)[0]) is Verdict.IDENTICAL
    empty = sparse([0, 0, 0], [], []), sparse([0, 1, 1], [7], [0.0])
    assert verdict_of(compare("m.npz", *empty)[0]) is Verdict.IDENTICAL
    another = sparse([0, 4, 4, 6], [1, 3, 4, 8, 0, 2], [0.5, 0.25, 1.5, 2.5, 3.5, 4.5])
    found, _notes = compare("m.npz", another, expected)
    proposed = {each.item: acceptance(each) for each in found if not each.verdict.passes}
    assert proposed == {"indptr": None, "indices": None, "data": None}


def by_place(rows: list[int], columns: list[int], data: list[float]) -> dict[str, np.ndarray]:
    """As `save_npz` writes a matrix of places and values."""
    parts = {"row": np.array(rows, np.int32), "col": np.array(columns, np.int32)}
    shape = np.array([5, 9])
    return {**parts, "data": np.array(data), "shape": shape, "format": np.array(b"coo")}


def test_entries_of_a_matrix_by_places_may_stand_in_any_order(compare: Compare) -> None:
    expected = by_place([0, 1, 1], [3, 0, 2], [0.5, 1.5, 2.5])
    shuffled = by_place([1, 4, 0, 1], [2, 4, 3, 0], [2.5, 0.0, 0.5, 1.5])
    assert verdict_of(compare("m.npz", shuffled, expected)[0]) is Verdict.IDENTICAL
    turned = by_place([0, 1, 1], [3, 2, 0], [0.5, 1.5, 2.5])
    assert verdict_of(compare("m.npz", turned, expected)[0]) is Verdict.DRIFT
    plain = {name: turned[name] for name in ("row", "col", "data")}  # of no matrix that is known
    as_it_is = {name: values[::-1] for name, values in plain.items()}
    for more in ({}, {"format": np.array("mine")}):
        assert verdict_of(compare("m.npz", plain | more, as_it_is | more)[0]) is Verdict.DRIFT


@pytest.mark.parametrize("indptr", [[0, 3, 2, 5], [0, 3, 3, 6], [1, 3, 3, 5], []])
def test_what_only_looks_like_a_sparse_matrix_is_compared_as_it_is(
    compare: Compare, indptr: list[int]
) -> None:
    sides = (
        sparse(indptr, indices, [1.5, 2.5, 3.5, 4.5, 5.5])
        for indices in ([1, 4, 8, 0, 2], [4, 1, 8, 0, 2])
    )
    found, _notes = compare("m.npz", *sides)
    assert [each.item for each in found if not each.verdict.passes] == ["indices"]
