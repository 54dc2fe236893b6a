"""Composes images, runs and comparisons for one job each; knows nothing of pytest."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.compare.readers.pool import shared_pool
from pytest_mlcontainer.engines import DETAIL, ContainerSpec, LogLine
from pytest_mlcontainer.errors import MlContainerError, RunError
from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.judging import Needed, compare_runs, needed_by
from pytest_mlcontainer.judging.baselines import (
    find_kept,
    hold_against,
    remove_stale,
    stale,
    update,
)
from pytest_mlcontainer.judging.evidence import judge, judge_repeats, nondeterministic, settle
from pytest_mlcontainer.matrix import budget, platforms, varied_names
from pytest_mlcontainer.mixing.across_software import SoftwareSearch
from pytest_mlcontainer.model import (
    BaselineChange,
    BaselineJob,
    Comparator,
    CompareJob,
    Entrypoint,
    Family,
    Options,
    Outcome,
    RepeatsJob,
    Run,
    RunJob,
    ServeJob,
    Settings,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.across_platforms import explain_platforms
from pytest_mlcontainer.pipeline.evidence import gather, gather_repeats
from pytest_mlcontainer.pipeline.explaining import explain_variations
from pytest_mlcontainer.pipeline.keeping import conditions_of
from pytest_mlcontainer.pipeline.laboratory import Laboratory
from pytest_mlcontainer.pipeline.making import require
from pytest_mlcontainer.pipeline.opening import Opener
from pytest_mlcontainer.pipeline.preparing import varied_run
from pytest_mlcontainer.pipeline.probing import check_capabilities
from pytest_mlcontainer.pipeline.surroundings import Surroundings
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.records import Conditions
from pytest_mlcontainer.runs.emulation import with_cpu
from pytest_mlcontainer.runs.inputs import needs_tar
from pytest_mlcontainer.runs.serving import Started, serve
from pytest_mlcontainer.runs.shells import check_command

__all__ = [
    "DETAIL",
    "LogLine",
    "Pipeline",
    "Surroundings",
    "compare_runs",
    "needed_by",
    "require",
]


class Pipeline(Opener):
    """Everything that one pytest process does with engines; each result is made at most once.

    Methods raise `MlContainerError`s, the same one again for the same job.
    """

    def __init__(self, surroundings: Surroundings, options: Options) -> None:
        super().__init__(surroundings, options)
        shared_pool().divide(surroundings.processes)

    def compare(
        self, settings: Settings, job: CompareJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's outputs on one target, against the reference's.

        A drift that may be randomness is settled by one more run of the reference. Where the cause
        is searched for, that search makes such runs itself.

        Args:
            comparators: formats that plugins add.
        """
        outcome = self._compare(settings, job, comparators)
        searched = varied_names(job.actual.entrypoint, self._options) != ()
        if job.repeats or searched:
            return outcome
        entry = job.actual.entrypoint
        return self.settle(settings, job.expected, entry, outcome, comparators, job.actual)

    def settle(
        self,
        settings: Settings,
        expected: RunJob,
        entry: Entrypoint,
        outcome: Outcome,
        comparators: tuple[Comparator, ...] = (),
        actual: RunJob | None = None,
    ) -> Outcome:
        """The outcome; of a drift with whether the reference disagrees with itself, too.

        Args:
            expected: the run that the reference was.
            entry: with the rules by which they were compared.
            actual: the run that was held against it, to be judged without clocks and ids.
        """
        if outcome.verdict is not Verdict.DRIFT:
            return outcome
        again = again_of(expected)
        try:
            first, second = (require(self._run_opened(settings, job)) for job in (expected, again))
            held = None if actual is None else require(self._run_opened(settings, actual))
        except MlContainerError as error:
            note = (
                f"{expected} could not be run once more to tell this from randomness: {error.what}"
            )
            return replace(outcome, notes=(note, *outcome.notes))
        return settle(entry, outcome, (first, second), comparators, held)

    def settling_runs(self, settings: Settings, job: RunJob) -> tuple[Run, ...]:
        """The run that was made to settle a drift from this one; none where none was made."""
        run = self.known_run(settings, again_of(job))
        return () if run is None else (run,)

    def known_run(self, settings: Settings, job: RunJob) -> Run | None:
        """The run of a job that this process has made or found already; else None."""
        run = self._work.known((settings.file, job))
        return run if isinstance(run, Run) else None

    def _compare(
        self, settings: Settings, job: CompareJob, comparators: tuple[Comparator, ...]
    ) -> Outcome:
        self.prefetch(settings, job.runs)
        if len(job.runs) > 2:
            make = partial(self._run_opened, settings)
            needed = self._needed(settings, job.actual.entrypoint, 2)
            return judge(job.actual.entrypoint, gather(job, make), comparators, needed)
        actual, expected = (
            require(self.run(settings, side)) for side in (job.actual, job.expected)
        )
        entry = job.actual.entrypoint
        actual, expected = self.open_differing(settings, actual, expected, entry.rules)
        needed = self._needed(settings, entry, 2)
        return compare_runs(
            actual, expected, entry.rules, comparators, entry.names, entry.outputs, needed
        )

    def _needed(self, settings: Settings, entry: Entrypoint, compared: int) -> Needed:
        """What has to match something where so many of the project's platforms are compared."""
        there = {*settings.platforms, *platforms(settings, self._options)}
        alone = len(there) <= compared
        return needed_by(settings, entry.names, entry.rules, alone=alone)

    def repeats(
        self, settings: Settings, job: RepeatsJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's repeats on one target, against one another; arguments as `compare`."""
        self.prefetch(settings, (*job.runs, *job.varied))
        evidence = gather_repeats(job, partial(self._run_opened, settings))
        needed = self._needed(settings, job.entrypoint, 1)
        return judge_repeats(job.entrypoint, evidence, comparators, needed)

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
        lab = self._laboratory(settings)
        with self._resumable(settings, job.run.entrypoint) as kept:
            outcome = explain_variations(lab, job, families, comparators)
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
        entry = job.actual.entrypoint
        names = varied_names(entry, self._options)
        if outcome.verdict is not Verdict.DRIFT or names == ():
            return outcome
        asked = VariesJob(job.expected, names, budget(entry, self._options))
        lab = self._laboratory(settings)
        with self._resumable(settings, entry) as kept:
            software = SoftwareSearch(
                self, settings, self._options, job, outcome, asked.budget // 2, comparators
            )
            outcome = explain_platforms(lab, job, outcome, asked, families, comparators, software)
        return _with_resumed(_told_from_randomness(outcome), kept)

    def run_varied(
        self,
        settings: Settings,
        job: RunJob,
        families: tuple[Family, ...],
        names: tuple[str, ...],
    ) -> Run:
        """The run with its environment changed; arguments and errors as of `varied_run`."""
        return self.run(settings, varied_run(self._laboratory(settings), job, families, names))

    def _laboratory(self, settings: Settings) -> Laboratory:
        return Laboratory(
            run=partial(self.run, settings),
            prefetch=partial(self.prefetch, settings),
            look=partial(self.look, settings),
            image=partial(self.image, settings),
            open=partial(self.open_differing, settings),
            environ=self._world.environ,
            root=settings.root,
            log=self._world.log,
            capabilities=lambda target: self._engine(target).capabilities,
        )

    def _run_opened(self, settings: Settings, job: RunJob) -> Run:
        """The run, failed or not, ready to be compared with any other."""
        run = self.run(settings, job)
        return run if run.failure is not None else self.open_pickles(settings, run)

    def baseline(
        self, settings: Settings, job: BaselineJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome | None:
        """One entrypoint's outputs on one target, against what is kept; None if nothing is."""
        run, conditions = self._for_baseline(settings, job)
        run = require(run)
        kept = find_kept(self._baseline, run, conditions, settings.reference)
        if kept is None:
            return None
        entry = job.actual.entrypoint
        run, expected = self.open_differing(settings, run, kept.record.run, entry.rules)
        kept = replace(kept, record=replace(kept.record, run=expected))
        return hold_against(run, kept, entry, comparators)

    def update_baseline(
        self, settings: Settings, job: BaselineJob, comparators: tuple[Comparator, ...] = ()
    ) -> tuple[BaselineChange, ...]:
        """Write what is kept of one run anew, unless it agrees; drop what nothing declares."""
        run, conditions = self._for_baseline(settings, job)
        if run.failure is None:
            run = self.open_pickles(settings, run)
        limit = settings.baseline_limit_bytes
        change = update(run, conditions, job.actual.entrypoint, self._baseline, limit, comparators)
        return (change, *remove_stale(self._baseline, settings))

    def stale_baselines(self, settings: Settings) -> tuple[str, ...]:
        """What is kept for entrypoints, platforms and outputs that there are no more."""
        return stale(self._baseline, settings, platforms(settings, self._options))

    @property
    def _baseline(self) -> Path:
        assert self._options.baseline is not None
        return self._options.baseline

    def _for_baseline(self, settings: Settings, job: BaselineJob) -> tuple[Run, Conditions]:
        run = self.run(settings, job.actual)
        return run, conditions_of(settings, job.actual)

    @contextmanager
    def serve(self, settings: Settings, job: ServeJob) -> Iterator[Started]:
        """A started server that has answered; judged and removed at the end of the `with` block."""
        self._check_secrets(settings, job.entrypoint)
        image = self.image(settings, job.image)
        check_command(job.entrypoint, image)
        needs = tuple(require(self.run(settings, need)) for need in job.needs)
        entry = job.entrypoint
        assert entry.server is not None
        target, _notes = self._right_target(settings, image, job)
        engine, workdir = self._engine(job.target), entry.workdir or image.workdir
        check_capabilities(engine, entry, job.target)
        volumes, files = self._volumes(settings, entry, engine, image, workdir)
        if files:
            raise RunError(
                f"an input of the server {entry.name} is a file",
                files[0].name,
                "servers take folders as inputs: declare the folder that holds it",
            )
        spec = ContainerSpec(
            image=image.reference,
            platform=image.platform,
            command=entry.command,
            entrypoint=entry.entrypoint,
            env=entry.env,
            workdir=entry.workdir,
            limits=replace(entry.limits, gpus=job.target.gpus),
            volumes=volumes,
            secrets=self._disclosed(settings, entry),
        )
        spec = with_cpu(spec, target)
        launching = engine.launch(
            entry.name,
            spec,
            entry.server.port,
            files=needs_tar(needs, posixpath.join("/", workdir)) if needs else None,
            writable=tuple(posixpath.join("/", workdir, path) for path in entry.writable),
        )
        limited = replace(entry, limits=spec.limits)
        with serve(limited, spec, launching, emulated=bool(target.emulated)) as started:
            yield started


def again_of(job: RunJob) -> RunJob:
    """The same once more, under the number that repeats would have."""
    return replace(job, repeat=job.repeat + 1)


def _told_from_randomness(outcome: Outcome) -> Outcome:
    """Where randomness is the cause the runs of one platform disagree: that is no drift of two."""
    if (RANDOMNESS,) not in (cause.names for cause in outcome.causes):
        return outcome
    marked = tuple(nondeterministic(each) for each in outcome.differences)
    return replace(outcome, verdict=Verdict.NONDETERMINISTIC, differences=marked)


def _with_resumed(outcome: Outcome, kept: Unfinished) -> Outcome:
    if not kept.resumed:
        return outcome
    runs = "1 run was" if kept.resumed == 1 else f"{kept.resumed} runs were"
    note = f"{runs} made by an earlier search of the last day that was interrupted"
    return replace(outcome, notes=(*outcome.notes, note))
