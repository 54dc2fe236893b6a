"""`mlcontainer explain`: what makes a project's outputs drift, without a test session."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.progress import following
from pytest_mlcontainer.cli.reporting import write
from pytest_mlcontainer.cli.setup import pipeline_setup
from pytest_mlcontainer.config import load, parse_options
from pytest_mlcontainer.errors import MlContainerError, NothingVaried
from pytest_mlcontainer.hooks import load_comparators, load_engines, load_families, schemes_of
from pytest_mlcontainer.matrix import plan
from pytest_mlcontainer.model import CompareJob, Job, Options, Outcome, Settings, VariesJob
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.terminal import failure_lines, summary_lines
from pytest_mlcontainer.variations import FAMILIES, wanted


@dataclass(frozen=True)
class ExplainArguments:
    """The command's arguments.

    Args:
        config: the `pyproject.toml`, or its folder.
        entrypoint: this one alone; of None, all that write something.
        platform: as `--container-platform`; of two, what makes them drift is looked for.
        image: this image instead of one that is built.
        vary, budget, engine: as the options of pytest that are called so.
        report: folder for report.json and its like.
        verbose: whether each step is shown.
        locate: whether the line at which runs part is looked for, too.
        cure: whether what makes them agree is looked for, too.
    """

    config: Path = Path("pyproject.toml")
    entrypoint: str | None = None
    platform: str | None = None
    image: str | None = None
    vary: str = "all"
    budget: str | None = None
    engine: str | None = None
    report: Path | None = None
    verbose: bool = False
    locate: bool = False
    cure: bool = False


def explain(asked: ExplainArguments) -> int:
    """Print what makes outputs drift.

    Returns:
        0 where nothing does, else 1.

    Raises:
        MlContainerError: an argument makes no sense, or something cannot be built or run.
    """
    started = time.monotonic()
    options = parse_options(
        machine(),
        prefix="--",
        platforms=asked.platform,
        image=asked.image,
        engines=() if asked.engine is None else (asked.engine,),
        schemes=schemes_of(load_engines),
        vary=asked.vary,
        budget=asked.budget,
        locate=asked.locate,
        cure=asked.cure,
    )
    settings = _settings(asked)
    jobs = tuple(_jobs(settings, options, asked.entrypoint))
    with following(os.environ, verbose=asked.verbose) as tell:
        pipeline = Pipeline(pipeline_setup(os.environ, tell), options)
        try:
            found = _results(pipeline, settings, jobs)
            results = [pipeline.hidden.clean(result) for result in found]
        finally:
            pipeline.close()
            pipeline.clean_up(last=True)
    for result in results:
        if result.outcome is not None and not result.outcome.verdict.passes:
            print("\n".join((*failure_lines(result.outcome, "", 1), "")))
    print("\n".join(summary_lines(results)))
    if asked.report is not None:
        write(asked.report, results, time.monotonic() - started)
    return 0 if all(each.outcome is None or each.outcome.verdict.passes for each in results) else 1


def list_variations() -> int:
    """Print the variations there are, those of installed plugins too."""
    families = load_families(FAMILIES)
    width = max(len(family.name) for family in families)
    for family in families:
        asked = " (only where it is named)" if family.on_request else ""
        print(f"{family.name:<{width}}  {escape(family.what)}{asked}")
    return 0


def _settings(asked: ExplainArguments) -> Settings:
    file = asked.config / "pyproject.toml" if asked.config.is_dir() else asked.config
    if not file.is_file():
        raise MlContainerError("there is no such file", str(file), "name it with --config FILE")
    settings = load(file, machine(), schemes_of(load_engines))
    if settings is None:
        raise MlContainerError(
            "no [tool.mlcontainer] table", str(file), "`mlcontainer init` writes a first one"
        )
    return settings


def _jobs(settings: Settings, options: Options, name: str | None) -> Iterator[Job]:
    """What is to be explained: platforms against each other where there are several."""
    if name is not None and settings.entrypoint(name) is None:
        names = ", ".join(entry.name for entry in settings.entrypoints) or "none"
        raise MlContainerError("no entrypoint has this name", name, f"there are: {names}")
    jobs = plan(settings, options)
    compared = any(isinstance(job, CompareJob) for job in jobs)
    found = [job for job in jobs if isinstance(job, CompareJob if compared else VariesJob)]
    chosen = [job for job in found if name in (None, _entrypoint_of(job))]
    if not chosen:
        raise MlContainerError(
            "there is nothing to explain",
            "no entrypoint writes anything" if name is None else f"{name} writes nothing",
            "declare what it writes: outputs = […]",
        )
    yield from chosen


def _entrypoint_of(job: Job) -> str:
    if isinstance(job, VariesJob):
        return job.run.entrypoint.name
    assert isinstance(job, CompareJob)
    return job.actual.entrypoint.name


def _results(pipeline: Pipeline, settings: Settings, jobs: tuple[Job, ...]) -> Iterator[Result]:
    """What came of each job; of one for which nothing can be varied, a remark.

    Raises:
        NothingVaried: that is so for all of them.
    """
    untested: NothingVaried | None = None
    done = 0
    for job in jobs:
        try:
            outcome = next(_outcomes(pipeline, settings, (job,)))
        except NothingVaried as error:
            untested = error
            yield Result(note=" ".join(str(error).split()))
        else:
            done += 1
            yield Result.of_outcome(outcome)
    if untested is not None and not done:
        raise untested


def _outcomes(pipeline: Pipeline, settings: Settings, jobs: tuple[Job, ...]) -> Iterator[Outcome]:
    families, comparators = load_families(FAMILIES), load_comparators()
    for job in jobs:
        if isinstance(job, VariesJob):
            wanted(families, job.names)  # before anything is built
            yield pipeline.searches.vary(settings, job, families, comparators)
        elif isinstance(job, CompareJob):
            outcome = pipeline.comparisons.compare(settings, job, comparators)
            yield pipeline.searches.explain(settings, job, outcome, families, comparators)
