"""safetensors: what is read, what the metadata counts for, and what is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "C64": "c8",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}
NAMES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
WEIGHTS = np.random.default_rng(0).normal(size=(4, 5)).astype("f4")


def raw(
    header: bytes | Mapping[str, object], data: bytes = b"", length: int | None = None
) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def file(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    header: dict[str, object] = {}
    data = b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        }
        data += array.tobytes()
    return raw(header, data)


def entry(
    dtype: object = "F32", shape: tuple[float, ...] = (2,), offsets: tuple[int, ...] = (0, 8)
) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


GOOD = file({"w": np.arange(2, dtype="f4")})


def test_each_tensor_is_an_item(compare: Compare) -> None:
    expected: dict[str, np.ndarray]
    expected = {"a.w": WEIGHTS, "b": np.arange(3), "c": np.ones(2, "f4")}
    actual: dict[str, np.ndarray]
    actual = {"b": np.arange(3) + 1, "a.w": WEIGHTS * np.float32(1 + 1e-7), "d": np.ones(2, "f4")}
    found = {each.item: each for each in compare("m.safetensors", file(actual), file(expected))[0]}
    assert found["a.w"].verdict is Verdict.EQUIVALENT
    assert (found["b"].verdict, found["b"].max_abs) == (Verdict.DRIFT, 1)
    assert (found["c"].verdict, found["c"].note) == (Verdict.DRIFT, "missing in the actual run")
    assert (found["d"].verdict, found["d"].note) == (Verdict.DRIFT, "only in the actual run")


@pytest.mark.parametrize(("code", "dtype"), DTYPES.items())
def test_every_dtype_is_read_and_one_changed_element_is_found(
    compare: Compare, code: str, dtype: str | type[np.generic]
) -> None:
    expected = np.array([[0, 1, 1], [1, 0, 1]], "u1").astype(dtype)
    actual = expected.copy()
    actual[1, 1] = 1
    found, _notes = compare("m.safetensors", file({"w": actual}), file({"w": expected}))
    assert [(each.item, each.verdict) for each in found] == [("w", Verdict.DRIFT)]
    assert (found[0].differing, found[0].worst_index, found[0].size) == (1, (1, 1), 6)


def test_the_order_of_tensors_and_spaces_after_the_header_are_no_difference(
    compare: Compare,
) -> None:
    one = file({"a": WEIGHTS, "b": np.arange(3)})
    padded = json.dumps(
        {"b": entry("I64", (3,), (0, 24)), "a": entry("F32", (4, 5), (24, 104))}
    ).encode()
    other = raw(padded + b"   ", np.arange(3).tobytes() + WEIGHTS.tobytes())
    found, _notes = compare("m.safetensors", one, other)
    assert [each.verdict for each in found] == [Verdict.IDENTICAL] * 2


def test_shape_and_dtype_are_part_of_the_value(compare: Compare) -> None:
    sides = file({"a": WEIGHTS, "b": WEIGHTS}), file({"a": WEIGHTS.T.copy(), "b": WEIGHTS * 1.0})
    sides = sides[0], file({"a": WEIGHTS.T.copy(), "b": WEIGHTS.astype("f8")})
    found = {each.item: each for each in compare("m.safetensors", *sides)[0]}
    assert found["a"].note == "shape (4, 5), expected (5, 4)"
    assert found["b"].note.startswith("dtype float32, expected float64; the values are the same")
    assert {each.verdict for each in found.values()} == {Verdict.DRIFT}


def test_empty_tensors_and_tensors_without_dimensions(compare: Compare) -> None:
    left = {"none": np.empty((0, 3), "f4"), "one": np.array(1.0, "f4")}
    right = {"none": np.empty((0, 3), "f4"), "one": np.array(2.0, "f4")}
    found = {each.item: each for each in compare("m.safetensors", file(left), file(right))[0]}
    assert (found["none"].verdict, found["one"].verdict) == (Verdict.IDENTICAL, Verdict.DRIFT)


def test_metadata_is_listed_but_no_drift_unless_a_rule_says_exact(compare: Compare) -> None:
    sides = [file({"w": WEIGHTS}, {"format": form, "same": "x"}) for form in ("pt", "np")]
    found = {each.item: each for each in compare("m.safetensors", *sides)[0]}
    other = found["__metadata__.format"]
    assert set(found) == {"w", "__metadata__.format"}
    assert (found["w"].verdict, other.verdict) == (Verdict.IDENTICAL, Verdict.EQUIVALENT)
    assert (other.worst_actual, other.worst_expected) == ("'pt'", "'np'")
    strict = compare("m.safetensors", *sides, Tolerance(exact=True), item="__metadata__.*")[0]
    assert [each.verdict for each in strict] == [Verdict.DRIFT, Verdict.IDENTICAL]
    gone = compare("m.safetensors", *sides, Tolerance(ignore=True), item="__metadata__.format")[0]
    assert [each.item for each in gone] == ["w"]


def test_metadata_of_one_side_only(compare: Compare) -> None:
    sides = file({"w": WEIGHTS}), file({"w": WEIGHTS}, {"format": "pt"})
    (other,) = [each for each in compare("m.safetensors", *sides)[0] if each.item != "w"]
    assert (other.worst_actual, other.worst_expected) == ("(none)", "'pt'")


def test_it_is_recognised_by_content_under_any_name(compare: Compare) -> None:
    sides = file({"w": WEIGHTS + np.float32(1)}), file({"w": WEIGHTS})
    assert compare("model.bin", *sides)[0][0].item == "w"


def test_files_without_tensors_say_so(only: Only) -> None:
    found = only("m.safetensors", raw(b"{}  "), raw(b"{}"))
    assert (found.verdict, found.note) == (Verdict.IDENTICAL, "no tensors on either side")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "is empty"),
        (b"\1\2\3", "is truncated within the length"),
        (raw(b"{}", length=100), "is truncated: it promises a header of 100 bytes, 2 are there"),
        (raw(b"{}", length=2**63), "the format allows 100000000"),
        (raw(b"nonsense"), "has a broken header"),
        (raw(b"[1]"), "it is not a JSON object"),
        (raw(b'{"w": \xff}'), "has a broken header"),
        (raw(b'{"w":' + b"[" * 200_000), "has a broken header"),
        (raw(b'{"w": ' + b"9" * 5000 + b"}"), "has a broken header"),
        (raw(b'{"w":1,"w":2}'), "'w' is there more than once"),
        (raw(b'{"__metadata__":{"a":"1","a":"2"}}'), "'a' is there more than once"),
        (raw({"__metadata__": {"a": 1}}), "is not a mapping of texts"),
        (raw({"__metadata__": ["a"]}), "is not a mapping of texts"),
        (raw({"w": 1}), "has to have dtype, shape and data_offsets"),
        (raw({"w": {"dtype": "F32"}}), "has to have dtype, shape and data_offsets"),
        (raw({"w": {**entry(), "more": 1}}, bytes(8)), "and only these"),
        (raw({"w": entry("F4")}, bytes(8)), "of dtype 'F4', which cannot be compared"),
        (raw({"w": entry(["F32"])}, bytes(8)), "of dtype ['F32'], which cannot be compared"),
        (raw({"w": entry(shape=(-2,))}, bytes(8)), "has shape [-2]"),
        (raw({"w": entry(shape=(2.0,))}, bytes(8)), "has shape [2.0]"),
        (raw({"w": entry(shape=(True, 2))}, bytes(8)), "has shape [True, 2]"),
        (raw({"w": entry(offsets=(0, 8, 9))}, bytes(8)), "offsets [0, 8, 9]"),
        (raw({"w": entry(offsets=(8, 0))}, bytes(8)), "needs 8 bytes and has the offsets 8 to 0"),
        (raw({"w": entry(shape=(10**15,))}, bytes(8)), "needs 4000000000000000 bytes"),
        (raw({"w": entry(shape=(0, 10**30), offsets=(0, 0))}), "a shape that no array has"),
        (raw({"w": entry(shape=(1,) * 40, offsets=(0, 4))}, bytes(4)), "has 40 dimensions"),
        (raw({"w": entry(offsets=(4, 12))}, bytes(12)), "'w' leaves a hole before it"),
        (
            raw({"v": entry(), "w": entry(offsets=(4, 12))}, bytes(12)),
            "'w' overlaps the one before",
        ),
        (raw({"v": entry(), "w": entry()}, bytes(8)), "'w' overlaps the one before"),
        (raw({"w": entry()}, bytes(7)), "is truncated: its header promises"),
        (raw({"w": entry()}, bytes(9)), "has 1 bytes after its tensors"),
        (raw({"w": entry(offsets=(2**64, 2**64 + 8))}, bytes(8)), "leaves a hole"),
    ],
)
def test_a_header_that_lies_fails_and_says_why(only: Only, broken: bytes, reason: str) -> None:
    found = only("m.safetensors", broken, GOOD)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: m.safetensors ")
    assert reason in found.note
    assert len(found.note) < 1000


def test_both_sides_are_named_when_neither_can_be_read(only: Only) -> None:
    found = only("m.safetensors", b"", GOOD[:-1])
    assert found.note.startswith("actual run: m.safetensors is empty; reference: m.safetensors is ")


def test_truncated_anywhere_it_fails(only: Only) -> None:
    whole = file({"a": WEIGHTS, "b": np.arange(3)}, {"format": "pt"})
    for length in range(len(whole)):
        assert only("m.safetensors", whole[:length], whole).verdict is Verdict.FAILED, length


@given(st.data())
def test_a_changed_byte_never_crashes_and_is_never_overlooked(
    compare: Compare, data: st.DataObject
) -> None:
    """In the tensors it is a difference, in the header a difference or a refusal."""
    whole = file({"a": np.arange(4), "b": np.ones((2, 2), "u1")}, {"format": "pt"})
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    broken = whole[:place] + bytes([byte]) + whole[place + 1 :]
    found, _notes = compare("m.safetensors", broken, whole)
    assert not any("raised" in each.note for each in found)
    header_end = 8 + int.from_bytes(whole[:8], "little")
    if place >= header_end or place < 8:
        assert any(not each.verdict.passes for each in found)


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_any_tensors_compare_identical_under_another_header(
    compare: Compare, tensors: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    arrays = {
        name: (np.arange(math.prod(shape)) % 2).reshape(shape).astype(DTYPES[code])
        for name, (code, shape) in tensors.items()
    }
    sides = file(arrays), file(arrays, {"format": "np"})
    found, _notes = compare("m.safetensors", *sides)
    assert {each.item: each.verdict for each in found} == {
        **dict.fromkeys(arrays, Verdict.IDENTICAL),
        "__metadata__.format": Verdict.EQUIVALENT,
    }


MEASURE = """
import pathlib, resource, sys
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.model import Output
small, large = ([Output("m", pathlib.Path(p), 1) for p in pair.split()] for pair in sys.argv[1:])
compare_outputs((small[0],), (small[1],), ())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found, _ = compare_outputs((large[0],), (large[1],), ())
print(found[0].differing, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in another unit")
def test_size_costs_no_memory(tmp_path: Path) -> None:
    pairs = []
    for name, size in (("small", 1000), ("large", 16_000_000)):
        expected = np.random.default_rng(0).random(size, np.float32)
        actual = expected * np.float32(1 + 3e-7)
        for side, array in (("a", actual), ("e", expected)):
            (tmp_path / f"{name}-{side}").write_bytes(file({"w": array}))
        pairs.append(f"{tmp_path / name}-a {tmp_path / name}-e")
    command = [sys.executable, "-c", MEASURE, *pairs]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    differing, grown_kib = (int(each) for each in out.split())
    assert differing > 1_000_000
    assert grown_kib < 40_000
