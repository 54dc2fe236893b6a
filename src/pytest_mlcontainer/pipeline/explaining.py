"""What makes an entrypoint's outputs vary on one target: trials are run, and the search is told."""

from __future__ import annotations

from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.explain.priors import after_drift, after_failure
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import Observation, Search, Trial
from pytest_mlcontainer.model import Comparator, Family, Outcome, VariesJob, Verdict
from pytest_mlcontainer.pipeline.curing import DriftToCure, try_to_cure
from pytest_mlcontainer.pipeline.locating import try_to_locate
from pytest_mlcontainer.pipeline.preparing import PreparedSearch, prepare
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.pipeline.variation_outcome import outcome_of
from pytest_mlcontainer.pipeline.variation_trials import VariationTrials
from pytest_mlcontainer.variations import apart_pairs, kin_pairs
from pytest_mlcontainer.variations.memory_layout import PLACEBO, SHOWN_BY

_UNSUSPECTED = 0.2  # of a failure whose text does not speak of it


def explain_variations(
    tools: SearchTools,
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
    prepared = prepare(tools, job, families)
    trials = VariationTrials(tools, job.run, prepared.changes, comparators)
    while True:
        findings = trials.experiment.drive(lambda: _search(job, families, prepared, trials))
        random = (RANDOMNESS,) in {cause.names for cause in findings.causes}
        # Ids that no pin explains hide all else: without them there may be more to find.
        if not random or not trials.set_apart_more():
            outcome = outcome_of(tools, job, prepared, trials, findings)
            return _looked_into(tools, job, prepared, trials, outcome)


def _looked_into(
    tools: SearchTools,
    job: VariesJob,
    prepared: PreparedSearch,
    trials: VariationTrials,
    outcome: Outcome,
) -> Outcome:
    """The outcome with where its runs part, and what makes them agree, as far as is asked for."""
    sides = trials.sides(outcome.causes[0].names if outcome.causes else ())
    if sides is None or outcome.verdict.passes or outcome.verdict is Verdict.FAILED:
        return outcome
    if tools.locates:
        outcome = try_to_locate(sides, outcome)
    if not tools.cures:
        return outcome
    names = tuple(dict.fromkeys(name for cause in outcome.causes for name in cause.names))
    known = prepared.known(names)
    # Of several causes, each on its own, all are to be cured.
    actual = job.run.varied(known) if len(outcome.causes) > 1 and known else sides.actual
    drifting = DriftToCure(
        tools, sides.expected, actual, sides.comparison, frozenset(names),
        lambda found: try_to_locate(sides, found),
    )  # fmt: skip
    return try_to_cure(drifting, outcome)


def _search(
    job: VariesJob, families: tuple[Family, ...], prepared: PreparedSearch, trials: VariationTrials
) -> Search:
    """The search, from its beginning; it suspects more where a drift or a failure speaks of it."""

    def weights_of_drift(trial: Trial, _seen: Observation) -> dict[str, float]:
        factors = after_drift(trials.differences(trial), families)
        return {name: weight * factors.get(name, 1.0) for name, weight in prepared.weights.items()}

    def weights_of_failure(seen: Observation) -> dict[str, float]:
        factors = after_failure(seen.failure)
        return {name: factors.get(name, _UNSUSPECTED) for name in prepared.weights}

    return search_causes(
        prepared.names,
        prepared.weights,
        natural=prepared.natural,
        pins=tuple(prepared.pins),
        pin_weights=prepared.weights,
        apart=apart_pairs(prepared.asked, prepared.known(prepared.names)),
        kin=kin_pairs(prepared.asked),
        budget=job.budget,
        extra_controls=prepared.extra_controls,
        reweigh=weights_of_drift,
        crash_weights=weights_of_failure,
        placebo=(PLACEBO.name, SHOWN_BY),
    )
