"""Crashes, hangs and floods on purpose, in the midst of each library that parses outputs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.reader_faults import COMPARATOR, LIBRARIES
from benchmarks.chaos.table import Row
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.readers.limits import ReaderLimits
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.model import Difference, Output, Verdict

NAME = "readers"
LIMIT_S = 5.0
_TRIALS = 60  # for each library
_AROUND_S = 8.0  # starting readers anew, on a machine that does other things too
_LIMITS = ReaderLimits(readers=2, memory_bytes=300 << 20, base_s=LIMIT_S)
# What is done, and what the verdict on that output has to say.
FAULTS = (
    ("segv", "crashed (SIGSEGV)"),
    ("signal SIGBUS", "crashed (SIGBUS)"),
    ("signal SIGILL", "crashed (SIGILL)"),
    ("signal SIGFPE", "crashed (SIGFPE)"),
    ("signal SIGKILL", "crashed (SIGKILL"),
    ("abort free(): invalid pointer", "crashed (SIGABRT: terminate called: free(): invalid"),
    ("exit 1", "crashed (exit code 1)"),
    ("malloc", "crashed (SIGSEGV)"),
    ("garbage " + "a5" * 64, "crashed (what it said makes no sense"),
    ("hang", "took more than 5 s and was ended"),
    ("spin", "took more than 5 s and was ended"),
    ("signal SIGSTOP", "took more than 5 s and was ended"),
)


def rows(plan: Plan) -> Iterator[Row]:
    """A row for each library: every output that hurts fails by itself, those around it pass."""
    for library in LIBRARIES:
        count = plan.count(_TRIALS, len(FAULTS))
        yield _row(library, count)


def _row(library: str, count: int) -> Row:
    problems: list[str] = []
    slowest = 0.0
    pool = Pool(_LIMITS)
    try:
        for number in range(count):
            began = time.monotonic()
            word, says = FAULTS[number % len(FAULTS)]
            with tempfile.TemporaryDirectory(prefix="mlcontainer-readers-") as folder:
                found = hurt(Path(folder), pool, f"{library} {word}")
            slowest = max(slowest, time.monotonic() - began)
            if problem := _problem(found, says):
                problems.append(f"trial {number}, {word}: {problem}")
    finally:
        pool.close()
    bar = LIMIT_S + _AROUND_S
    if slowest > bar:
        problems.append(f"one took {slowest:.1f} s")
    return Row(
        f"crashes and hangs inside {library}",
        count,
        max(0, count - len(problems)),
        f"{slowest:.1f} s",
        f"that output fails and says how, the session goes on within {bar:.0f} s",
        tuple(problems),
    )


def hurt(folder: Path, pool: Pool, word: str) -> dict[str, Difference]:
    """Compare an output that hurts its reader between two that do not; the worst of each."""
    sides: list[tuple[Output, ...]] = []
    for side, end in (("actual", " "), ("expected", "")):
        outputs = []
        for name, text in (("a", "fine"), ("b", word), ("c", "fine")):
            path = folder / side / f"{name}.fault"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + end)
            outputs.append(Output(path.name, path, path.stat().st_size))
        sides.append(tuple(outputs))
    differences, _notes = compare_outputs(sides[0], sides[1], (), (COMPARATOR,), pool=pool)
    found: dict[str, Difference] = {}
    for each in differences:
        found.setdefault(each.output, each)
    return found


def _problem(found: dict[str, Difference], says: str) -> str:
    hurt_one = found["b.fault"]
    if hurt_one.verdict is not Verdict.FAILED or says not in hurt_one.note:
        return f"{hurt_one.verdict.value}: {hurt_one.note:.200}"
    others = {name: each.verdict for name, each in found.items() if name != "b.fault"}
    if set(others.values()) != {Verdict.IDENTICAL}:
        return f"others were harmed: {others}"
    return ""
