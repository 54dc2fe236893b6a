"""Outputs that mean harm: each is collected, recorded, archived, compared and removed.

Around the record lie files that nobody may touch, and one that nobody may read.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.hostile_cases import Case, cases
from benchmarks.chaos.hostile_tars import mend
from benchmarks.chaos.memory import PeakMemory
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row
from pytest_mlcontainer.cli import main as mlcontainer
from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.model import Platform, Run, Target
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    OutputLimits,
    collect_tar,
    collect_tree,
    remove_tree,
)
from pytest_mlcontainer.records import (
    Conditions,
    keep_record,
    open_records,
    read_record,
    write_record,
)

NAME = "hostile"
SECRET = "the-secret-of-this-machine"
_SECONDS = 10.0
_PER_FILE_S = 0.0005  # that is written: 100,000 take their time on any file system
_MEBIBYTES = 512
_FEW = 50  # outputs that are worth archiving and comparing
_LINES, _LINE = 1001, 300


@dataclass(frozen=True)
class Trial:
    """What came of one case; `problems` is empty where all held.

    Args:
        seconds: of processor time, for the collecting alone.
        added_mib: the peak of memory, above what the process held before.
    """

    name: str
    seconds: float
    added_mib: int
    problems: tuple[str, ...]


def rows(plan: Plan) -> Iterator[Row]:
    """The table's row."""
    done = []
    for number, case in enumerate(cases()):
        if number in plan.numbers(len(cases())):
            place = plan.folder / f"hostile-{number}"
            done.append(try_case(case, place))
            remove_tree(place)
    worst = max(trial.seconds for trial in done)
    yield Row(
        "hostile outputs",
        len(done),
        sum(not trial.problems for trial in done),
        f"{worst:.1f} s, {max(trial.added_mib for trial in done)} MiB",
        f"nothing outside, {_SECONDS:.0f} s and 0.5 ms a file, {_MEBIBYTES} MiB",
        tuple(f"{trial.name}: {problem}" for trial in done for problem in trial.problems),
    )


def try_case(case: Case, place: Path) -> Trial:
    """Collect one hostile output into `place`, a folder that is made, and look at all around it."""
    secret = _surround(place)
    before = snapshot(place)
    memory = PeakMemory()
    run, problems, seconds = _collect(case, place, secret)
    problems += _inside(run, place)
    if after := {path for path, seen in snapshot(place).items() if before.get(path) != seen}:
        problems.append(f"changed outside the record: {sorted(after)[:3]}")
    if not problems:
        problems += _use(run, place)
    if seconds > _SECONDS + _PER_FILE_S * len(run.outputs):
        problems.append(f"took {seconds:.1f} s of processor time")
    if (added := memory.added_mib()) > _MEBIBYTES:
        problems.append(f"took {added} MiB of memory")
    return Trial(case.name, seconds, added, tuple(problems))


def snapshot(place: Path) -> dict[str, object]:
    """All that lies outside the record, with its content, mode and time of change."""
    found: dict[str, object] = {}
    for above, folders, files in os.walk(place):
        folders[:] = [each for each in folders if each not in ("record", "work")]
        for name in (*folders, *files):
            path = Path(above, name)
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = status.st_mode, status.st_mtime_ns, content
    return found


def _surround(place: Path) -> Path:
    (place / "record" / "outputs").mkdir(parents=True)
    (place / "canaries").mkdir(mode=0o751)
    for name in ("evil", "canaries/evil", "etc"):
        (place / name).write_text("untouched")
        (place / name).chmod(0o640)
    secret = place / "canaries" / "secret"
    secret.write_text(SECRET)
    return secret


def _collect(case: Case, place: Path, secret: Path) -> tuple[Run, list[str], float]:
    collected = Collected(allowance=OutputLimits(size_bytes=1 << 30))
    into = place / "record" / "outputs"
    work = place / "work"
    problems, said = [], ""
    if case.make is not None:
        work.mkdir()
        case.make(work, secret)
    started = time.process_time()
    try:
        if case.stream is not None:
            stream = (_named(chunk, secret) for chunk in case.stream())
            collect_tar(
                stream, "/app/outputs", DeclaredOutputs(("outputs/**",), "/app"), into, collected
            )
        else:
            collect_tree(work, DeclaredOutputs(("outputs/**",), str(work)), into, collected)
    except OutputError as error:
        said = str(error)
    except Exception as error:  # whatever it is, it must not come out
        problems.append(f"raised {type(error).__name__}: {error:.200}")
    seconds = time.process_time() - started
    if (case.error not in said) if case.error else said:
        problems.append(f"ended with {said or 'no error'!r:.200}, not with {case.error!r}")
    problems += _expected(case, collected)
    return _run(place / "record", collected), problems, seconds


def _named(chunk: bytes, secret: Path) -> bytes:
    """The secret's own path, where a case names it; only headers of links do."""
    if b"{secret}" not in chunk:
        return chunk
    at = chunk.index(b"{secret}") // 512 * 512
    block = chunk[at : at + 512]
    block = block[:157] + os.fsencode(secret)[:100].ljust(100, b"\0") + block[257:]
    return chunk[:at] + mend(block) + chunk[at + 512 :]


def _expected(case: Case, collected: Collected) -> list[str]:
    problems = []
    if case.keeps is not None and not case.keeps <= collected.outputs.keys():
        problems.append(f"not taken over: {sorted(case.keeps - collected.outputs.keys())!r:.200}")
    if case.refuses and not collected.refused:
        problems.append("nothing was refused")
    if len(collected.refused) > _LINES or any(len(line) > _LINE for line in collected.refused):
        problems.append("what is refused is listed without an end")
    return problems


def _run(folder: Path, collected: Collected) -> Run:
    for name in ("stdout.log", "stderr.log"):
        (folder / name).write_bytes(b"")
    return Run(
        id="hostile",
        entrypoint="train",
        target=Target(Platform("linux", "amd64")),
        exit_code=0,
        duration_s=1.0,
        folder=folder,
        stdout=folder / "stdout.log",
        stderr=folder / "stderr.log",
        outputs=tuple(sorted(collected.outputs.values(), key=lambda output: output.name)),
        folders=tuple(collected.folders.values()),
        refused=tuple(collected.refused),
        workdir="/app",
    )


def _inside(run: Run, place: Path) -> list[str]:
    problems = []
    for above, folders, files in os.walk(place / "record"):
        for name in (*folders, *files):
            path = Path(above, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                if mode & 0o7111:
                    problems.append(f"{name!r:.100} has the mode {mode:o}")
                if path.stat().st_size < 10_000 and SECRET.encode() in path.read_bytes():
                    problems.append(f"{name!r:.100} holds the secret")
            elif not stat.S_ISDIR(mode) or mode & 0o7000:
                problems.append(f"{name!r:.100} is of the mode {mode:o}")
    outside = [each for each in run.outputs if not each.path.is_relative_to(run.folder / "outputs")]
    return problems[:5] + [f"{each.name!r:.100} lies outside" for each in outside[:5]]


def _use(run: Run, place: Path) -> list[str]:
    """Whether the record can be written, read, archived, compared and removed."""
    problems = []
    try:
        write_record(run)
        if read_record(run.folder) != run:
            problems.append("the record reads as another")
        if len(run.outputs) <= _FEW:
            problems += _elsewhere(run, place / "record-kept")
        shutil.rmtree(run.folder)
    except Exception as error:  # as above
        problems.append(f"its record: {type(error).__name__}: {error!s:.300}")
    return problems


def _elsewhere(run: Run, into: Path) -> list[str]:
    problems = []
    kept = keep_record(run, Conditions(), into)
    with tarfile.open(into / "records.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(kept, "records")
    with zipfile.ZipFile(into / "records.zip", "w") as packed:
        for path in kept.rglob("*"):
            packed.write(path, path.relative_to(kept))
    for archived in ("records.tar.gz", "records.zip"):
        with open_records(into / archived):
            pass
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        code = mlcontainer(["compare", str(kept), str(into / "records.tar.gz")])
    if code != 0:
        problems.append(f"the record differs from itself: {said.getvalue()!r:.300}")
    if "\x1b]" in said.getvalue() or "\u202e" in said.getvalue():
        problems.append("what is printed acts on the terminal")
    shutil.rmtree(into)
    return problems
