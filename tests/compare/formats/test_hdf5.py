"""HDF5: what the items are, what does not count, what is not followed, and what is refused."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only, OnlyHere

WEIGHTS = np.random.default_rng(0).normal(size=(40, 50)).astype("f4")


def file(write: Callable[[h5py.File], object], **options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as each:
        write(each)
    return stream.getvalue()


def one(name: str = "w", data: float | np.ndarray = WEIGHTS, **options: Any) -> bytes:
    return file(lambda each: each.create_dataset(name, data=data, **options))


Items = Callable[..., dict[str, Difference]]


@pytest.fixture
def items(compare: Compare) -> Items:
    """`items(actual, expected)`: differences by item, those that are identical in `""`."""

    def run(
        actual: bytes,
        expected: bytes,
        tolerance: Tolerance | None = None,
        item: str | None = None,
        name: str = "m.h5",
    ) -> dict[str, Difference]:
        differences, _notes = compare(name, actual, expected, tolerance, item=item)
        return {each.item: each for each in differences}

    return run


def test_stored_zeros_and_the_order_of_entries_are_no_part_of_a_sparse_matrix(items: Items) -> None:
    """As AnnData and 10x Genomics keep one: a group of three arrays."""

    def matrix(
        starts: list[int], places: list[int], values: list[float], is_matrix: bool = True
    ) -> bytes:
        def write(each: h5py.File) -> None:
            group = each.create_group("X")
            if is_matrix:
                group.attrs["shape"] = (3, 5)
            group["indptr"], group["indices"], group["data"] = starts, places, values

        return file(write)

    expected = matrix([0, 2, 2, 3], [1, 4, 0], [0.5, 1.5, 2.5])
    fuller = matrix([0, 3, 3, 4], [4, 2, 1, 0], [1.5, 0.0, 0.5, 2.5])
    assert {each.verdict for each in items(fuller, expected).values()} == {Verdict.IDENTICAL}
    moved = items(matrix([0, 2, 2, 3], [4, 1, 0], [0.5, 1.5, 2.5]), expected)
    assert [name for name, each in moved.items() if not each.verdict.passes] == ["X/data"]
    sequences = (matrix([0, 2], places, [0.5, 0.5], is_matrix=False) for places in ([4, 1], [1, 4]))
    assert not items(*sequences)["X/indices"].verdict.passes


def keras(each: h5py.File, moved: float = 0.0) -> None:
    each.attrs["keras_version"] = "3.15.1"
    each.attrs["backend"] = "tensorflow"
    weights = each.create_group("model_weights")
    weights.attrs["layer_names"] = [b"dense"]
    group = weights.create_group("dense/dense")
    group.create_dataset("kernel:0", data=WEIGHTS + np.float32(moved))
    group.create_dataset("bias:0", data=np.zeros(3, "f4"))


def test_datasets_are_items_by_path_and_attributes_follow_an_at(items: Items) -> None:
    def other(each: h5py.File) -> None:
        keras(each, 0.5)
        each.attrs["backend"] = "torch"
        each["model_weights"].attrs["more"] = 1.5
        del each["model_weights/dense/dense/bias:0"]

    found = items(file(other), file(keras))
    kernel = found["model_weights/dense/dense/kernel:0"]
    assert (kernel.verdict, kernel.size) == (Verdict.DRIFT, 2000)
    assert kernel.max_abs == pytest.approx(0.5, rel=1e-6)
    assert found["@backend"].worst_actual == "torch"
    assert found["model_weights@more"].note == "only in the actual run"
    assert found["model_weights/dense/dense/bias:0"].note == "missing in the actual run"
    assert (found[""].verdict, found[""].size) == (Verdict.IDENTICAL, 2)


def test_it_is_recognised_by_content_under_any_name_and_after_a_user_block(items: Items) -> None:
    for options in ({}, {"userblock_size": 512}, {"userblock_size": 2048}):
        sides = [file(partial(keras, moved=moved), **options) for moved in (0.5, 0.0)]
        found = items(*sides, name="model.bin")
        assert found["model_weights/dense/dense/kernel:0"].verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (7, 11)},
        {"chunks": (40, 50), "compression": "gzip", "shuffle": True},
        {"chunks": (1, 50), "compression": "lzf", "fletcher32": True},
        {"dtype": ">f4"},
        {"maxshape": (None, None)},
    ],
)
def test_how_values_are_stored_does_not_count(items: Items, options: dict[str, Any]) -> None:
    assert items(one(**options), one())[""].verdict is Verdict.IDENTICAL
    moved = WEIGHTS.copy()
    moved[39, 49] += 1
    found = items(one(data=moved, **options), one())["w"]
    assert (found.differing, found.worst_index) == (1, (39, 49))


def test_the_tolerance_is_that_of_the_dtype(items: Items) -> None:
    nearly = WEIGHTS * np.float32(1 + 2e-7)
    assert items(one(data=nearly), one())["w"].verdict is Verdict.EQUIVALENT
    found = items(one(data=nearly), one(), Tolerance(exact=True), item="w")["w"]
    assert found.verdict is Verdict.DRIFT
    note = items(one(data=WEIGHTS.astype("f8")), one())["w"].note
    assert note.startswith("dtype float64, expected float32")


def test_blocks_of_any_length_hold_the_values_in_order(tmp_path: Path) -> None:
    from pytest_mlcontainer.compare.formats.hdf5_tree import read_tree
    from pytest_mlcontainer.compare.sources import ComparedFile

    values = np.arange(7 * 5 * 4, dtype="i4").reshape(7, 5, 4)
    path = tmp_path / "a.h5"
    path.write_bytes(one(data=values, chunks=(2, 3, 4)))
    with h5py.File(path) as each:
        array = read_tree(h5py, ComparedFile("reference", "a.h5", path), each).leaves["w"]
        assert isinstance(array, Array)
        for length in (1, 3, 20, 139, 140, 1000):
            parts = list(array.blocks(length))
            assert {len(part) for part in parts[:-1]} <= {length}
            np.testing.assert_array_equal(np.concatenate(parts), values.reshape(-1))


def kinds(each: h5py.File, moved: bool = False) -> None:
    text = h5py.string_dtype()
    each["scalar"] = 2.5 if moved else 1.5
    each["fixed"] = np.array([b"ab", b"ac" if moved else b"cd"], "S2")
    each.create_dataset("text", data=["é", "other" if moved else "x"], dtype=text)
    pairs = np.dtype([("a", "<f4"), ("b", ">i8", (2,)), ("c", text)])
    row = (1.0, [2, 4 if moved else 3], "t")
    each.create_dataset("compound", data=np.array([row], pairs))
    colours = h5py.enum_dtype({"RED": 0, "BLUE": 1}, basetype="i1")
    each.create_dataset("enum", data=np.array([0, int(moved)], "i1"), dtype=colours)
    each.create_dataset("boolean", data=np.array([True, moved]))
    each.create_dataset("complex", data=np.array([1j, moved], "c8"))
    each.create_dataset("opaque", data=np.array([b"a" if moved else b"b"], "V1"))
    each.create_dataset("none", data=h5py.Empty("f8" if moved else "f4"))
    each.create_dataset("no_rows", data=np.empty((0, 3), "f4" if moved else "f8"))
    ragged = each.create_dataset("ragged", (2,), h5py.vlen_dtype("i4"))
    ragged[0], ragged[1] = [1, 2], [int(moved)]
    references = each.create_dataset("reference", (1,), h5py.ref_dtype)
    references[0] = each["text" if moved else "fixed"].ref
    region = each.create_dataset("region", (1,), h5py.regionref_dtype)
    region[0] = each["fixed"].regionref[0:1] if moved else each["fixed"].regionref[0:2]
    each["array"] = np.zeros(2)
    each["array"].attrs["numbers"] = [1.0, 3.0 if moved else 2.0]
    each["array"].attrs["name"] = "other" if moved else "name"
    each["array"].attrs["nothing"] = h5py.Empty("f8" if moved else "f4")
    each["type"] = np.dtype("f4" if moved else "f8")
    each["soft"] = h5py.SoftLink("/text" if moved else "/fixed")
    each["outside"] = h5py.ExternalLink("other.h5" if moved else "/etc/x.h5", "/a")
    each["group/copy"] = each["scalar"]
    each.create_group("nothing/at_all" if moved else "nothing")


CHANGED = {
    "scalar", "fixed", "text", "compound.b", "enum", "boolean", "complex", "opaque", "none",
    "no_rows", "ragged", "reference", "region", "array@numbers", "array@name", "array@nothing",
    "type", "soft", "outside", "group/copy", "nothing", "nothing/at_all",
}  # fmt: skip


def test_every_kind_of_value_is_compared(items: Items) -> None:
    found = items(file(lambda each: kinds(each, moved=True)), file(kinds))
    assert {item for item, each in found.items() if not each.verdict.passes} == CHANGED
    assert not any(each.verdict is Verdict.FAILED for each in found.values())
    assert (found["reference"].worst_actual, found["reference"].worst_expected) == (
        "a reference to /text",
        "a reference to /fixed",
    )
    assert found["compound.b"].worst_index == (0, 1)
    again = file(kinds, libver="latest")
    assert {each.verdict for each in items(again, file(kinds)).values()} == {Verdict.IDENTICAL}


def test_names_of_an_enum_count(items: Items) -> None:
    sides = [
        one(data=np.array([1], "i1"), dtype=h5py.enum_dtype({name: 1}, basetype="i1"))
        for name in ("CAT", "DOG")
    ]
    assert items(*sides)["w@enum"].worst_expected == "[(1, 'DOG')]"


def test_a_group_that_holds_itself_ends(items: Items) -> None:
    def loop(each: h5py.File) -> None:
        each["a/b/w"] = 1.0
        each["a/b/back"] = each["a"]

    def other(each: h5py.File) -> None:
        loop(each)
        each["a/b/w"][...] = 2.0

    found = items(file(other), file(loop))
    assert {item for item, each in found.items() if not each.verdict.passes} == {"a/b/w"}


def test_groups_shared_so_often_that_there_is_no_end_are_read_once(items: Items) -> None:
    def bomb(each: h5py.File, value: float) -> None:
        each["g0/w"] = value
        for level in range(1, 40):
            group = each.create_group(f"g{level}")
            for name in "abcdefgh":
                group[name] = each[f"g{level - 1}"]

    sides = [file(partial(bomb, value=value)) for value in (1.0, 2.0)]
    found = items(*sides)
    assert [item for item, each in found.items() if not each.verdict.passes] == ["g0/w"]
    assert found[""].size == 39 * 8


def test_values_in_another_file_are_not_followed(compare: Compare, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(np.arange(4.0).tobytes())
    source = tmp_path / "source.h5"
    with h5py.File(source, "w") as each:
        each["x"] = np.arange(4.0)

    def write(each: h5py.File) -> None:
        each.create_dataset("out", (4,), "f8", external=[(str(secret), 0, 32)])
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(source), "x", (4,))
        each.create_virtual_dataset("view", layout)
        each["fine"] = 1.0

    path = tmp_path / "written.h5"
    with h5py.File(path, "w") as each:
        write(each)
    found = {each.item: each for each in compare("m.h5", path.read_bytes(), one("fine", 1.0))[0]}
    assert found["out"].verdict is found["view"].verdict is Verdict.FAILED
    assert "in another file, which is not followed" in found["out"].note
    assert "values of other datasets" in found["view"].note
    assert found[""].verdict is Verdict.IDENTICAL


def test_a_dataset_that_is_only_promised_is_refused_at_once(compare: Compare) -> None:
    def promise(each: h5py.File, fill: float) -> None:
        each.create_dataset("huge", (10**15,), "f8", chunks=(1000,), fillvalue=fill)
        each["fine"] = 1.0

    begun = time.monotonic()
    sides = [file(partial(promise, fill=fill)) for fill in (1.0, 2.0)]
    found = {each.item: each for each in compare("m.h5", *sides)[0]}
    assert found["huge"].verdict is Verdict.FAILED
    assert "promises 8000000000000000 bytes, which a file of" in found["huge"].note
    assert time.monotonic() - begun < 20


def test_what_was_never_written_has_its_fill_value(items: Items) -> None:
    def unwritten(each: h5py.File, fill: float) -> None:
        each.create_dataset("w", (3,), "f4", fillvalue=fill)

    sides = [file(partial(unwritten, fill=fill)) for fill in (1.0, 2.0)]
    found = items(*sides)["w"]
    assert (found.worst_actual, found.worst_expected, found.beyond) == ("1.0", "2.0", 3)


def test_a_damaged_chunk_fails(compare: Compare) -> None:
    sound = one(chunks=(40, 50), fletcher32=True)
    place = sound.index(WEIGHTS.tobytes()[:64])
    broken = sound[:place] + b"\xff\xff" + sound[place + 2 :]
    found, _notes = compare("m.h5", broken, sound)
    assert [each.verdict for each in found] == [Verdict.FAILED]
    assert "actual run: m.h5 cannot be read: dataset 'w' is damaged" in found[0].note


def test_a_heap_that_the_library_would_walk_for_ever_fails_in_time(
    only: Only, pool: Callable[..., AbstractContextManager[Pool]]
) -> None:
    """An unused object without a length, as one damaged byte before it makes it seem."""
    sound = file(lambda each: each.create_dataset("t", data=["abc"], dtype=h5py.string_dtype()))
    place = sound.index(b"GCOL")
    rest = sound.index((4096 - 40).to_bytes(8, "little"), place)
    broken = sound[:rest] + bytes(8) + sound[rest + 8 :]
    with pool(base_s=2.0) as readers:
        found = only("m.h5", broken, sound, pool=readers)
    assert found.verdict is Verdict.FAILED
    assert "unreadable: the reader took more than 2 s and was ended" in found.note


def test_names_that_are_no_text_are_shown(items: Items) -> None:
    def write(each: h5py.File) -> None:
        each.create_dataset(b"\xff", data=1.0)

    def other(each: h5py.File) -> None:
        each.create_dataset(b"\xff", data=2.0)

    assert items(file(other), file(write))[r"\xff"].verdict is Verdict.DRIFT


def test_without_h5py_it_fails_and_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = one(), one(data=WEIGHTS + 1)
    monkeypatch.setitem(sys.modules, "h5py", None)
    found = only_here("m.h5", *sides)
    assert found.verdict is Verdict.FAILED
    assert found.note == (
        "both runs: m.h5 cannot be compared by value without the package h5py: "
        "pip install 'pytest-mlcontainer[hdf5]'"
    )


def test_truncated_anywhere_it_fails(compare: Compare) -> None:
    whole = file(lambda each: keras(each))
    for length in range(0, len(whole), 31):
        found = compare("m.h5", whole[:length], whole)[0]
        assert not all(each.verdict.passes for each in found), length
        assert not any("raised" in each.note for each in found), (length, found)
    short = compare("m.h5", whole[:-1], whole)[0]
    assert "truncated" in short[0].note


@given(drawn=st.data())
def test_changed_bytes_never_crash(compare: Compare, drawn: st.DataObject) -> None:
    whole = bytearray(SMALL)
    for _ in range(drawn.draw(st.integers(1, 3))):
        whole[drawn.draw(st.integers(0, len(whole) - 1))] = drawn.draw(st.integers(0, 255))
    found = compare("m.h5", bytes(whole), SMALL)[0]
    assert not any("raised" in each.note for each in found), found


SMALL = file(lambda each: each.create_dataset("g/w", data=np.arange(8.0), chunks=(4,)))


def test_dimension_scales_as_netcdf_writes_them_can_be_read(items: Items) -> None:
    """Which dataset uses a scale is kept in attributes of references beside numbers."""

    def scaled(factor: float, each: h5py.File) -> None:
        each["time"] = np.arange(4.0)
        each["time"].make_scale("time")
        each["temperature"] = np.arange(4.0) * factor
        each["temperature"].dims[0].attach_scale(each["time"])

    one, noisy, other = (file(partial(scaled, factor)) for factor in (0.3, 0.3 + 1e-16, 0.31))
    assert all(each.verdict.passes for each in items(one, noisy).values())
    found = items(one, other)
    assert [item for item, each in found.items() if not each.verdict.passes] == ["temperature"]
