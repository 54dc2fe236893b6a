"""SIGKILL at random moments: of pytest, of a worker of xdist, of the watcher, of both at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from benchmarks.chaos.bystanders import Bystander, bystanders, harmed
from benchmarks.chaos.leftovers import (
    containers_made_by,
    left_by,
    left_for_good,
    objects_of,
    wait_until_clean,
)
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.session import Place, Session
from benchmarks.chaos.table import Row
from benchmarks.chaos.trials import begin, forget

NAME = "kills"

_BAR_S = 5.0
_NEXT_BAR_S = 10.0
_PATIENCE_S = 60.0  # until what is left counts as left for good
_LONGEST_SESSION_S = 240.0
# pytest-xdist itself gives up when a worker dies that it is just about to start.
_GATEWAY = "gateway_bootstrap"
_REDRAWN = 10  # how often a moment is drawn anew because the session had ended before it


@dataclass(frozen=True)
class Kind:
    """One kind of kill.

    Args:
        key: by which it is chosen; `name` is what the table says.
        share: how many of a hundred trials.
        arguments: further ones of the session.
        bar_s: seconds until nothing may be left; `bar` says so.
        strike: sends SIGKILL, and returns seconds until what has to go then was gone, and what
            did not hold.
    """

    key: str
    name: str
    share: int
    arguments: tuple[str, ...]
    bar_s: float
    bar: str
    strike: Callable[[Plan, Session], Struck]


@dataclass(frozen=True)
class Struck:
    """How it went on after a kill; None for seconds where something stayed."""

    seconds: float | None
    problems: tuple[str, ...] = ()


@dataclass
class _Tally:
    """What the trials of one kind have come to."""

    kind: Kind
    busy: int = 0  # in how many of them there was something on the engine to remove
    seconds: list[float] = field(default_factory=list)
    problems: dict[int, list[str]] = field(default_factory=dict)
    ended: list[tuple[int, Session]] = field(default_factory=list)

    def add(self, number: int, *problems: str) -> None:
        self.problems.setdefault(number, []).extend(problems)


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each kind of kill."""
    kinds = [kind for kind in KINDS if plan.kind in (None, kind.key)]
    shares = sum(kind.share for kind in kinds)
    with bystanders(plan.api) as beside:
        for kind in kinds:
            trials = max(1, round(plan.count(100, 3) * kind.share / shares))
            yield _try(plan, kind, plan.numbers(trials), beside)


def _try(plan: Plan, kind: Kind, numbers: tuple[int, ...], beside: tuple[Bystander, ...]) -> Row:
    life_s = _life_s(plan, kind, sessions=1 if len(numbers) == 1 else 2)
    plan.say(f"{kind.name}: a session takes {life_s:.1f} s")
    tally = _Tally(kind)
    for number in numbers:
        _trial(plan, tally, number, life_s)
        tally.add(number, *harmed(plan.api, beside))
    for number, session in tally.ended:
        # Again, after all of them: nothing may have come back, and the watchers have ended.
        left = wait_until_clean(partial(left_for_good, plan.api, session), _PATIENCE_S / 2)
        tally.add(number, *(f"in the end: {thing}" for thing in left.left))
        forget(plan, session, keep=bool(tally.problems[number]))
    return _row(plan, tally, len(numbers))


def _life_s(plan: Plan, kind: Kind, sessions: int) -> float:
    """How long a session takes that nobody kills; the first one builds the layers of all."""
    taken = []
    for _ in range(sessions):
        session = begin(plan, *kind.arguments)
        session.wait(_LONGEST_SESSION_S)
        taken.append(session.age_s)
        if session.exit_code != 0:
            raise RuntimeError(f"the project's own session fails: {session.printed()[-2000:]}")
        forget(plan, session)
    return taken[-1]


def _trial(plan: Plan, tally: _Tally, number: int, life_s: float) -> None:
    dice = plan.dice(tally.kind.name, number)
    for _ in range(_REDRAWN):
        session = begin(plan, *tally.kind.arguments)
        moment_s = dice.uniform(0, life_s)
        if session.sleep_until(moment_s):
            break
        life_s = session.age_s
        forget(plan, session)
    else:
        raise RuntimeError(f"no session lived until its moment came, {_REDRAWN} times")
    tally.busy += bool(objects_of(plan.api, session))
    struck = tally.kind.strike(plan, session)
    where = f"trial {number} (killed at {moment_s:.2f} s of {life_s:.1f} s)"
    tally.add(number, *(f"{where}: {problem}" for problem in struck.problems))
    if struck.seconds is None or struck.seconds > tally.kind.bar_s:
        tally.add(number, f"{where}: clean after {_shown(struck.seconds)}")
    tally.seconds.append(_PATIENCE_S if struck.seconds is None else struck.seconds)
    tally.ended.append((number, session))
    plan.say(f"{tally.kind.name} {where}: clean after {_shown(struck.seconds)}")


def _kill_pytest(plan: Plan, session: Session) -> Struck:
    session.kill()
    return _await_clean(plan, session)


def _kill_worker(plan: Plan, session: Session) -> Struck:
    """Its own containers have to go at once; the session goes on, and leaves nothing."""
    victim = _first(session.workers, session)
    if victim is None:
        return Struck(0.0)
    _sigkill(victim)
    own = wait_until_clean(partial(containers_made_by, plan.api, victim), _PATIENCE_S)
    return Struck(own.seconds, (*own.left, *_end(plan, session, (0, 1), _GATEWAY)))


def _kill_watcher(plan: Plan, session: Session) -> Struck:
    """The session goes on as if nothing were."""
    victim = _first(session.watchers, session)
    if victim is not None:
        _sigkill(victim)
    problems = _end(plan, session, (0,))
    return Struck(0.0, problems)


def _kill_both(plan: Plan, session: Session) -> Struck:
    """Whatever is left is gone soon after the next session has started."""
    for pid in session.watchers():
        _sigkill(pid)
    session.kill()
    token = f"{session.place.token}-next"
    place = Place(session.place.root / "next", token, shared=session.place.root).make()
    following = Session(place, "-k", "train and linux and not varies and not agrees")
    cleaned = wait_until_clean(partial(left_by, plan.api, session, following), _PATIENCE_S)
    problems = _end(plan, following, (0,))
    forget(plan, following)
    return Struck(cleaned.seconds, (*cleaned.left, *problems))


def _await_clean(plan: Plan, session: Session) -> Struck:
    cleaned = wait_until_clean(partial(left_by, plan.api, session), _PATIENCE_S)
    return Struck(cleaned.seconds, cleaned.left)


def _end(
    plan: Plan, session: Session, expected: tuple[int, ...], excuse: str | None = None
) -> tuple[str, ...]:
    """Wait for the end of a session that goes on, and for nothing to be left.

    Args:
        expected: its exit codes.
        excuse: what it has printed where any other exit code is not ours to explain.
    """
    code = session.wait(_LONGEST_SESSION_S)
    if code is None:
        session.kill()
        return (f"the session still ran after {_LONGEST_SESSION_S:g} s",)
    excused = excuse is not None and excuse in session.printed()
    problems = (
        () if code in expected or excused else (f"exit code {code}: {session.printed()[-1500:]}",)
    )
    return (*problems, *wait_until_clean(partial(left_by, plan.api, session), _BAR_S).left)


def _first(find: Callable[[], tuple[int, ...]], session: Session) -> int | None:
    """The first victim that there is, now or later; None when the session ends before."""
    while session.exit_code is None:
        found = find()
        if found:
            return found[0]
        time.sleep(0.02)
    return None


def _sigkill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _row(plan: Plan, tally: _Tally, trials: int) -> Row:
    kind = tally.kind
    failed = [number for number, problems in tally.problems.items() if problems]
    repeat = f"python -m benchmarks.chaos {NAME} --kind {kind.key} --seed {plan.seed}"
    return Row(
        f"SIGKILL of {kind.name} ({tally.busy} with things on the engine)",
        trials,
        trials - len(failed),
        _shown(max(tally.seconds, default=0.0)),
        kind.bar,
        tuple(
            f"{problem} (repeat: {repeat} --only {number})"
            for number in failed
            for problem in tally.problems[number]
        ),
    )


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None or seconds >= _PATIENCE_S else f"{seconds:.1f} s"


# Without variations, whose probing takes as long as all the rest.
_WORKERS = ("-n", "2", "-k", "not varies")
KINDS = (
    Kind("pytest", "pytest", 30, (), _BAR_S, "clean in 5 s", _kill_pytest),
    Kind(
        "controller",
        "pytest-xdist's controller",
        20,
        _WORKERS,
        _BAR_S,
        "clean in 5 s",
        _kill_pytest,
    ),
    Kind(
        "worker",
        "a worker",
        20,
        _WORKERS,
        _BAR_S,
        "its containers gone in 5 s, then all",
        _kill_worker,
    ),
    Kind("watcher", "the watcher", 10, (), _BAR_S, "clean at the session's end", _kill_watcher),
    Kind(
        "both",
        "pytest and watcher at once",
        20,
        (),
        _NEXT_BAR_S,
        "clean 10 s after the next start",
        _kill_both,
    ),
)
