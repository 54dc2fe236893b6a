"""Settings and options → the plan: which jobs there are, and in which order. Nothing is run.

`Settings` come from `config`, so every need names an entrypoint and none goes in a circle.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import (
    ALL_VARIATIONS,
    HOST,
    IMAGE_CHECKS,
    PRINTED,
    BaselineJob,
    CheckJob,
    CheckNeeds,
    CompareJob,
    Entrypoint,
    ImageJob,
    Job,
    NeedsFrom,
    Options,
    Platform,
    RepeatsJob,
    RunJob,
    ServeJob,
    Settings,
    Target,
    VariesJob,
)
from pytest_mlcontainer.variations import changes, harmless


def plan(settings: Settings, options: Options) -> tuple[Job, ...]:
    """Every job, in the order that fails early: images, runs and servers, comparisons."""
    selected = _reference_first(settings, options)
    checks = tuple(check_jobs(settings, options))
    jobs: list[Job] = [job for job in checks if job.image is None]
    jobs += [image_job(settings, options, platform) for platform in selected if platform != HOST]
    late = {check.name for check in IMAGE_CHECKS if check.needs is CheckNeeds.RUNS}
    jobs += [job for job in checks if job.image is not None and job.check.name not in late]
    for entry in _in_order_of_needs(settings.entrypoints):
        for platform in selected:
            if entry.server is None:
                jobs.append(run_job(settings, options, entry.name, platform))
            elif platform != HOST:
                jobs.append(serve_job(settings, options, entry.name, platform))
    jobs += [job for job in checks if job.check.name in late]
    compared = [_with_further_runs(job, options) for job in _compare_jobs(jobs, selected[0])]
    repeated = _repeats_jobs(jobs, options)
    varied = _varies_jobs(jobs, selected[0], options)
    return (*jobs, *repeated, *compared, *varied, *_baseline_jobs(jobs, options))


def platforms(settings: Settings, options: Options) -> tuple[Platform, ...]:
    """The platforms selected, each once, in the order given."""
    selected = settings.platforms if options.platforms is None else options.platforms
    return tuple(dict.fromkeys(selected))


def reference_platform(settings: Settings, options: Options) -> Platform:
    """The configured reference if it is selected, else the first platform selected."""
    selected = platforms(settings, options)
    return settings.reference if settings.reference in selected else selected[0]


def image_job(settings: Settings, options: Options, platform: Platform) -> ImageJob:
    """The image for a platform: to be built or, with `--container-image`, to be found.

    Raises:
        MlContainerError: for `host`, which has no image.
    """
    if platform == HOST:
        raise MlContainerError(
            "the platform host runs without a container, so it has no image",
            str(platform),
            "ask for a container platform, such as linux/amd64",
        )
    return ImageJob(target_of(settings, options, platform), options.image)


def check_jobs(settings: Settings, options: Options) -> Iterator[CheckJob]:
    """The checks of the image that are set, for those platforms that have one."""
    selected = (each for each in _reference_first(settings, options) if each != HOST)
    images = tuple(image_job(settings, options, platform) for platform in selected)
    known = {check.name: check for check in IMAGE_CHECKS}
    for check in settings.checks if images else ():
        kind = known[check.name]
        sources = kind.needs is not CheckNeeds.DOCKERFILE or options.image is None
        skipped = "" if sources else f"there is no Dockerfile of the image {options.image}"
        for image in images if kind.each_platform else (None,):
            yield CheckJob(check, image, images, skipped)


def run_job(settings: Settings, options: Options, name: str, platform: Platform) -> RunJob:
    """The run of the entrypoint `name` on a platform, with the runs whose outputs it needs.

    Of an entrypoint with seeds it is the one with the first.

    Raises:
        MlContainerError: no entrypoint has this name, or it is a server.
    """
    entry = _entrypoint(settings, name)
    if entry.server is not None:
        raise MlContainerError(
            "this entrypoint is a server and cannot be run to its end",
            name,
            "start it with the fixture inference_server",
        )
    return RunJob(
        _seeded(entry, entry.seeds[0]) if entry.seeds else entry,
        _target(settings, options, entry, platform),
        None if platform == HOST else image_job(settings, options, platform),
        _needed_runs(settings, options, entry, platform),
    )


def serve_job(settings: Settings, options: Options, name: str, platform: Platform) -> ServeJob:
    """The server entrypoint `name` on a platform, with the runs whose outputs it needs.

    Raises:
        MlContainerError: no entrypoint has this name, it is no server, or the platform is `host`.
    """
    entry = _entrypoint(settings, name)
    if entry.server is None:
        raise MlContainerError(
            "this entrypoint is not a server",
            name,
            "give it the port it listens on (port = 8000), or run it with run_entrypoint",
        )
    return ServeJob(
        entry,
        _target(settings, options, entry, platform),
        image_job(settings, options, platform),
        _needed_runs(settings, options, entry, platform),
    )


def _entrypoint(settings: Settings, name: str) -> Entrypoint:
    entry = settings.entrypoint(name)
    if entry is not None:
        return entry
    names = [known.name for known in settings.entrypoints]
    found = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {found[0]}? " if found else ""
    listed = ", ".join(names) or "none"
    raise MlContainerError(
        f"no entrypoint of {settings.file.name} has this name",
        name,
        f"{meant}declared in [tool.mlcontainer.entrypoints]: {listed}",
    )


def _needed_runs(
    settings: Settings, options: Options, entry: Entrypoint, platform: Platform
) -> tuple[RunJob, ...]:
    same = entry.needs_from is NeedsFrom.SAME
    source = platform if same else reference_platform(settings, options)
    return tuple(run_job(settings, options, need, source) for need in entry.needs)


def _target(settings: Settings, options: Options, entry: Entrypoint, platform: Platform) -> Target:
    if platform == HOST:
        return Target(HOST)
    gpus = entry.limits.gpus if options.gpus is None else options.gpus
    return replace(target_of(settings, options, platform), gpus=None if gpus == "none" else gpus)


def target_of(settings: Settings, options: Options, platform: Platform) -> Target:
    """A platform on the engine that runs it, without GPUs."""
    engine = _engine_of(settings, options, platform)
    return Target(platform, engine, cluster=settings.cluster)


def _engine_of(settings: Settings, options: Options, platform: Platform) -> str | None:
    """The engine that runs a platform: what the command line says wins; None is the default."""
    asked = dict(options.engines)
    return asked.get(platform) or asked.get(None) or dict(settings.engines).get(platform)


def _reference_first(settings: Settings, options: Options) -> tuple[Platform, ...]:
    reference = reference_platform(settings, options)
    selected = platforms(settings, options)
    return (reference, *(platform for platform in selected if platform != reference))


def _in_order_of_needs(entries: tuple[Entrypoint, ...]) -> Iterator[Entrypoint]:
    """Each after all that it needs; otherwise as declared."""
    waiting = list(entries)
    done: set[str] = set()
    while waiting:
        ready = next(entry for entry in waiting if done.issuperset(entry.needs))
        waiting.remove(ready)
        done.add(ready.name)
        yield ready


def _compare_jobs(jobs: list[Job], reference: Platform) -> Iterator[CompareJob]:
    """Each run with outputs against the reference's run of the same entrypoint."""
    expected: dict[str, RunJob] = {}
    for job in jobs:
        if not isinstance(job, RunJob) or not _is_compared(job.entrypoint):
            continue
        if job.target.platform == reference:
            expected[job.entrypoint.name] = job
        else:
            yield CompareJob(job, expected[job.entrypoint.name])


def _is_compared(entry: Entrypoint) -> bool:
    """Whether there is anything to compare: outputs, or what it prints where a rule says so."""
    return bool(entry.outputs) or any(rule.output in PRINTED for rule in entry.rules)


def uncompared(job: RunJob, settings: Settings, options: Options) -> tuple[str, ...]:
    """That nothing of a run is compared, where the command or the table asks for comparisons."""
    entry = job.entrypoint
    asked = (
        len(platforms(settings, options)) > 1
        or len(_repeats(job, options)) > 1
        or varied_names(entry, options) != ()
        or options.baseline is not None
    )
    if _is_compared(entry) or not asked:
        return ()
    return (
        f"{entry.name}: nothing of it is compared, as it declares no outputs: name what it writes "
        '(outputs = ["outputs/*"]), or compare what it prints (compare = { stdout = {} })',
    )


def _varies_jobs(jobs: list[Job], reference: Platform, options: Options) -> Iterator[VariesJob]:
    """Each of the reference's runs with outputs, where its environment is to be varied."""
    for job in jobs:
        if isinstance(job, RunJob) and job.target.platform == reference:
            names = varied_names(job.entrypoint, options)
            if names != () and _is_compared(job.entrypoint):
                yield VariesJob(job, names, budget(job.entrypoint, options))


def varied_names(entry: Entrypoint, options: Options) -> tuple[str, ...] | None:
    """Names of the variations asked for an entrypoint; () for none, None for all that apply."""
    names = entry.vary if options.vary is None else options.vary
    return None if names == ALL_VARIATIONS else names


def budget(entry: Entrypoint, options: Options) -> int:
    """The most runs that a search may make for an entrypoint."""
    return entry.vary_budget if options.budget is None else options.budget


def _repeats_jobs(jobs: list[Job], options: Options) -> Iterator[RepeatsJob]:
    """For each target that runs more than once, its runs; only those that are compared."""
    expected: dict[str, RunJob] = {}  # the reference comes first
    for job in jobs:
        if not isinstance(job, RunJob) or not _is_compared(job.entrypoint):
            continue
        first = expected.setdefault(job.entrypoint.name, job)
        runs = _repeats(job, options)
        if len(runs) > 1:
            yield RepeatsJob(runs, _varied(first))


def _with_further_runs(job: CompareJob, options: Options) -> CompareJob:
    """With the runs besides one on each side that its entrypoint or the options ask for."""
    repeats = [_repeats(side, options) for side in (job.expected, job.actual)]
    further = job.actual.entrypoint.seeds[1:]
    return replace(
        job,
        repeats=tuple(RepeatsJob(runs) for runs in repeats if len(runs) > 1),
        seeds=tuple((_of_seed(job.actual, seed), _of_seed(job.expected, seed)) for seed in further),
        varied=_varied(job.expected),
    )


def _repeats(job: RunJob, options: Options) -> tuple[RunJob, ...]:
    count = job.entrypoint.repeat if options.repeat is None else options.repeat
    return tuple(replace(job, repeat=number) for number in range(count))


def _of_seed(job: RunJob, seed: str) -> RunJob:
    return replace(job, entrypoint=_seeded(job.entrypoint, seed), seed=seed)


def _seeded(entry: Entrypoint, seed: str) -> Entrypoint:
    return replace(entry, env=tuple({**dict(entry.env), entry.seed_env: seed}.items()))


def _varied(job: RunJob) -> tuple[RunJob, ...]:
    """The run, then the same under variations, where a tolerance is to be calibrated by them."""
    entry = job.entrypoint
    if not any(rule.tolerance.calibrated for rule in entry.rules):
        return ()
    runs = [job]
    for variation in harmless(job.target.platform):
        changed = changes(variation, entry.env)
        if changed:
            target = replace(job.target, variations=(str(variation),))
            varied = replace(entry, env=(*entry.env, *changed))
            runs.append(replace(job, entrypoint=varied, target=target))
    return tuple(runs)


def _baseline_jobs(jobs: list[Job], options: Options) -> Iterator[BaselineJob]:
    """Each target's own run against what the project keeps of it, where that is asked for."""
    for job in jobs if options.baseline is not None else ():
        if not isinstance(job, RunJob) or not _is_compared(job.entrypoint):
            continue
        if not job.repeat and job.seed is None and not job.target.variations:
            yield BaselineJob(job)
