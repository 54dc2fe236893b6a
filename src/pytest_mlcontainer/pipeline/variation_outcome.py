"""What the trials of variations came to: the comparison that shows it, causes, and what remains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_mlcontainer.experiments.last_words import printed
from pytest_mlcontainer.experiments.set_apart import apart_findings, as_apart
from pytest_mlcontainer.experiments.sources import read_sources
from pytest_mlcontainer.explain.amplifiers import amplifiers
from pytest_mlcontainer.explain.materiality import materiality
from pytest_mlcontainer.explain.trials import Crash, Findings, SearchOutcome, Trial
from pytest_mlcontainer.facts import differing, took_effect
from pytest_mlcontainer.judging.unsteady import as_nondeterministic
from pytest_mlcontainer.model import (
    Cause,
    Explanation,
    Outcome,
    Pairs,
    Run,
    Scalar,
    SearchFinding,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.preparing import PreparedSearch
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.pipeline.variation_trials import VariationTrials
from pytest_mlcontainer.variations import together
from pytest_mlcontainer.variations.memory_layout import PLACEBO

_VALUE_SHOWN = 40
_FAILURES_SHOWN = 2


def outcome_of(
    tools: SearchTools,
    job: VariesJob,
    prepared: PreparedSearch,
    trials: VariationTrials,
    findings: Findings,
) -> Outcome:
    """What a search for the variations that matter came to.

    Raises:
        RunError: the entrypoint fails with nothing varied.
    """
    if findings.kind is SearchOutcome.FAILED:
        raise trials.control_failure()
    outcome = _drawn(trials, findings)
    causes = tuple(_shown(tools, job, prepared, cause) for cause in findings.causes)
    if len(causes) > 1 and findings.kind is SearchOutcome.DRIFT:
        # The differences of the outcome are those of one run.
        causes = tuple(trials.with_effect(cause) for cause in causes)
    serious = tuple(each for each in _crashes(findings)[0] if _is_serious(job, prepared, each))
    if findings.kind is SearchOutcome.CLEAN and serious:
        outcome = replace(outcome, verdict=Verdict.FAILED)
        causes = tuple(Cause(each.names, findings.runs, _crash_text(each)) for each in serious)
    elif findings.kind is SearchOutcome.CLEAN:
        apart = trials.apart_outcome()
        outcome = outcome if apart is None else as_apart(apart)
    tried = tuple(str(each) for each, _text in prepared.variations.values())
    target = replace(outcome.target, variations=tried)
    return replace(
        outcome,
        target=target,
        reference=replace(target, variations=()),
        causes=causes,
        facts=_facts_of(tools, job, prepared, causes)
        if findings.kind is SearchOutcome.DRIFT
        else (),
        notes=(*outcome.notes, *(() if causes else _left_as_they_are(job, prepared))),
        explanation=_explanation(tools, prepared, trials, findings, outcome),
    )


def _left_as_they_are(job: VariesJob, prepared: PreparedSearch) -> tuple[str, ...]:
    """That the image's own settings were not varied, where nothing was named.

    Where a cause is known, `not_exercised` says enough of them.
    """
    if job.names is not None or not prepared.pinned:
        return ()
    return (_kept(prepared.pinned),)


def _drawn(trials: VariationTrials, findings: Findings) -> Outcome:
    """The comparison that shows what was found: a trial that drifts, else one that agrees."""
    if findings.kind is SearchOutcome.CLEAN:
        return replace(trials.outcome(trials.experiment.agreeing()), against="nothing varied")
    names = findings.causes[0].names if findings.causes else ()
    trial = trials.experiment.drifting(names)
    if trial is None:
        return replace(trials.outcome(trials.experiment.agreeing()), verdict=Verdict.DRIFT)
    outcome = replace(trials.outcome(trial), against="nothing varied")
    if findings.kind is not SearchOutcome.NONDETERMINISTIC:
        return outcome
    return replace(
        as_nondeterministic(outcome),
        against="other repeats",
    )


def _explanation(
    tools: SearchTools,
    prepared: PreparedSearch,
    trials: VariationTrials,
    findings: Findings,
    outcome: Outcome,
) -> Explanation:
    crashes, lacking = _crashes(findings)
    trial = trials.experiment.drifting(findings.causes[0].names if findings.causes else ())
    runs = () if trial is None else (trials.run_of(trial), trials.run_of(Trial()))
    meant = what_it_means(tools, outcome, findings.causes[:1], runs)
    return Explanation(
        runs=trials.spent,
        tried=tuple(str(each) for each, _text in prepared.variations.values()),
        not_exercised=(
            *prepared.not_exercised,
            *((_names(each), _why_left_out(each)) for each in lacking),
        ),
        findings=(
            *(SearchFinding("crash", each.names, _crash_text(each)) for each in crashes),
            *apart_findings(trials.apart),
            *meant.findings,
            *_flaky(findings),
        ),
        materiality=meant.materiality,
        open=(*findings.open, *_masked(findings)),
        suspects=findings.suspects,
        trials=trials.experiment.told,
    )


def _is_serious(job: VariesJob, prepared: PreparedSearch, crash: Crash) -> bool:
    """Whether failing under these changes fails the test, too."""
    demanding = {each.name for each in prepared.asked if each.demanding}
    return job.names is not None or not demanding.issuperset(crash.names)


def _shown(tools: SearchTools, job: VariesJob, prepared: PreparedSearch, cause: Cause) -> Cause:
    """The cause with what shows, inside the container, that just these changes took effect."""
    known = [prepared.variations[name][0] for name in cause.names if name in prepared.variations]
    if cause.names == (PLACEBO.name,):
        return replace(cause, evidence=f"variables are added that nothing reads: {cause.evidence}")
    if not known:
        return cause
    after = tools.look(job.run, together(known))
    texts = [took_effect(each.witness, prepared.before, after) for each in known]
    shown = "; ".join(text for text in texts if text)
    return replace(cause, evidence=f"{shown}: {cause.evidence}" if shown else cause.evidence)


def _facts_of(
    tools: SearchTools, job: VariesJob, prepared: PreparedSearch, causes: tuple[Cause, ...]
) -> tuple[tuple[str, Scalar, Scalar], ...]:
    """How the environment of the first cause differs from the unvaried one."""
    known = prepared.known(causes[0].names if causes else ())
    if not known:
        return ()
    after = tools.look(job.run, together(known))
    # The variables that make it so are no news.
    return tuple(
        fact
        for fact in differing(after, prepared.before)
        if not fact[0].startswith(("environment.names", "env."))
    )


def what_it_means(
    tools: SearchTools, outcome: Outcome, causes: tuple[Cause, ...], runs: tuple[Run, ...]
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
        findings=amplifiers(texts, outcome.differences, read_sources(tools.root), names),
        materiality=materiality(outcome.differences),
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


def _crashes(findings: Findings) -> tuple[tuple[Crash, ...], tuple[Crash, ...]]:
    """Those that say something of the program, and those that only lack memory."""
    lacking = tuple(each for each in findings.crashes if _is_out_of_memory(each))
    return tuple(each for each in findings.crashes if each not in lacking), lacking


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
    return ("whether anything else makes it drift, as long as repeats disagree",)


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
