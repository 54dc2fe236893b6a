"""Images, facts and runs, each made at most once."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer import facts as environment_facts
from pytest_mlcontainer import images
from pytest_mlcontainer.config import check_files
from pytest_mlcontainer.engines import Runner
from pytest_mlcontainer.errors import (
    ConfigError,
    MlContainerError,
    PlatformError,
    RunError,
)
from pytest_mlcontainer.mixing.looking import Workshop
from pytest_mlcontainer.model import (
    HOST,
    Entrypoint,
    Facts,
    Image,
    ImageJob,
    Knobs,
    Platform,
    Run,
    RunJob,
    Settings,
    Target,
)
from pytest_mlcontainer.pipeline.keys import common_env, facts_key, run_key
from pytest_mlcontainer.pipeline.probing import Prober, check_capabilities
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.surroundings import kept_bytes
from pytest_mlcontainer.pipeline.unfinished import FOLDER as UNFINISHED
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.pipeline.workplace import build_secret_problems
from pytest_mlcontainer.records import read_record
from pytest_mlcontainer.runs import container as container_runs
from pytest_mlcontainer.runs import host as host_runs
from pytest_mlcontainer.runs.inputs import Input, content_tar, folder_tar, plan_inputs
from pytest_mlcontainer.runs.knobs import INTERNAL_NETWORK, Means
from pytest_mlcontainer.runs.probe import Probe
from pytest_mlcontainer.runs.shells import check_command
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.variations.preload import NAME, library


class Maker(Prober):
    """Makes what jobs ask for; raises `MlContainerError`s, the same one again for the same job."""

    def image(self, settings: Settings, job: ImageJob) -> Image:
        """The image for one platform: built or found, of the right platform, probed inside."""
        return self._work.result((settings.file, job), partial(self._make_image, settings, job))

    def run(self, settings: Settings, job: RunJob) -> Run:
        """The run of one entrypoint on one target, failed or not."""
        return self._work.result((settings.file, job), partial(self._make_run, settings, job))

    def look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        """What the probe sees where a run would be, with its environment changed."""
        key = (settings.file, "look", replace(job, repeat=0, variations=()), knobs)
        return self._work.result(key, partial(self._look, settings, job, knobs))

    def workshop(self, settings: Settings, target: Target) -> Workshop:
        """What making environments takes; their images go when the session does."""
        engine, store = self._engine(target), self._store(settings)
        repository = images.repository(settings)
        place = {"endpoint": target.engine or "", "store": str(store.root)}
        self._ledger.add(repository=repository, **place)
        known = self._world.cache / "images" / digest([engine.address])
        environ, log = self._world.environ, self._logger("explain")
        return Workshop(engine, store, self._processes, environ, known, log)

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start jobs that will be asked for soon, side by side, without waiting for them."""
        if self._world.parallel < 2:
            return
        for job in jobs:
            self._begin(settings, job)

    def _begin(self, settings: Settings, job: ImageJob | RunJob) -> None:
        if isinstance(job, ImageJob):
            self._work.begin((settings.file, job), partial(self._make_image, settings, job))
        else:
            self._work.begin((settings.file, job), partial(self._make_run, settings, job))

    def _make_image(self, settings: Settings, job: ImageJob) -> Image:
        engine = self._engine(job.target)
        platform = job.target.platform
        self._check_emulation(settings, engine, platform)
        store = self._store(settings)
        if job.reference is None:
            self._check_files(settings)
        sources = "" if job.reference else self._sources(settings)
        key = images.build_key(settings, job, engine.address, sources)
        if job.reference is None:
            # Also where another session builds it: the last one to end removes it.
            self._ledger.add(
                repository=images.repository(settings),
                endpoint=job.target.engine or "",
                store=str(store.root),
                budget=str(kept_bytes(settings, self._world.environ)),
            )

        known = self._world.cache / "images" / digest([engine.address])

        def make(_folder: Path) -> object:
            if job.reference is not None:
                return images.image_to_json(images.find(engine, job.reference, platform))
            self._before(settings, sources)
            log, hidden = self._logger(str(job)), self._hidden(settings)
            built = images.build(engine, settings, platform, key, known, log, hidden)
            if kept_bytes(settings, self._world.environ):
                engine.keep_image(built.reference, images.repository(settings), platform)
            return images.image_to_json(built)

        raw, _folder = store.once("image", key, make)
        image = images.image_from_json(raw)
        target = self._known_target(settings, engine, image, job.target, common_env(settings))
        seen = self._facts(settings, engine, image, target)
        _check_inside(image, platform, seen)
        return image

    def _check_files(self, settings: Settings) -> None:
        problems = (*check_files(settings), *build_secret_problems(settings, self._world.environ))
        if problems:
            raise ConfigError(str(settings.file), problems)

    def _sources(self, settings: Settings) -> str:
        store = self._store(settings)
        return store.session_value("sources", lambda: images.fingerprint(settings.build))

    def _before(self, settings: Settings, sources: str) -> None:
        if not settings.build.before and not images.wheels_copied(settings.build.dockerfile):
            return
        key = digest([sources, *settings.build.before])

        def make(_folder: Path) -> object:
            hidden, environ = self._hidden(settings), self._world.environ
            log = hidden.line(self._logger("before-build"))
            with hidden.guarding():
                images.prepare(settings.build, settings.root, environ, self._processes, log, hidden)
            return None

        self._store(settings).once("before", key, make)

    def _look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        if job.image is None:
            environ = host_runs.environment(self._world.environ, job.entrypoint, knobs)
            return host_runs.probe(
                self._processes, environ, settings.root, knobs.wrapper, deep=True
            )
        image, engine = self.image(settings, job.image), self._engine(job.target)
        entry = job.entrypoint
        target = self._known_target(settings, engine, image, job.target, entry.env)
        limits = replace(entry.limits, gpus=job.target.gpus)
        place = (limits, entry.workdir, knobs, "deep")
        key = facts_key(engine.identity(), image, target, entry.env, *place)
        probe = Probe(
            engine,
            image,
            target,
            entry.env,
            key,
            self._world.cache / "facts",
            knobs=knobs,
            deep=True,
            limits=limits,
            workdir=entry.workdir,
            means=self._means(settings, engine, image, knobs),
        )
        raw, _folder = self._store(settings).once(
            "facts", key, lambda _folder: dict(self._read_facts(probe).values)
        )
        return Facts(tuple(sorted(raw.items())))

    def _means(self, settings: Settings, engine: Runner, image: Image, knobs: Knobs) -> Means:
        """What an engine has to have ready for some knobs, made once for all workers."""
        network = engine.internal_network() if knobs.network == INTERNAL_NETWORK else None
        if not knobs.preload:
            return Means(network=network)
        architecture = image.platform.architecture
        content = library(architecture)
        assert content is not None  # no variation asks for it elsewhere
        name = f"mlcontainer-{self._world.owner.session[:12]}-preload-{architecture}"

        def fill() -> str:
            tar = partial(content_tar, {NAME: content})
            repeated(lambda: engine.volume(name, image, tar()), self._logger("preload"))
            return name

        place = digest([engine.identity(), architecture])[:16]
        self._store(settings).session_value(f"preload-{place}", fill)
        return Means(name, network)

    def _make_run(self, settings: Settings, job: RunJob) -> Run:
        self._begin_image(settings, job)
        needs = tuple(require(self.run(settings, need)) for need in job.needs)
        if job.target.platform == HOST:
            return self._make_host_run(settings, job, needs)
        assert job.image is not None
        image, engine = self.image(settings, job.image), self._engine(job.target)
        check_capabilities(engine, job.entrypoint, job.target)
        check_command(job.entrypoint, image)
        target, notes = self._right_target(settings, image, job)
        workdir = job.entrypoint.workdir or image.workdir
        inputs = plan_inputs(job.entrypoint, settings.root, workdir)
        key = run_key(job, target, needs, inputs, image.digest, engine.identity())

        def make(record: Path) -> None:
            record.mkdir()
            volumes, files = self._volumes(settings, job.entrypoint, engine, image, workdir)
            with self._slots:
                self._world.log(f"{job}: running")
                run = container_runs.execute(
                    container_runs.ContainerRun(
                        id=uuid.uuid4().hex,
                        engine=engine,
                        image=image,
                        entry=job.entrypoint,
                        target=target,
                        volumes=volumes,
                        files=files,
                        needs=needs,
                        facts=self._facts(settings, engine, image, target),
                        folder=record,
                        knobs=job.knobs,
                        means=self._means(settings, engine, image, job.knobs),
                        secrets=self._disclosed(settings, job.entrypoint),
                        needed=any(job.entrypoint.name in e.needs for e in settings.entrypoints),
                        notes=notes,
                    )
                )
                self._world.log(f"{job}: exit code {run.exit_code} after {run.duration_s:.1f} s")

        return self._shared_run(settings, job, key, self._again(job, make))

    def _again(self, job: RunJob, make: Callable[[Path], None]) -> Callable[[Path], object]:
        """Make a record, and from the start where the engine went away under it."""
        log = self._logger(str(job))
        return lambda folder: repeated(partial(_afresh, folder / "record", make), log)

    def _begin_image(self, settings: Settings, job: RunJob) -> None:
        self._check_secrets(settings, job.entrypoint)
        if job.image is not None:
            self._begin(settings, job.image)

    def _make_host_run(self, settings: Settings, job: RunJob, needs: tuple[Run, ...]) -> Run:
        inputs = plan_inputs(job.entrypoint, settings.root, "")
        sources = self._store(settings).session_value(
            "project", lambda: images.project_fingerprint(settings)
        )
        key = run_key(job, job.target, needs, inputs, sources, self._world.owner.host)
        seen = self._host_facts(settings, job.entrypoint)
        notes = () if job.variations else self._hold_host_answers(settings, job.entrypoint, seen)

        def make(folder: Path) -> object:
            record = folder / "record"
            record.mkdir()
            with self._slots:
                self._world.log(f"{job}: running")
                host_runs.execute(
                    host_runs.HostRun(
                        id=uuid.uuid4().hex,
                        processes=self._processes,
                        project=settings.root,
                        entry=job.entrypoint,
                        target=replace(job.target, emulated=False),
                        environ=self._world.environ,
                        inputs=inputs,
                        needs=needs,
                        facts=seen,
                        folder=record,
                        knobs=job.knobs,
                        secrets=self._disclosed(settings, job.entrypoint),
                        notes=notes,
                    )
                )
            return None

        return self._shared_run(settings, job, key, make)

    def _shared_run(
        self, settings: Settings, job: RunJob, key: str, make: Callable[[Path], object]
    ) -> Run:
        kept = self._searches.get((settings.file, job.entrypoint.name))

        def make_or_resume(folder: Path) -> object:
            with self._hidden(settings).guarding():
                if kept is None or not (job.variations or job.repeat):
                    return make(folder)
                if not kept.find(key, folder / "record"):
                    make(folder)
                    kept.keep(key, folder / "record")
            return None

        _value, folder = self._store(settings).once("run", key, make_or_resume)
        return read_record(folder / "record")

    def _volumes(
        self,
        settings: Settings,
        entry: Entrypoint,
        engine: Runner,
        image: Image,
        workdir: str,
    ) -> tuple[tuple[tuple[str, str], ...], tuple[Input, ...]]:
        """Input folders as volumes, filled once for each session and engine; files as they are."""
        volumes, files = [], []
        for item in plan_inputs(entry, settings.root, workdir):
            if not item.is_folder:
                files.append(item)
                continue
            key = digest([engine.identity(), str(item.source)])[:16]
            name = f"mlcontainer-{self._world.owner.session[:12]}-{key}"
            source = item.source

            def fill(name: str = name, source: Path = source) -> str:
                copy = partial(_fill_volume, engine, name, image, source)
                repeated(copy, self._logger(str(source)))
                return name

            self._store(settings).session_value(f"volume-{key}", fill)
            volumes.append((name, item.target))
        return tuple(volumes), tuple(files)

    @contextmanager
    def _resumable(self, settings: Settings, entry: Entrypoint) -> Iterator[Unfinished]:
        """Keeps the runs that are made meanwhile, until it is done or cannot be done."""
        search = (settings.file, entry.name)
        name = digest([str(settings.file), entry.name])
        kept = Unfinished(self._world.cache / UNFINISHED / name)
        self._searches[search] = kept
        try:
            yield kept
            kept.forget()
        except MlContainerError:
            kept.forget()
            raise
        finally:
            del self._searches[search]


def _afresh(folder: Path, make: Callable[[Path], None]) -> None:
    """Make something in a folder that holds nothing of an earlier try."""
    shutil.rmtree(folder, ignore_errors=True)
    make(folder)


def _fill_volume(engine: Runner, name: str, image: Image, source: Path) -> None:
    engine.volume(name, image, folder_tar(source))


def require(run: Run) -> Run:
    """The run, if it did its job.

    Raises:
        RunError: it did not.
    """
    if run.failure is not None:
        raise RunError(run.failure.what, run.failure.value, run.failure.remedy)
    return run


def _check_inside(image: Image, platform: Platform, seen: Facts) -> None:
    if not environment_facts.machine_matches(seen, platform):
        raise PlatformError(
            f"the container does not run as {platform}",
            f"inside {image.reference} the machine is {seen.get('machine')}",
            "the image holds programs of another platform: look for copied binaries and a "
            "FROM with a fixed --platform",
        )
