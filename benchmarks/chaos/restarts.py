"""The engine is ended at random moments and started again; on an engine of the suite's own."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.chaos.bystanders import Bystander, bystanders, harmed
from benchmarks.chaos.leftovers import left_by, wait_until_clean
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.second_engine import SecondEngine, second_engine
from benchmarks.chaos.session import Session
from benchmarks.chaos.table import Row
from benchmarks.chaos.trials import begin, forget

NAME = "restarts"

_SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_LONGEST_PAUSE_S = 3.0  # until the engine is started again
_CLEAN_S = 10.0
_HANG_S = 120.0  # beyond the length of an undisturbed session
_RECORDS, _REPORT = "records", "report"
# A failure that the engine's end explains speaks of the engine. What speaks of the program or its
# results instead is a wrong verdict: the program did nothing wrong.
_ENGINE = re.compile("engine|docker|buildx|buildkit|connection|not run:", re.IGNORECASE)
_BLAMES = re.compile(
    "exited with code|did not write what it declares|drift|nondeterministic|ran past its limit|"
    "out of memory|was killed by"
)
# Of libraries underneath, which only get this far where nobody has explained them.
_UNEXPLAINED = re.compile(r"(?:requests|urllib3|docker)\.(?:exceptions|errors)\.\w+")


@dataclass(frozen=True)
class _Came:
    """What came of one trial."""

    session_s: float
    failed_items: int
    problems: tuple[str, ...]


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each signal."""
    count = plan.count(20, 2)
    with second_engine() as engine:
        own = replace(plan, api=engine.client(), engine=engine.address)
        with bystanders(own.api) as beside:
            life_s = _life_s(own)
            plan.say(f"restarts: a session takes {life_s:.1f} s")
            for number, kind in enumerate(_SIGNALS):
                trials = count // 2 + (count % 2 if number == 0 else 0)
                yield _try(own, engine, kind, plan.numbers(trials), life_s, beside)


def _try(
    plan: Plan,
    engine: SecondEngine,
    kind: signal.Signals,
    numbers: tuple[int, ...],
    life_s: float,
    beside: tuple[Bystander, ...],
) -> Row:
    came = {number: _trial(plan, engine, kind, number, life_s, beside) for number in numbers}
    failed = [number for number, each in came.items() if each.problems]
    items = max((each.failed_items for each in came.values()), default=0)
    longest = max((each.session_s for each in came.values()), default=0.0)
    repeat = f"python -m benchmarks.chaos {NAME} --seed {plan.seed}"
    return Row(
        f"engine restarted by {kind.name} during a session",
        len(numbers),
        len(numbers) - len(failed),
        f"{longest:.0f} s; {items} items with an engine error",
        f"{life_s + _HANG_S:.0f} s; no wrong verdict, nothing lost or left",
        tuple(
            f"{problem} (repeat: {repeat} --only {number})"
            for number in failed
            for problem in came[number].problems
        ),
    )


def _begin(plan: Plan) -> Session:
    words = (f"--container-{name}={name}" for name in (_RECORDS, _REPORT))
    return begin(plan, *words)


def _life_s(plan: Plan) -> float:
    taken = 0.0
    for _ in range(2):
        session = _begin(plan)
        session.wait(2 * _HANG_S)
        taken = session.age_s
        if session.exit_code != 0:
            raise RuntimeError(f"the project's own session fails: {session.printed()[-2000:]}")
        forget(plan, session)
    return taken


def _trial(
    plan: Plan,
    engine: SecondEngine,
    kind: signal.Signals,
    number: int,
    life_s: float,
    beside: tuple[Bystander, ...],
) -> _Came:
    dice = plan.dice(NAME, kind.name, number)
    moment_s, pause_s = dice.uniform(0, life_s), dice.uniform(0, _LONGEST_PAUSE_S)
    session = _begin(plan)
    session.sleep_until(moment_s)
    complete = _records(session)
    engine.kill(kind)
    time.sleep(pause_s)
    engine.up()
    code = session.wait(life_s + _HANG_S)
    problems = _hang(session) if code is None else _judge(session, complete)
    cleaned = wait_until_clean(partial(left_by, plan.api, session), _CLEAN_S)
    where = (
        f"trial {number} (down at {moment_s:.2f} s of {life_s:.1f} s for {pause_s:.1f} s and more)"
    )
    found = (*problems, *cleaned.left, *harmed(plan.api, beside, restarted=True))
    came = _Came(
        session.age_s, len(session.failures()), tuple(f"{where}: {problem}" for problem in found)
    )
    plan.say(f"{kind.name} {where}: exit code {code}, {len(found)} problems")
    forget(plan, session, keep=bool(found))
    return came


def _hang(session: Session) -> tuple[str, ...]:
    session.kill()
    return (f"it hangs; the last that it printed: {session.printed()[-500:]}",)


def _judge(session: Session, complete: dict[Path, str]) -> tuple[str, ...]:
    """What is wrong with how a session has ended, in words."""
    found = []
    if session.exit_code not in (0, 1):
        found.append(f"exit code {session.exit_code}: {session.printed()[-1500:]}")
    for item, text in session.failures().items():
        if (raw := _UNEXPLAINED.search(text)) is not None:
            found.append(f"{item} fails with a bare {raw.group()}")
        elif _BLAMES.search(text) or not _ENGINE.search(text):
            found.append(f"{item} fails with a wrong reason: {text[:1500]}")
    found += [f"wrong verdict: {verdict}" for verdict in _verdicts(session)]
    after = _records(session)
    found += [f"lost: {file}" for file, digest in complete.items() if after.get(file) != digest]
    return tuple(found)


def _verdicts(session: Session) -> Iterator[str]:
    """What the report calls different, although nothing differs."""
    try:
        text = (session.place.project / _REPORT / "report.json").read_text(encoding="utf-8")
    except OSError:
        return
    for result in json.loads(text)["results"]:
        if result["verdict"] in ("drift", "nondeterministic"):
            yield f"{result['entrypoint']}: {result['verdict']}"


def _records(session: Session) -> dict[Path, str]:
    """The files of all complete records, which have a `record.json`, and their digests."""
    top = session.place.project / _RECORDS
    folders = [file.parent for file in top.rglob("record.json")]
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
