"""Drift beside large values, which could hide it, is refused in whatever format it was written.

The cases are those of `python -m benchmarks.noise`. One kind is left out: where all small values
among large ones drift by about the noise of the large ones, two arrays alone cannot tell.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.noise.hidden import Hidden, cases
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.model import Output, Verdict

AMBIGUOUS = "clusters, all small ones"
Write = Callable[[Path, Any], None]


@cache
def all_cases() -> tuple[Hidden, ...]:
    return tuple(each for each in cases() if each.kind != AMBIGUOUS)


def sample(each_nth: int) -> list[Hidden]:
    """The first of each kind and dtype, and every n-th after it, the same ones every time."""

    def group(case: Hidden) -> tuple[str, str]:
        return case.kind, case.expected.dtype.name

    ordered = sorted(all_cases(), key=group)
    return [case for _, members in groupby(ordered, group) for case in list(members)[::each_nth]]


def verdicts(folder: Path, name: str, write: Write, case: Hidden) -> set[Verdict]:
    sides = []
    for side in ("actual", "expected"):
        path = folder / side / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        write(path, getattr(case, side))
        sides.append((Output(name, path, path.stat().st_size),))
    differences, _ = compare_outputs(sides[0], sides[1], ())
    return {each.verdict for each in differences}


def missed(folder: Path, name: str, write: Write, members: list[Hidden]) -> list[str]:
    """Names of the cases that do not drift; failing to read them would be another thing."""
    return [
        case.name for case in members if Verdict.DRIFT not in verdicts(folder, name, write, case)
    ]


def write_npy(path: Path, values: Any) -> None:
    np.save(path, values)


def write_npz(path: Path, values: Any) -> None:
    np.savez(path, before=np.arange(3), values=values)


def write_compressed_npz(path: Path, values: Any) -> None:
    np.savez_compressed(path, values=values)


def write_safetensors(path: Path, values: Any) -> None:
    code = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
    data = np.ascontiguousarray(values).tobytes()
    entry = {
        "dtype": code[values.dtype.name],
        "shape": values.shape,
        "data_offsets": (0, len(data)),
    }
    header = json.dumps({"values": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def write_hdf5(path: Path, values: Any) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = values


def write_torch(path: Path, values: Any) -> None:
    """As torch.save writes a tensor: a pickle that names a storage, and the storage beside it."""
    dtype = {"float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double"}
    strides = tuple(
        stride // values.itemsize for stride in np.zeros_like(values, order="C").strides
    )
    program = _tensor_program(f"{dtype[values.dtype.name]}Storage", values.shape, strides)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", np.ascontiguousarray(values).tobytes())
        archive.writestr("archive/version", "3\n")


def _tensor_program(storage: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little") for value in values) + b"t"

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    count = int(np.prod(shape))
    return b"".join(
        [
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((",
            text("storage"),
            f"ctorch\n{storage}\n".encode(),
            text("0"),
            text("cpu"),
            b"J" + count.to_bytes(4, "little"),
            b"tQK\x00",
            numbers(shape),
            numbers(strides),
            b"\x89ccollections\nOrderedDict\n)RtR.",
        ]
    )


def _columns(values: Any) -> list[Any]:
    """The array as columns of a table: its last axis; of images, their channels."""
    if values.ndim == 4:
        values = np.moveaxis(values, 1, -1)
    flat = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    return [np.ascontiguousarray(column) for column in flat.T]


def _table(values: Any) -> pa.Table:
    columns = _columns(values)
    return pa.table({f"c{number}": pa.array(column) for number, column in enumerate(columns)})


def write_parquet(path: Path, values: Any) -> None:
    pq.write_table(_table(values), path)


def write_arrow(path: Path, values: Any) -> None:
    table = _table(values)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_nested_parquet(path: Path, values: Any) -> None:
    """As frames hold embeddings: one column of lists."""
    rows = values.reshape(len(values), -1)
    offsets = np.arange(0, rows.size + 1, rows.shape[1]).astype(np.int32)
    pq.write_table(
        pa.table({"e": pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)))}),
        path,
    )


def write_csv(
    path: Path, values: Any, number: Callable[[Any], str] = lambda each: repr(float(each))
) -> None:
    columns = _columns(values)
    lines = [",".join(f"c{at}" for at in range(len(columns)))]
    lines += [",".join(map(number, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def write_short_csv(path: Path, values: Any) -> None:
    """As NumPy and pandas print float32: no more digits than tell it from its neighbours."""
    write_csv(path, values, str)


def write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps({"values": values.astype(np.float64).tolist()}))


def write_short_json(path: Path, values: Any) -> None:
    """As orjson writes float32: no more digits than tell it from its neighbours."""
    shortest = np.array([float(str(each)) for each in values.reshape(-1)]).reshape(values.shape)
    path.write_text(json.dumps(shortest.tolist()))


def write_records(path: Path, values: Any) -> None:
    names = [f"c{at}" for at in range(len(_columns(values)))]
    rows = zip(*(column.tolist() for column in _columns(values)), strict=True)
    path.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))


def write_jsonl(path: Path, values: Any) -> None:
    rows = values.astype(np.float64).reshape(len(values), -1).tolist()
    path.write_text("".join(json.dumps({"row": row}) + "\n" for row in rows))


def write_sqlite(path: Path, values: Any) -> None:
    columns = _columns(values)
    names = ", ".join(f"c{at} REAL" for at in range(len(columns)))
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE t ({names})")
        places = ", ".join("?" * len(columns))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        connection.executemany(f"INSERT INTO t VALUES ({places})", rows)
    connection.close()


BINARY: dict[str, Write] = {
    "a.npz": write_npz,
    "compressed.npz": write_compressed_npz,
    "a.safetensors": write_safetensors,
    "a.h5": write_hdf5,
    "a.pt": write_torch,
    "a.parquet": write_parquet,
    "nested.parquet": write_nested_parquet,
    "a.arrow": write_arrow,
}
TEXT: dict[str, Write] = {
    "a.csv": write_csv,
    "short.csv": write_short_csv,
    "a.json": write_json,
    "short.json": write_short_json,
    "records.json": write_records,
    "a.jsonl": write_jsonl,
    "a.sqlite": write_sqlite,
}


def holds(name: str, case: Hidden) -> bool:
    """Whether a file of this name can hold the case."""
    dtype = case.expected.dtype.name
    if name in TEXT:
        finite = bool(np.isfinite(case.expected).all())
        columns = case.expected.shape[-1] if case.expected.ndim > 1 else 1
        return dtype in ("float32", "float64") and (
            finite if name != "a.csv" and name != "short.csv" else columns <= 1000
        )
    return dtype != "bfloat16" or name.endswith((".npz", ".safetensors", ".pt"))


def test_no_hidden_drift_passes_in_an_npy(tmp_path: Path) -> None:
    """All cases, where nothing but the array stands in the file."""
    members = list(all_cases())
    assert len(members) > 2000
    assert not missed(tmp_path, "a.npy", write_npy, members)


@pytest.mark.parametrize("name", [*BINARY, *TEXT])
def test_no_hidden_drift_passes_in_any_other_format(tmp_path: Path, name: str) -> None:
    """Each kind and dtype that the format can hold, among other values or as columns."""
    members = [case for case in sample(24) if holds(name, case)]
    assert len({case.kind for case in members}) > 8
    assert not missed(tmp_path, name, {**BINARY, **TEXT}[name], members)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_the_set_is_no_noise(kind: str) -> None:
    """Every case has an element that is off by more than half of what its name says."""
    for case in sample(24):
        if case.expected.dtype.name == kind:
            left, right = (side.astype(np.float64) for side in (case.actual, case.expected))
            with np.errstate(all="ignore"):
                assert np.nanmax(np.abs(left / right - 1)) >= case.drifted * 0.99, case.name


@pytest.mark.parametrize(("name", "write"), [("p.npy", write_npy), ("p.parquet", write_parquet)])
def test_one_large_prediction_hides_no_other(tmp_path: Path, name: str, write: Write) -> None:
    """One prediction of 1,250,000 among probabilities, of which another moves from 0.5 to 1.9."""
    expected = np.random.default_rng(7).random(4000).astype(np.float32)
    expected[17], expected[900] = 1_250_000, 0.5
    actual = expected.copy()
    actual[900] = 1.9
    case = Hidden("predictions", name, actual, expected, 2.8)
    assert verdicts(tmp_path, name, write, case) == {Verdict.DRIFT}


@pytest.mark.parametrize("as_columns", [False, True])
def test_a_time_beside_a_loss_hides_none_of_it(compare: Any, as_columns: bool) -> None:
    """A history keeps a time in ms and a loss for each step; the loss moves in its third digit."""

    def history(loss: float, late: int) -> Any:
        steps = [[1_795_863_600_123 + late, loss], [1_795_863_601_123 + late, 0.5]]
        if as_columns:
            return {"history": [{"at": at + 0.25, "loss": value} for at, value in steps]}
        return {"history": steps}

    differences, _ = compare("history.json", history(0.6981, 0), history(0.6931, 0))
    assert Verdict.DRIFT in {each.verdict for each in differences}
    differences, _ = compare("history.json", history(0.6931, 0), history(0.6931, 0))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
