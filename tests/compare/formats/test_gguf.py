"""GGUF: tensors as the numbers that a runtime makes of them, and the metadata."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats.gguf_file import FORMAT
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, OnlyHere

WEIGHTS = np.sin(np.arange(1024.0)).reshape(16, 64).astype("f4")
KINDS = gguf.GGMLQuantizationType


def model(
    data: Any = WEIGHTS,
    kind: Any = None,
    name: str = "blk.0.w",
    big: bool = False,
    alignment: int = 32,
    **metadata: Any,
) -> bytes:
    endian = gguf.GGUFEndian.BIG if big else gguf.GGUFEndian.LITTLE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gguf")
        writer: Any = gguf.GGUFWriter(path, "llama", endianess=endian)
        writer.add_custom_alignment(alignment)
        writer.add_token_list(["a", "b", "c"])
        for key, value in {"lr": 0.5, **metadata}.items():
            write = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}
            write.get(type(value), writer.add_array)(f"general.{key}", value)
        if kind is None:
            writer.add_tensor(name, data.copy())  # which swaps the bytes in place
        else:
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        ({"data": np.nextafter(WEIGHTS, np.float32(9))}, {}, []),
        ({"data": WEIGHTS * np.float32(1.01)}, {}, ["blk.0.w"]),
        ({"data": WEIGHTS[:8]}, {}, ["blk.0.w"]),
        ({"data": WEIGHTS.astype("f2")}, {}, ["blk.0.w"]),
        ({"name": "blk.0.v"}, {}, ["blk.0.v", "blk.0.w"]),
        ({"lr": float(np.nextafter(np.float32(0.5), np.float32(1)))}, {}, []),
        ({"lr": 0.25}, {}, ["metadata.general.lr"]),
        ({"size": 512}, {"size": 1024}, ["metadata.general.size"]),
        ({"stop": ["a", "b"]}, {"stop": ["a", "c"]}, ["metadata.general.stop"]),
        ({"url": "x"}, {"url": "y"}, []),
        ({"alignment": 64}, {"alignment": 128}, []),
        ({"big": True}, {}, []),
        ({"kind": KINDS.BF16, "data": WEIGHTS * np.float32(1.004)}, {"kind": KINDS.BF16}, []),
        ({"kind": KINDS.Q8_0, "data": WEIGHTS * 2}, {"kind": KINDS.Q8_0}, ["blk.0.w"]),
        ({"kind": KINDS.Q4_0}, {"kind": KINDS.Q8_0}, ["blk.0.w", "blk.0.w@type"]),
        ({"kind": KINDS.Q8_0}, {}, ["blk.0.w", "blk.0.w@type"]),
    ],
)  # fmt: skip
def test_tensors_and_metadata_are_compared_by_value(
    compare: Compare, actual: dict[str, Any], expected: dict[str, Any], items: list[str]
) -> None:
    # What is changed in the metadata makes the bytes others, so that tensors are looked into.
    sides = model(**actual, url="u") if "url" not in actual else model(**actual), model(**expected)
    differences, _notes = compare("a.gguf", *sides)
    assert sorted(each.item for each in differences if not each.verdict.passes) == items


def test_quantised_numbers_are_those_that_a_runtime_has(compare: Compare) -> None:
    sides = model(WEIGHTS * 2, KINDS.Q8_0), model(kind=KINDS.Q8_0)
    differences, _notes = compare("a.gguf", *sides)
    (found,) = (each for each in differences if each.item == "blk.0.w")
    assert found.size == WEIGHTS.size
    assert found.max_abs == pytest.approx(1, abs=0.02)
    again, _notes = compare("a.gguf", *sides, Tolerance(atol=1.1), item="blk.0.w")
    assert verdict_of(again) is Verdict.EQUIVALENT


@pytest.mark.parametrize("kind", [None, KINDS.Q8_0, KINDS.Q4_0])
def test_tensors_are_read_in_blocks(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(model(kind=kind))
    assert FORMAT.arrays is not None
    with FORMAT.arrays(ComparedFile(ACTUAL, "a.gguf", path)) as arrays:
        array = dict(arrays)["blk.0.w"]()
        assert [len(block) for block in array.blocks(300)] == [300, 300, 300, 124]
        np.testing.assert_allclose(array.values(), WEIGHTS, atol=0.15)


def test_damaged_files_fail_by_themselves(compare: Compare) -> None:
    whole, dice = model(), random.Random(5)
    for end in (4, 30, 150, len(whole) - 40):
        differences, _notes = compare("a.gguf", whole[:end], whole)
        assert verdict_of(differences) is Verdict.FAILED
        assert differences[0].note.startswith("actual run: a.gguf cannot be read as GGUF")
    for _number in range(40):
        damaged = bytearray(whole)
        damaged[dice.randrange(24, 250)] = dice.randrange(128)
        differences, _notes = compare("a.gguf", bytes(damaged), whole)
        assert not any("raised" in each.note for each in differences)


def test_without_the_library_it_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    found = only_here("a.gguf", model(lr=0.25), model())
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[gguf]'" in found.note
