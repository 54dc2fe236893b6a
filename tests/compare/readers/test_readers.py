"""Foreign bytes are read in processes that may die: whatever they do, the session goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from signal import Signals
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest

from benchmarks.chaos import reader_faults
from benchmarks.chaos.fuzz_formats import Damaged
from benchmarks.chaos.readers import FAULTS, hurt
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.numeric.tolerance import Calibration
from pytest_mlcontainer.compare.readers.apart import write_summary_of
from pytest_mlcontainer.compare.readers.limits import GIB, ReaderLimits, limits_of
from pytest_mlcontainer.compare.readers.pool import Pool, shared_pool
from pytest_mlcontainer.compare.rules.study import ALONE, Metric, Study
from pytest_mlcontainer.compare.summary.items import summarise
from pytest_mlcontainer.compare.summary.stored import write_summary
from pytest_mlcontainer.model import (
    Comparator,
    Difference,
    Output,
    Rule,
    Tolerance,
    Verdict,
)
from tests.fixture_types import Compare, Compared, Only

LIMITS = ReaderLimits(readers=1, base_s=2.0)
SMALL = ReaderLimits(readers=1, memory_bytes=300 << 20)
CRASHES = {
    "segv": "crashed (SIGSEGV)",
    "signal SIGBUS": "crashed (SIGBUS)",
    "signal SIGILL": "crashed (SIGILL)",
    "signal SIGFPE": "crashed (SIGFPE)",
    "signal SIGKILL": "crashed (SIGKILL, as the system does where memory is short)",
    "abort std::bad_alloc": "crashed (SIGABRT: terminate called: std::bad_alloc)",
    "exit 3": "crashed (exit code 3)",
    "exit 0": "crashed (exit code 0)",
    "stack": "crashed (SIGSEGV)",
    "hang": "took more than 2 s and was ended (2 s, and 5 MB/s for ",
    "spin": "took more than 2 s and was ended",
    "signal SIGSTOP": "took more than 2 s and was ended",
    "garbage " + "00" * 64: "crashed (what it said makes no sense",
    "garbage " + "ff" * 64: "crashed (what it said makes no sense: a message of",
    "garbage 0200000000000000" + b"{}".hex(): "crashed (what it said makes no sense",
    "garbage 0400000000000000" + b"[[[[".hex(): "crashed (what it said makes no sense",
    "close": "crashed (it closed its pipe)",
}


@pytest.fixture(scope="module")
def readers() -> Iterator[Pool]:
    pool = Pool(LIMITS)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def small_readers() -> Iterator[Pool]:
    """With little memory, and time to fill it on a machine that does other things too."""
    pool = Pool(SMALL)
    yield pool
    pool.close()


def outputs(folder: Path, **files: object) -> tuple[Output, ...]:
    """Files of a run; `__` in a name stands for the dot."""
    found = []
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
        found.append(Output(path.name, path, path.stat().st_size))
    return tuple(found)


def faults(
    tmp_path: Path,
    pool: Pool,
    *words: str,
    study: Study = ALONE,
    rules: tuple[Rule, ...] = (),
    comparator: Comparator = reader_faults.COMPARATOR,
) -> Compared:
    """Both runs with a file for each word; the two sides differ by a blank at the end."""
    names = [f"{number:03}__fault" for number in range(len(words))]
    sides = [
        outputs(tmp_path / side, **{n: w + end for n, w in zip(names, words, strict=True)})
        for side, end in (("a", " "), ("b", ""))
    ]
    return compare_outputs(sides[0], sides[1], rules, (comparator,), study=study, pool=pool)


def verdicts(
    differences: tuple[Difference, ...],
) -> dict[str, Verdict]:
    """The worst of each output."""
    found: dict[str, Verdict] = {}
    for each in reversed(differences):
        found[each.output] = each.verdict
    return found


def fails(
    differences: tuple[Difference, ...],
) -> Difference:
    """The one that did not pass."""
    (found,) = (each for each in differences if not each.verdict.passes)
    return found


@pytest.mark.parametrize("word", CRASHES)
def test_whatever_ends_a_reader_fails_its_output_alone(
    tmp_path: Path, readers: Pool, word: str
) -> None:
    """The output names what happened; those before and after it are compared."""
    differences, _notes = faults(tmp_path, readers, "fine", word, "fine")
    assert verdicts(differences) == {
        "000.fault": Verdict.IDENTICAL,
        "001.fault": Verdict.FAILED,
        "002.fault": Verdict.IDENTICAL,
    }
    note = fails(differences).note
    assert f"unreadable: the reader {CRASHES[word]}" in note
    assert "ignore it by a rule" in note


@pytest.mark.parametrize("library", reader_faults.LIBRARIES)
@pytest.mark.parametrize("fault", ["segv", "malloc", "hang"])
def test_it_may_happen_in_the_midst_of_any_library(
    tmp_path: Path, readers: Pool, small_readers: Pool, library: str, fault: str
) -> None:
    """The fault suite has sixty of them for each."""
    pool = readers if fault == "hang" else small_readers
    found = hurt(tmp_path, pool, f"{library} {fault}")
    says = "took more than" if fault == "hang" else dict(FAULTS)[fault]
    assert says in found["b.fault"].note
    assert {name: each.verdict for name, each in found.items()} == {
        "a.fault": Verdict.IDENTICAL,
        "b.fault": Verdict.FAILED,
        "c.fault": Verdict.IDENTICAL,
    }


def test_random_damage_to_every_format_ends_in_differences(tmp_path: Path) -> None:
    """A small part of what the fault suite does."""
    damaged = Damaged(tmp_path)
    try:
        damaged.batch(7, 60)
    finally:
        damaged.close()
    assert damaged.found.crashes == []
    assert sum(damaged.found.verdicts.values()) == 60
    assert damaged.found.verdicts["failed"] > 10


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("allocate", "raised MemoryError"),
        (f"reserve {1 << 40}", "raised MemoryError"),
        ("malloc", "unreadable: the reader crashed (SIGSEGV)"),
        (
            "share",
            "unreadable: the reader took more than 0.293 GiB of memory, the most that it may",
        ),
    ],
)
def test_memory_without_end_is_refused_and_said(
    tmp_path: Path, small_readers: Pool, word: str, says: str
) -> None:
    differences, _notes = faults(tmp_path, small_readers, word, "fine")
    assert verdicts(differences) == {"000.fault": Verdict.FAILED, "001.fault": Verdict.IDENTICAL}
    assert says in fails(differences).note


def test_a_format_that_needs_too_much_says_the_limit(
    only: Only, pool: Callable[..., AbstractContextManager[Pool]]
) -> None:
    """A reader's own MemoryError is no fault of the format's, and names what it may take."""
    sides = [b"[" + b"[]," * 5_000_000 + end for end in (b"1]", b"2]")]
    with pool(memory_bytes=150 << 20) as small:
        found = only("a.json", *sides, pool=small)
    assert found.verdict is Verdict.FAILED
    assert "unreadable: the reader took more than 0.146 GiB of memory" in found.note


def promising(size_bytes: int) -> bytes:
    """An Arrow file with a compressed column that says that it unpacks to so much."""
    values = pa.array(np.zeros(5000))
    stream = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(stream, pa.schema([("x", values.type)]), options=options) as writer:
        writer.write_batch(pa.record_batch([values], names=["x"]))
    said, promised = (size.to_bytes(8, "little") for size in (values.nbytes, size_bytes))
    assert said in stream.getvalue()
    return stream.getvalue().replace(said, promised)


def test_a_reader_outlives_files_that_promise_more_than_there_may_be(
    tmp_path: Path, readers: Pool
) -> None:
    """It was refused that, and holds nothing: starting another takes longer than to compare."""
    where = [tmp_path / name for name in ("before", "after")]
    faults(tmp_path / "first", readers, f"where {where[0]}")
    sides = [outputs(tmp_path / f"{n}", a__arrow=promising(1 << n)) for n in (45, 46)]
    differences, _notes = compare_outputs(sides[0], sides[1], (), pool=readers)
    assert [each.verdict for each in differences] == [Verdict.FAILED]
    assert "unreadable: the reader took more than 2 GiB of memory" in differences[0].note
    faults(tmp_path / "second", readers, f"where {where[1]}")
    assert where[0].read_text() == where[1].read_text()


def test_files_that_are_mapped_are_no_memory(tmp_path: Path, readers: Pool) -> None:
    differences, _notes = faults(tmp_path, readers, "map")
    assert verdicts(differences) == {"000.fault": Verdict.IDENTICAL}


def test_what_libraries_print_is_not_taken_for_messages(tmp_path: Path, readers: Pool) -> None:
    differences, _notes = faults(tmp_path, readers, "print \x00\x01garbage")
    assert verdicts(differences) == {"000.fault": Verdict.IDENTICAL}


def test_what_a_comparator_raises_is_said_as_before(tmp_path: Path, readers: Pool) -> None:
    (found,), _notes = faults(tmp_path, readers, "raise it is broken")
    assert found.verdict is Verdict.FAILED
    assert "the comparator fault raised ValueError: it is broken" in found.note


def test_a_reader_is_kept_and_used_again(tmp_path: Path, readers: Pool) -> None:
    """Starting one takes longer than most comparisons."""
    places = [tmp_path / name for name in ("first", "second")]
    for place in places:
        faults(tmp_path, readers, f"where {place}")
    first, second = (place.read_text() for place in places)
    assert first == second != str(os.getpid())


def test_an_output_is_not_blamed_for_what_an_earlier_one_did_to_its_reader(
    tmp_path: Path, readers: Pool
) -> None:
    """What dies in a used reader is tried once more in a fresh one."""
    differences, _notes = faults(tmp_path, readers, "poison", "poisoned", "fine")
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}


def test_a_reader_that_keeps_memory_is_replaced_before_it_is_short(tmp_path: Path) -> None:
    """Libraries leak where a file is damaged, and the next file is not to be blamed for it."""
    pool = Pool(ReaderLimits(readers=1, memory_bytes=512 << 20))
    places = [tmp_path / name for name in ("before", "after")]
    try:
        for place in places:
            faults(tmp_path, pool, f"where {place}")
            faults(tmp_path, pool, f"leak {140 << 20}")  # on each side
    finally:
        pool.close()
    before, after = (place.read_text() for place in places)
    assert before != after


def test_pairs_are_shared_among_readers(tmp_path: Path) -> None:
    pool = Pool(ReaderLimits(readers=3))
    try:
        faults(tmp_path, pool, "fine", "fine", "fine")  # which starts them
        begun = time.monotonic()
        differences, _notes = faults(tmp_path / "x", pool, *["sleep 1"] * 3)
        took = time.monotonic() - begun
    finally:
        pool.close()
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
    assert took < 5.5  # one after the other it would be 6 s: each of both sides sleeps


def test_comparisons_of_several_threads_share_the_readers(tmp_path: Path, readers: Pool) -> None:
    found: list[Verdict] = []

    def compare(number: int) -> None:
        words = ["fine", "exit 1", "fine"] if number % 2 else ["fine"] * 3
        differences, _notes = faults(tmp_path / str(number), readers, *words)
        found.extend(verdicts(differences).values())

    threads = [threading.Thread(target=compare, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found.count(Verdict.FAILED), found.count(Verdict.IDENTICAL)) == (3, 15)


def test_no_reader_and_no_file_of_it_is_left_at_the_end(tmp_path: Path) -> None:
    pool = Pool(LIMITS)
    faults(tmp_path, pool, f"where {tmp_path / 'pid'}", "exit 1")
    faults(tmp_path, pool, f"where {tmp_path / 'pid'}")
    (scratch,) = [each.scratch for each in pool._idle]
    assert scratch.is_dir()
    pool.close()
    assert not scratch.exists()
    assert not is_alive(int((tmp_path / "pid").read_text()))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system cannot tell it")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_reader_dies_with_its_session_also_in_the_midst_of_work(
    tmp_path: Path, how: Signals
) -> None:
    """Killed with SIGKILL the session can clean up nothing, and the reader listens to nobody."""
    place = tmp_path / "pid"
    for side in "ab":
        outputs(tmp_path / side, m__fault=f"orphan {place}" + " " * (side == "a"))
    program = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.chaos import reader_faults\n"
        "from pytest_mlcontainer.compare import compare_outputs\n"
        "from pytest_mlcontainer.model import Output\n"
        "sides = [tuple(Output(p.name, p, 9) for p in Path(a).iterdir()) for a in sys.argv[1:]]\n"
        "compare_outputs(sides[0], sides[1], (), (reader_faults.COMPARATOR,))\n"
    )
    session = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a", tmp_path / "b"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: place.exists() and bool(place.read_text()))
    pid = int(place.read_text())
    assert is_alive(pid)
    session.send_signal(how)
    session.wait(20)
    wait_for(lambda: not is_alive(pid))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("missing", ["executable", "folder"])
def test_where_no_reader_can_be_started_that_is_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """And never a comparison in the session's own process."""
    if missing == "executable":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no-folder"))
    pool = Pool(LIMITS)
    try:
        differences, _notes = faults(tmp_path, pool, "fine", "fine")
    finally:
        pool.close()
    assert set(verdicts(differences).values()) == {Verdict.FAILED}
    assert "the reader could not be started (No such file or directory)" in differences[0].note


def test_what_is_interrupted_ends_its_readers_at_once(tmp_path: Path, readers: Pool) -> None:
    """Ctrl-C while a reader hangs: the session does not wait for its limit of time."""

    def interrupt(_difference: Difference) -> None:
        raise KeyboardInterrupt

    begun = time.monotonic()
    pool = Pool(ReaderLimits(readers=2, base_s=60))
    try:
        with pytest.raises(KeyboardInterrupt):
            faults(tmp_path, pool, "fine", "hang", study=Study(on_difference=interrupt))
    finally:
        pool.close()
    assert time.monotonic() - begun < 20


def test_a_study_hears_the_same_in_the_same_order(tmp_path: Path) -> None:
    """Items, metrics and calibrated bounds: three readers at once tell them as one process does."""
    rng = np.random.default_rng(0)
    rules = (
        Rule("*", "metric*", Tolerance(equivalence=0.5)),
        Rule("*", "noisy*", Tolerance(calibrated=True)),
    )

    def written(side: int) -> tuple[Output, ...]:
        files = {}
        for number in range(6):
            values: dict[str, object] = {f"metric{i}": [float(i), 2.0 + side] for i in range(40)}
            values |= {f"noisy{i}": i + side * 0.01 for i in range(40)}
            values |= {f"plain{i}": i for i in range(400)}
            text = "\n".join(f"{name}: {value}" for name, value in values.items())
            files[f"{number}__yaml"] = text + f"\nrandom: {rng.random()}\n"
        return outputs(tmp_path / str(side), **files)

    sides = written(0), written(1)

    def heard(pool: Pool, **packed: Any) -> tuple[Compared, list[Any]]:
        said: list[Any] = []

        def take(metric: Metric) -> bool:
            said.append((metric.item, metric.actual.values().tolist(), metric.margin))
            return "metric1" not in metric.item[1]

        study = Study(
            lambda item: Calibration(0.02 if "noisy3" in item[1] else 0.0, 5), said.append, take
        )
        found = compare_outputs(sides[0], sides[1], rules, study=study, pool=pool)
        return found, said

    with_three, alone = Pool(ReaderLimits(readers=3)), Pool(ReaderLimits(readers=1))
    try:
        first, second = heard(with_three), heard(alone)
    finally:
        with_three.close()
        alone.close()
    assert first == second
    found, said = first
    assert len(said) > 6 * 480
    outputs_heard = [each[0][0] if isinstance(each, tuple) else each.output for each in said]
    assert outputs_heard == sorted(outputs_heard)
    verdicts = {(each.output, each.item): each.verdict for each in found[0]}
    assert verdicts["0.yaml", "noisy3"] is Verdict.EQUIVALENT
    assert verdicts["0.yaml", "noisy5"] is Verdict.DRIFT


def test_rules_are_remembered_across_readers(tmp_path: Path, readers: Pool) -> None:
    """Rules that met nothing are named, with the nearest name; others count what they left out."""
    rules = (
        Rule("*.fault", "wrod", Tolerance(rtol=1)),
        Rule("*.fault", "rest", Tolerance(ignore=True)),
        Rule("*.fault", "rest", Tolerance(rtol=1)),
    )
    _differences, notes = faults(tmp_path, readers, "fine", "fine", rules=rules)
    assert notes == (
        "rule *.fault:wrod matched nothing; did you mean word?",
        "not compared: 2 items by rule *.fault:rest (ignore)",
        "rule *.fault:rest never applied: *.fault:rest comes first and matches too",
    )


def test_a_rule_for_what_could_not_be_read_is_not_called_idle(
    tmp_path: Path, readers: Pool
) -> None:
    rules = (Rule("*.fault", "loss", Tolerance(rtol=1)),)
    _differences, notes = faults(tmp_path, readers, "segv", rules=rules)
    assert notes == ()


def test_a_comparator_that_only_the_session_has_runs_in_the_session(
    tmp_path: Path, readers: Pool
) -> None:
    """One of a conftest.py: what it reads travels, and so does what it raises."""
    seen = []

    def read(path: Path) -> dict[str, object]:
        seen.append(os.getpid())
        text = path.read_text()
        if "bad" in text:
            raise LookupError(text.strip())
        return {"a": np.arange(3.0) + len(text), "b": [1, 2], "c": text.strip(), "d": None}

    def recognises(_path: Path, head: bytes) -> bool:
        return head.startswith(b"local")

    local = Comparator("local", read, (), recognises)
    sides = [
        outputs(tmp_path / side, x=f"local{end}", y=f"local bad{end}", z__yaml=f"a: 1{end}")
        for side, end in (("a", ""), ("b", " "))
    ]
    differences, _notes = compare_outputs(sides[0], sides[1], (), (local,), pool=readers)
    found = {(each.output, each.item): each for each in differences}
    assert found["x", "a"].max_abs == 1.0
    assert "raised LookupError: local bad" in found["y", ""].note
    assert found["z.yaml", ""].verdict is Verdict.IDENTICAL
    assert set(seen) == {os.getpid()}


@pytest.mark.parametrize(
    ("cores", "memory", "processes", "readers", "each"),
    [
        (2, 24 * GIB, 1, 2, 6 * GIB),
        (64, 64 * GIB, 1, 16, 2 * GIB),
        (8, 16 * GIB, 1, 4, 2 * GIB),
        (8, 64 * GIB, 8, 1, 4 * GIB),
        (1, 1 * GIB, 1, 1, 2 * GIB),
    ],
)
def test_readers_are_as_many_as_cores_and_memory_allow(
    cores: int, memory: int, processes: int, readers: int, each: int
) -> None:
    found = limits_of(cores, memory, processes)
    assert (found.readers, found.memory_bytes) == (readers, each)


def test_readers_are_divided_among_the_workers_of_xdist_before_the_first_starts(
    tmp_path: Path,
) -> None:
    pool = Pool(ReaderLimits(readers=5))
    pool.divide(1)
    assert pool.limits.readers == 5
    pool.divide(10**6)
    assert pool.limits.readers == 1
    try:
        faults(tmp_path, pool, "fine")
        before = pool.limits
        pool.divide(2)
        assert pool.limits is before
    finally:
        pool.close()


def test_what_a_baseline_keeps_of_a_file_is_made_and_held_by_readers(
    tmp_path: Path, readers: Pool
) -> None:
    """The same as in one process; of a file that kills its reader what is known without a look."""
    sides = [h5(np.arange(50.0) + add) for add in (0, 1e-3)]
    actual, other = (outputs(tmp_path / str(n), m__h5=each)[0] for n, each in enumerate(sides))
    kept, here = tmp_path / "kept.json", tmp_path / "here.json"
    write_summary_of(actual, kept, pool=readers)
    write_summary(here, summarise(actual))
    assert kept.read_text() == here.read_text()
    reference = Output("m.h5", kept, 9, summary=kept)
    for output, verdict in ((actual, Verdict.IDENTICAL), (other, Verdict.DRIFT)):
        differences, _notes = compare_outputs((output,), (reference,), (), pool=readers)
        assert differences[0].verdict is verdict

    sound, broken = texts()
    (text,), (hangs,) = (
        outputs(tmp_path / side, m__h5=each) for side, each in (("t", sound), ("h", broken))
    )
    write_summary_of(text, kept, pool=readers)
    differences, _notes = compare_outputs((hangs,), (reference,), (), pool=readers)
    assert "took more than 2 s and was ended" in fails(differences).note
    write_summary_of(hangs, kept, pool=readers)
    summary = json.loads(kept.read_text())
    assert (summary["items"], summary["size_bytes"]) == (None, hangs.size_bytes)


def h5(values: object) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["w"] = values
    return stream.getvalue()


def texts() -> tuple[bytes, bytes]:
    """A sound file, and one in which libhdf5 follows an object without a length for ever."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("t", data=["abc"], dtype=h5py.string_dtype())
    sound = stream.getvalue()
    rest = sound.index((4096 - 40).to_bytes(8, "little"), sound.index(b"GCOL"))
    return sound, sound[:rest] + bytes(8) + sound[rest + 8 :]


def test_time_grows_with_the_files() -> None:
    assert ReaderLimits().seconds_for(10**9) == 260


def test_a_session_that_compares_nothing_apart_starts_no_process(compare: Compare) -> None:
    """Arrays and small texts are read where they are compared."""
    before = len(shared_pool()._idle)
    for name, sides in (
        ("a.npy", (np.arange(3.0), np.arange(3.0) + 1)),
        ("a.npz", ({"w": np.arange(3.0)}, {"w": np.arange(3.0) + 1})),
        ("a.json", ({"a": 1}, {"a": 2})),
        ("a.csv", ("a,b\n1,2\n", "a,b\n1,3\n")),
        ("a.txt", ("x\n", "y\n")),
    ):
        assert not all(each.verdict.passes for each in compare(name, *sides)[0])
    assert len(shared_pool()._idle) == before
