"""The search for what has to be pinned, run against programs that differ by themselves."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable

import pytest

from pytest_mlcontainer.explain.pins import pinning
from pytest_mlcontainer.explain.search_book import TrialBook
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observation,
    Observations,
    Plan,
    Reading,
    Search,
    SearchOutcome,
    Trial,
)

PINS = ("aslr", "clock", "hash-seed", "hostname", "network", "threads")
FIRST = {
    Trial((), 0): Observation(Reading.AGREES, 0),
    Trial((), 1): Observation(Reading.DRIFTS, 1),
}
Program = Callable[[frozenset[str], random.Random], Hashable]


def search_pins(
    names: tuple[str, ...], weights: dict[str, float], first: Observations, budget: int = 40
) -> Search:
    """The search, which goes on with controls that were run."""
    state = pinning(TrialBook(budget, dict(first)), names, weights)
    yield from state.run()
    return state.findings()


def drive(search: Search, program: Program, seed: int = 0) -> tuple[Findings, list[Plan]]:
    """Run a search to its end, after controls that gave two results; None is a failure."""
    rng = random.Random(seed)
    results: dict[Hashable, int] = {0: 0, 1: 1}
    plans: list[Plan] = []
    try:
        plan = next(search)
        while True:
            plans.append(plan)
            observed = {}
            for trial in plan:
                result = program(frozenset(trial.changes), rng)
                group = results.setdefault(result, len(results))
                observed[trial] = (
                    Observation(Reading.FAILS, -1, "no clock")
                    if result is None
                    else Observation(Reading.DRIFTS if group else Reading.AGREES, group)
                )
            plan = search.send(observed)
    except StopIteration as end:
        findings: Findings = end.value
    trials = [trial for plan in plans for trial in plan]
    assert len(set(trials)) == len(trials) == findings.runs - len(FIRST)
    return findings, plans


def keyed(*pins: str) -> Program:
    """A program whose result is the same only where all of these are pinned."""
    needed = {f"pin:{pin}" for pin in pins}

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return "same" if needed <= changes else rng.random()

    return run


@pytest.mark.parametrize("pin", PINS)
def test_every_single_pin_is_found(pin: str) -> None:
    """Each pin is named, without the prefix that trials have, confirmed by three runs or more."""
    findings, plans = drive(search_pins(PINS, {"hash-seed": 3.0}, FIRST), keyed(pin))
    assert findings.kind is SearchOutcome.NONDETERMINISTIC
    assert [cause.names for cause in findings.causes] == [(pin,)]
    assert "with all others pinned they disagree" in findings.causes[0].evidence
    alone = [trial for plan in plans for trial in plan if trial.changes == (f"pin:{pin}",)]
    assert len(alone) >= 3


def test_pins_that_are_needed_together_are_named_together() -> None:
    """Neither of two pins alone makes repeats agree."""
    findings, _ = drive(search_pins(PINS, {}, FIRST), keyed("clock", "threads"))
    assert [cause.names for cause in findings.causes] == [("clock", "threads")]


def test_of_pins_that_each_are_enough_the_most_suspected_is_named() -> None:
    """The evidence says that another may do, too."""

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return "same" if {"pin:clock", "pin:threads"} & changes else rng.random()

    findings, _ = drive(search_pins(PINS, {"threads": 3.0}, FIRST), run)
    (cause,) = findings.causes
    assert cause.names == ("threads",)
    assert "instead may be enough" in cause.evidence


def test_what_no_pin_helps_is_randomness() -> None:
    """Two runs with everything pinned that disagree end the search."""
    findings, _ = drive(search_pins(PINS, {}, FIRST), keyed("nothing there is"))
    assert [cause.names for cause in findings.causes] == [("randomness",)]
    assert findings.runs == 4


def test_without_pins_it_is_randomness() -> None:
    """Where nothing can be pinned no run is spent."""
    findings, plans = drive(search_pins((), {}, FIRST), keyed())
    assert [cause.names for cause in findings.causes] == [("randomness",)]
    assert not plans


def test_a_pin_that_makes_it_fail_is_left_out() -> None:
    """The search goes on with the others, and says so."""

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return None if "pin:clock" in changes else keyed("network")(changes, rng)

    findings, _ = drive(search_pins(PINS, {}, FIRST), run)
    assert [cause.names for cause in findings.causes] == [("network",)]
    assert findings.open == ("clock could not be pinned: no clock",)


@pytest.mark.parametrize("seed", range(10))
def test_results_that_agree_by_luck_name_no_wrong_pin(seed: int) -> None:
    """Of a program with two results the right pin is named, or none, and then it is a suspect."""

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return 1 if "pin:hash-seed" in changes else rng.randrange(2)

    findings, _ = drive(search_pins(PINS, {"hash-seed": 3.0}, FIRST), run, seed)
    if findings.causes:
        assert [cause.names for cause in findings.causes] == [("hash-seed",)]
    else:
        assert "hash-seed" in findings.suspects


@pytest.mark.parametrize("budget", range(2, 26))
def test_no_budget_is_exceeded(budget: int) -> None:
    """Whenever the runs end, nothing is named that is not confirmed, and what is open is said."""
    findings, _ = drive(search_pins(PINS, {}, FIRST, budget=budget), keyed("network"))
    assert findings.runs <= budget
    assert findings.causes or (findings.open and "network" in findings.suspects)
