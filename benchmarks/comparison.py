"""What comparing costs: large equal files, large arrays that differ, many small files.

Each way runs in a fresh Python, because what a first gigabyte costs depends on the memory that the
process has already, and because peak memory can only be told apart that way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Figure, in_turns, ratio, timed

NAME = "compare"
ROUNDS = 3
LARGE_BYTES = int(os.environ.get("BENCH_BYTES", 10**9))
SMALL_FILES = 10_000
_MEMORY_MIB = 64
_READ_IN_PLACE = 1 / 50  # by several threads, from any place of the file
_BARS = {"parquet": 1 / 8}  # decoded by another library first
_WRITTEN_AT_ONCE = 1 << 22

# Prints the seconds of the comparison, and the peak above an interpreter with the readers loaded.
_OURS = """
import json, sys, time
import numpy
if sys.argv[3].endswith(".parquet"):
    import pyarrow.parquet
from pathlib import Path
from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.model import Output
def peak(pid="self"):  # of this program alone: getrusage counts what its parent had, too
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
def readers():  # processes apart, which have the same loaded
    tasks = Path("/proc/self/task").glob("*/children")
    return [pid for task in tasks for pid in task.read_text().split()]
before = peak()
sides = [
    tuple(Output(p.name, p, p.stat().st_size) for p in sorted(Path(folder).glob(sys.argv[3])))
    for folder in sys.argv[1:3]
]
started = time.perf_counter()
differences, notes = compare_outputs(*sides, ())
seconds = time.perf_counter() - started
highest = max([peak(), *map(peak, readers())]) - before
print(json.dumps([seconds, highest, len(differences), verdict_of(differences).value]))
"""
_ASSERT_ALLCLOSE = """
import json, sys, time
import numpy
folders, name, given = sys.argv[1:3], sys.argv[3], json.loads(sys.argv[4])
def read(path):
    if name.endswith(".npy"):
        return numpy.load(path)
    if name.endswith(".npz"):
        return numpy.load(path)["w"]
    if name.endswith(".parquet"):
        return pyarrow.parquet.read_table(path)["w"].to_numpy()
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        file.seek(size, 1)
        return numpy.fromfile(file, "<f4")
if name.endswith(".parquet"):
    import pyarrow.parquet
started = time.perf_counter()
try:
    numpy.testing.assert_allclose(*(read(f"{folder}/{name}") for folder in folders), **given)
except AssertionError as error:
    assert not given and "Max relative difference" in str(error)
print(json.dumps([time.perf_counter() - started]))
"""
_READING = """
import json, sys, time
from pathlib import Path
files = [p for folder in sys.argv[1:3] for p in sorted(Path(folder).glob(sys.argv[3]))]
started = time.perf_counter()
for file in files:
    file.read_bytes()
print(json.dumps([time.perf_counter() - started]))
"""


def figures(rounds: int) -> Iterator[Figure]:
    """Equal files against `cmp`, arrays against `assert_allclose`, small files against reading."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as name:
        folders = Path(name, "actual"), Path(name, "expected")
        for folder in folders:
            folder.mkdir()
        yield _equal(folders, rounds)
        for write in (_npy, _npz, _safetensors, _parquet):
            yield from _differing(folders, write, rounds)
        yield _small(folders, rounds)


def _equal(folders: tuple[Path, Path], rounds: int) -> Figure:
    _npy(folders, noise=0)
    ways = {
        "ours": lambda: _seconds(_OURS, folders, "w.npy", verdict="identical"),
        "cmp": timed(lambda: subprocess.run(["cmp", *(f / "w.npy" for f in folders)], check=True)),
    }
    taken = in_turns(ways, rounds)
    _remove(folders, "w.npy")
    return ratio(NAME, f"equal files of {_size()} / cmp", taken, "ours", "cmp", 1 / 0.8)


def _differing(
    folders: tuple[Path, Path], write: Callable[..., str], rounds: int
) -> Iterator[Figure]:
    name = write(folders, noise=1e-6)
    peaks: list[float] = []
    ways = {
        "ours": lambda: _seconds(_OURS, folders, name, peaks, verdict="drift"),
        "assert_allclose": lambda: _seconds(_ASSERT_ALLCLOSE, folders, name, given={}),
        "passing": lambda: _seconds(_ASSERT_ALLCLOSE, folders, name, given={"atol": 1}),
    }
    taken = in_turns(ways, rounds)
    _remove(folders, name)
    kind = name.partition(".")[2]
    what = f"{kind} of {_size()} / assert_allclose"
    yield ratio(NAME, what, taken, "ours", "assert_allclose", _BARS.get(kind, _READ_IN_PLACE))
    # With a tolerance that passes it measures nothing: for the reader, held only to be faster.
    yield ratio(NAME, f"{what}, passing", taken, "ours", "passing", 1.0)
    yield Figure(NAME, f"{kind}: peak memory", max(peaks), _MEMORY_MIB, "MiB", "above the readers")


def _small(folders: tuple[Path, Path], rounds: int) -> Figure:
    for folder in folders:
        for number in range(SMALL_FILES):
            text = json.dumps({"step": number, "loss": number * 0.1})
            (folder / f"{number:05}.json").write_text(text)
    ways = {
        "ours": lambda: _seconds(_OURS, folders, "*.json", verdict="identical"),
        "reading": lambda: _seconds(_READING, folders, "*.json"),
    }
    taken = in_turns(ways, max(rounds, 7))
    return ratio(NAME, f"{SMALL_FILES} small outputs / reading them", taken, "ours", "reading", 2.0)


def _seconds(
    program: str,
    folders: tuple[Path, Path],
    name: str,
    peaks: list[float] | None = None,
    verdict: str | None = None,
    given: dict[str, float] | None = None,
) -> float:
    words: list[str | Path] = [sys.executable, "-c", program, *folders, name, json.dumps(given)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: list[Any] = json.loads(done.stdout)
    if verdict is not None and found[3] != verdict:
        raise RuntimeError(f"comparing {name} gave {found[3]}, expected {verdict}")
    if peaks is not None:
        peaks.append(found[1])
    return float(found[0])


def _size() -> str:
    return f"{LARGE_BYTES / 1e9:g} GB"


def _remove(folders: tuple[Path, Path], name: str) -> None:
    for folder in folders:
        (folder / name).unlink()


def _blocks(side: int, noise: float) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Normal weights; on the first side every one of them a little off, and one in all far off."""
    rng = np.random.default_rng(0)
    left = LARGE_BYTES // 4
    while left:
        count = min(left, _WRITTEN_AT_ONCE)
        block = rng.standard_normal(count, dtype=np.float32)
        off = rng.standard_normal(count, dtype=np.float32)
        if side == 0 and noise:
            block *= 1 + np.float32(noise) * off
            block[count // 2] += 0.01 if left == count else 0
        yield block
        left -= count


def _npy(folders: tuple[Path, Path], noise: float) -> str:
    for side, folder in enumerate(folders):
        with (folder / "w.npy").open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (LARGE_BYTES // 4,)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in _blocks(side, noise):
                block.tofile(file)
    return "w.npy"


def _npz(folders: tuple[Path, Path], noise: float) -> str:
    _npy(folders, noise)
    for folder in folders:
        np.savez(folder / "w.npz", w=np.load(folder / "w.npy", mmap_mode="r"))
    _remove(folders, "w.npy")
    return "w.npz"


def _safetensors(folders: tuple[Path, Path], noise: float) -> str:
    size = LARGE_BYTES // 4 * 4
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    for side, folder in enumerate(folders):
        with (folder / "w.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header.encode())
            for block in _blocks(side, noise):
                block.tofile(file)
    return "w.safetensors"


def _parquet(folders: tuple[Path, Path], noise: float) -> str:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("w", pyarrow.float32())])
    for side, folder in enumerate(folders):
        file = folder / "w.parquet"
        with pyarrow.parquet.ParquetWriter(file, schema, compression="none") as writer:
            for block in _blocks(side, noise):
                writer.write_table(pyarrow.table({"w": block}, schema=schema))
    return "w.parquet"
