"""The search for causes, run against programs that are functions of what is changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observation,
    Plan,
    Reading,
    Search,
    SearchOutcome,
    Trial,
)

NAMES = (*(f"v{number:02}" for number in range(18)), "hash-seed", "hostname")
PINS = ("aslr", "clock", "hash-seed", "hostname", "threads")
FLAT = dict.fromkeys(NAMES, 1.0)


@dataclass(frozen=True)
class Fails:
    text: str


# What a run gives under a set of changes, with luck of its own.
Program = Callable[[frozenset[str], random.Random], Hashable]


def drive(search: Search, program: Program, seed: int = 0) -> tuple[Findings, list[Plan]]:
    """Run a search to its end; no trial may be asked for twice, nor runs be counted wrongly."""
    rng = random.Random(seed)
    results: dict[Hashable, int] = {}
    seen: dict[Trial, Observation] = {}
    plans: list[Plan] = []
    reference: Hashable = None
    try:
        plan = next(search)
        while True:
            plans.append(plan)
            observed = {}
            for trial in plan:
                assert trial not in seen
                assert trial.changes == tuple(sorted(trial.changes))
                result = program(frozenset(trial.changes), rng)
                if isinstance(result, Fails):
                    observed[trial] = Observation(Reading.FAILS, -1, result.text)
                else:
                    reference = result if trial == Trial() else reference
                    reading = Reading.AGREES if result == reference else Reading.DRIFTS
                    group = results.setdefault(result, len(results))
                    observed[trial] = Observation(reading, group)
                seen[trial] = observed[trial]
            plan = search.send(observed)
    except StopIteration as end:
        findings: Findings = end.value
    assert findings.runs == len(seen)
    return findings, plans


def faulty(*causes: Collection[str], crashes: Collection[Collection[str]] = ()) -> Program:
    """A program that drifts under each set of `causes`, and fails under each of `crashes`."""

    def run(changes: frozenset[str], _: random.Random) -> Hashable:
        for crash in crashes:
            if set(crash) <= changes:
                return Fails("fails with " + " ".join(crash))
        return tuple(tuple(cause) for cause in causes if set(cause) <= changes)

    return run


def at_random(program: Program, share: float) -> Program:
    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return Fails("connection reset") if rng.random() < share else program(changes, rng)

    return run


def named(findings: Findings) -> set[tuple[str, ...]]:
    return {cause.names for cause in findings.causes}


def suspecting(*names: str, weight: float = 12.0) -> Mapping[str, float]:
    return {**FLAT, **dict.fromkeys(names, weight)}


def test_a_clean_program_takes_three_runs() -> None:
    """A control beside everything at once, and a second one where these agree, end the search."""
    findings, plans = drive(search_causes(NAMES, FLAT), faulty())
    assert findings == Findings(SearchOutcome.CLEAN, runs=3)
    assert plans == [(Trial(), Trial(tuple(sorted(NAMES)))), (Trial((), 1),)]


def test_the_top_suspect_takes_six_runs() -> None:
    """The top suspect is tried alone, then again beside all but it; the evidence says so."""
    findings, plans = drive(search_causes(NAMES, suspecting("v07")), faulty(["v07"]))
    assert findings.kind is SearchOutcome.DRIFT
    (cause,) = findings.causes
    assert cause.names == ("v07",)
    assert cause.runs == findings.runs == 6
    assert cause.evidence == (
        "drifts with it alone (2 of 2 runs) and agrees with all others but it"
    )
    assert sum(not trial.changes for plan in plans for trial in plan) == 2
    assert not findings.open
    assert not findings.suspects


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prior", ["flat", "right", "wrong", "none"])
def test_every_single_cause_is_found(name: str, prior: str) -> None:
    """Whatever is suspected, each of 20 changes is named where it is the cause."""
    wrong = [other for other in NAMES if other != name][:4]
    weights = {
        "flat": FLAT,
        "right": suspecting(name),
        "wrong": {**suspecting(*wrong), name: 0.0},
        "none": {},
    }[prior]
    findings, _ = drive(search_causes(NAMES, weights), faulty([name]))
    assert named(findings) == {(name,)}
    assert findings.runs <= {"flat": 12, "right": 6, "wrong": 15, "none": 12}[prior]


def test_a_single_cause_among_the_suspected_takes_eight_runs_as_a_rule() -> None:
    """The median stays within eight where the cause is one of three suspects among 20."""
    runs = []
    for seed in range(40):
        suspects = random.Random(seed).sample(NAMES[:18], 3)
        search = search_causes(NAMES, suspecting(*suspects))
        runs.append(drive(search, faulty([suspects[seed % 3]]))[0].runs)
    assert median(runs) <= 8


@pytest.mark.parametrize(("size", "most"), [(1, 9.5), (2, 17), (3, 22)])
def test_what_several_do_together_takes_few_runs(size: int, most: float) -> None:
    """Among 20 changes, the more suspected ones being causes more often: the median of 40."""
    runs = []
    for seed in range(40):
        rng = random.Random(seed)
        weights = {name: rng.lognormvariate(0, 1.2) for name in NAMES}
        cause: set[str] = set()
        while len(cause) < size:
            cause.add(rng.choices(NAMES[:18], [weights[name] for name in NAMES[:18]])[0])
        found, _ = drive(search_causes(NAMES, weights, budget=60), faulty(cause))
        assert named(found) == {tuple(sorted(cause))}
        runs.append(found.runs)
    assert median(runs) <= most


@pytest.mark.parametrize("count", [20, 45])
@pytest.mark.parametrize("size", [2, 4])
def test_larger_causes_and_more_changes_are_searched_as_well(count: int, size: int) -> None:
    """Four that only together matter, and more changes than all sets are counted of."""
    names = [f"v{number:02}" for number in range(count)]
    cause = tuple(names[:: count // size][:size])
    findings, _ = drive(search_causes(names, dict.fromkeys(names, 1.0), budget=90), faulty(cause))
    assert named(findings) == {cause}


CAUSES: dict[str, list[tuple[str, ...]]] = {
    "pair": [("v03", "v11")],
    "triple": [("v02", "v09", "v15")],
    "two": [("v04",), ("v13",)],
    "three": [("v01",), ("v08",), ("v16",)],
    "pair and one": [("v00", "v17"), ("v05",)],
    "pairs that share a member": [("v03", "v11"), ("v03", "v14")],
    "ring of pairs": [("v03", "v11"), ("v11", "v14"), ("v03", "v14")],
}


@pytest.mark.parametrize("kind", CAUSES)
@pytest.mark.parametrize("prior", ["flat", "right"])
def test_all_smallest_sets_are_found(kind: str, prior: str) -> None:
    """Interplays of two and three, causes beside each other, and sets that share members."""
    members = [name for cause in CAUSES[kind] for name in cause]
    weights = FLAT if prior == "flat" else suspecting(*members)
    findings, _ = drive(search_causes(NAMES, weights, budget=60), faulty(*CAUSES[kind]))
    assert named(findings) == set(CAUSES[kind])
    assert not findings.open


def test_kin_of_a_cause_is_looked_at_next() -> None:
    """Of two changes that go together, the second takes three runs more."""
    causes = faulty(["v07"], ["v11"])
    weights = suspecting("v07")
    alone, _ = drive(search_causes(NAMES, weights), causes)
    search = search_causes(NAMES, weights, kin={frozenset({"v07", "v11"}): 100.0})
    found, _ = drive(search, causes)
    assert named(alone) == named(found) == {("v07",), ("v11",)}
    assert found.runs <= 9 < alone.runs


def test_a_crash_hides_no_drift() -> None:
    """What makes it fail is named with what it failed with, taken out, and the drift found."""
    program = faulty(["v05"], crashes=[["v12"]])
    findings, _ = drive(search_causes(NAMES, FLAT), program)
    assert named(findings) == {("v05",)}
    (crash,) = findings.crashes
    assert (crash.names, crash.failure, crash.confirmed) == (("v12",), "fails with v12", 3)


def test_two_failures_are_two_crashes() -> None:
    """Failures with other texts are told apart, and the program is clean but for them."""
    findings, _ = drive(search_causes(NAMES, FLAT), faulty(crashes=[["v02"], ["v12"]]))
    assert findings.kind is SearchOutcome.CLEAN
    assert {crash.names for crash in findings.crashes} == {("v02",), ("v12",)}


def test_a_crash_of_two_keeps_both_in_the_search() -> None:
    """Of a pair that fails only together, each is still tried for drift."""
    for cause in ("v02", "v12"):
        program = faulty([cause], crashes=[["v02", "v12"]])
        findings, _ = drive(search_causes(NAMES, FLAT, budget=60), program)
        assert named(findings) == {(cause,)}
        assert {crash.names for crash in findings.crashes} == {("v02", "v12")}


def test_crashes_have_suspects_of_their_own() -> None:
    """What the failure says about its cause orders the search for it."""

    def suspects(seen: Observation) -> Mapping[str, float]:
        return suspecting("v12") if "v12" in seen.failure else FLAT

    program = faulty(crashes=[["v12"]])
    hinted, _ = drive(search_causes(NAMES, FLAT, crash_weights=suspects), program)
    plain, _ = drive(search_causes(NAMES, FLAT), program)
    assert hinted.runs < plain.runs


def test_a_program_that_always_fails_takes_three_runs() -> None:
    """Nothing is searched where not even a control works."""
    findings, _ = drive(search_causes(NAMES, FLAT), faulty(crashes=[[]]))
    assert findings == Findings(SearchOutcome.FAILED, runs=3)


@pytest.mark.parametrize("causes", [[], [("v07",)], [("v03",)]])
def test_random_failures_change_no_verdict(causes: list[tuple[str, ...]]) -> None:
    """One failure in five gives the verdict there would be without, and no crash."""
    right = 0
    for seed in range(100):
        program = at_random(faulty(*causes), 0.2)
        findings, _ = drive(search_causes(NAMES, suspecting("v03")), program, seed)
        right += named(findings) == set(causes) and findings.kind is not SearchOutcome.FAILED
        assert not findings.crashes
    assert right >= 97


def test_flaky_runs_are_counted() -> None:
    """A run that failed although the same worked is counted, and its place taken by another."""
    failures = iter([False, True, False])

    def run(_: frozenset[str], __: random.Random) -> Hashable:
        return Fails("connection reset") if next(failures, False) else "same"

    findings, _ = drive(search_causes(NAMES, FLAT), run)
    assert (findings.kind, findings.flaky, findings.runs) == (SearchOutcome.CLEAN, 1, 4)


@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("alike", [True, False])
def test_no_change_is_named_for_a_random_program(share: float, alike: bool) -> None:
    """A program that gives something else now and then is not explained by a change or a pin."""

    def run(_: frozenset[str], rng: random.Random) -> Hashable:
        return ("odd" if alike else rng.random()) if rng.random() < share else "base"

    wrong = 0
    for seed in range(400):
        findings, _ = drive(search_causes(NAMES, FLAT, pins=PINS), run, seed)
        wrong += not named(findings) <= {("randomness",)}
    assert wrong <= 400 * 0.03


@pytest.mark.parametrize("seed", range(12))
def test_a_natural_cause_is_nondeterminism(seed: int) -> None:
    """A program keyed by its hash seed is named so, by controls that disagree."""

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        if "hash-seed" in changes:
            return 0
        return 1 if "pin:hash-seed" in changes else rng.randrange(120)

    search = search_causes(NAMES, FLAT, natural=["hash-seed"], pins=PINS, budget=60)
    findings, _ = drive(search, run, seed)
    assert findings.kind is SearchOutcome.NONDETERMINISTIC
    assert named(findings) == {("hash-seed",)}


def test_a_program_that_answers_alike_to_all_natural_values_is_no_random_one() -> None:
    """All of the engine's own names may mean the same to it: only another one makes it drift, and
    that is what is said."""
    search = search_causes(NAMES, suspecting("hash-seed"), natural=["hash-seed"])
    findings, _ = drive(search, faulty(["hash-seed"], ["v03"]))
    assert findings.kind is SearchOutcome.DRIFT
    assert named(findings) == {("hash-seed",), ("v03",)}
    (cause,) = (each for each in findings.causes if each.names == ("hash-seed",))
    assert "8 of 8 runs with nothing changed agree, although it is another" in cause.evidence
    assert "luck" not in cause.evidence


def test_controls_that_agreed_by_luck_are_asked_again() -> None:
    """Where two controls agreed and later ones do not, it is nondeterminism."""
    controls = iter([0, 0, 1, 0, 1, 1, 0])

    def run(changes: frozenset[str], _: random.Random) -> Hashable:
        if "hash-seed" in changes:
            return 1
        return 0 if "pin:hash-seed" in changes else next(controls, 0)

    search = search_causes(NAMES, suspecting("hash-seed"), natural=["hash-seed"], pins=PINS)
    findings, _ = drive(search, run)
    assert findings.kind is SearchOutcome.NONDETERMINISTIC


def test_a_cause_may_itself_be_random() -> None:
    """A change under which every run gives something else is named, after further controls."""

    def run(changes: frozenset[str], rng: random.Random) -> Hashable:
        return rng.random() if "v07" in changes else "base"

    findings, plans = drive(search_causes(NAMES, FLAT), run)
    assert named(findings) == {("v07",)}
    assert sum(not trial.changes for plan in plans for trial in plan) == 4


def test_a_cause_that_does_not_drift_again_is_not_named() -> None:
    """Where the same change gives two results, nothing is named and the reason is said."""
    drifts = iter([True, True, False])

    def run(changes: frozenset[str], _: random.Random) -> Hashable:
        return "v07" in changes and next(drifts, False)

    findings, _ = drive(search_causes(NAMES, suspecting("v07")), run)
    assert not findings.causes
    assert findings.suspects == ("v07",)
    assert findings.open == ("with v07 changed, 1 of 2 runs drift, so no cause is named",)


def test_names_that_hide_each_other_are_never_together() -> None:
    """Only names with such partners cost a further run of everything."""
    apart = [frozenset({"v01", "v02"}), frozenset({"v02", "v03"})]

    def run(changes: frozenset[str], _: random.Random) -> Hashable:
        return "v01" in changes and "v02" not in changes

    findings, plans = drive(search_causes(NAMES, FLAT, apart=apart), run)
    assert named(findings) == {("v01",)}
    assert not any(pair <= set(trial.changes) for plan in plans for trial in plan for pair in apart)
    clean, _ = drive(search_causes(NAMES, FLAT, apart=apart), faulty())
    assert clean.runs == 4


@pytest.mark.parametrize("pair", [("v02", "v05"), ("v01", "v08"), ("v02", "v01"), ("v03", "v05")])
def test_what_only_two_do_together_is_found_although_both_have_rivals_elsewhere(
    pair: tuple[str, str],
) -> None:
    """Each round has all that it may have: an interplay with a name of one round only shows."""
    apart = [frozenset({"v02", "v03"}), frozenset({"v01", "v04"})]

    findings, _ = drive(search_causes(NAMES, FLAT, apart=apart, budget=60), faulty(pair))

    assert named(findings) == {tuple(sorted(pair))}


def test_rounds_that_a_cause_is_in_are_run_without_it_only() -> None:
    """A cause is in each of two rounds: the second is not run with it, it is known to drift."""
    apart = [frozenset({"v02", "v03"})]

    findings, plans = drive(search_causes(NAMES, FLAT, apart=apart), faulty(["v07"], ["v03"]))

    assert named(findings) == {("v03",), ("v07",)}
    most = [set(trial.changes) for plan in plans for trial in plan if len(trial.changes) > 17]
    assert sum({"v07", "v02"} <= each for each in most) == 1
    assert not any({"v07", "v03"} <= each for each in most)
    assert all("agrees with all others but" in cause.evidence for cause in findings.causes)


def test_what_the_budget_keeps_from_being_confirmed_is_not_named() -> None:
    """Until chance is no explanation a cause is a suspect; that it drifts alone is said."""
    whole, _ = drive(search_causes(NAMES, FLAT), faulty(["v07"]))
    assert named(whole) == {("v07",)}

    findings, _ = drive(search_causes(NAMES, FLAT, budget=whole.runs - 1), faulty(["v07"]))

    assert not findings.causes
    assert findings.suspects == ("v07",)
    assert "it drifts with v07 changed alone (2 of 2 runs)" in findings.open[0]


def test_what_many_runs_tell_needs_no_further_control() -> None:
    """Where each of many runs drifts just with the cause, chance is no explanation; where few do, a
    second control, and of what nobody suspected a third run, are made as well."""
    cause = ("v03", "v11")
    _, many = drive(search_causes(NAMES, suspecting(*cause, weight=40), budget=60), faulty(cause))
    _, few = drive(search_causes(NAMES, {**FLAT, "v07": 0.5}), faulty(["v07"]))
    trials = [[trial.changes for plan in plans for trial in plan] for plans in (many, few)]
    assert (trials[0].count(()), trials[0].count(cause)) == (1, 2)
    assert (trials[1].count(()), trials[1].count(("v07",))) == (2, 3)


def test_other_results_each_time_are_held_against_a_control_at_once() -> None:
    """Two runs that drift, each another way, may be chance: a control is asked for before more."""
    _, plans = drive(search_causes(NAMES, FLAT), lambda _, rng: rng.random())
    assert [len(trial.changes) for plan in plans for trial in plan][:4] == [0, 20, 12, 0]


def test_how_the_outputs_differ_orders_the_search() -> None:
    """Weights are asked for once everything was seen to drift, and are gone by."""
    asked = []

    def reweigh(trial: Trial, seen: Observation) -> Mapping[str, float]:
        asked.append((trial.changes, seen.reading))
        return suspecting("v09")

    findings, _ = drive(search_causes(NAMES, FLAT, reweigh=reweigh), faulty(["v09"]))
    assert asked == [(tuple(sorted(NAMES)), Reading.DRIFTS)]
    assert findings.runs == 6


def test_a_change_that_hides_another_does_not_stop_the_search() -> None:
    """Where fewer changes drift than more, what was seen to drift is still named."""

    def run(changes: frozenset[str], _: random.Random) -> Hashable:
        return ("v04" in changes and "v09" not in changes) or {"v09", "v13"} <= changes

    findings, _ = drive(search_causes(NAMES, FLAT, budget=60), run)
    assert ("v09", "v13") in named(findings)
    assert named(findings) <= {("v09", "v13"), ("v04",)}


SETS = st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=3).map(frozenset), max_size=3)


@settings(max_examples=150, deadline=None)
@given(causes=SETS, crashes=SETS, budget=st.integers(0, 40), seed=st.integers(0, 10**6))
def test_no_budget_is_exceeded_and_nothing_false_named(
    causes: list[frozenset[str]], crashes: list[frozenset[str]], budget: int, seed: int
) -> None:
    """At whatever run the budget ends, what is named is true, and what is open is said."""
    weights = {name: random.Random(f"{seed}{name}").random() for name in NAMES}
    program = faulty(*map(sorted, causes), crashes=[sorted(crash) for crash in crashes])
    findings, _ = drive(search_causes(NAMES, weights, budget=budget), program)
    assert findings.runs <= budget
    assert {frozenset(found) for found in named(findings)} <= set(causes)
    assert {frozenset(crash.names) for crash in findings.crashes} <= set(crashes)
    if findings.runs == budget < 3:
        assert findings.open


@pytest.mark.parametrize("budget", [0, 1])
def test_a_budget_that_is_too_small_is_said(budget: int) -> None:
    """Not even two controls could be made."""
    findings, _ = drive(search_causes(NAMES, FLAT, budget=budget), faulty(["v07"]))
    assert "not even two runs" in findings.open[0]


def test_the_end_of_the_budget_says_what_is_known() -> None:
    """What drifts, what does not and what is left are in a sentence; suspects has the names."""
    names = ["a", "b", "c", "d", "e", "f"]
    findings, _ = drive(search_causes(names, {}, budget=3), faulty(["e"]))
    assert findings.kind is SearchOutcome.DRIFT
    assert not findings.causes
    assert findings.suspects == ("e", "f")
    assert findings.open == (
        "it drifts with a, b, c, d, e, f changed at once; not with a, b, c, d; where one change"
        " alone causes it, it is among e, f; the budget of 3 runs ended there",
    )


def test_where_a_placebo_drifts_it_alone_is_named() -> None:
    """Of a program that answers to where things lie in memory, no change is called the cause."""
    moved = faulty(["v02"], ["v05"], ["v09"], ["v14"], ["placebo"])
    findings, _ = drive(search_causes(NAMES, FLAT, placebo=("placebo",)), moved)
    assert findings.kind is SearchOutcome.DRIFT
    assert named(findings) == {("placebo",)}
    assert "cannot be told" in " ".join(findings.open)
    without, _ = drive(search_causes(NAMES, FLAT), moved)
    assert findings.runs < without.runs


def test_causes_stand_where_a_placebo_agrees() -> None:
    """Two causes are named as without it, at the price of one run."""
    program = faulty(["v03"], ["v12"])
    findings, plans = drive(search_causes(NAMES, FLAT, placebo=("placebo",)), program)
    assert named(findings) == {("v03",), ("v12",)}
    assert sum("placebo" in trial.changes for plan in plans for trial in plan) == 1


def test_a_placebo_is_not_asked_where_a_cause_would_show_it_anyway() -> None:
    """What prints all variables answers to those that a placebo adds, which tells nothing."""
    program = faulty(["v03"], ["v12"], ["placebo"])
    findings, _ = drive(search_causes(NAMES, FLAT, placebo=("placebo", "v03", "v12")), program)
    assert named(findings) == {("v03",), ("v12",)}
