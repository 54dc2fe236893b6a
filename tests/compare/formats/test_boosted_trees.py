"""Model files of boosted trees: XGBoost's UBJSON, LightGBM's text, and what is not understood."""

from __future__ import annotations

import contextlib
import math
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.formats.ubjson import UbjsonError, decode
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

NEAR = Tolerance(rtol=1e-3)
QUICK = settings(max_examples=200, deadline=None)
KINDS = {"f4": "d", "f8": "D", "i4": "l", "i8": "L", "i1": "i", "u1": "U", "i2": "I"}


def encode(value: object) -> bytes:
    """As XGBoost writes it: lengths in 8 bytes, typed arrays with a count."""
    if isinstance(value, dict):
        return b"{" + b"".join(text(key) + encode(each) for key, each in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        kind = KINDS[value.dtype.str[1:]]
        big = value.astype(value.dtype.newbyteorder(">"))
        return b"[$" + kind.encode() + b"#L" + struct.pack(">q", len(value)) + big.tobytes()
    if isinstance(value, list):
        return b"[" + b"".join(map(encode, value)) + b"]"
    if isinstance(value, str):
        return b"S" + text(value)
    if isinstance(value, bool) or value is None:
        return {True: b"T", False: b"F", None: b"Z"}[value]
    if isinstance(value, int):
        return b"L" + struct.pack(">q", value)
    return b"D" + struct.pack(">d", value)


def text(value: str) -> bytes:
    data = value.encode()
    return b"L" + struct.pack(">q", len(data)) + data


def model(weight: float | np.generic = 0.5, child: int = 1, score: str = "[5E-1]") -> bytes:
    tree = {
        "split_conditions": np.array([weight, 0.25, -1.5], np.float32),
        "left_children": np.array([child, -1, -1], np.int32),
        "id": 0,
    }
    inner = {"learner_model_param": {"base_score": score}, "trees": [tree, tree]}
    return encode({"learner": inner, "version": [3, 2, 0]})


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
    max_leaves=20,
)


@QUICK
@given(TREES)
def test_what_was_written_is_read(value: float | list[object] | dict[str, object] | None) -> None:
    def same(left: Any, right: Any) -> bool:
        if isinstance(left, float):
            return isinstance(right, float) and (left == right or math.isnan(left + right))
        if isinstance(left, (list, dict)):
            items = left.items() if isinstance(left, dict) else enumerate(left)
            return len(left) == len(right) and all(same(each, right[key]) for key, each in items)
        return type(left) is type(right) and left == right

    assert same(value, decode(encode(value)))


@pytest.mark.parametrize("dtype", KINDS)
def test_typed_arrays_are_numbers(dtype: str) -> None:
    array = np.array([1, 2, 100, 0]).astype(dtype)
    assert decode(encode(array)) == [1, 2, 100, 0]


def test_every_spelling_of_the_format_is_read() -> None:
    assert decode(b"N[#i\x03TFZ") == [True, False, None]
    assert decode(b"{#i\x01i\x01ai\x05") == {"a": 5}
    assert decode(b"{$U#i\x02i\x01a\x05i\x01b\xff") == {"a": 5, "b": 255}
    assert decode(b"[H" + b"i\x03123Cx]N") == [123, "x"]


@pytest.mark.parametrize("name", ["m.ubj", "model.bin"])
def test_a_model_is_compared_leaf_by_leaf(compare: Compare, name: str) -> None:
    differences, _notes = compare(name, model(0.75), model())
    drifting = {each.item for each in differences if not each.verdict.passes}
    assert drifting == {f"learner.trees[{place}].split_conditions" for place in (0, 1)}
    assert not compare(name, model(child=2), model())[0][0].verdict.passes
    for sides in ((model(0.5001), model()), (model(score="[5.0001E-1]"), model())):
        assert all(each.verdict.passes for each in compare(name, *sides, NEAR)[0])
        assert not all(each.verdict.passes for each in compare(name, *sides)[0])


def test_rounding_of_float32_passes(compare: Compare) -> None:
    near = np.nextafter(np.float32(0.5), np.float32(1))
    differences, _notes = compare("m.ubj", model(near), model())
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT, Verdict.IDENTICAL}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[$Z#l\x7f\xff\xff\xff", "a length of 2147483647"),
        (b"[$d#l\x7f\xff\xff\xff", "a length of 2147483647"),
        (b"[$D#i\x02\0\0\0", "the file ends"),
        (b"[#i\xff", "a length of -1"),
        (b"Sl\x7f\xff\xff\xffabc", "a length of 2147483647"),
        (b"[" * 100_000, "too many levels"),
        (b"[$[#i\x01" * 50_000, "too many levels"),
        (b"{i\x01ai\x01i\x01ai\x02}", "the key 'a' a second time"),
        (b"[$i]", "a type without a count"),
        (b"[TT", "the file ends"),
        (b"Tx", "something follows the value"),
        (b"q", "no type is called 'q'"),
        (b"Si\x01\xff", "text that is not UTF-8"),
        (b"Hi\x03abc", "a number that is none"),
        (b"{S", "a key of the type 'S'"),
        (b"", "the file ends"),
    ],
)
def test_broken_ubjson_fails_and_says_where(only: Only, data: bytes, reason: str) -> None:
    found = only("m.ubj", data, model())
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: m.ubj is broken UBJSON: ")
    assert reason in found.note


@QUICK
@given(st.data())
def test_damage_is_an_error_and_never_more(data: st.DataObject) -> None:
    """Any byte changed, any end cut off: the document or the error that is for it."""
    whole = bytearray(model())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UbjsonError):
        decode(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_what_asks_for_much_gets_little() -> None:
    """Values that take no bytes are bounded by the bytes that there are."""
    data = b"[$Z#l" + struct.pack(">i", 1 << 20) + b"N" * (1 << 20)
    tracemalloc.start()
    try:
        decode(b"[" + data * 4 + b"]")
        _size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20


LIGHTGBM = """\
tree
version=v4
num_class=1
feature_names=Column_0 Column_1
feature_infos=[-2.5:2.75] none
tree_sizes={size}

Tree=0
num_leaves=2
split_gain=783.262
threshold={threshold}
left_child={child}
leaf_value=-0.59550180867229674 {leaf}
shrinkage=1


end of trees

feature_importances:
Column_0=5

parameters:
[boosting: gbdt]
[learning_rate: 0.1]

end of parameters

pandas_categorical:null
"""


def lightgbm(
    size: int = 300,
    threshold: str = "1.0000000180025095e-35",
    child: str = "-1",
    leaf: str = "0.25",
) -> str:
    return LIGHTGBM.format(size=size, threshold=threshold, child=child, leaf=leaf)


@pytest.mark.parametrize("name", ["model.txt", "model.lgb"])
def test_lightgbm_is_compared_tree_by_tree(compare: Compare, name: str) -> None:
    def drifting(**changed: Any) -> set[str]:
        differences, _notes = compare(name, lightgbm(**changed), lightgbm())
        return {each.item for each in differences if not each.verdict.passes}

    assert drifting(size=301) == set()
    assert drifting(leaf="0.25000000000001", size=315) == set()
    assert drifting(leaf="0.26") == {"trees[0].leaf_value"}
    assert drifting(child="-2") == {"trees[0].left_child"}
    differences, _notes = compare(name, lightgbm(leaf="0.2501"), lightgbm(), NEAR)
    assert all(each.verdict.passes for each in differences)


def test_a_broken_lightgbm_model_is_compared_as_text(only: Only) -> None:
    broken = lightgbm().replace("shrinkage=1", "leaf_value=1")
    found = only("model.txt", broken, broken.replace("0.25", "0.25000000000001"))
    assert found.verdict is Verdict.EQUIVALENT
    assert "'leaf_value' a second time" in found.note


@pytest.mark.parametrize(
    ("magic", "kind"),
    [(b"CBM1", "CatBoost's own format"), (b"\x00\x01", "a format that is not understood here")],
)
def test_a_rule_for_numbers_says_that_it_cannot_apply_to_bytes(
    only: Only, magic: bytes, kind: str
) -> None:
    sides = magic + bytes([0, 255, 1]), magic + bytes([0, 255, 2])
    found = only("model.cbm", *sides, Tolerance(rtol=1e-3, atol=1.0))
    assert found.verdict is Verdict.DRIFT
    assert f"rtol and atol of rule model.cbm cannot apply to the bytes of {kind}" in found.note
    assert "cannot apply" not in only("model.cbm", *sides).note
