"""How each kind of job is carried out as a test, and what of it is reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.matrix import uncompared
from pytest_mlcontainer.model import (
    BaselineJob,
    CheckJob,
    CheckReport,
    CompareJob,
    ImageJob,
    Job,
    Outcome,
    RepeatsJob,
    RunJob,
    ServeJob,
    Settings,
    VariesJob,
)
from pytest_mlcontainer.pipeline import require
from pytest_mlcontainer.plugin.baselines import hold
from pytest_mlcontainer.plugin.session import ContainerSession
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.checks import check_lines
from pytest_mlcontainer.report.terminal import failure_lines


class DriftError(Exception):
    """A comparison whose verdict is no pass."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.entrypoint}: {outcome.verdict.value}")
        self.outcome = outcome


class CheckFailedError(Exception):
    """A check of the image with findings that it fails for."""

    def __init__(self, report: CheckReport) -> None:
        super().__init__(report.name)
        self.report = report


@dataclass(frozen=True)
class JobScope:
    """Where a job is carried out: the session, its project, the test that it is."""

    session: ContainerSession
    settings: Settings
    nodeid: str

    def begin_beside(self, kind: type[ImageJob] | type[RunJob]) -> None:
        """Start selected images, or runs, of this project side by side.

        A run waits for what it needs, so all of them can be begun at once, in the plan's order.
        """
        file = self.settings.file
        jobs = (
            getattr(item, "job", None)
            for item in self.session.selected
            if getattr(getattr(item, "settings", None), "file", None) == file
        )
        self.session.prefetch(self.settings, tuple(job for job in jobs if isinstance(job, kind)))

    def record(self, result: Result) -> None:
        self.session.results.record(result)

    def record_runs(self, jobs: Iterable[RunJob]) -> None:
        """Runs that no other item reports; what failed without harm is in a note already."""
        for job in jobs:
            run = self.session.pipeline.runs.make(self.settings, job)
            if run.failure is None:
                self.record(Result.of_run(run))

    def judge(self, outcome: Outcome) -> None:
        """Record an outcome.

        Raises:
            DriftError: its verdict is no pass.
        """
        self.record(Result.of_outcome(outcome))
        if not outcome.verdict.passes:
            raise DriftError(outcome)


def failure_text(error: BaseException, session: ContainerSession, nodeid: str) -> str | None:
    """What is printed for a job that did not pass; None where pytest says it."""
    wording = session.wording
    if isinstance(error, MlContainerError):
        return wording.explanation(error, nodeid)
    if isinstance(error, CheckFailedError):
        lines = check_lines(error.report, wording.repeat(nodeid))
    elif isinstance(error, DriftError):
        verbosity = session.config.get_verbosity()
        lines = failure_lines(error.outcome, wording.repeat(nodeid), verbosity)
        lines += wording.records(error.outcome.entrypoint)
    else:
        return None
    return wording.without_secrets("\n".join(lines))


@singledispatch
def carry_out(job: Job, here: JobScope) -> None:
    """Do what a job says, and record it.

    Raises:
        MlContainerError: it cannot be done, or what was run failed.
        DriftError: a comparison does not pass.
        CheckFailedError: a check of the image does not pass.
    """
    raise TypeError(f"nothing carries out {job!r} for {here.nodeid}")


@carry_out.register
def _image(job: ImageJob, here: JobScope) -> None:
    here.begin_beside(ImageJob)
    for note in here.session.pipeline.images.make(here.settings, job).notes:
        here.record(Result(note=note))


@carry_out.register
def _check(job: CheckJob, here: JobScope) -> None:
    if job.image is not None:
        here.begin_beside(ImageJob)
    session = here.session
    report = session.pipeline.checks.make(here.settings, job, session.comparators)
    here.record(Result(check=report))
    if report.failing:
        raise CheckFailedError(report)


@carry_out.register
def _run(job: RunJob, here: JobScope) -> None:
    here.begin_beside(RunJob)
    run = here.session.pipeline.runs.make(here.settings, job)
    here.record(Result.of_run(run))
    require(run)
    for note in uncompared(job, here.settings, here.session.options):
        here.record(Result(note=note))


@carry_out.register
def _serve(job: ServeJob, here: JobScope) -> None:
    with here.session.pipeline.servers.serve(here.settings, job):
        pass


@carry_out.register
def _baseline(job: BaselineJob, here: JobScope) -> None:
    held = hold(here.session, here.settings, job, here.nodeid)
    if held is not None:
        here.judge(held)


@carry_out.register
def _repeats(job: RepeatsJob, here: JobScope) -> None:
    session = here.session
    pipeline, comparators = session.pipeline, session.comparators
    outcome = pipeline.comparisons.repeats(here.settings, job, comparators)
    outcome = pipeline.searches.of_repeats(here.settings, job.runs[0], outcome, comparators)
    here.record_runs(job.runs[1:])
    here.judge(outcome)


@carry_out.register
def _varies(job: VariesJob, here: JobScope) -> None:
    session = here.session
    found = session.pipeline.searches.vary(
        here.settings, job, session.families, session.comparators
    )
    here.judge(found)


@carry_out.register
def _compare(job: CompareJob, here: JobScope) -> None:
    session, settings = here.session, here.settings
    pipeline, comparators = session.pipeline, session.comparators
    outcome = pipeline.comparisons.compare(settings, job, comparators)
    outcome = pipeline.searches.explain(settings, job, outcome, session.families, comparators)
    here.record_runs(job.runs[2:])
    for run in () if job.repeats else pipeline.comparisons.settling_runs(settings, job.expected):
        here.record(Result.of_run(run))
    here.judge(outcome)
