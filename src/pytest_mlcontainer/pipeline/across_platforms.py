"""What makes two platforms drift: the same settings on both sides until they agree, or do not.

Each trial runs the entrypoint on both platforms with some of their settings made alike: one thread
each, the least of vector instructions, the same date. A smallest set that makes them agree is the
cause. Where none does, the reference alone is varied: what moves the same items there, and by as
much, explains that part, and the report says what remains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_mlcontainer.experiments.last_words import failure_line
from pytest_mlcontainer.experiments.set_apart import apart_findings, as_apart
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import (
    Findings,
    Observation,
    Observations,
    Plan,
    Reading,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.facts import suspicion, took_effect
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.apart import Exclusions, joined, set_apart
from pytest_mlcontainer.judging.evidence import for_repeats
from pytest_mlcontainer.mixing.across_software import AskSoftware, Software
from pytest_mlcontainer.model import (
    HOST,
    Cause,
    Comparator,
    CompareJob,
    Difference,
    Explanation,
    Facts,
    Family,
    NotExercised,
    Outcome,
    Pairs,
    Rule,
    Run,
    RunJob,
    SearchFinding,
    Situation,
    Variation,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.bench import drive
from pytest_mlcontainer.pipeline.explaining import explain_variations, look_around, what_it_means
from pytest_mlcontainer.pipeline.laboratory import Laboratory
from pytest_mlcontainer.variations import choose, together, wanted, within_reach

# What can be made alike besides arithmetic and what differs between any two runs.
_ALIKE = ("cpus", "timezone", "locale", "encoding", "home", "memory", "shm")
_LEAST_SUSPICION = 0.15
_TRIALS = 10  # each is a run on both sides, and one of the two may be emulated
_COMPARABLE = 0.1  # of the drift between the platforms: what moves less explains little
_PLATFORM = "platform"


@dataclass(frozen=True)
class Sides:
    """Settings that can be made alike, by name, for each side that is not so by itself."""

    actual: Mapping[str, Variation]
    expected: Mapping[str, Variation]
    not_exercised: Pairs

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.expected, *self.actual)))


def explain_platforms(
    lab: Laboratory,
    job: CompareJob,
    outcome: Outcome,
    asked: VariesJob,
    families: tuple[Family, ...],
    comparators: tuple[Comparator, ...] = (),
    software: AskSoftware = lambda _there, _here, _apart: Software(),
) -> Outcome:
    """The outcome of a comparison that drifts, with its cause.

    Args:
        outcome: what the comparison said.
        asked: the same entrypoint on the reference platform, with the names of the variations
            that may be tried, and the budget of runs.
        software: what is known of the software on both sides, which is looked at first.

    Raises:
        MlContainerError: a variation that is asked for does not exist.
    """
    return _Across(lab, job, outcome, asked, families, comparators, software).explain()


class _Across:
    def __init__(
        self,
        lab: Laboratory,
        job: CompareJob,
        outcome: Outcome,
        asked: VariesJob,
        families: tuple[Family, ...],
        comparators: tuple[Comparator, ...],
        software: AskSoftware,
    ) -> None:
        self._ask_software = software
        self._software = Software()
        self._apart = Exclusions()
        self._is_steady = True
        self._lab = lab
        self._job = job
        self._outcome = outcome
        self._asked = asked
        self._families = families
        self._chosen = wanted(families, asked.names)
        self._comparators = comparators
        self._pairs: dict[Trial, tuple[Run, Run]] = {}
        self._runs = 0

    def explain(self) -> Outcome:
        there, here = (
            look_around(self._lab, side) for side in (self._job.expected, self._job.actual)
        )
        only_clocks = self._set_apart()
        if only_clocks is not None:
            return only_clocks
        if self._is_steady:  # nothing can be told of the software of a program that is not
            self._software = self._ask_software(there.facts, here.facts, self._apart)
        self._runs += self._software.runs
        if self._software.causes and self._software.whole:
            return self._said(
                self._software.causes, Sides({}, {}, ()), Findings(SearchOutcome.DRIFT), ()
            )
        sides = self._sides(here, there)
        weights = suspicion(there.facts, here.facts)
        search = search_causes(
            sides.names,
            {name: weights.get(name, 0.0) + _LEAST_SUSPICION for name in sides.names},
            budget=max(0, min(self._asked.budget // 2, _TRIALS)),
        )
        findings = drive(search, lambda plan: self._observe_all(plan, sides))
        if findings.kind is SearchOutcome.DRIFT and findings.causes:
            return self._aligned(findings, sides, here, there)
        return self._in_part(findings, sides)

    def _set_apart(self) -> Outcome | None:
        """Set apart what runs of one platform differ in because of a clock or an id; where both
        platforms differ in nothing else, that is all there is to say."""
        entry = self._job.actual.entrypoint
        rules = tuple(for_repeats(rule) for rule in entry.rules)
        # The other platform may be emulated: it repeats itself only where that may tell something.
        other = (self._job.actual,) if set_apart(self._outcome.differences, rules) else ()
        for job in (self._job.expected, *other):
            again = replace(job, repeat=job.repeat + 1)
            self._lab.prefetch((job, again))
            runs = [self._lab.run(each) for each in (job, again)]
            self._runs += 1
            if any(run.failure is not None for run in runs):
                continue
            found = self._repeated(runs[0], runs[1], rules, entry.names)
            self._apart = joined(self._apart, set_apart(found.differences, rules))
            names = (*entry.names, *self._apart.names)
            rest = self._repeated(runs[0], runs[1], self._apart.amended(rules), names)
            self._is_steady = self._is_steady and rest.verdict.passes
        if not self._apart:
            return None
        compared = self._compare(
            *(self._lab.run(job) for job in (self._job.actual, self._job.expected))
        )
        if not compared.verdict.passes:
            self._outcome = replace(
                self._outcome, differences=compared.differences, notes=compared.notes
            )
            return None
        outcome = replace(as_apart(self._outcome), against=self._outcome.against)
        explained = Explanation(runs=self._runs, findings=apart_findings(self._apart))
        return replace(outcome, explanation=explained)

    def _repeated(self, one: Run, other: Run, rules: tuple[Rule, ...], names: Pairs) -> Outcome:
        opened = self._lab.open(one, other, rules)
        outputs = self._job.actual.entrypoint.outputs
        return compare_runs(*opened, rules, self._comparators, names, outputs)

    # Trials

    def _sides(self, here: Situation, there: Situation) -> Sides:
        weights = suspicion(there.facts, here.facts)
        actual: dict[str, Variation] = {}
        expected: dict[str, Variation] = {}
        others: list[tuple[str, str]] = []
        for family in self._chosen:
            if not _can_be_alike(family, weights.get(family.name, 0.0)):
                continue
            mine, theirs = _alike(family, here), _alike(family, there)
            found = [each for each in (mine, theirs) if isinstance(each, Variation)]
            if not found:
                others.append((family.name, theirs.why if isinstance(theirs, NotExercised) else ""))
            if not family.numeric and len(found) == 2:
                # One and the same setting: what each would choose for itself may be another.
                mine = theirs
            if isinstance(mine, Variation) and not _impossible(mine, here):
                actual[family.name] = mine
            if isinstance(theirs, Variation) and not _impossible(theirs, there):
                expected[family.name] = theirs
        return Sides(actual, expected, tuple(others))

    def _observe_all(self, plan: Plan, sides: Sides) -> Observations:
        jobs = {
            trial: (
                _varied(self._job.actual, sides.actual, trial),
                _varied(self._job.expected, sides.expected, trial),
            )
            for trial in plan
        }
        every = tuple(dict.fromkeys(job for pair in jobs.values() for job in pair))
        self._runs += len(every)
        self._lab.prefetch(every)
        return {trial: self._observe(trial, pair) for trial, pair in jobs.items()}

    def _observe(self, trial: Trial, pair: tuple[RunJob, RunJob]) -> Observation:
        """The drift is what there is anyway; agreeing is the change that is looked for."""
        actual, expected = (self._lab.run(job) for job in pair)
        for run in (actual, expected):
            if run.failure is not None:
                return Observation(Reading.FAILS, -1, failure_line(run.failure))
        self._pairs[trial] = (actual, expected)
        agree = self._compare(actual, expected).verdict.passes
        return Observation(Reading.DRIFTS, 1) if agree else Observation(Reading.AGREES, 0)

    def _compare(self, actual: Run, expected: Run) -> Outcome:
        entry = self._job.actual.entrypoint
        rules, names = self._apart.amended(entry.rules), (*entry.names, *self._apart.names)
        actual, expected = self._lab.open(actual, expected, rules)
        outcome = compare_runs(actual, expected, rules, self._comparators, names, entry.outputs)
        return replace(outcome, notes=self._apart.notes(outcome.notes))

    # What it comes to

    def _aligned(
        self, findings: Findings, sides: Sides, here: Situation, there: Situation
    ) -> Outcome:
        causes = tuple(
            Cause(
                cause.names,
                self._runs,
                f"{self._what_took_effect(cause, sides, here, there)}with the same settings on "
                "both sides the outputs agree, in two runs of each; without them they drift",
            )
            for cause in findings.causes
        )
        return self._said((*self._software.causes, *causes), sides, findings, ())

    def _what_took_effect(
        self, cause: Cause, sides: Sides, here: Situation, there: Situation
    ) -> str:
        parts = []
        for situation, job, known in (
            (here, self._job.actual, sides.actual),
            (there, self._job.expected, sides.expected),
        ):
            chosen = [known[name] for name in cause.names if name in known]
            after = self._lab.look(job, together(chosen)) if chosen else Facts()
            texts = [took_effect(each.witness, situation.facts, after) for each in chosen]
            parts += [f"{situation.platform}: {text}" for text in texts if text]
        return f"{'; '.join(parts)}: " if parts else ""

    def _in_part(self, findings: Findings, sides: Sides) -> Outcome:
        """Nothing makes both agree: what moves the reference alone, and as much?"""
        alone = explain_variations(self._lab, self._asked, self._families, self._comparators)
        self._runs += 0 if alone.explanation is None else alone.explanation.runs
        causes = (*self._software.causes, *self._comparable(alone))
        remains = self._remains()
        if not causes and self._is_steady and not self._software.may_be_the_cause:
            platform = self._job.actual.target.platform
            evidence = (
                f"nothing that was varied makes {platform} and {self._job.expected.target.platform}"
                " agree, nothing moves the same outputs on one of them alone, and the software is"
                " the same on both, or was tried"
            )
            causes = (Cause((_PLATFORM,), self._runs, evidence),)
        return self._said(causes, sides, findings, remains)

    def _comparable(self, alone: Outcome) -> tuple[Cause, ...]:
        """Causes on the reference alone that move what differs between the platforms."""
        between = _drifting(self._outcome.differences)
        moved = _drifting(alone.differences)
        both = between.keys() & moved.keys()
        most = max((between[place] for place in both), default=0.0)
        reached = max((moved[place] for place in both), default=0.0)
        if not alone.causes or not both:
            return ()
        # How far apart two random runs lie is chance, and says nothing of what is comparable.
        if reached < _COMPARABLE * most and alone.verdict is not Verdict.NONDETERMINISTIC:
            return ()
        platform = self._job.expected.target.platform
        text = (
            f"on {platform} alone it moves {len(both)} of the {len(between)} items that drift, by "
            f"up to {reached:.3g} of their scale; between the platforms it is {most:.3g}"
        )
        return tuple(
            Cause(cause.names, self._runs, f"in part: {text} ({cause.evidence})")
            for cause in alone.causes
        )

    def _remains(self) -> tuple[SearchFinding, ...]:
        """What is left where everything is alike that can be; nothing where all of it is."""
        trial = max(self._pairs, key=lambda each: len(each.changes), default=Trial())
        if not trial.changes:
            return ()
        left = _drifting(self._compare(*self._pairs[trial]).differences)
        before = _drifting(self._outcome.differences)
        reached, most = (max(each.values(), default=0.0) for each in (left, before))
        if len(left) >= len(before) and reached >= most:
            return ()
        text = (
            f"with {', '.join(trial.changes)} alike on both sides {_items(left)} by up to "
            f"{reached:.3g} of their scale; without, {_items(before)} by up to {most:.3g}"
        )
        return (SearchFinding("part", trial.changes, text),)

    def _said(
        self,
        causes: tuple[Cause, ...],
        sides: Sides,
        findings: Findings,
        parts: tuple[SearchFinding, ...],
    ) -> Outcome:
        meant = what_it_means(self._lab, self._outcome, causes, self._printed())
        return replace(
            self._outcome,
            causes=causes,
            explanation=Explanation(
                runs=self._runs,
                tried=(
                    *self._software.tried,
                    *(str(sides.expected.get(name, name)) for name in sides.names),
                ),
                not_exercised=(*sides.not_exercised, *self._software.not_exercised),
                findings=(
                    *parts,
                    *apart_findings(self._apart),
                    *meant.findings,
                    *self._emulated(),
                ),
                materiality=meant.materiality,
                open=(*self._left_open(causes), *(_as_alike(text) for text in findings.open)),
            ),
        )

    def _left_open(self, causes: tuple[Cause, ...]) -> tuple[str, ...]:
        """Software that differs and was not tried, unless the causes explain all of the drift."""
        explained = any(not each.evidence.startswith("in part") for each in causes)
        if explained:
            return ()
        if not self._is_steady and not causes:
            platform = self._job.expected.target.platform
            return (f"repeats on {platform} disagree, so that nothing is known of the platforms",)
        text = self._software.open()
        return (text,) if text else ()

    def _emulated(self) -> Iterable[SearchFinding]:
        for side in (self._outcome.target, self._outcome.reference):
            if side.emulated:
                text = (
                    f"{side.platform} is emulated here, which has a CPU and artefacts of its own: "
                    "confirm on a native machine"
                )
                yield SearchFinding("part", (_PLATFORM,), text)

    def _printed(self) -> tuple[Run, ...]:
        return self._pairs.get(Trial(), ())


def _can_be_alike(family: Family, suspected: float) -> bool:
    """Whether making it alike may help: what two runs never share, and what facts speak of."""
    if family.numeric or family.pin is not None:
        return True
    return family.name in _ALIKE and suspected >= _LEAST_SUSPICION


def _alike(family: Family, situation: Situation) -> Variation | NotExercised:
    if family.pin is not None:
        return within_reach(family.pin(situation), situation)
    (chosen, others) = choose((family,), situation)
    return chosen[0] if chosen else NotExercised(dict(others).get(family.name, ""))


def _impossible(variation: Variation, situation: Situation) -> bool:
    return situation.platform == HOST and variation.knobs.needs_container


def _varied(job: RunJob, known: Mapping[str, Variation], trial: Trial) -> RunJob:
    chosen = tuple(known[name] for name in trial.changes if name in known)
    return job.varied(chosen, trial.repeat) if chosen else replace(job, repeat=trial.repeat)


def _drifting(differences: Iterable[Difference]) -> dict[tuple[str, str], float]:
    """Items that do not pass, with how far each is off: of its scale, 1 where that is unknown."""
    found = {}
    for each in differences:
        if not each.verdict.passes:
            off = each.scale_error
            known = off is not None and math.isfinite(off)
            found[each.output, each.item] = off if known and off is not None else 1.0
    return found


def _items(drifting: Mapping[tuple[str, str], float]) -> str:
    return "1 item drifts" if len(drifting) == 1 else f"{len(drifting)} items drift"


def _as_alike(text: str) -> str:
    """What a search says of changes, said of settings made alike."""
    return f"of settings made alike on both sides: {text}"
