"""What makes an entrypoint's outputs vary on one target: trials are run, and the search is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_mlcontainer.errors import MlContainerError, NothingVaried
from pytest_mlcontainer.experiments.last_words import printed
from pytest_mlcontainer.experiments.set_apart import apart_findings, as_apart
from pytest_mlcontainer.experiments.sources import read_sources
from pytest_mlcontainer.explain.amplifiers import amplifiers
from pytest_mlcontainer.explain.materiality import materiality
from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.explain.priors import after_drift, after_failure
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.search_rounds import plan_rounds
from pytest_mlcontainer.explain.trials import (
    Crash,
    Findings,
    Observation,
    Search,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.facts import can_be_witnessed, differing, took_effect
from pytest_mlcontainer.judging.evidence import nondeterministic
from pytest_mlcontainer.model import (
    EVERYTHING,
    Cause,
    Comparator,
    Explanation,
    Facts,
    Family,
    Outcome,
    Pairs,
    Run,
    RunJob,
    Scalar,
    SearchFinding,
    Situation,
    Variation,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.bench import Bench
from pytest_mlcontainer.pipeline.laboratory import Laboratory, leaked
from pytest_mlcontainer.variations import (
    apart_pairs,
    choose,
    kept_by_image,
    kin_pairs,
    pins,
    suspect,
    together,
    wanted,
)

PIN = "pin:"
_VALUE_SHOWN = 40
_FAILURES_SHOWN = 2
_UNSUSPECTED = 0.2  # of a failure whose text does not speak of it
_SUSPECTED = 3.0  # so many times its own weight, by hints: natural variation is looked at twice


@dataclass(frozen=True)
class Prepared:
    """What can be varied here, and what is known before the first trial.

    Args:
        before: the facts with nothing varied.
        variations: those that take effect, by name, with what shows it.
        pins: what keeps runs from differing, by name.
        not_exercised: name → why it counts as not tried.
        pinned: families of which the image sets variables, with those: such a one does not differ
            by itself, and it is left as it is unless it was named.
        weights: how much each name is suspected.
    """

    before: Facts
    variations: Mapping[str, tuple[Variation, str]]
    pins: Mapping[str, Variation]
    not_exercised: Pairs
    pinned: Mapping[str, Pairs]
    weights: Mapping[str, float]

    def known(self, names: tuple[str, ...]) -> tuple[Variation, ...]:
        """The variations of these names; those that have one."""
        return tuple(self.variations[name][0] for name in names if name in self.variations)


def explain_variations(
    lab: Laboratory,
    job: VariesJob,
    families: tuple[Family, ...],
    comparators: tuple[Comparator, ...] = (),
) -> Outcome:
    """Vary the environment, and find what makes the outputs drift.

    Args:
        families: all that there are.

    Raises:
        MlContainerError: a variation that is asked for does not exist.
        NothingVaried: none of those that were named changes anything here.
        RunError: the entrypoint fails with nothing varied.
    """
    return _Explaining(lab, job, families, comparators).explain()


def varied_run(
    lab: Laboratory, job: RunJob, families: tuple[Family, ...], names: tuple[str, ...]
) -> RunJob:
    """The run with its environment changed, each change shown to take effect.

    Raises:
        MlContainerError: there is no variation of a name, it has nothing to change here, or it
            has no effect.
    """
    situation = replace(look_around(lab, job), over_image=True)
    chosen, unfit = choose(wanted(families, names), situation)
    problems = dict(unfit)
    if chosen:
        after = lab.look(job, together(chosen))
        for each in chosen:
            if not took_effect(each.witness, situation.facts, after):
                problems[each.name] = _no_effect(each, situation.facts)
    if problems:
        lines = "\n".join(f"{name}: {why}" for name, why in problems.items())
        raise MlContainerError(
            f"not every variation asked for can be applied to {job.entrypoint.name}",
            lines,
            "leave it out, or change the image or the configuration so that it can",
        )
    return job.varied(chosen, job.repeat)


def look_around(lab: Laboratory, job: RunJob) -> Situation:
    """Where a variation is wanted: a run with nothing varied."""
    return Situation(
        job.target.platform,
        lab.look(job, job.knobs),
        job.entrypoint,
        None if job.image is None else lab.image(job.image),
        leaked(read_sources(lab.root), lab.environ),
        capabilities=EVERYTHING if job.image is None else lab.capabilities(job.target),
    )


def what_it_means(
    lab: Laboratory, outcome: Outcome, causes: tuple[Cause, ...], runs: tuple[Run, ...]
) -> Explanation:
    """What a drift amounts to and what makes it large, as parts of an explanation.

    Args:
        runs: the two that were compared, for what they printed.
    """
    if outcome.verdict.passes or not outcome.differences:
        return Explanation()
    names = tuple(name for cause in causes for name in cause.names)
    texts = tuple(printed(run) for run in runs)
    return Explanation(
        findings=amplifiers(texts, outcome.differences, read_sources(lab.root), names),
        materiality=materiality(outcome.differences),
    )


class _Explaining:
    def __init__(
        self,
        lab: Laboratory,
        job: VariesJob,
        families: tuple[Family, ...],
        comparators: tuple[Comparator, ...],
    ) -> None:
        self._lab = lab
        self._job = job
        self._families = families
        self._asked = wanted(families, job.names)
        self._bench = Bench(lab, job.run, comparators)
        self._sources = read_sources(lab.root)

    def explain(self) -> Outcome:
        prepared = self._prepare()
        names = tuple(prepared.variations)
        if not names and self._job.names is not None:
            raise _nothing_varied(self._job, prepared.not_exercised)
        named = {**{name: each for name, (each, _text) in prepared.variations.items()}}
        named |= {PIN + name: each for name, each in prepared.pins.items()}
        while True:
            findings = self._bench.drive(lambda: self._search(prepared), named)
            random = (RANDOMNESS,) in {cause.names for cause in findings.causes}
            # Ids that no pin explains hide all else: without them there may be more to find.
            if not random or not self._bench.set_apart_more():
                return self._outcome(prepared, findings)

    def _search(self, prepared: Prepared) -> Search:
        names = tuple(prepared.variations)
        by_name = {family.name: family for family in self._families}
        return search_causes(
            names,
            prepared.weights,
            natural=tuple(
                name for name in names if by_name[name].natural and name not in prepared.pinned
            ),
            pins=tuple(prepared.pins),
            pin_weights=prepared.weights,
            apart=apart_pairs(self._asked),
            kin=kin_pairs(self._asked),
            budget=self._job.budget,
            extra_controls=self._extra_controls(prepared),
            reweigh=lambda trial, _seen: self._weights_of_drift(prepared, trial),
            crash_weights=lambda seen: self._weights_of_failure(prepared, seen),
        )

    # Before the first trial

    def _prepare(self) -> Prepared:
        around = look_around(self._lab, self._job.run)
        named = self._job.names is not None
        situation = replace(around, over_image=named)
        before = situation.facts
        texts = tuple(text for _name, text in self._sources)
        chosen, unfit = choose(self._asked, situation)
        shown = self._witnessed(chosen, before) if before.values else {}
        effective = {each.name: (each, shown[each.name]) for each in chosen if shown.get(each.name)}
        without = [
            (each.name, _no_effect(each, before)) for each in chosen if each.name not in effective
        ]
        return Prepared(
            before=before,
            variations=effective,
            pins={each.name: each for each in pins(around, self._families)},
            not_exercised=(*unfit, *without),
            pinned=kept_by_image(self._asked, around),
            weights=suspect(texts, self._families),
        )

    def _witnessed(self, chosen: tuple[Variation, ...], before: Facts) -> dict[str, str]:
        """For each variation what shows that it takes effect; "" where nothing does."""
        shown: dict[str, str] = {}
        by_name = {each.name: each for each in chosen}
        for round_ in plan_rounds(tuple(by_name), {}, apart_pairs(self._asked)):
            after = self._lab.look(
                self._job.run, together(by_name[name] for name in sorted(round_))
            )
            for each in (by_name[name] for name in sorted(round_ - shown.keys())):
                text = took_effect(each.witness, before, after) if after.values else ""
                shown[each.name] = text or self._witnessed_alone(each, before)
        return shown

    def _witnessed_alone(self, variation: Variation, before: Facts) -> str:
        """Another variation may hide it, or keep the probe from working."""
        after = self._lab.look(self._job.run, variation.knobs)
        return took_effect(variation.witness, before, after)

    def _extra_controls(self, prepared: Prepared) -> int:
        """More runs with nothing varied, where the sources say that they may well differ."""
        return sum(
            1
            for family in self._asked
            if family.natural
            and family.name in prepared.variations
            and family.name not in prepared.pinned
            and prepared.weights.get(family.name, 0.0) >= _SUSPECTED * family.weight
        )

    def _weights_of_drift(self, prepared: Prepared, trial: Trial) -> dict[str, float]:
        factors = after_drift(self._bench.differences(trial), self._families)
        return {name: weight * factors.get(name, 1.0) for name, weight in prepared.weights.items()}

    def _weights_of_failure(self, prepared: Prepared, seen: Observation) -> dict[str, float]:
        factors = after_failure(seen.failure)
        return {name: factors.get(name, _UNSUSPECTED) for name in prepared.weights}

    # After the last trial

    def _outcome(self, prepared: Prepared, findings: Findings) -> Outcome:
        if findings.kind is SearchOutcome.FAILED:
            raise self._bench.failure()
        outcome = self._drawn(findings)
        causes = tuple(self._shown(cause, prepared) for cause in findings.causes)
        crashes = tuple(each for each in findings.crashes if not _is_out_of_memory(each))
        serious = tuple(each for each in crashes if self._is_serious(each))
        if findings.kind is SearchOutcome.CLEAN and serious:
            outcome = replace(outcome, verdict=Verdict.FAILED)
            causes = tuple(Cause(each.names, findings.runs, _crash_text(each)) for each in serious)
        elif findings.kind is SearchOutcome.CLEAN:
            apart = self._bench.apart_outcome()
            outcome = outcome if apart is None else as_apart(apart)
        tried = tuple(str(each) for each, _text in prepared.variations.values())
        target = replace(outcome.target, variations=tried)
        return replace(
            outcome,
            target=target,
            reference=replace(target, variations=()),
            causes=causes,
            facts=self._facts_of(causes, prepared) if findings.kind is SearchOutcome.DRIFT else (),
            notes=(*outcome.notes, *self._left_as_they_are(prepared)),
            explanation=self._explanation(prepared, findings, outcome, crashes),
        )

    def _left_as_they_are(self, prepared: Prepared) -> tuple[str, ...]:
        """That the image's own settings were not varied, where nothing was named."""
        if self._job.names is not None or not prepared.pinned:
            return ()
        return (_kept(prepared.pinned),)

    def _drawn(self, findings: Findings) -> Outcome:
        """The comparison that shows what was found: a trial that drifts, else one that agrees."""
        if findings.kind is SearchOutcome.CLEAN:
            return replace(self._bench.outcome(self._bench.agreeing()), against="nothing varied")
        names = findings.causes[0].names if findings.causes else ()
        trial = self._bench.drifting(names)
        if trial is None:
            return replace(self._bench.outcome(self._bench.agreeing()), verdict=Verdict.DRIFT)
        outcome = replace(self._bench.outcome(trial), against="nothing varied")
        if findings.kind is not SearchOutcome.NONDETERMINISTIC:
            return outcome
        marked = tuple(nondeterministic(each) for each in outcome.differences)
        return replace(
            outcome,
            differences=marked,
            verdict=Verdict.NONDETERMINISTIC,
            against="other repeats",
        )

    def _explanation(
        self, prepared: Prepared, findings: Findings, outcome: Outcome, crashes: tuple[Crash, ...]
    ) -> Explanation:
        trial = self._bench.drifting(findings.causes[0].names if findings.causes else ())
        runs = () if trial is None else (self._bench.run_of(trial), self._bench.run_of(Trial()))
        meant = what_it_means(self._lab, outcome, findings.causes[:1], runs)
        return Explanation(
            runs=self._bench.spent,
            tried=tuple(str(each) for each, _text in prepared.variations.values()),
            not_exercised=(
                *prepared.not_exercised,
                *(
                    (_names(each), _why_left_out(each))
                    for each in findings.crashes
                    if _is_out_of_memory(each)
                ),
            ),
            findings=(
                *(SearchFinding("crash", each.names, _crash_text(each)) for each in crashes),
                *apart_findings(self._bench.apart),
                *meant.findings,
                *_flaky(findings),
            ),
            materiality=meant.materiality,
            open=(*findings.open, *_masked(findings)),
            suspects=findings.suspects,
        )

    def _is_serious(self, crash: Crash) -> bool:
        """Whether failing under these changes fails the test, too."""
        demanding = {each.name for each in self._asked if each.demanding}
        return self._job.names is not None or not demanding.issuperset(crash.names)

    def _shown(self, cause: Cause, prepared: Prepared) -> Cause:
        """The cause with what shows, inside the container, that just these changes took effect."""
        known = [
            prepared.variations[name][0] for name in cause.names if name in prepared.variations
        ]
        if not known:
            return cause
        after = self._lab.look(self._job.run, together(known))
        texts = [took_effect(each.witness, prepared.before, after) for each in known]
        shown = "; ".join(text for text in texts if text)
        return replace(cause, evidence=f"{shown}: {cause.evidence}" if shown else cause.evidence)

    def _facts_of(
        self, causes: tuple[Cause, ...], prepared: Prepared
    ) -> tuple[tuple[str, Scalar, Scalar], ...]:
        """How the environment of the first cause differs from the unvaried one."""
        known = prepared.known(causes[0].names if causes else ())
        if not known:
            return ()
        after = self._lab.look(self._job.run, together(known))
        # The variables that make it so are no news.
        return tuple(
            fact
            for fact in differing(after, prepared.before)
            if not fact[0].startswith(("environment.names", "env."))
        )


def _nothing_varied(job: VariesJob, not_exercised: Pairs) -> NothingVaried:
    return NothingVaried(
        f"nothing was tested: no variation that was asked for changes anything for {job.run}",
        "\n".join(f"{name}: {why}" for name, why in not_exercised),
        "ask for others (`mlcontainer explain --list` lists them), or change what keeps these from "
        "having an effect",
    )


def _kept(by_family: Mapping[str, Pairs]) -> str:
    """The image's own settings that were left as they are, and how to vary them all the same."""
    variables = dict.fromkeys(pair for pairs in by_family.values() for pair in pairs)
    shown = ", ".join(f"{name}={value:.{_VALUE_SHOWN}}" for name, value in variables)
    names = ",".join(by_family)
    return (
        f"the image sets {shown}, which was left as it is; it may be otherwise on the host and in "
        f"other images: --container-vary={names} varies it all the same"
    )


def _no_effect(variation: Variation, before: Facts) -> str:
    """Why a variation counts as not tried: what should have changed did not, or is not seen."""
    if not before.values:
        return f"{variation} cannot be seen to take effect: there is no Python and no shell to look"
    facts = ", ".join(name.partition("=")[0].rstrip(".") for name in variation.witness)
    if can_be_witnessed(variation.witness, before):
        return f"{variation} had no effect: {facts or 'what was looked at'} stayed the same"
    # What nobody can see may well be an effect, so that nothing follows from it.
    return f"{variation} cannot be seen to take effect, so it is not known: nothing tells {facts}"


def _is_out_of_memory(crash: Crash) -> bool:
    """Whether it only says that the run needs more memory than the variation leaves it."""
    return crash.names == ("memory",) and "out of memory" in crash.failure


def _why_left_out(crash: Crash) -> str:
    return f"the run needs more than it leaves: {crash.failure}"


def _names(crash: Crash) -> str:
    return " + ".join(crash.names)


def _crash_text(crash: Crash) -> str:
    times = f"{crash.confirmed} of {crash.confirmed} runs"
    return f"fails with just this changed ({times}): {crash.failure}"


def _masked(findings: Findings) -> tuple[str, ...]:
    if findings.kind is not SearchOutcome.NONDETERMINISTIC:
        return ()
    return ("whether anything else makes it drift cannot be told as long as repeats disagree",)


def _flaky(findings: Findings) -> tuple[SearchFinding, ...]:
    if not findings.flaky:
        return ()
    runs = "1 run" if findings.flaky == 1 else f"{findings.flaky} runs"
    said = "; ".join(findings.chance_failures[:_FAILURES_SHOWN])
    text = (
        f"{runs} of {findings.runs} failed, and worked when made again with nothing else done "
        f"({said}): by chance, or because of something outside, which is not told here"
    )
    return (SearchFinding("flaky", (), text),)
