"""PyTorch's files, without PyTorch: what is read, what is refused, and that nothing is ever run.

`tests/data/make_torch.py` made the files.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.formats.inert_pickle import BrokenPickleError
from pytest_mlcontainer.compare.formats.pytorch import holds_objects
from pytest_mlcontainer.compare.formats.torch_archive import is_legacy, read_archive, read_legacy
from pytest_mlcontainer.compare.formats.torch_values import KNOWN, leaves
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.sources import ComparedFile, UnreadableError
from pytest_mlcontainer.model import Output, Tolerance, Verdict
from tests.fixture_types import Compare, Only

DATA = Path(__file__).parents[2] / "data"


def data(name: str) -> bytes:
    return (DATA / f"{name}.pt").read_bytes()


def members(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / f"{name}.pt") as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def pickled(program: bytes, **storages: bytes) -> bytes:
    """An archive with this pickle, and storages by key."""
    files = {"a/data.pkl": program, "a/version": b"3\n"}
    return archive({**files, **{f"a/data/{key[1:]}": value for key, value in storages.items()}})


def values(name: str) -> dict[str, Any]:
    side = ComparedFile("reference", name, DATA / f"{name}.pt")
    saved = read_legacy(side, KNOWN) if is_legacy(side) else read_archive(side, KNOWN)
    return {
        item: leaf.values() if isinstance(leaf, Array) else leaf
        for item, leaf in leaves(saved).items()
    }


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    if 0 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def row(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def storage(key: str = "0", count: int = 4, kind: str = "FloatStorage") -> bytes:
    parts = text("storage"), name("torch", kind), text(key), text("cpu"), number(count)
    return row(*parts) + b"Q"


def tensor(
    reference: bytes,
    offset: int = 0,
    size: tuple[int, ...] = (4,),
    stride: Sequence[int] = (1,),
    more: bytes = b"",
) -> bytes:
    shape, steps = row(*map(number, size)), row(*map(number, stride))
    arguments = row(reference, number(offset), shape, steps, b"\x89", b"N", more)
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def program(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


FOUR = np.arange(4, dtype="f4").tobytes()
GOOD = pickled(program(tensor(storage())), _0=FOUR)


def test_a_state_dict_is_read_by_name(compare: Compare) -> None:
    found = {
        each.item: each for each in compare("m.pt", data("state-moved-legacy"), data("state"))[0]
    }
    assert found["layer1.weight"].verdict is Verdict.DRIFT
    assert (found["layer1.weight"].worst_index, found["layer1.weight"].max_abs) == ((1, 2), 0.5)
    (same,) = [each for each in found.values() if each.verdict is Verdict.IDENTICAL]
    assert (same.size, same.note.partition(":")[0]) == (6, "6 items are identical")


def test_the_older_form_and_the_newer_hold_the_same_values() -> None:
    old, new = values("state-moved-legacy"), values("state")
    assert list(old) == list(new)
    assert old.pop("layer1.weight")[1, 2] == new.pop("layer1.weight")[1, 2] + 0.5
    for item, there in new.items():
        np.testing.assert_array_equal(old[item], there, strict=True)


def test_a_checkpoint_is_read_with_its_optimizer_and_its_numbers() -> None:
    found = values("checkpoint")
    assert (found["epoch"], found["loss"], found["done"], found["none"]) == (3, 0.25, True, None)
    assert (found["best"], found["name"], found["dtype"]) == (0.5, "run", "torch.bfloat16")
    assert found["device"] == "device cpu"
    np.testing.assert_array_equal(found["history"], [0.5, 0.375, 0.25])
    np.testing.assert_array_equal(found["size"], [2, 2])
    np.testing.assert_array_equal(
        found["model.weight"],
        np.array([[0.5, 0.625], [0.75, 0.875]], np.float32) - np.float32(0.01),
    )
    assert found["optimizer.param_groups[0].lr"] == 0.01
    np.testing.assert_array_equal(found["optimizer.param_groups[0].betas"], [0.9, 0.999])
    assert found["optimizer.state.0.exp_avg"].shape == (2, 2)
    assert found["optimizer.state.1.step"] == 1


def ramp(*shape: int, dtype: str | type[np.generic] = "f4") -> np.ndarray:
    return (np.arange(np.prod(shape), dtype="f4") / 8 + 0.5).reshape(shape).astype(dtype)


def test_tensors_of_every_kind_hold_what_pytorch_says() -> None:
    found, base = values("kinds"), ramp(4, 3)
    expected = {
        "parameter": ramp(2),
        "bfloat16": ramp(3, dtype=ml_dtypes.bfloat16),
        "float16": ramp(3, dtype="f2"),
        "float64": ramp(3, dtype="f8"),
        "float8": ramp(3, dtype=ml_dtypes.float8_e4m3fn),
        "complex": (ramp(2) * (1 + 1j)).astype("c8"),
        "bool": np.array([True, False]),
        "int64": np.array([[1, 2], [3, 4]]),
        "uint16": np.array([1, 65535], "u2"),
        "scalar": np.array(1.5, "f4"),
        "empty": np.empty((0, 3), "f4"),
        "base": base,
        "shared": base[1:3],
        "column": base[:, 1],
        "transposed": base.T,
        "channels_last": ramp(1, 2, 2, 3),
        "every_other": base[::2, ::2],
        "expanded": np.ones((2, 3), "f4"),
        "sparse.indices": np.array([[0, 1], [1, 0]]),
        "sparse.values": np.array([2, 3], "f4"),
        "sparse.size": np.array([2, 2]),
        "array": np.arange(4.0).reshape(2, 2),
        "big_endian": np.arange(3, dtype="i4"),
    }
    for item, there in expected.items():
        np.testing.assert_array_equal(found.pop(item), there, strict=True)
    assert found == {
        "bytes": b"\x00\xff",
        "set": "{1, 2, 3}",
        "sparse.coalesced": True,
        "sparse.layout": "torch.sparse_coo",
    }


def test_a_newer_pickle_protocol_is_read_too() -> None:
    found = values("protocol5")
    np.testing.assert_array_equal(found.pop("w"), ramp(2), strict=True)
    np.testing.assert_array_equal(found.pop("array"), np.arange(3.0), strict=True)
    assert found == {"text": "é", "set": "{1}", "bytes": b"\xff"}


@pytest.mark.parametrize("item", ["column", "transposed", "channels_last", "every_other", "base"])
def test_a_view_is_compared_element_by_element(compare: Compare, item: str) -> None:
    """The same values, stored otherwise: made contiguous in the one file and not in the other."""
    there = values("kinds")[item]
    flat = np.ascontiguousarray(there)
    flat.reshape(-1)[-1] += 1
    strides = [step // 4 for step in flat.strides]
    value = tensor(storage(count=flat.size), size=flat.shape, stride=strides)
    mine = pickled(program(b"}" + text(item) + value + b"s"), _0=flat.tobytes())
    differences = {each.item: each for each in compare("m.pt", mine, data("kinds"))[0]}
    found = differences[item]
    assert (found.verdict, found.differing, found.max_abs) == (Verdict.DRIFT, 1, 1.0)
    assert found.worst_index == tuple(length - 1 for length in flat.shape)


def test_a_changed_number_in_a_checkpoint_is_found_and_can_have_a_rule(compare: Compare) -> None:
    files = members("checkpoint")
    pickle_name = "archive/data.pkl"
    changed = files[pickle_name].replace(struct.pack(">d", 0.25), struct.pack(">d", 0.26), 1)
    assert changed != files[pickle_name]
    sides = archive({**files, pickle_name: changed}), data("checkpoint")
    found = compare("m.pt", *sides)[0]
    assert [each.item for each in found if not each.verdict.passes] == ["loss"]
    found = compare("m.pt", *sides, Tolerance(margin=0.05), item="loss")[0]
    assert all(each.verdict.passes for each in found)


def test_a_big_endian_archive_holds_the_same_values(compare: Compare) -> None:
    swapped = {"a/byteorder": b"big", "a/data/0": np.arange(4, dtype=">f4").tobytes()}
    one = archive({"a/data.pkl": program(tensor(storage())), "a/version": b"3", **swapped})
    (found,) = compare("m.pt", one, GOOD)[0]
    assert found.verdict is Verdict.IDENTICAL


def test_paths_that_are_the_same_are_told_apart(compare: Compare) -> None:
    inner = b"}" + text("b") + number(1) + b"s"
    pairs = text("a.b") + number(2) + text("a") + inner
    one = pickled(program(b"}(" + pairs + b"u"))
    other = pickled(program(b"}(" + pairs.replace(number(1), number(3)) + b"u"))
    found = {each.item: each for each in compare("m.pt", other, one)[0]}
    assert found["a.b (2)"].max_abs == 2


def test_a_whole_module_is_refused_with_its_class_and_what_to_do(only: Only) -> None:
    found = only("m.pt", data("module"), data("state"))
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith(
        "actual run: m.pt holds objects of torch.nn.modules.linear.Linear; only weights are read"
    )
    assert "state_dict()" in found.note


def test_what_holds_objects_is_known_beforehand() -> None:
    sides = {
        each: ComparedFile("reference", each, DATA / f"{each}.pt") for each in ("module", "kinds")
    }
    assert {each: holds_objects(side) for each, side in sides.items()} == {
        "module": True,
        "kinds": False,
    }


def test_what_the_image_found_in_it_is_compared_instead(tmp_path: Path) -> None:
    """With objects in one file at least; and only if both were opened."""
    sides = []
    for number, which in enumerate(("module", "state")):
        folder = tmp_path / which
        folder.mkdir()
        lines = {"n": "bias", "t": "int", "v": number}, {"end": 1}
        (folder / "tree.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        sides.append(Output("m.pt", DATA / f"{which}.pt", 1, opened=folder))
    (found,), _notes = compare_outputs((sides[0],), (sides[1],), ())
    assert (found.item, found.verdict, found.max_abs) == ("bias", Verdict.DRIFT, 1)
    (found,), _notes = compare_outputs((sides[0],), (replace(sides[1], opened=None),), ())
    assert "holds objects of torch.nn.modules.linear.Linear" in found.note


def test_weights_are_read_here_even_if_the_image_opened_them(tmp_path: Path) -> None:
    old, new = (
        Output("m.pt", DATA / f"{which}.pt", 1, opened=tmp_path)
        for which in ("state-moved-legacy", "state")
    )
    assert compare_outputs((old,), (new,), ())[0][0].item == "layer1.weight"


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_in_it_is_run(only: Only, tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "trap"
    found = only("m.pt", pickled(pickle.dumps({"w": Trap(trap)}, protocol)), GOOD)
    assert found.verdict is Verdict.FAILED
    assert "holds objects of io.open" in found.note or "_io.open" in found.note
    assert not trap.exists()


LONG = b"\x8a\xff" + b"\x7f" * 255
DEEP = b"]" * 1000 + b"a" * 999
BOMB = b"]q\x00" + b"".join(
    b"]" + b"(" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1]) for level in range(30)
)
OWN = b"]q\x00h\x00a"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (name("os", "system"), "holds objects of os.system"),
        (name("builtins", "eval") + row(text("1")) + b"R", "holds objects of builtins.eval"),
        (b"\x8c\x02os\x8c\x06system\x93", "holds objects of os.system"),
        (b"cos", "is truncated or damaged"),
        (b"ios\nsystem\n", "INST"),
        (b"\x82\x01", "EXT1"),
        (b"P1\n", "PERSID"),
        (b"h\x07", "asks for memo 7"),
        (b"r\xff\xff\xff\xff", "is truncated or damaged"),
        (b"0", "is truncated or damaged"),
        (b"t", "is truncated or damaged"),
        (b"K\x01(R", "takes values from below its mark"),
        (b"K\x01K\x02R", "calls something that is no function"),
        (b"K\x01K\x02b", "gives a state to int"),
        (b"K\x01K\x02a", "appends to int"),
        (b"]K\x01K\x02s", "sets items in list"),
        (b"}(K\x01u", "sets items in Table"),
        (b"K\x01K\x02\x93", "names a class by something that is no text"),
        (b"\x8b\xff\xff\xff\x7f", "is truncated or damaged"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f", "is truncated or damaged"),
        (b"X\xff\xff\xff\xff", "is truncated or damaged"),
        (b"I" + b"9" * 5000, "is truncated or damaged"),
        (b"\x8b" + struct.pack("<i", 2000) + b"\x7f" * 2000, "a number of 15999 bits"),
        (DEEP, "values that hold themselves"),
        (OWN, "values that hold themselves"),
        (b"}" + DEEP + b"Ns", "keys are no text and no numbers"),
        (b"K\x01Q", "refers to something outside"),
        (row(text("module"), text("x")) + b"Q", "refers to something outside"),
        (storage("../../etc/passwd"), "which is not there"),
        (storage("9"), "refers to a storage '9', which is not there"),
        (storage(count=5), "is truncated: storage '0' has 16 bytes, 20 are promised"),
        (storage(count=-1), "without a key and a size"),
        (storage(kind="QInt8Storage"), "holds objects of torch.QInt8Storage"),
        (tensor(storage(), size=(5,)), "that ends at element 4 of the storage '0', which has 4"),
        (tensor(storage(), offset=1), "that ends at element 4"),
        (tensor(storage(), stride=(2,)), "that ends at element 6"),
        (tensor(storage(), stride=(-1,)), "size, stride or offset is (-1,)"),
        (tensor(storage(), offset=-1), "size, stride or offset is (-1,)"),
        (tensor(storage(), size=(-4,)), "size, stride or offset is (-4,)"),
        (tensor(storage(), size=(2**61,), stride=(2**61,)), "that ends at element"),
        (tensor(storage(), size=(10**15,), stride=(0,)), "of a storage with 4 elements"),
        (tensor(storage(), size=(2, 2), stride=(1,)), "too few strides"),
        (tensor(storage(), size=(1,) * 40, stride=(1,) * 40), "has 40 dimensions"),
        (tensor(b"N"), "without a storage"),
        (tensor(storage(), more=b"}" + text("conj") + b"\x88s"), "resolve_conj()"),
        (name("torch._utils", "_rebuild_tensor_v2") + b")R", "with too few arguments"),
        (name("torch", "Size") + b")R", "with too few arguments"),
        (name("torch.nn.parameter", "Parameter") + b")R", "torch.nn.parameter.Parameter"),
        (name("collections", "OrderedDict") + row(b"K\x01") + b"R", "OrderedDict that is none"),
        (name("numpy", "dtype") + row(text("O8")) + b"R", "holds a numpy.dtype that is none"),
    ],
)  # fmt: skip
def test_a_pickle_that_lies_or_attacks_fails_and_says_why(
    only: Only, value: bytes, reason: str
) -> None:
    found = only("m.pt", pickled(program(value), _0=FOUR), GOOD)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: m.pt ")
    assert reason in found.note
    assert "raised" not in found.note
    assert len(found.note) < 1000


def test_values_that_are_shared_so_often_that_there_is_no_end_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(pickled(program(BOMB)))
    saved = read_archive(ComparedFile("reference", "m.pt", path), KNOWN)
    with pytest.raises(BrokenPickleError, match="holds too many values"):
        leaves(saved, most_items=5000)


def scalar(code: str, raw: bytes, order: str = "<") -> bytes:
    state = row(number(3), text(order), b"N", b"N", b"N", number(0), number(0), number(0))
    described = name("numpy", "dtype") + row(text(code), b"\x89", b"\x88") + b"R" + state + b"b"
    content = b"C" + bytes([len(raw)]) + raw
    return name("numpy.core.multiarray", "scalar") + row(described, content) + b"R"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (scalar("O8", bytes(8)), "of dtype 'O8', which is not read"),
        (scalar("f8", bytes(7)), "of 7 bytes, which"),
        (scalar("f8", bytes(8), "x"), "of unknown byte order"),
        (scalar("f7", bytes(7)), "holds a NumPy array that is none"),
        (scalar("i4)x", bytes(4)), "which is not read"),
    ],
)
def test_numpy_values_that_lie_fail(only: Only, value: bytes, reason: str) -> None:
    found = only("m.pt", pickled(program(value)), GOOD)
    assert found.verdict is Verdict.FAILED
    assert reason in found.note


def test_many_tensors_of_one_storage_cannot_keep_it_busy(only: Only) -> None:
    big = np.zeros(1 << 20, "f4")
    each = tensor(b"h\x01", size=(1 << 20,))
    value = storage(count=1 << 20) + b"q\x010](" + each * 2000 + b"e"
    found = only("m.pt", pickled(program(value), _0=big.tobytes()), GOOD)
    assert found.verdict is Verdict.FAILED
    assert "many times what is in the file" in found.note


def test_a_compressed_storage_is_refused(only: Only) -> None:
    files = {"a/data.pkl": program(tensor(storage())), "a/version": b"3", "a/data/0": FOUR}
    found = only("m.pt", archive(files, zipfile.ZIP_DEFLATED), GOOD)
    assert "compressed or encrypted member" in found.note


def test_a_flipped_bit_in_a_storage_is_a_damaged_file(compare: Compare) -> None:
    place = GOOD.index(FOUR)
    broken = GOOD[:place] + b"\1" + GOOD[place + 1 :]
    (found,) = compare("m.pt", broken, GOOD)[0]
    assert found.verdict is Verdict.FAILED
    assert found.note == "actual run: m.pt storage '0' is damaged (its checksum differs)"


@pytest.mark.parametrize("which", ["state", "state-moved-legacy", "protocol5"])
def test_truncated_anywhere_it_fails(compare: Compare, which: str) -> None:
    whole = data(which)
    for length in range(0, len(whole), 13 if which == "state" else 5):
        found = compare("m.pt", whole[:length], whole)[0]
        assert not all(each.verdict.passes for each in found), length
        assert not any("raised" in each.note for each in found), (length, found)


def test_an_escape_that_is_none_is_no_crash(compare: Compare) -> None:
    """Python warns of it, which is an error where a project has it so."""
    whole = data("state-moved-legacy")
    broken = whole[:192] + b"\\" + whole[193:]
    (found,) = compare("m.pt", broken, whole)[0]
    assert found.verdict is Verdict.FAILED
    assert "raised" not in found.note


@pytest.mark.parametrize("which", ["state", "state-moved-legacy", "protocol5"])
@settings(max_examples=50)
@given(drawn=st.data())
def test_changed_bytes_never_crash(compare: Compare, which: str, drawn: st.DataObject) -> None:
    whole = bytearray(data(which))
    for _ in range(drawn.draw(st.integers(1, 3))):
        whole[drawn.draw(st.integers(0, len(whole) - 1))] = drawn.draw(st.integers(0, 255))
    found = compare("m.pt", bytes(whole), data(which))[0]
    assert not any("raised" in each.note for each in found), found


@given(program=st.binary(max_size=60))
def test_any_bytes_as_a_pickle_are_refused_or_read(compare: Compare, program: bytes) -> None:
    found = compare("m.pt", pickled(b"\x80\x02" + program + b"."), GOOD)[0]
    assert not any("raised" in each.note for each in found), found


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.integers(2, 5),
)
def test_plain_values_are_read_whatever_the_protocol(
    compare: Compare,
    value: str | list[object] | dict[str, object] | None,
    protocol: int,
) -> None:
    sides = pickled(pickle.dumps(value, protocol)), pickled(pickle.dumps(value, 2) + b"")
    found = compare("m.pt", *sides)[0]
    assert all(each.verdict is Verdict.IDENTICAL for each in found), found


def test_an_archive_of_another_kind_under_the_name_is_no_pytorch_file(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(archive({"x.txt": b"x"}))
    with pytest.raises(UnreadableError, match="save did not write"):
        read_archive(ComparedFile("reference", "m.pt", path), KNOWN)
