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
from functools import partial

from pytest_mlcontainer.experiments.comparison import RunComparison, as_repeats
from pytest_mlcontainer.experiments.driver import Experiment, RunsOnce, worked_or_failed
from pytest_mlcontainer.experiments.set_apart import apart_findings, as_apart
from pytest_mlcontainer.experiments.sources import reads_file_times
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import Findings, Observation, Reading, SearchOutcome, Trial
from pytest_mlcontainer.facts import suspicion, took_effect
from pytest_mlcontainer.judging.apart import Exclusions, joined, set_apart
from pytest_mlcontainer.mixing.across_software import AskSoftware, Software
from pytest_mlcontainer.model import (
    Cause,
    Comparator,
    CompareJob,
    Difference,
    Explanation,
    Facts,
    Family,
    Outcome,
    Run,
    RunJob,
    SearchFinding,
    Situation,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.alike import LEAST_SUSPICION, AlikeSettings, plan_alike, varied
from pytest_mlcontainer.pipeline.explaining import explain_variations
from pytest_mlcontainer.pipeline.preparing import look_around
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.pipeline.variation_outcome import what_it_means
from pytest_mlcontainer.variations import together, wanted

_TRIALS = 10  # each is a run on both sides, and one of the two may be emulated
_COMPARABLE = 0.1  # of the drift between the platforms: what moves less explains little
_PLATFORM = "platform"


def explain_platforms(
    tools: SearchTools,
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
    chosen = wanted(families, asked.names)
    there, here = (look_around(tools, side) for side in (job.expected, job.actual))
    repeats = _see_repeats(tools, job, outcome, comparators)
    comparison = RunComparison(tools.open, job.actual.entrypoint, comparators, repeats.apart)
    if repeats.apart:
        compared = comparison.compare(*(tools.run(side) for side in (job.actual, job.expected)))
        if compared.verdict.passes:
            return _only_apart(outcome, repeats)
        outcome = replace(outcome, differences=compared.differences, notes=compared.notes)
    known = Software()
    if repeats.steady:  # nothing can be told of the software of a program that is not
        known = software(there.facts, here.facts, repeats.apart)
    solved = bool(known.causes) and known.whole
    alike = AlikeSettings({}, {}, ()) if solved else plan_alike(chosen, here, there)
    drift = PlatformDrift(
        tools, job, outcome, asked, families, comparison, repeats, known, here, there, alike,
        _experiment(tools, job, comparison, alike),
    )  # fmt: skip
    if solved:
        return drift.said(known.causes, Findings(SearchOutcome.DRIFT))
    return drift.explain()


@dataclass(frozen=True)
class SideRepeats:
    """What runs on one and the same platform differ in.

    Args:
        apart: what of it a clock or an id makes.
        steady: whether that is all.
        runs: how many were made to see it.
    """

    apart: Exclusions
    steady: bool
    runs: int


def _see_repeats(
    tools: SearchTools, job: CompareJob, outcome: Outcome, comparators: tuple[Comparator, ...]
) -> SideRepeats:
    """Run the reference once more, and the other platform where that may tell something."""
    entry = as_repeats(job.actual.entrypoint)
    comparison = RunComparison(tools.open, entry, comparators)
    # The other platform may be emulated: a clock or an id has to be suspected first.
    other = (job.actual,) if set_apart(outcome.differences, entry.rules) else ()
    apart, steady, runs = Exclusions(), True, 0
    for side in (job.expected, *other):
        again = replace(side, repeat=side.repeat + 1)
        tools.prefetch((side, again))
        pair = [tools.run(each) for each in (side, again)]
        runs += 1
        if any(run.failure is not None for run in pair):
            continue
        found = comparison.compare(*pair)
        apart = joined(apart, set_apart(found.differences, entry.rules))
        steady = steady and comparison.less(apart).compare(*pair).verdict.passes
    return SideRepeats(apart, steady, runs)


def _only_apart(outcome: Outcome, repeats: SideRepeats) -> Outcome:
    """Both platforms differ in nothing but what a clock or an id makes: no drift."""
    explained = Explanation(runs=repeats.runs, findings=apart_findings(repeats.apart))
    return replace(as_apart(outcome), against=outcome.against, explanation=explained)


class AlikeJudge:
    """Reads whether both sides agree: a trial's change is that they do, where without they drift.

    So a search for what makes a change come finds what makes them agree.
    """

    def __init__(self, comparison: RunComparison) -> None:
        self._comparison = comparison

    def before_changes(self) -> None:
        """Nothing: each trial has its own two sides."""

    def read(self, _trial: Trial, runs: tuple[Run, ...], /) -> Observation:
        """See `Judge.read`."""
        agree = self._comparison.compare(*runs).verdict.passes
        return Observation(Reading.DRIFTS, 1) if agree else Observation(Reading.AGREES, 0)

    def forget(self) -> None:
        """Nothing: no trial is read by others."""


def _experiment(
    tools: SearchTools, job: CompareJob, comparison: RunComparison, alike: AlikeSettings
) -> Experiment[RunJob]:
    """Trials of which each runs both sides."""
    return Experiment(
        lambda trial: (
            varied(job.actual, alike.actual, trial),
            varied(job.expected, alike.expected, trial),
        ),
        RunsOnce(lambda each: worked_or_failed(partial(tools.run, each))),
        tools.prefetch,
        AlikeJudge(comparison),
        advance=tools.advance,
    )


@dataclass(frozen=True)
class PlatformDrift:
    """A drift between two platforms, and what is known of it before the search.

    Args:
        outcome: the comparison, with clocks and ids set apart.
        asked, families: see `explain_platforms`.
        software: what is known of the software on both sides.
        here, there: the platform in question, and the reference.
        alike: what can be made alike on both.
    """

    tools: SearchTools
    job: CompareJob
    outcome: Outcome
    asked: VariesJob
    families: tuple[Family, ...]
    comparison: RunComparison
    repeats: SideRepeats
    software: Software
    here: Situation
    there: Situation
    alike: AlikeSettings
    experiment: Experiment[RunJob]

    @property
    def runs(self) -> int:
        """How many were asked for so far."""
        return self.repeats.runs + self.software.runs + self.experiment.made

    def explain(self) -> Outcome:
        """Search for what makes both sides agree, and else for what explains a part."""
        names = self.alike.names
        weights = suspicion(self.there.facts, self.here.facts)
        weights = {name: weights.get(name, 0.0) + LEAST_SUSPICION for name in names}
        budget = max(0, min(self.asked.budget // 2, _TRIALS))
        findings = self.experiment.drive(lambda: search_causes(names, weights, budget=budget))
        if findings.kind is SearchOutcome.DRIFT and findings.causes:
            return self._aligned(findings)
        return self._in_part(findings)

    def _aligned(self, findings: Findings) -> Outcome:
        causes = tuple(
            Cause(
                cause.names,
                self.runs,
                f"{self._what_took_effect(cause)}with the same settings on "
                "both sides the outputs agree, in two runs of each; without them they drift",
            )
            for cause in findings.causes
        )
        return self.said((*self.software.causes, *causes), findings)

    def _what_took_effect(self, cause: Cause) -> str:
        parts = []
        for situation, job, known in (
            (self.here, self.job.actual, self.alike.actual),
            (self.there, self.job.expected, self.alike.expected),
        ):
            chosen = [known[name] for name in cause.names if name in known]
            after = self.tools.look(job, together(chosen)) if chosen else Facts()
            texts = [took_effect(each.witness, situation.facts, after) for each in chosen]
            parts += [f"{situation.platform}: {text}" for text in texts if text]
        return f"{'; '.join(parts)}: " if parts else ""

    def _in_part(self, findings: Findings) -> Outcome:
        """Nothing makes both agree: what moves the reference alone, and as much?"""
        alone = explain_variations(
            self.tools, self.asked, self.families, self.comparison.comparators
        )
        runs = self.runs + (0 if alone.explanation is None else alone.explanation.runs)
        causes = (*self.software.causes, *self._comparable(alone, runs))
        remains = self._remains()
        known = self.repeats.steady and not self.software.may_be_the_cause
        if not causes and known and not reads_file_times(self.tools.root):
            platform = self.job.actual.target.platform
            evidence = (
                f"nothing that was varied makes {platform} and {self.job.expected.target.platform}"
                " agree, nothing moves the same outputs on one of them alone, and the software is"
                " the same on both, or was tried"
            )
            causes = (Cause((_PLATFORM,), runs, evidence),)
        return self.said(causes, findings, remains, runs)

    def _comparable(self, alone: Outcome, runs: int) -> tuple[Cause, ...]:
        """Causes on the reference alone that move what differs between the platforms."""
        between = _drifting(self.outcome.differences)
        moved = _drifting(alone.differences)
        both = between.keys() & moved.keys()
        most = max((between[place] for place in both), default=0.0)
        reached = max((moved[place] for place in both), default=0.0)
        if not alone.causes or not both:
            return ()
        # How far apart two random runs lie is chance, and says nothing of what is comparable.
        if reached < _COMPARABLE * most and alone.verdict is not Verdict.NONDETERMINISTIC:
            return ()
        platform = self.job.expected.target.platform
        text = (
            f"on {platform} alone it moves {len(both)} of the {len(between)} items that drift, by "
            f"up to {reached:.3g} of their scale; between the platforms it is {most:.3g}"
        )
        return tuple(
            Cause(cause.names, runs, f"in part: {text} ({cause.evidence})")
            for cause in alone.causes
        )

    def _remains(self) -> tuple[SearchFinding, ...]:
        """What is left where everything is alike that can be; nothing where all of it is."""
        results = self.experiment.results
        worked = [each.trial for each in results if each.seen.reading is not Reading.FAILS]
        trial = max(worked, key=lambda each: len(each.changes), default=Trial())
        if not trial.changes:
            return ()
        left = _drifting(self.comparison.compare(*self.experiment.runs_of(trial)).differences)
        before = _drifting(self.outcome.differences)
        reached, most = (max(each.values(), default=0.0) for each in (left, before))
        if len(left) >= len(before) and reached >= most:
            return ()
        text = (
            f"with {', '.join(trial.changes)} alike on both sides {_items(left)} by up to "
            f"{reached:.3g} of their scale; without, {_items(before)} by up to {most:.3g}"
        )
        return (SearchFinding("part", trial.changes, text),)

    def said(
        self,
        causes: tuple[Cause, ...],
        findings: Findings,
        parts: tuple[SearchFinding, ...] = (),
        runs: int | None = None,
    ) -> Outcome:
        """The outcome with all that was found.

        Args:
            parts: what is left, or was moved in part.
            runs: how many were made, where that is more than for this search.
        """
        meant = what_it_means(self.tools, self.outcome, causes, self.experiment.runs_of(Trial()))
        return replace(
            self.outcome,
            causes=causes,
            explanation=Explanation(
                runs=self.runs if runs is None else runs,
                tried=(
                    *self.software.tried,
                    *(str(self.alike.expected.get(name, name)) for name in self.alike.names),
                ),
                not_exercised=(*self.alike.not_exercised, *self.software.not_exercised),
                findings=(
                    *parts,
                    *apart_findings(self.repeats.apart),
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
        if not self.repeats.steady and not causes:
            platform = self.job.expected.target.platform
            return (f"repeats on {platform} disagree, so that nothing is known of the platforms",)
        texts = [self.software.open()]
        if reads_file_times(self.tools.root):
            texts.append(
                "the program reads when files were changed, and files that a build makes have "
                "another time in the image of each platform: as long as that may be it, the "
                "platform is not known to be the cause"
            )
        return tuple(filter(None, texts))

    def _emulated(self) -> Iterable[SearchFinding]:
        for side in (self.outcome.target, self.outcome.reference):
            if side.emulated:
                text = (
                    f"{side.platform} is emulated here, which has a CPU and artefacts of its own: "
                    "confirm on a native machine"
                )
                yield SearchFinding("part", (_PLATFORM,), text)


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
