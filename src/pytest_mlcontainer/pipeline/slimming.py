"""Entrypoints that are watched for what they open, and tried in an image without the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from pytest_mlcontainer import images as project_images
from pytest_mlcontainer.engines import Engine
from pytest_mlcontainer.errors import BuildError, MlContainerError
from pytest_mlcontainer.image_checks.trials import EntrypointTrials, TriedImage, WatchedRun
from pytest_mlcontainer.inside import file_watcher
from pytest_mlcontainer.matrix import run_job
from pytest_mlcontainer.model import (
    BuildSettings,
    Comparator,
    CompareJob,
    Image,
    ImageJob,
    Knobs,
    Run,
    RunJob,
    Settings,
    Variation,
)
from pytest_mlcontainer.pipeline.comparisons import Comparisons
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.runs import Runs, require
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.runs.opened_files import read_opened_files
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.temporary import temporary_folder

WATCHED: Final = Variation("opened-files", "watch", Knobs(opens=True))
SLIM: Final = Variation("image", "slim", Knobs())


class Slimming:
    """Gives checks what they may ask of entrypoints."""

    def __init__(
        self, resources: PipelineResources, images: Images, runs: Runs, comparisons: Comparisons
    ) -> None:
        self._resources = resources
        self._images = images
        self._runs = runs
        self._comparisons = comparisons

    def trials(
        self, settings: Settings, job: ImageJob, comparators: tuple[Comparator, ...]
    ) -> EntrypointTrials:
        """For the image of one platform.

        Args:
            comparators: formats that plugins add.
        """
        entries = (each.name for each in settings.entrypoints if each.server is None)
        options, platform = self._resources.options, job.target.platform
        plain = tuple(run_job(settings, options, name, platform) for name in entries)
        held = _HeldAgainst(settings, self._runs, self._comparisons, comparators)
        return EntrypointTrials(
            watch=partial(self._watch, settings, plain, held),
            try_image=partial(self._try, settings, job, plain, held),
        )

    def _watch(
        self, settings: Settings, plain: tuple[RunJob, ...], held: _HeldAgainst
    ) -> tuple[WatchedRun, ...]:
        watched = tuple(each.varied((WATCHED,), each.repeat) for each in plain)
        problems = tuple(_cannot_watch(self._resources.engine(each.target)) for each in plain)
        if not any(problems):
            self._runs.prefetch(settings, (*plain, *watched))
        return tuple(
            WatchedRun(before.entrypoint.name, unseen=problem)
            if problem
            else held.watched(before, after)
            for before, after, problem in zip(plain, watched, problems, strict=True)
        )

    def _try(
        self,
        settings: Settings,
        job: ImageJob,
        plain: tuple[RunJob, ...],
        held: _HeldAgainst,
        text: str,
    ) -> TriedImage:
        try:
            image = self._built(settings, job, text)
        except BuildError as error:
            last = error.value.strip().splitlines()[-1:]
            return TriedImage(None, f"{error.what}: {last[0].strip() if last else ''}")
        slim = replace(job, reference=image.reference)
        tried = tuple(replace(each, image=slim).varied((SLIM,), each.repeat) for each in plain)
        self._runs.prefetch(settings, tried)
        problems = (held.why_not(each, other) for each, other in zip(plain, tried, strict=True))
        return TriedImage(image, next(filter(None, problems), ""))

    def _built(self, settings: Settings, job: ImageJob, text: str) -> Image:
        """The image that a Dockerfile makes; the session's end removes it.

        Raises:
            BuildError: it makes none.
        """
        engine, original = self._resources.engine(job.target), self._images.make(settings, job)
        platform, store = job.target.platform, self._resources.store(settings)
        repository = project_images.repository(settings)
        endpoint = job.target.engine or ""
        self._resources.ledger.add(repository=repository, endpoint=endpoint, store=str(store.root))
        key = digest([engine.address, original.digest, text])
        known, hidden = self._resources.known_builds(engine), self._resources.secrets
        redactor = hidden.hidden_of(settings)

        def make(_folder: Path) -> object:
            with temporary_folder() as folder:
                build = _build_settings(settings.build, original, folder, text)
                project, title = replace(settings, build=build), f"slim[{platform}]"
                with self._resources.task(settings, Activity.BUILDING, title) as progress:
                    log = progress.say
                    built = project_images.build(
                        engine, project, platform, key, known, log, redactor
                    )
            return project_images.image_to_json(built)

        raw, _folder = store.once("environment", key, make)
        return project_images.image_from_json(raw)


@dataclass(frozen=True)
class _HeldAgainst:
    """Runs that are held against the project's own ones."""

    settings: Settings
    runs: Runs
    comparisons: Comparisons
    comparators: tuple[Comparator, ...]

    def watched(self, plain: RunJob, watched: RunJob) -> WatchedRun:
        """What is known of a run that is watched.

        Raises:
            MlContainerError: the entrypoint does not do its job when nobody watches it either.
        """
        name = plain.entrypoint.name
        before = require(self.runs.make(self.settings, plain))
        try:
            after = self.runs.make(self.settings, watched)
        except MlContainerError as error:
            return WatchedRun(name, unseen=error.what)
        opened = read_opened_files(after.folder)
        unseen = opened.unseen or _failure(after, "watched, it fails")
        if unseen:
            return WatchedRun(name, unseen=unseen)
        return WatchedRun(name, opened.paths, unlike=self._unlike(plain, watched, before))

    def _unlike(self, plain: RunJob, watched: RunJob, before: Run) -> str:
        if not before.outputs:
            return "it writes no output, so that nothing shows whether it does its work"
        said = self.why_not(plain, watched)
        return said and f"its outputs differ from run to run, or by being watched ({said})"

    def why_not(self, plain: RunJob, other: RunJob) -> str:
        """Why another run does not do as well as the plain one; "" where it does."""
        name = plain.entrypoint.name
        try:
            run = self.runs.make(self.settings, other)
            if run.failure is not None:
                return _failure(run, f"{name} fails")
            job = CompareJob(other, plain)
            outcome = self.comparisons.compare(self.settings, job, self.comparators)
        except MlContainerError as error:
            return f"{name}: {error.what}"
        if outcome.verdict.passes:
            return ""
        outputs = dict.fromkeys(
            each.output for each in outcome.differences if not each.verdict.passes
        )
        return f"{name} writes something else: {', '.join(outputs)} ({outcome.verdict.value})"


def _failure(run: Run, what: str) -> str:
    return "" if run.failure is None else f"{what}: {run.failure.what}"


def _cannot_watch(engine: Engine) -> str:
    """Why the engine's runs cannot be watched; "" where they can."""
    if engine.capabilities.missing_knobs(WATCHED.knobs):
        return f"the engine {engine.name} cannot have a program watched"
    architecture = engine.native().architecture
    if file_watcher(architecture) is None:
        return f"there is no program that watches for {architecture}"
    return ""


def _build_settings(
    build: BuildSettings, original: Image, folder: Path, text: str
) -> BuildSettings:
    """As the project builds, by another Dockerfile; nothing of its own where it builds nothing."""
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(text, encoding="utf-8")
    if not original.built:
        return BuildSettings(
            context=folder, dockerfile=dockerfile, builder=build.builder, timeout_s=build.timeout_s
        )
    own = build.dockerfile.with_name(f"{build.dockerfile.name}.dockerignore")
    if own.exists():
        dockerfile.with_name(f"{dockerfile.name}.dockerignore").write_bytes(own.read_bytes())
    return replace(build, dockerfile=dockerfile, target=None)
