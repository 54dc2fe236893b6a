"""What makes outputs drift: the searches for causes, with what they need of a pipeline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Final

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.experiments.comparison import RunComparison, as_repeats
from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.judging.unsteady import as_nondeterministic
from pytest_mlcontainer.matrix import budget, varied_names
from pytest_mlcontainer.mixing.across_software import SoftwareSearch
from pytest_mlcontainer.mixing.questions import ExperimentRuns
from pytest_mlcontainer.model import (
    Comparator,
    CompareJob,
    Family,
    Outcome,
    Run,
    RunJob,
    Settings,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.across_platforms import explain_platforms
from pytest_mlcontainer.pipeline.comparisons import again_of
from pytest_mlcontainer.pipeline.curing import DriftToCure, try_to_cure
from pytest_mlcontainer.pipeline.explaining import explain_variations
from pytest_mlcontainer.pipeline.held_baselines import BaselineComparison
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.locating import DriftingRuns, own_packages, try_to_locate
from pytest_mlcontainer.pipeline.openings import Openings
from pytest_mlcontainer.pipeline.preparing import varied_run
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.runs import Runs, require
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.pipeline.unfinished import Unfinished, UnfinishedSearches
from pytest_mlcontainer.progress.events import Activity, Progress

_AGREES: Final = "what makes it agree"
_UNSTEADY: Final = (
    "it does not agree with itself when it is run again, so that no baseline can be held: make it "
    "repeat itself first, then keep what it writes with --container-update"
)
# What may make runs of the very same differ, and something can be done about.
_BETWEEN_REPEATS: Final = frozenset({"hash-seed", "threads", "file-order", RANDOMNESS})


class Searches:
    """Looks for causes by changing what must not matter.

    Args:
        unfinished: where a search that is interrupted leaves its runs for the next one.
        experiments: makes runs in images between two others.
    """

    def __init__(
        self,
        resources: PipelineResources,
        images: Images,
        runs: Runs,
        openings: Openings,
        unfinished: UnfinishedSearches,
        experiments: ExperimentRuns,
    ) -> None:
        self._resources = resources
        self._images = images
        self._runs = runs
        self._openings = openings
        self._unfinished = unfinished
        self._experiments = experiments

    def vary(
        self,
        settings: Settings,
        job: VariesJob,
        families: tuple[Family, ...],
        comparators: tuple[Comparator, ...] = (),
    ) -> Outcome:
        """One entrypoint in environments that must not matter; the cause where they do.

        Args:
            families: of variations, all that there are.
        """
        search = self._unfinished.begin(settings, job.run.entrypoint)
        with search as kept, self._task(settings, job) as progress:
            tools = replace(self._search_tools(settings), advance=progress.advance)
            outcome = explain_variations(tools, job, families, comparators)
        return _with_resumed(outcome, kept)

    def explain(
        self,
        settings: Settings,
        job: CompareJob,
        outcome: Outcome,
        families: tuple[Family, ...],
        comparators: tuple[Comparator, ...] = (),
    ) -> Outcome:
        """A comparison that drifts, with its cause, where variations are asked for."""
        entry, options = job.actual.entrypoint, self._resources.options
        names = varied_names(entry, options)
        looks_into = options.locate or options.cure
        if outcome.verdict is Verdict.NONDETERMINISTIC and not job.repeats:
            return self.of_repeats(settings, job.expected, outcome, comparators)
        if outcome.verdict is not Verdict.DRIFT or (names == () and not looks_into):
            return outcome
        if names == ():
            return self._looked_into(settings, (job.expected, job.actual), outcome, comparators)
        asked = VariesJob(job.expected, names, budget(entry, options))
        search = self._unfinished.begin(settings, entry)
        with search as kept, self._task(settings, asked) as progress:
            tools = self._search_tools(settings)
            # Both platforms are looked into below, not the reference alone.
            tools = replace(tools, advance=progress.advance, locates=False, cures=False)
            software = SoftwareSearch(
                self._experiments, settings, options, job, outcome, asked.budget // 2, comparators
            )
            outcome = explain_platforms(tools, job, outcome, asked, families, comparators, software)
        outcome = _with_resumed(_told_from_randomness(outcome), kept)
        return self._looked_into(settings, (job.expected, job.actual), outcome, comparators)

    def of_repeats(
        self,
        settings: Settings,
        job: RunJob,
        outcome: Outcome,
        comparators: tuple[Comparator, ...] = (),
    ) -> Outcome:
        """Runs of the same that disagree, with where they part and what makes them agree, where
        that is asked for."""
        if outcome.verdict is not Verdict.NONDETERMINISTIC:
            return outcome
        return self._looked_into(settings, (job, again_of(job)), outcome, comparators)

    def of_baseline(self, outcome: Outcome, held: BaselineComparison) -> Outcome:
        """A run that drifts from what is kept, with what makes it agree, where that is asked for.

        Of one that does not repeat itself, what makes it do so, and where its runs part.
        """
        job, settings, options = held.job.actual, held.settings, self._resources.options
        if outcome.verdict is not Verdict.DRIFT or not (options.locate or options.cure):
            return outcome
        tools, again = self._search_tools(settings), again_of(job)
        comparison = RunComparison(tools.open, as_repeats(job.entrypoint), held.comparators)
        try:
            sides = DriftingRuns(tools, job, again, comparison).less_clocks()
            seen = sides.comparison.compare(require(tools.run(again)), tools.run(job))
        except MlContainerError as error:
            note = f"what makes it agree was not looked for: it fails when run again, {error.what}"
            return replace(outcome, notes=(note, *outcome.notes))
        if not seen.verdict.passes:
            outcome = as_nondeterministic(replace(outcome, notes=(_UNSTEADY, *outcome.notes)))
            return self.of_repeats(settings, job, outcome, held.comparators)
        if not options.cure:
            return outcome
        with self._resources.task(settings, Activity.SEARCHING, f"{job}: {_AGREES}") as progress:
            tools = replace(tools, advance=progress.advance)
            kept = held.kept.record.run
            drifting = DriftToCure(tools, job, job, held, frozenset(), lambda found: found, kept)
            return try_to_cure(drifting, outcome)

    def _looked_into(
        self,
        settings: Settings,
        jobs: tuple[RunJob, RunJob],
        outcome: Outcome,
        comparators: tuple[Comparator, ...],
    ) -> Outcome:
        """The outcome with where two runs part, and what makes them agree, where that is asked for.

        Args:
            jobs: the expected and the actual one: of two platforms, or twice the same.
        """
        options = self._resources.options
        if outcome.verdict.passes:
            return outcome
        expected, actual = jobs
        tools, entry = self._search_tools(settings), as_repeats(actual.entrypoint)
        sides = DriftingRuns(tools, expected, actual, RunComparison(tools.open, entry, comparators))
        if options.locate:
            title = f"{actual}: where it drifts"
            with self._resources.task(settings, Activity.SEARCHING, title):
                outcome = try_to_locate(sides, outcome)
        if options.cure:
            title = f"{actual}: {_AGREES}"
            with self._resources.task(settings, Activity.SEARCHING, title) as progress:
                return _cured(replace(tools, advance=progress.advance), sides, outcome)
        return outcome

    def run_varied(
        self,
        settings: Settings,
        job: RunJob,
        families: tuple[Family, ...],
        names: tuple[str, ...],
    ) -> Run:
        """The run with its environment changed; arguments and errors as of `varied_run`."""
        tools = self._search_tools(settings)
        return self._runs.make(settings, varied_run(tools, job, families, names))

    def _task(self, settings: Settings, job: VariesJob) -> AbstractContextManager[Progress]:
        title = str(job.run)
        return self._resources.task(settings, Activity.SEARCHING, title, most=job.budget)

    def _search_tools(self, settings: Settings) -> SearchTools:
        return SearchTools(
            run=partial(self._runs.make, settings),
            prefetch=partial(self._runs.prefetch, settings),
            look=partial(self._runs.look, settings),
            image=partial(self._images.make, settings),
            open=partial(self._openings.open_differing, settings),
            environ=self._resources.environ,
            root=settings.root,
            locates=self._resources.options.locate,
            cures=self._resources.options.cure,
            packages=own_packages(settings.root),
            capabilities=lambda target: self._resources.engine(target).capabilities,
        )


def _cured(tools: SearchTools, sides: DriftingRuns, outcome: Outcome) -> Outcome:
    """The outcome with what makes both sides agree: two platforms, or repeats, by their rules."""
    comparison = sides.less_clocks().comparison
    names = frozenset(name for cause in outcome.causes for name in cause.names)
    if outcome.verdict is not Verdict.NONDETERMINISTIC:
        comparison = replace(comparison, entry=sides.actual.entrypoint)
    elif not comparison.failing(tools.run(sides.actual), tools.run(sides.expected)):
        comparison = sides.comparison  # a clock or an id is all that there is to cure
    drifting = DriftToCure(
        tools, sides.expected, sides.actual, comparison,
        names or (_BETWEEN_REPEATS if outcome.verdict is Verdict.NONDETERMINISTIC else names),
        lambda found: try_to_locate(sides, found),
    )  # fmt: skip
    return try_to_cure(drifting, outcome)


def _told_from_randomness(outcome: Outcome) -> Outcome:
    """Where randomness is the cause the runs of one platform disagree: that is no drift of two."""
    if (RANDOMNESS,) not in (cause.names for cause in outcome.causes):
        return outcome
    return as_nondeterministic(outcome)


def _with_resumed(outcome: Outcome, kept: Unfinished) -> Outcome:
    if not kept.resumed:
        return outcome
    runs = "1 run was" if kept.resumed == 1 else f"{kept.resumed} runs were"
    note = f"{runs} made by an earlier search of the last day that was interrupted"
    return replace(outcome, notes=(*outcome.notes, note))
