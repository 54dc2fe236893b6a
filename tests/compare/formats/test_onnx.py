"""ONNX: what of a model counts, what exporters may call as they like, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, Only, OnlyHere

WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")


def tensor(name: str, array: np.ndarray, raw: bool = True) -> TensorProto:
    try:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    except KeyError:
        pytest.skip(f"this onnx cannot write {array.dtype}")
    return helper.make_tensor(
        name, kind, array.shape, array.tobytes() if raw else array.reshape(-1), raw=raw
    )


def model(
    weights: np.ndarray = WEIGHTS,
    names: tuple[str, str, str] = ("hidden", "onnx::MatMul_7", "node_0"),
    alpha: float = 0.1,
    operator: str = "LeakyRelu",
    result: str = "y",
    rows: int | str = "batch",
    opset: int = 20,
    **options: Any,
) -> bytes:
    hidden, weight, node = names
    nodes = [
        helper.make_node("MatMul", ["x", weight], [hidden], name=node),
        helper.make_node(operator, [hidden], [result], alpha=alpha),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 3])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [rows, 4])],
        [tensor(weight, weights)],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **options)
    return bytes(whole.SerializeToString())


def held(*tensors: TensorProto) -> bytes:
    graph = helper.make_graph([], "g", [], [], tensors)
    return bytes(helper.make_model(graph).SerializeToString())


Items = Callable[..., dict[str, Difference]]


@pytest.fixture
def items(compare: Compare) -> Items:
    def run(
        actual: bytes, expected: bytes, tolerance: Tolerance | None = None, item: str | None = None
    ) -> dict[str, Difference]:
        differences, _notes = compare("m.onnx", actual, expected, tolerance, item=item)
        return {each.item: each for each in differences}

    return run


def drifted(found: dict[str, Difference]) -> set[str]:
    return {item for item, each in found.items() if not each.verdict.passes}


def test_initialisers_are_compared_by_value(items: Items) -> None:
    found = items(model(WEIGHTS * np.float32(1 + 1e-7)), model())
    assert found["initializer.onnx::MatMul_7"].verdict is Verdict.EQUIVALENT
    found = items(model(WEIGHTS + np.float32(1)), model())
    assert drifted(found) == {"initializer.onnx::MatMul_7"}
    assert found[""].size == 6


def test_who_made_it_and_what_it_calls_its_values_do_not_count(items: Items) -> None:
    names = "t1", "w.0", "other"
    other = model(names=names, producer_name="x", producer_version="2", doc_string="hello")
    assert drifted(items(other, model())) == set()
    other = model(WEIGHTS + np.float32(1), names=names, rows="N")
    assert drifted(items(other, model())) == {"initializer.nodes[0].inputs[1]"}


@pytest.mark.parametrize(
    ("options", "item"),
    [
        ({"alpha": 0.2}, "nodes[1].alpha"),
        ({"operator": "Elu"}, "nodes[1]"),
        ({"rows": 2}, "inputs[0]"),
        ({"opset": 21}, "opset.ai.onnx"),
        ({"result": "z"}, "outputs[0]"),
    ],
)
def test_what_the_model_does_counts(items: Items, options: dict[str, Any], item: str) -> None:
    found = items(model(**options), model())
    assert item in drifted(found)
    assert found[item].verdict is Verdict.DRIFT


def test_values_connected_otherwise_drift(items: Items) -> None:
    def crossed(first: str, second: str) -> bytes:
        nodes = [
            helper.make_node("Relu", ["x"], ["a"]),
            helper.make_node("Neg", ["x"], ["b"]),
            helper.make_node("Sub", [first, second], ["y"]),
        ]
        values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [2]) for each in "xy"]
        graph = helper.make_graph(nodes, "g", values[:1], values[1:])
        return bytes(helper.make_model(graph).SerializeToString())

    found = items(crossed("b", "a"), crossed("a", "b"))
    assert drifted(found) == {"nodes[2]"}
    assert found["nodes[2]"].worst_actual == "Sub(nodes[1].outputs[0], nodes[0].outputs[0]) -> y"


DTYPES = [
    "f4", "f8", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "c8", "c16",
    ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2,
]  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_read_however_it_is_written(
    items: Items, dtype: str | type[np.generic], raw: bool
) -> None:
    expected = np.array([[0, 1, 1], [1, 0, 1]], "u1").astype(dtype)
    actual = expected.copy()
    actual[1, 1] = 1
    assert drifted(items(held(tensor("w", expected, raw)), held(tensor("w", expected)))) == set()
    found = items(held(tensor("w", actual, raw)), held(tensor("w", expected)))["initializer.w"]
    assert (found.verdict, found.differing, found.worst_index) == (Verdict.DRIFT, 1, (1, 1))
    assert (found.worst_actual, found.worst_expected) == (str(actual[1, 1]), str(expected[1, 1]))


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_two_numbers_in_a_byte_are_told_apart(items: Items, kind: int) -> None:
    sides = [held(helper.make_tensor("w", kind, [3], values)) for values in ([1, 7, 2], [1, 6, 2])]
    found = items(*sides)["initializer.w"]
    assert (found.verdict, found.differing, found.worst_index) == (Verdict.DRIFT, 1, (1,))
    assert (found.worst_actual, found.worst_expected) == ("7", "6")


def test_text_and_rules(items: Items) -> None:
    texts: list[Any] = [[b"a", b"b"], [b"a", b"c"]]
    sides = [held(helper.make_tensor("w", TensorProto.STRING, [2], each)) for each in texts]
    assert items(*sides)["initializer.w"].worst_expected == "c"
    loose = items(model(alpha=0.2), model(), Tolerance(margin=0.5), item="nodes*.alpha")
    assert drifted(loose) == set()


def branch(moved: float = 0.0, name: str = "t") -> bytes:
    inner = helper.make_graph(
        [
            helper.make_node(
                "Constant", [], ["c"], value=tensor("c", WEIGHTS[0] + np.float32(moved))
            ),
            helper.make_node("Add", [name, "c"], ["s"]),
        ],
        "inner",
        [],
        [helper.make_tensor_value_info("s", TensorProto.FLOAT, [4])],
    )
    nodes = [
        helper.make_node("Neg", ["x"], [name]),
        helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner),
    ]
    values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [4]) for each in "xy"]
    values.append(helper.make_tensor_value_info("b", TensorProto.BOOL, []))
    graph = helper.make_graph(nodes, "g", [values[0], values[2]], [values[1]])
    return bytes(helper.make_model(graph).SerializeToString())


def test_branches_are_looked_into(items: Items) -> None:
    assert drifted(items(branch(name="other"), branch())) == set()
    assert drifted(items(branch(1.0), branch())) == {
        f"nodes[1].{each}_branch.nodes[0].value" for each in ("then", "else")
    }


def test_initialisers_in_another_file_are_named(items: Items) -> None:
    def outside(location: str) -> bytes:
        there = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        there.data_location = TensorProto.EXTERNAL
        there.external_data.add(key="location", value=location)
        return held(there)

    found = items(outside("../../etc/passwd"), outside("w.bin"))
    assert found["initializer.w"].worst_expected == "FLOAT (4,) in another file: location w.bin"
    assert found["initializer.w"].verdict is Verdict.DRIFT
    found = items(outside("w.bin"), outside("w.bin") + b"\x1a\x01x")
    assert "which is compared only where it is an output itself" in found["external_data"].note


def wrong(**fields: Any) -> bytes:
    return held(TensorProto(name="w", **fields))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "is empty"),
        (b"nonsense", "is truncated or damaged"),
        (b"\x08\x0a", "has no graph"),
        (held(tensor("w", WEIGHTS), tensor("w", WEIGHTS)), "has the initialiser 'w' twice"),
    ],
)
def test_a_broken_model_fails_and_says_why(only: Only, broken: bytes, reason: str) -> None:
    found = only("m.onnx", broken, model())
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: m.onnx ")
    assert reason in found.note


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (wrong(data_type=1, dims=[4], raw_data=bytes(15)), "has 15 bytes, FLOAT (4,) needs 16"),
        (wrong(data_type=1, dims=[10**15], raw_data=b""), "has 0 bytes"),
        (wrong(data_type=1, dims=[10**15]), "has 0 values, its shape needs"),
        (wrong(data_type=1, dims=[-1], raw_data=b""), "a shape that no array has"),
        (wrong(data_type=1, dims=[1] * 40, raw_data=bytes(4)), "has 40 dimensions"),
        (wrong(data_type=99, dims=[1], raw_data=b"1"), "is of type 99, which cannot be compared"),
        (wrong(dims=[1], raw_data=b"1"), "is of UNDEFINED, which cannot be compared"),
        (wrong(data_type=TensorProto.INT4, dims=[3], raw_data=b"1"), "has 1 bytes"),
        (wrong(data_type=TensorProto.STRING, dims=[3]), "cannot reshape"),
    ],
)
def test_a_broken_initialiser_fails_alone(items: Items, broken: bytes, reason: str) -> None:
    found = items(broken, held(tensor("w", WEIGHTS)))
    assert found["initializer.w"].verdict is Verdict.FAILED
    assert reason in found["initializer.w"].note
    assert not any("raised" in each.note for each in found.values())


def test_without_onnx_it_fails_and_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = model(), model(alpha=0.2)
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = only_here("m.onnx", *sides)
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[onnx]'" in found.note


def test_truncated_anywhere_it_fails(compare: Compare) -> None:
    """Cut between two fields a model still parses, and then lacks what comes after."""
    whole = branch()
    for length in range(len(whole)):
        found = compare("m.onnx", whole[:length], whole)[0]
        assert not all(each.verdict.passes for each in found), length
        assert not any("raised" in each.note for each in found), (length, found)


@given(drawn=st.data())
def test_changed_bytes_never_crash(compare: Compare, drawn: st.DataObject) -> None:
    whole = bytearray(branch())
    for _ in range(drawn.draw(st.integers(1, 3))):
        whole[drawn.draw(st.integers(0, len(whole) - 1))] = drawn.draw(st.integers(0, 255))
    found = compare("m.onnx", bytes(whole), branch())[0]
    assert not any("raised" in each.note for each in found), found
