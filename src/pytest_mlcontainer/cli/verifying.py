"""How `mlcontainer verify` carries out each kind of job, and what it says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

from pytest_mlcontainer.errors import (
    EngineError,
    MlContainerError,
    NothingChecked,
    NothingVaried,
    PlatformSkipped,
)
from pytest_mlcontainer.hooks import load_comparators, load_families
from pytest_mlcontainer.model import (
    CheckJob,
    CompareJob,
    ImageJob,
    Job,
    Outcome,
    Platform,
    PublishedImage,
    RepeatsJob,
    RunJob,
    ServeJob,
    Settings,
    VariesJob,
)
from pytest_mlcontainer.pipeline import Pipeline, require
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.checks import check_lines, check_summary, severity_counts
from pytest_mlcontainer.report.terminal import failure_lines
from pytest_mlcontainer.variations import FAMILIES


@dataclass(frozen=True)
class Verified:
    """One thing that was verified, or not.

    Args:
        name: as its test is called.
        said: in a line.
        more: lines below it.
        platform: whose image was run for it; None for what runs nothing.
        was_done: False for what there is nothing to look at.
    """

    name: str
    passed: bool
    said: str = ""
    more: str = ""
    platform: Platform | None = None
    was_done: bool = True
    results: tuple[Result, ...] = ()

    @property
    def word(self) -> str:
        """What came of it, in a word."""
        if not self.was_done:
            return "skipped"
        return "ok" if self.passed else "failed"


def carry_out(
    pipeline: Pipeline, settings: Settings, job: Job, published: PublishedImage | None
) -> Verified:
    """Do what a job says.

    Args:
        published: as the registry has it, for the job of an image.
    """
    try:
        if isinstance(job, ImageJob) and published is not None:
            return _image(pipeline, settings, job, published)
        return _do(job, pipeline, settings)
    except (NothingChecked, NothingVaried, PlatformSkipped) as error:
        return Verified(str(job), True, error.value or error.what, was_done=False)
    except MlContainerError as error:
        return Verified(str(job), False, error.what, _rest(error))


def _image(
    pipeline: Pipeline, settings: Settings, job: ImageJob, published: PublishedImage
) -> Verified:
    """Pull it, and hold what the engine then has against what the registry has."""
    image = pipeline.images.make(settings, job)
    if image.layers and image.layers != published.layers:
        raise EngineError(
            "the engine has another image than the registry",
            f"{image.reference}: layers {', '.join(image.layers)}",
            f"remove it (`docker rmi {image.reference}`) and run again",
        )
    said = "pulled: the engine has the same layers, and it runs as this platform"
    return Verified(str(job), True, said, platform=job.target.platform)


@singledispatch
def _do(job: Job, _pipeline: Pipeline, _settings: Settings) -> Verified:
    return Verified(str(job), True, "not a part of verifying", was_done=False)


@_do.register
def _check(job: CheckJob, pipeline: Pipeline, settings: Settings) -> Verified:
    report = pipeline.checks.make(settings, job, load_comparators())
    said = severity_counts(report.findings)
    if report.headline:
        said = f"{report.headline}: {said}"
    lines = check_lines(report, "") if report.failing else [*check_summary((report,))]
    more = "\n".join(lines[1:])
    return Verified(
        str(job), not report.failing, said, more, job.platform, results=(Result(check=report),)
    )


@_do.register
def _run(job: RunJob, pipeline: Pipeline, settings: Settings) -> Verified:
    run = pipeline.runs.make(settings, job)
    result = Result.of_run(run)
    if run.failure is not None:
        more = "\n".join((run.failure.value, f"→ {run.failure.remedy}"))
        return Verified(str(job), False, run.failure.what, more, results=(result,))
    count = len(run.outputs)
    said = f"{count} {'output' if count == 1 else 'outputs'} after {run.duration_s:.1f} s"
    return Verified(str(job), True, said, platform=job.target.platform, results=(result,))


@_do.register
def _serve(job: ServeJob, pipeline: Pipeline, settings: Settings) -> Verified:
    with pipeline.servers.serve(settings, job):
        return Verified(str(job), True, "it answers", platform=job.target.platform)


@_do.register
def _repeats(job: RepeatsJob, pipeline: Pipeline, settings: Settings) -> Verified:
    return _judged(job, pipeline.comparisons.repeats(settings, job, load_comparators()))


@_do.register
def _varies(job: VariesJob, pipeline: Pipeline, settings: Settings) -> Verified:
    families = load_families(FAMILIES)
    return _judged(job, pipeline.searches.vary(settings, job, families, load_comparators()))


@_do.register
def _compare(job: CompareJob, pipeline: Pipeline, settings: Settings) -> Verified:
    for run in (job.actual, job.expected):
        require(pipeline.runs.make(settings, run))
    return _judged(job, pipeline.comparisons.compare(settings, job, load_comparators()))


def _judged(job: Job, outcome: Outcome) -> Verified:
    lines: Iterable[str] = () if outcome.verdict.passes else failure_lines(outcome, "")
    return Verified(
        str(job),
        outcome.verdict.passes,
        outcome.verdict.value,
        "\n".join(lines),
        outcome.target.platform,
        results=(Result.of_outcome(outcome),),
    )


def _rest(error: MlContainerError) -> str:
    return "\n".join(part for part in (error.value, f"→ {error.remedy}") if part)
