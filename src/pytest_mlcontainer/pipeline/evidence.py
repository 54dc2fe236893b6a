"""The runs that a comparison asks for → what `judging` makes an outcome of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.judging.evidence import Evidence
from pytest_mlcontainer.model import CompareJob, RepeatsJob, Run, RunJob

Make = Callable[[RunJob], Run]


def gather(job: CompareJob, make: Make) -> Evidence:
    """All runs of a comparison.

    Args:
        make: gives a run, failed or not.

    Raises:
        RunError: one that is needed failed; those under variations are left out instead.
    """
    pairs = tuple(
        (seed, _needed(actual, make), _needed(expected, make))
        for seed, (actual, expected) in zip(
            job.actual.entrypoint.seeds or ("",),
            ((job.actual, job.expected), *job.seeds),
            strict=True,
        )
    )
    repeats = tuple(tuple(_needed(run, make) for run in each.runs) for each in job.repeats)
    varied, notes = _varied(job.varied, make)
    return Evidence(pairs, repeats, varied, notes)


def gather_repeats(job: RepeatsJob, make: Make) -> Evidence:
    """The repeats of one target; arguments and errors as of `gather`."""
    runs = tuple(_needed(run, make) for run in job.runs)
    varied, notes = _varied(job.varied, make)
    return Evidence((), (runs,), varied, notes)


def _needed(job: RunJob, make: Make) -> Run:
    run = make(job)
    if run.failure is not None:
        raise RunError(f"{run.failure.what}{_which(job)}", run.failure.value, run.failure.remedy)
    return run


def _which(job: RunJob) -> str:
    """What tells the run from the one that an item of its own shows."""
    if job.seed is not None:
        return f" (with {job.entrypoint.seed_env}={job.seed}, on {job.target.platform})"
    if not job.repeat:
        return ""
    before = "once" if job.repeat == 1 else f"{job.repeat} times"  # repeats are made in order
    return f" (repeat {job.repeat}, on {job.target.platform}; {before} before, it worked)"


def _varied(
    jobs: tuple[RunJob, ...], make: Make
) -> tuple[tuple[tuple[str, Run], ...], tuple[str, ...]]:
    return tuple(_working(jobs, make)), tuple(_left_out(jobs, make))


def _working(jobs: tuple[RunJob, ...], make: Make) -> Iterator[tuple[str, Run]]:
    for job in jobs:
        run = make(job) if job.target.variations else _needed(job, make)
        if run.failure is None:
            yield ", ".join(job.target.variations), run


def _left_out(jobs: tuple[RunJob, ...], make: Make) -> Iterator[str]:
    for job in jobs:
        failure = make(job).failure
        if failure is not None:
            names = ", ".join(job.target.variations)
            yield f"not part of the calibration: {names}, because {failure.what}: {failure.value}"
