"""MessagePack: values as those of JSON, arrays of Flax's checkpoints by their dtype."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats.msgpack_file import FORMAT
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile
from pytest_mlcontainer.model import Verdict
from tests.fixture_types import Compare

DATA = Path(__file__).parents[2] / "data"  # written by flax 0.12
STATE = {"epoch": 3, "loss": 0.25, "names": ["a", "b"], "curve": [0.5, 0.25, 0.125]}
KERNEL = np.arange(12, dtype="f4").reshape(3, 4) / 8
NOW = datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, default=_flax, datetime=True)
    return packed


def _flax(value: Any) -> Any:
    array = np.asarray(value)
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes("C"))))


def drifting(
    compare: Compare, actual: bytes, expected: bytes, name: str = "a.msgpack"
) -> list[str]:
    differences, _notes = compare(name, actual, expected)
    return sorted(each.item for each in differences if not each.verdict.passes)


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        (dict(reversed(STATE.items())), STATE, []),
        ({**STATE, "loss": 0.1 + 0.2}, {**STATE, "loss": 0.3}, []),
        ({**STATE, "loss": 0.26}, STATE, ["loss"]),
        ({**STATE, "loss": math.nan}, STATE, ["loss"]),
        ({**STATE, "curve": [0.5, 0.25]}, STATE, ["curve"]),
        ({"id": 2**63 + 1}, {"id": 2**63 + 2}, ["id"]),
        ({"raw": b"\0\1"}, {"raw": b"\0\2"}, ["raw"]),
        # As numbers in hexadecimal text these two would be nothing and nothing.
        ({"raw": b"\x00\xe1"}, {"raw": b"\x00\xe2"}, ["raw"]),
        ({"raw": b"ab"}, {"raw": "ab"}, ["raw", "raw"]),
        ([b"a", 1.0], [b"b", 1.0], ["[0]"]),
        ({1: 0.5}, {1: 0.75}, ["1"]),
        ({1: 0.5}, {"1": 0.5}, [""]),
        ({"t": NOW}, {"t": NOW.replace(minute=9)}, ["t"]),
        ({"e": msgpack.ExtType(9, b"a")}, {"e": msgpack.ExtType(8, b"a")}, ["e"]),
        ({"e": msgpack.ExtType(9, b"a")}, {"e": msgpack.ExtType(9, b"b")}, ["e"]),
        # Something else than Flax may use its numbers.
        ({"e": msgpack.ExtType(1, b"a")}, {"e": msgpack.ExtType(1, b"b")}, ["e"]),
        ({"w": KERNEL * (1 + 2**-22)}, {"w": KERNEL}, []),
        ({"w": KERNEL + 1}, {"w": KERNEL}, ["w"]),
        ({"w": KERNEL[:2]}, {"w": KERNEL}, ["w"]),
        ({"w": KERNEL.astype("f8")}, {"w": KERNEL}, ["w"]),
        ({"v": KERNEL}, {"w": KERNEL}, ["v", "w"]),
        ({"l": [KERNEL, 1]}, {"l": [KERNEL + 1, 1]}, ["l[0]"]),
        ({"big": b"\0" * (1 << 21)}, {"big": b"\0" * ((1 << 21) - 1) + b"\1"}, ["big"]),
    ],
)  # fmt: skip
def test_values_are_compared_as_those_of_json_and_arrays_by_dtype(
    compare: Compare, actual: Any, expected: Any, items: list[str]
) -> None:
    assert drifting(compare, pack(actual), pack(expected)) == items


def test_values_one_after_another_are_a_list(compare: Compare) -> None:
    sides = pack({"loss": 1.0}) + pack({"loss": 2.5}), pack({"loss": 1.0}) + pack({"loss": 2.0})
    assert drifting(compare, *sides) == ["[1].loss"]
    assert drifting(compare, sides[1], sides[1] + sides[1]) == [""]


@pytest.mark.parametrize("name", ["flax.msgpack", "flax-chunked.msgpack"])
def test_checkpoints_of_flax_are_compared_by_array(compare: Compare, name: str) -> None:
    whole, other = DATA.joinpath("flax.msgpack").read_bytes(), DATA.joinpath(name).read_bytes()
    assert drifting(compare, other, whole) == []
    at = other.index(np.float32(1.375).tobytes())  # the last weight
    moved = other[:at] + np.float32(1.5).tobytes() + other[at + 4 :]
    assert drifting(compare, moved, whole) == ["params.kernel"]
    noisy = other[:at] + np.nextafter(np.float32(1.375), np.float32(2)).tobytes() + other[at + 4 :]
    differences, _notes = compare("a.msgpack", noisy, whole)
    assert verdict_of(differences) is Verdict.EQUIVALENT


def test_a_checkpoint_is_known_without_its_suffix(compare: Compare) -> None:
    sides = pack({"params": {"w": KERNEL + 1}}), pack({"params": {"w": KERNEL}})
    assert drifting(compare, *sides, name="checkpoint_3") == ["params.w"]
    # What merely begins so is no checkpoint.
    assert drifting(compare, sides[0] + b"\xc1", sides[1] + b"\xc1", name="weights") == [""]


@pytest.mark.parametrize("name", ["flax.msgpack", "flax-chunked.msgpack"])
def test_arrays_are_read_in_blocks(name: str) -> None:
    assert FORMAT.arrays is not None
    with FORMAT.arrays(ComparedFile(ACTUAL, name, DATA / name)) as arrays:
        array = dict(arrays)["params.kernel"]()
        assert [len(block) for block in array.blocks(5)] == [5, 5, 2]
        np.testing.assert_array_equal(array.values(), KERNEL)


@pytest.mark.parametrize(
    "broken",
    [
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion values
        b"\xdf\xff\xff\xff\xff\x01",
        b"\xc6\xff\xff\xff\xff\x01",
        b"\xdb\xff\xff\xff\xff\x01",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 5000,
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x81\x90\x01",
        b"\xc1",
        b"",
    ],
)
def test_what_lies_about_itself_fails_by_itself(compare: Compare, broken: bytes) -> None:
    differences, _notes = compare("a.msgpack", broken, pack(STATE))
    assert verdict_of(differences) is Verdict.FAILED
    assert differences[0].note.startswith("actual run: a.msgpack is ")


def test_damaged_files_raise_nothing_else(compare: Compare) -> None:
    dice = random.Random(7)
    for whole in (pack({**STATE, "w": KERNEL, "t": NOW}), (DATA / "flax.msgpack").read_bytes()):
        for _number in range(150):
            damaged = bytearray(whole)
            for _byte in range(dice.choice((1, 3, 9))):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            end = dice.choice((len(whole), dice.randrange(1, len(whole))))
            differences, _notes = compare("a.msgpack", bytes(damaged[:end]), whole)
            assert not any("raised" in each.note for each in differences)
