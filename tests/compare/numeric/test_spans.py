"""Large arrays are read from any place of their file, and damage shows there as elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.model import Difference, Output, Verdict

SIZE = 9_000_000  # float32: more than what is read by one thread


def write(path: Path, values: np.ndarray) -> None:
    """As npy, npz or safetensors, by the name."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, w=values)
    else:
        header = b'{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}'
        text = header % (SIZE, SIZE * 4)
        path.write_bytes(struct.pack("<Q", len(text)) + text + values.tobytes())


Sides = Callable[[str], list[Path]]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    def make(name: str) -> list[Path]:
        expected = np.resize(np.linspace(-1, 1, 99_991, dtype="f4"), SIZE)
        actual = expected * np.float32(1 + 1e-6)
        actual[7_654_321] += 0.5
        paths = []
        for side, values in (("actual", actual), ("expected", expected)):
            path = tmp_path / side / name
            path.parent.mkdir()
            write(path, values)
            paths.append(path)
        return paths

    return make


def compared(paths: list[Path], name: str) -> tuple[Difference, ...]:
    outputs = [(Output(name, path, path.stat().st_size),) for path in paths]
    return compare_outputs(outputs[0], outputs[1], ())[0]


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.safetensors"])
def test_one_element_is_found_where_it_is(sides: Sides, name: str) -> None:
    (found,) = compared(sides(name), name)
    assert found.verdict is Verdict.DRIFT
    assert found.worst_index == (7_654_321,)
    assert (found.beyond, found.size) == (1, SIZE)


def test_a_flipped_bit_in_an_npz_is_damage_and_no_drift(sides: Sides) -> None:
    paths = sides("w.npz")
    with paths[0].open("r+b") as file:
        file.seek(SIZE * 2)
        byte = file.read(1)
        file.seek(SIZE * 2)
        file.write(bytes([byte[0] ^ 1]))
    (found,) = compared(paths, "w.npz")
    assert found.verdict is Verdict.FAILED
    assert "damaged" in found.note
