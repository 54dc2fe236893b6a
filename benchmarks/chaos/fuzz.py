"""Random damage to what is read: outputs as tar streams, records with their archives, and files of
the formats that are compared.

    python -m benchmarks.chaos.fuzz outputs --seconds 600 --inputs 1000000

Each input starts as something valid or hostile, and is mutated with its structure in mind: fields
of headers, pax records, JSON values, and bits; checksums are mended most of the time, so that what
lies behind them is reached. Only errors of our own may come out, within time and memory.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.fuzz_formats import BATCH, Damaged
from benchmarks.chaos.fuzz_inputs import mutate_json, mutate_tar, record_seeds, tar_seeds
from benchmarks.chaos.hostile import SECRET, snapshot
from benchmarks.chaos.memory import PeakMemory
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Verdict
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    OutputLimits,
    collect_tar,
    remove_tree,
)
from pytest_mlcontainer.records import FILE, open_records, read_conditions

NAME = "fuzz"
TARGETS = ("outputs", "records", "formats")
_LIMIT_S = 10.0  # for one input; then the process ends with a traceback of where it hangs
_MEBIBYTES = 512
_LOOK = 5000  # inputs between two looks at the canaries
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Report:
    """What came of a fuzz run.

    Args:
        added_mib: the peak of memory, above what the process held before.
        crashes: what came out that is no error of ours, or was changed outside; one line each.
        accepted: how many inputs were read to their end.
    """

    inputs: int
    crashes: tuple[str, ...]
    slowest_s: float
    added_mib: int
    accepted: int
    seconds: float


def rows(plan: Plan) -> Iterator[Row]:
    """The table's rows: one for each reader."""
    for target in TARGETS:
        seconds, inputs = (10.0, 2000) if plan.quick else (600.0, 1_000_000)
        report = fuzz(target, seconds, plan.trials or inputs, plan.seed)
        yield Row(
            f"random damage to {target}",
            report.inputs,
            report.inputs - len(report.crashes),
            f"{report.slowest_s:.2f} s, {report.added_mib} MiB",
            f"our own errors alone, {_LIMIT_S:.0f} s, {_MEBIBYTES} MiB",
            report.crashes[:20],
        )


def fuzz(
    target: str, seconds: float, inputs: int, seed: int, kinds: Collection[str] = ()
) -> Report:
    """Feed a reader mutated inputs, until the time or the number is over.

    Args:
        target: one of `TARGETS`.
        seconds: of wall clock.
        kinds: of formats, those with these endings alone.
    """
    base = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    place = Path(tempfile.mkdtemp(prefix="mlcontainer-fuzz-", dir=base))
    try:
        (place / "canaries").mkdir()
        (place / "canaries" / "secret").write_text(SECRET)
        (place / "record").mkdir()
        if target == "formats":
            return _formats(place, seconds, inputs, random.Random(seed), kinds)
        reader = _outputs(place) if target == "outputs" else _records(place)
        return _run(reader, place, seconds, inputs, random.Random(seed))
    finally:
        remove_tree(place)


def _run(
    reader: Callable[[random.Random], None],
    place: Path,
    seconds: float,
    inputs: int,
    dice: random.Random,
) -> Report:
    crashes: list[str] = []
    slowest, done, accepted = 0.0, 0, 0
    before = snapshot(place)
    memory = PeakMemory()
    started = time.monotonic()
    while done < inputs and time.monotonic() - started < seconds:
        state = dice.getrandbits(64)
        if done % 100 == 0:
            faulthandler.dump_traceback_later(_LIMIT_S * 10, exit=True)
        began = time.process_time()
        try:
            reader(random.Random(state))
            accepted += 1
        except MlContainerError:
            pass
        except Exception as error:  # whatever it is, it must not come out
            crashes.append(f"{state}: {type(error).__name__}: {error!s:.200}")
        slowest = max(slowest, time.process_time() - began)
        done += 1
        if done % _LOOK == 0 and snapshot(place) != before:
            crashes.append(f"{state}: something outside was changed")
            break
    faulthandler.cancel_dump_traceback_later()
    if snapshot(place) != before:
        crashes.append("something outside was changed")
    added = memory.added_mib()
    if slowest > _LIMIT_S:
        crashes.append(f"an input took {slowest:.1f} s")
    if added > _MEBIBYTES:
        crashes.append(f"reading took {added} MiB")
    wall = time.monotonic() - started
    return Report(done, tuple(crashes), slowest, added, accepted, wall)


def _formats(
    place: Path, seconds: float, inputs: int, dice: random.Random, kinds: Collection[str]
) -> Report:
    """Files that libraries in C read, which takes processes of their own: many at a time."""
    (place / "files").mkdir()
    damaged = Damaged(place / "files", kinds)
    started, done, slowest = time.monotonic(), 0, 0.0
    memory = PeakMemory()
    try:
        while done < inputs and time.monotonic() - started < seconds:
            began = time.monotonic()
            damaged.batch(dice.getrandbits(64), min(BATCH, inputs - done))
            done += min(BATCH, inputs - done)
            slowest = max(slowest, (time.monotonic() - began) / BATCH)
    finally:
        damaged.close()
    found, added = damaged.found, memory.added_mib()
    for how, count in found.deaths.most_common():
        print(f"  {count:,} {how}", file=sys.stderr)
    if added > _MEBIBYTES:
        found.crashes.append(f"comparing took {added} MiB")
    accepted = done - found.verdicts[Verdict.FAILED.value]
    wall = time.monotonic() - started
    return Report(done, tuple(found.crashes), slowest, added, accepted, wall)


def _outputs(place: Path) -> Callable[[random.Random], None]:
    seeds = tar_seeds()
    declared = DeclaredOutputs(("outputs/**", "/data/*.npz"), "/app")
    allowance = OutputLimits(files=500, size_bytes=1 << 20)

    def read(dice: random.Random) -> None:
        data = mutate_tar(dice.choice(seeds), seeds, dice)
        into = place / "record" / "outputs"
        into.mkdir()
        collected = Collected(allowance=allowance)
        try:
            root = dice.choice(("/app/outputs", "/app/outputs", "/", "/data"))
            size = dice.choice((1 << 16, 512, 100))
            chunks = (data[at : at + size] for at in range(0, len(data), size))
            collect_tar(chunks, root, declared, into, collected)
        finally:
            try:
                _check(collected, into)
            finally:
                remove_tree(into)

    return read


def _check(collected: Collected, into: Path) -> None:
    for output in collected.outputs.values():
        status = output.path.lstat()
        if not output.path.is_relative_to(into) or status.st_size != output.size_bytes:
            raise AssertionError(f"{output.path} is not what it says")
        if output.path.is_symlink() or status.st_mode & 0o7111:
            raise AssertionError(f"{output.path} has the mode {status.st_mode:o}")


def _records(place: Path) -> Callable[[random.Random], None]:
    values, archives = record_seeds(place / "record")

    def read(dice: random.Random) -> None:
        if dice.random() < 0.1:
            kind = dice.choice(sorted(archives))
            archive = place / "record" / f"archive{kind}"
            archive.write_bytes(mutate_tar(archives[kind], list(archives.values()), dice))
            with open_records(archive) as folder:
                read_conditions(folder, verify=True)
            return
        text = mutate_json(json.loads(dice.choice(values)), dice)
        (place / "record" / FILE).write_bytes(text)
        read_conditions(place / "record", verify=True)

    return read


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, and print what came of it; ends with 1 where anything came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=(), help="of formats, by their endings")
    arguments = parser.parse_args(argv)
    given = arguments.seconds, arguments.inputs, arguments.seed, arguments.kinds
    report = fuzz(arguments.target, *given)
    print(
        f"{arguments.target}: {report.inputs:,} inputs in {report.seconds:.0f} s, "
        f"{report.accepted:,} read to the end, {len(report.crashes)} crashes, "
        f"slowest {report.slowest_s:.2f} s, {report.added_mib} MiB of memory"
    )
    print("\n".join(report.crashes[:20]))
    return 1 if report.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
