"""The search for a cure: the smallest set of measures with which runs agree, confirmed by runs.

Like the search for causes it is a pure loop: it yields trials, is sent what came of them, and
returns what it found. A trial with no names is a run as it is. A trial reads `AGREES` where all of
its runs agree with each other and with earlier runs of the same set, `DRIFTS` where they do not,
and `FAILS` where the program does not do its job.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Final

from pytest_mlcontainer.explain.trials import Observation, Observations, Plan, Reading, Trial

ROUNDS: Final = 3
"""Trials that have to agree before a set is named, of two sides that each repeat themselves."""
MOST_ROUNDS: Final = 4
"""The same where repeats disagree, and luck has to be ruled out."""
MOST_SETTINGS: Final = 10
"""Sets of settings that are tried while a smallest one is looked for."""
MOST_CHANGES: Final = 6
"""The same of changes of the program."""
LUCK: Final = 0.02
_ATTEMPTS: Final = 2

Measures = tuple[str, ...]


@dataclass(frozen=True)
class CureFindings:
    """What a search for a cure came to.

    Args:
        names: the smallest set, in the order in which they were given; None where none helps.
        rounds: how many trials with it agreed.
        is_smallest: whether the drift came back, in a trial, without each of them.
        needless: what was tried beside it, and left out.
        vain: what was tried, and does not help.
        broken: sets under which a run fails, with what it failed with.
        why: why nothing is named although something seemed to help; "" otherwise.
    """

    names: Measures | None = None
    rounds: int = 0
    is_smallest: bool = True
    needless: Measures = ()
    vain: Measures = ()
    broken: tuple[tuple[Measures, str], ...] = ()
    why: str = ""


CureSearch = Generator[Plan, Observations, CureFindings]


def most_trials(*, repeats: bool) -> int:
    """The most trials that both searches ask for, that for settings and that for changes.

    Runs as they are are made once for both.
    """
    again = (MOST_ROUNDS if repeats else ROUNDS) - 1
    return ROUNDS + MOST_SETTINGS + MOST_CHANGES + 2 * _ATTEMPTS * again


def most_runs(*, repeats: bool, runs_a_trial: int) -> int:
    """The most runs that looking for a cure takes, but for those that locate."""
    return most_trials(repeats=repeats) * (runs_a_trial if repeats else 2)


def rounds_needed(runs: int, alike: int, each: int) -> int:
    """Trials of so many runs that have to agree before luck is no explanation.

    Args:
        runs: how many runs were made as they are; `alike`, how many of these had the result that
            came most often.
        each: runs of one trial.

    That two runs agree by luck is held to be as likely as (alike + 1) / (runs + 2) (Laplace's rule
    of succession); that all of n do, as that to the power of n − 1, which has to be at most `LUCK`.
    """
    chance = (alike + 1) / (runs + 2)
    if chance >= 1:
        return MOST_ROUNDS + 1
    return max(1, ceil((1 + log(LUCK) / log(chance)) / each))


def search_cure(
    pools: Sequence[Measures], most: int = MOST_SETTINGS, *, runs_a_trial: int = 0
) -> CureSearch:
    """Find the smallest set of measures with which runs agree.

    Args:
        pools: sets to try, the first that helps is made smaller; in each the preferred ones first.
        most: sets that are tried before the smallest so far has to do.
        runs_a_trial: of repeats, how many runs a trial has; 0 where two sides are compared, or
            one with what is kept.
    """
    return _Search(tuple(pools), most, runs_a_trial).run()


class _Search:
    def __init__(self, pools: tuple[Measures, ...], most: int, runs_a_trial: int) -> None:
        self._pools = tuple(dict.fromkeys(pool for pool in pools if pool))
        self._each = runs_a_trial
        self._seen: dict[Trial, Observation] = {}
        self._rounds: dict[Measures, int] = {}  # trials of a set that agreed
        self._lucky: set[Measures] = set()  # agreed once, and not again
        self._left = most

    def run(self) -> CureSearch:
        yield from self._as_it_is(1)
        if not self._drifts():
            return CureFindings(why="runs as they are agree by now: there is nothing to cure")
        for _ in range(_ATTEMPTS):
            pool = yield from self._first_that_helps()
            if pool is None:
                break
            found = yield from self._made_smaller(pool)
            if (yield from self._confirmed(found)):
                if not self._is_enough(found):
                    what = "repeats" if self._each else "runs as they are"
                    why = f"{what} disagree too rarely to tell whether {', '.join(found)} helps"
                    return self._nothing(why)
                return self._told(pool, found)
            self._lucky.add(found)
        return self._nothing("agreement came by luck" if self._lucky else "")

    def _told(self, pool: Measures, found: Measures) -> CureFindings:
        needed = len(found) == 1 or all(self._agreed(_less(found, name)) is False for name in found)
        return CureFindings(
            found,
            self._rounds[found],
            is_smallest=needed,
            needless=tuple(name for name in pool if name not in found),
            broken=self._broken(),
        )

    def _nothing(self, why: str) -> CureFindings:
        tried = dict.fromkeys(name for trial in self._seen for name in trial.changes)
        return CureFindings(vain=tuple(tried), broken=self._broken(), why=why)

    def _broken(self) -> tuple[tuple[Measures, str], ...]:
        return tuple(
            (trial.changes, seen.failure)
            for trial, seen in self._seen.items()
            if seen.reading is Reading.FAILS and trial.changes
        )

    def _first_that_helps(self) -> Generator[Plan, Observations, Measures | None]:
        for pool in self._pools:
            if (yield from self._agree(pool)):
                return pool
            if self._fails(pool) and len(pool) > 1:
                # One of them breaks the program: the others may help without it.
                for name in pool:
                    if (yield from self._agree((name,))):
                        return (name,)
                rest = tuple(name for name in pool if not self._fails((name,)))
                if rest and (yield from self._agree(rest)):
                    return rest
        return None

    def _made_smaller(self, pool: Measures) -> Generator[Plan, Observations, Measures]:
        found = yield from self._halved(pool)
        again = True
        while again:
            again = False
            for name in reversed(found):
                rest = _less(found, name)
                if rest and (yield from self._agree(rest)):
                    found, again = rest, True
        return found

    def _halved(self, pool: Measures) -> Generator[Plan, Observations, Measures]:
        found = pool
        while len(found) > 2:
            middle = (len(found) + 1) // 2
            for half in (found[:middle], found[middle:]):
                if (yield from self._agree(half)):
                    found = half
                    break
            else:
                return found
        return found

    def _confirmed(self, found: Measures) -> Generator[Plan, Observations, bool]:
        """Whether it agrees in as many trials as it takes; runs as they are are made beside it."""
        done = 1
        while done < self._needed() and done < self._most():
            yield from self._as_it_is(min(done + 1, ROUNDS), Trial(found, done))
            seen = self._seen[Trial(found, done)]
            if seen.reading is not Reading.AGREES:
                return False
            done += 1
            self._rounds[found] = done
        yield from self._as_it_is(ROUNDS if not self._each else 2)
        return True

    def _is_enough(self, found: Measures) -> bool:
        """Whether luck is no explanation: of two sides, no trial agrees as it is."""
        plain = (each for trial, each in self._seen.items() if not trial.changes)
        by_luck = not self._each and any(each.reading is Reading.AGREES for each in plain)
        return self._rounds[found] >= self._needed() and not by_luck

    def _most(self) -> int:
        return MOST_ROUNDS if self._each else ROUNDS

    def _needed(self) -> int:
        if not self._each:
            return ROUNDS
        plain = [trial for trial in self._seen if not trial.changes]
        alike = max((self._seen[trial].group for trial in plain), default=1)
        return rounds_needed(self._each * len(plain), alike, self._each)

    def _drifts(self) -> bool:
        """Whether runs as they are disagree: of repeats, unless all of them are alike."""
        seen = [each for trial, each in self._seen.items() if not trial.changes]
        return any(each.reading is not Reading.AGREES for each in seen) or bool(self._each)

    def _as_it_is(self, rounds: int, *beside: Trial) -> Generator[Plan, Observations, None]:
        plain = (Trial((), number) for number in range(rounds))
        plan = tuple(each for each in (*plain, *beside) if each not in self._seen)
        if plan:
            self._seen.update((yield plan))

    def _agree(self, names: Measures) -> Generator[Plan, Observations, bool]:
        """Whether runs agree with these, by a trial where that is not known."""
        trial = Trial(names)
        if trial not in self._seen and self._left > 0:
            self._left -= 1
            self._seen.update((yield (trial,)))
            if self._seen[trial].reading is Reading.AGREES:
                self._rounds[names] = 1
        return self._agreed(names) is True

    def _agreed(self, names: Measures) -> bool | None:
        """None where it was not tried."""
        seen = self._seen.get(Trial(names))
        if names in self._lucky:
            return False
        return None if seen is None else seen.reading is Reading.AGREES

    def _fails(self, names: Measures) -> bool:
        seen = self._seen.get(Trial(names))
        return seen is not None and seen.reading is Reading.FAILS


def _less(names: Measures, name: str) -> Measures:
    return tuple(each for each in names if each != name)
