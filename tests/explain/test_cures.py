"""The search for a cure, against oracles: what it names is smallest, confirmed, and no luck."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.explain.cure_changes import changes_for
from pytest_mlcontainer.explain.cures import (
    LUCK,
    MOST_CHANGES,
    MOST_ROUNDS,
    MOST_SETTINGS,
    ROUNDS,
    CureFindings,
    most_runs,
    most_trials,
    rounds_needed,
    search_cure,
)
from pytest_mlcontainer.explain.trials import Observation, Observations, Reading, Trial
from pytest_mlcontainer.report.terminal import CURE_RUNS

NAMES = tuple("abcdefgh")
Oracle = Callable[[Trial], Observation]


@dataclass
class Asked:
    """What a search asked for, and what it found."""

    trials: list[Trial] = field(default_factory=list)
    found: CureFindings = field(default_factory=CureFindings)


def searched(
    oracle: Oracle, *pools: tuple[str, ...], most: int = MOST_SETTINGS, each: int = 0
) -> Asked:
    asked = Asked()
    search = search_cure(pools, most, runs_a_trial=each)
    try:
        plan = next(search)
        while True:
            asked.trials += plan
            seen: Observations = {trial: oracle(trial) for trial in plan}
            plan = search.send(seen)
    except StopIteration as end:
        asked.found = end.value
        return asked


def cured_by(*sets: set[str]) -> Oracle:
    """Runs agree with any of these sets, and with what holds one."""

    def oracle(trial: Trial) -> Observation:
        agrees = any(each <= set(trial.changes) for each in sets)
        return Observation(Reading.AGREES if agrees else Reading.DRIFTS, trial.repeat + 1)

    return oracle


some = st.sets(st.sampled_from(NAMES), min_size=1, max_size=8)


@given(cure=some, pool=some)
def test_what_is_named_helps_and_each_part_was_left_out(cure: set[str], pool: set[str]) -> None:
    """With the smallest set alone, in three trials; where the pool lacks a part, nothing is."""
    names = tuple(sorted(pool))
    asked = searched(cured_by(cure), names, most=100)
    found = asked.found
    if not cure <= pool:
        assert found.names is None
        assert set(found.vain) == pool
        return
    assert found.names is not None
    assert set(found.names) == cure
    assert found.is_smallest
    assert set(found.needless) == pool - cure
    assert [each for each in asked.trials if each.changes == found.names] == [
        Trial(found.names, number) for number in range(ROUNDS)
    ]
    for name in found.names if len(cure) > 1 else ():
        assert Trial(tuple(each for each in found.names if each != name)) in asked.trials
    assert {Trial((), number) for number in range(ROUNDS)} <= set(asked.trials)


@given(seed=st.integers(0, 10_000), size=st.integers(1, 8), repeats=st.booleans())
def test_it_asks_for_no_more_than_it_says(seed: int, size: int, repeats: bool) -> None:
    """Whatever it is told: runs that fail, agree by luck, or have moods."""
    moods = random.Random(seed)

    def oracle(trial: Trial) -> Observation:
        return Observation(moods.choice(tuple(Reading)), moods.randint(1, 3))

    each = 3 if repeats else 0
    first = searched(oracle, NAMES[:size], each=each)
    second = searched(oracle, ("seed",), most=MOST_CHANGES, each=each)
    both = {*first.trials, *second.trials}
    assert len(first.trials) == len(set(first.trials))
    assert len(both) <= most_trials(repeats=repeats)


def test_the_offer_says_how_many_runs_it_takes_at_most() -> None:
    most = {repeats: most_runs(repeats=repeats, runs_a_trial=3) for repeats in (False, True)}
    assert most == CURE_RUNS


def test_the_pool_of_the_cause_goes_first() -> None:
    """And what it lacks is looked for in the next."""
    asked = searched(cured_by({"b", "d"}), ("a", "b"), NAMES)
    assert asked.found.names == ("b", "d")
    changes = [trial.changes for trial in asked.trials if trial.changes]
    assert changes[:2] == [("a", "b"), NAMES]


def test_the_preferred_one_of_two_is_kept() -> None:
    assert searched(cured_by({"a"}, {"b"}), ("a", "b")).found.names == ("a",)


def test_what_breaks_the_program_is_left_out() -> None:
    """All together fail; those that do not fail are looked at without it."""

    def oracle(trial: Trial) -> Observation:
        if "a" in trial.changes:
            return Observation(Reading.FAILS, -1, "exit code 1: no")
        return cured_by({"b", "c"})(trial)

    found = searched(oracle, ("a", "b", "c")).found
    assert found.names == ("b", "c")
    assert (("a",), "exit code 1: no") in found.broken


def test_a_program_that_fails_with_the_setting_is_not_cured() -> None:
    found = searched(
        lambda trial: Observation(
            Reading.FAILS if trial.changes else Reading.DRIFTS, -1, "exit code 1"
        ),
        ("a",),
    ).found
    assert found.names is None
    assert found.broken == ((("a",), "exit code 1"),)


def test_agreement_by_luck_is_no_cure() -> None:
    """It agrees in the first trial alone."""

    def oracle(trial: Trial) -> Observation:
        lucky = trial.changes == ("a",) and not trial.repeat
        return Observation(Reading.AGREES if lucky else Reading.DRIFTS, 1)

    found = searched(oracle, ("a",)).found
    assert found.names is None
    assert found.why == "agreement came by luck"


@pytest.mark.parametrize("lucky", [1, 2])
def test_sides_that_agree_now_and_then_are_not_called_cured(lucky: int) -> None:
    """That all three trials with it agreed may be luck as well."""

    def oracle(trial: Trial) -> Observation:
        agrees = trial.changes == ("a",) or (not trial.changes and trial.repeat == lucky)
        return Observation(Reading.AGREES if agrees else Reading.DRIFTS, trial.repeat)

    found = searched(oracle, ("a",)).found
    assert found.names is None
    assert found.why == "runs as they are disagree too rarely to tell whether a helps"


def test_runs_that_agree_as_they_are_need_no_cure() -> None:
    found = searched(lambda _trial: Observation(Reading.AGREES), ("a",)).found
    assert found.names is None
    assert "nothing to cure" in found.why


@pytest.mark.parametrize(
    ("alike", "rounds"),
    [(1, 2), (2, 2), (3, 3)],
    ids=["never alike", "two alike", "half alike"],
)
def test_repeats_that_are_alike_now_and_then_take_more_runs(alike: int, rounds: int) -> None:
    """So many that luck explains them in at most one of fifty searches."""

    def oracle(trial: Trial) -> Observation:
        return Observation(Reading.AGREES if trial.changes else Reading.DRIFTS, alike)

    found = searched(oracle, ("a",), each=3).found
    assert found.names == ("a",)
    assert found.rounds == rounds


def test_repeats_that_disagree_too_rarely_are_not_called_cured() -> None:
    def oracle(trial: Trial) -> Observation:
        plain = Reading.AGREES if trial.repeat else Reading.DRIFTS
        reading = Reading.AGREES if trial.changes else plain
        return Observation(reading, 3 * trial.repeat + 2)

    found = searched(oracle, ("a",), each=3).found
    assert found.names is None
    assert "too rarely" in found.why


@given(runs=st.integers(2, 12), data=st.data())
def test_rounds_leave_luck_its_share(runs: int, data: st.DataObject) -> None:
    alike = data.draw(st.integers(1, runs))
    chance = (alike + 1) / (runs + 2)
    rounds = rounds_needed(runs, alike, 3)
    assert chance ** (3 * rounds - 1) <= LUCK
    assert rounds == 1 or chance ** (3 * (rounds - 1) - 1) > LUCK
    assert MOST_ROUNDS >= 1


def test_no_seed_is_proposed_for_ids_that_python_draws_itself() -> None:
    """`tempfile` has a generator of its own, which `random.seed(0)` does not reach."""
    drawn = changes_for(frozenset({"randomness"}), "an identifier that is made anew in each run")
    assert drawn == ()
    assert [each.name for each in changes_for(frozenset({"randomness"}), "random numbers")] == [
        "seed"
    ]
