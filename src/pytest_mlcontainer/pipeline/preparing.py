"""What can be varied for one entrypoint on one target, known before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_mlcontainer.errors import MlContainerError, NothingVaried
from pytest_mlcontainer.experiments.sources import read_sources
from pytest_mlcontainer.explain.search_rounds import plan_rounds
from pytest_mlcontainer.facts import can_be_witnessed, took_effect
from pytest_mlcontainer.model import (
    EVERYTHING,
    Facts,
    Family,
    Pairs,
    RunJob,
    Situation,
    Variation,
    VariesJob,
)
from pytest_mlcontainer.pipeline.search_tools import SearchTools, leaked
from pytest_mlcontainer.variations import (
    apart_pairs,
    choose,
    kept_by_image,
    pins,
    suspect,
    together,
    wanted,
)
from pytest_mlcontainer.variations.memory_layout import PLACEBO

_PIN = "pin:"  # before the names of pins in trials; see `search_causes`
_SUSPECTED = 3.0  # so many times its own weight, by hints: natural variation is looked at twice


@dataclass(frozen=True)
class PreparedSearch:
    """What can be varied here, and what is known before the first trial.

    Args:
        asked: the families whose variations are wanted.
        before: the facts with nothing varied.
        variations: those that take effect, by name, with what shows it.
        pins: what keeps runs from differing, by name.
        not_exercised: name → why it counts as not tried.
        pinned: families of which the image sets variables, with those: such a one does not differ
            by itself, and it is left as it is unless it was named.
        weights: how much each name is suspected.
    """

    asked: tuple[Family, ...]
    before: Facts
    variations: Mapping[str, tuple[Variation, str]]
    pins: Mapping[str, Variation]
    not_exercised: Pairs
    pinned: Mapping[str, Pairs]
    weights: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.variations)

    @property
    def natural(self) -> tuple[str, ...]:
        """Names of those in which any two runs differ by themselves."""
        return tuple(
            family.name
            for family in self.asked
            if family.natural and family.name in self.variations and family.name not in self.pinned
        )

    @property
    def extra_controls(self) -> int:
        """More runs with nothing varied, where the sources say that they may well differ."""
        weights = {family.name: _SUSPECTED * family.weight for family in self.asked}
        return sum(self.weights.get(name, 0.0) >= weights[name] for name in self.natural)

    def known(self, names: tuple[str, ...]) -> tuple[Variation, ...]:
        """The variations of these names; those that have one."""
        return tuple(self.variations[name][0] for name in names if name in self.variations)

    @property
    def changes(self) -> Mapping[str, Variation]:
        """The variations and pins behind the names that trials have."""
        changes = {name: each for name, (each, _text) in self.variations.items()}
        changes |= {_PIN + name: each for name, each in self.pins.items()}
        return changes | {PLACEBO.name: PLACEBO}


def prepare(tools: SearchTools, job: VariesJob, families: tuple[Family, ...]) -> PreparedSearch:
    """See what can be varied; for each variation a look inside shows whether it takes effect.

    Args:
        families: all that there are.

    Raises:
        MlContainerError: a variation that is asked for does not exist.
        NothingVaried: none of those that were named changes anything here.
    """
    asked = wanted(families, job.names)
    around = look_around(tools, job.run)
    situation = replace(around, over_image=job.names is not None)
    before = situation.facts
    texts = tuple(text for _name, text in read_sources(tools.root))
    chosen, unfit = choose(asked, situation)
    shown = _witnessed(tools, job.run, asked, chosen, before) if before.values else {}
    effective = {each.name: (each, shown[each.name]) for each in chosen if shown.get(each.name)}
    without = [
        (each.name, _no_effect(each, before)) for each in chosen if each.name not in effective
    ]
    if not effective and job.names is not None:
        raise _nothing_varied(job, (*unfit, *without))
    return PreparedSearch(
        asked=asked,
        before=before,
        variations=effective,
        pins={each.name: each for each in pins(around, families)},
        not_exercised=(*unfit, *without),
        pinned=kept_by_image(asked, around),
        weights=suspect(texts, families),
    )


def varied_run(
    tools: SearchTools, job: RunJob, families: tuple[Family, ...], names: tuple[str, ...]
) -> RunJob:
    """The run with its environment changed, each change shown to take effect.

    Raises:
        MlContainerError: there is no variation of a name, it has nothing to change here, or it
            has no effect.
    """
    situation = replace(look_around(tools, job), over_image=True)
    chosen, unfit = choose(wanted(families, names), situation)
    problems = dict(unfit)
    if chosen:
        after = tools.look(job, together(chosen))
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


def look_around(tools: SearchTools, job: RunJob) -> Situation:
    """Where a variation is wanted: a run with nothing varied."""
    return Situation(
        job.target.platform,
        tools.look(job, job.knobs),
        job.entrypoint,
        None if job.image is None else tools.image(job.image),
        leaked(read_sources(tools.root), tools.environ),
        capabilities=EVERYTHING if job.image is None else tools.capabilities(job.target),
    )


def _witnessed(
    tools: SearchTools,
    job: RunJob,
    asked: tuple[Family, ...],
    chosen: tuple[Variation, ...],
    before: Facts,
) -> dict[str, str]:
    """For each variation what shows that it takes effect; "" where nothing does."""
    shown: dict[str, str] = {}
    by_name = {each.name: each for each in chosen}
    for round_ in plan_rounds(tuple(by_name), {}, apart_pairs(asked, chosen)):
        after = tools.look(job, together(by_name[name] for name in sorted(round_)))
        for each in (by_name[name] for name in sorted(round_ - shown.keys())):
            text = took_effect(each.witness, before, after) if after.values else ""
            shown[each.name] = text or _witnessed_alone(tools, job, each, before)
    return shown


def _witnessed_alone(tools: SearchTools, job: RunJob, variation: Variation, before: Facts) -> str:
    """Another variation may hide it, or keep the probe from working."""
    after = tools.look(job, variation.knobs)
    return took_effect(variation.witness, before, after)


def _no_effect(variation: Variation, before: Facts) -> str:
    """Why a variation counts as not tried: what should have changed did not, or is not seen."""
    if not before.values:
        return f"{variation} cannot be seen to take effect: there is no Python and no shell to look"
    facts = ", ".join(name.partition("=")[0].rstrip(".") for name in variation.witness)
    if can_be_witnessed(variation.witness, before):
        return f"{variation} had no effect: {facts or 'what was looked at'} stayed the same"
    # What nobody can see may well be an effect, so that nothing follows from it.
    return f"{variation} cannot be seen to take effect, so it is not known: nothing tells {facts}"


def _nothing_varied(job: VariesJob, not_exercised: Pairs) -> NothingVaried:
    return NothingVaried(
        f"nothing was tested: no variation that was asked for changes anything for {job.run}",
        "\n".join(f"{name}: {why}" for name, why in not_exercised),
        "ask for others (`mlcontainer explain --list` lists them), or change what keeps these from "
        "having an effect",
    )
