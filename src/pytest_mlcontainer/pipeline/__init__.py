"""Composes images, runs and comparisons for one job each; knows nothing of pytest."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer import facts as environment_facts
from pytest_mlcontainer import images
from pytest_mlcontainer.compare import has_to_be_opened, unopened
from pytest_mlcontainer.config import check_files
from pytest_mlcontainer.engines import DETAIL, ContainerSpec, Engine, LogLine
from pytest_mlcontainer.engines.docker_engine import DockerEngine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.engines.server import Started, serve
from pytest_mlcontainer.errors import (
    ConfigError,
    MlContainerError,
    PlatformError,
    PlatformSkipped,
    RunError,
)
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.baselines import (
    find_kept,
    hold_against,
    remove_stale,
    stale,
    update,
)
from pytest_mlcontainer.judging.evidence import judge, judge_repeats
from pytest_mlcontainer.matrix import budget, platforms, varied_names
from pytest_mlcontainer.model import (
    HOST,
    BaselineChange,
    BaselineJob,
    Comparator,
    CompareJob,
    Emulation,
    Entrypoint,
    Facts,
    Family,
    Image,
    ImageJob,
    Knobs,
    Options,
    Outcome,
    Output,
    Pairs,
    Platform,
    RepeatsJob,
    Rule,
    Run,
    RunJob,
    ServeJob,
    Settings,
    Target,
    VariesJob,
    Verdict,
)
from pytest_mlcontainer.pipeline.across_platforms import explain_platforms
from pytest_mlcontainer.pipeline.background import Background
from pytest_mlcontainer.pipeline.cleanup import clean_up
from pytest_mlcontainer.pipeline.environments import Workshop
from pytest_mlcontainer.pipeline.evidence import gather, gather_repeats
from pytest_mlcontainer.pipeline.explaining import explain_variations, varied_run
from pytest_mlcontainer.pipeline.keeping import conditions_of
from pytest_mlcontainer.pipeline.keys import common_env, digest, facts_key, run_key
from pytest_mlcontainer.pipeline.laboratory import Laboratory
from pytest_mlcontainer.pipeline.surroundings import Surroundings
from pytest_mlcontainer.pipeline.unfinished import FOLDER as UNFINISHED
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.pipeline.unpickling import (
    images_to_open_in,
    note_for,
    open_in_turn,
    place_for,
)
from pytest_mlcontainer.records import Conditions, keep_record, read_record
from pytest_mlcontainer.runs import container as container_runs
from pytest_mlcontainer.runs import host as host_runs
from pytest_mlcontainer.runs.inputs import Input, absolute, content_tar, folder_tar, plan_inputs
from pytest_mlcontainer.runs.knobs import INTERNAL_NETWORK, Means
from pytest_mlcontainer.runs.opening import Opening
from pytest_mlcontainer.runs.probe import Probe, read_facts
from pytest_mlcontainer.sharing import Ledger, Store
from pytest_mlcontainer.variations.preload import NAME, library

__all__ = ["DETAIL", "LogLine", "Pipeline", "Surroundings", "compare_runs", "require"]


class Pipeline:
    """Everything that one pytest process does with engines; each result is made at most once.

    Methods raise `MlContainerError`s, the same one again for the same job.
    """

    def __init__(self, surroundings: Surroundings, options: Options) -> None:
        self._world = surroundings
        self._options = options
        self._ledger = Ledger(surroundings.cache, surroundings.owner.session)
        self._processes = Processes()
        self._slots = threading.BoundedSemaphore(surroundings.parallel)
        self._lock = threading.RLock()
        self._work = Background()
        self._engines: dict[str | None, DockerEngine] = {}
        self._stores: dict[Path, Store] = {}
        self._searches: dict[tuple[Path, str], Unfinished] = {}

    def image(self, settings: Settings, job: ImageJob) -> Image:
        """The image for one platform: built or found, of the right platform, probed inside."""
        return self._work.result((settings.file, job), partial(self._make_image, settings, job))

    def run(self, settings: Settings, job: RunJob) -> Run:
        """The run of one entrypoint on one target, failed or not."""
        return self._work.result((settings.file, job), partial(self._make_run, settings, job))

    def compare(
        self, settings: Settings, job: CompareJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's outputs on one target, against the reference's.

        Args:
            comparators: formats that plugins add.
        """
        self.prefetch(settings, job.runs)
        if len(job.runs) > 2:
            make = partial(self._run_opened, settings)
            return judge(job.actual.entrypoint, gather(job, make), comparators)
        actual, expected = (
            require(self.run(settings, side)) for side in (job.actual, job.expected)
        )
        entry = job.actual.entrypoint
        actual, expected = self.open_differing(settings, actual, expected, entry.rules)
        return compare_runs(actual, expected, entry.rules, comparators, entry.names, entry.outputs)

    def repeats(
        self, settings: Settings, job: RepeatsJob, comparators: tuple[Comparator, ...] = ()
    ) -> Outcome:
        """One entrypoint's repeats on one target, against one another; arguments as `compare`."""
        self.prefetch(settings, (*job.runs, *job.varied))
        evidence = gather_repeats(job, partial(self._run_opened, settings))
        return judge_repeats(job.entrypoint, evidence, comparators)

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
            outcome = explain_platforms(lab, job, outcome, asked, families, comparators)
        return _with_resumed(outcome, kept)

    def run_varied(
        self,
        settings: Settings,
        job: RunJob,
        families: tuple[Family, ...],
        names: tuple[str, ...],
    ) -> Run:
        """The run with its environment changed; arguments and errors as of `varied_run`."""
        return self.run(settings, varied_run(self._laboratory(settings), job, families, names))

    def look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        """What the probe sees where a run would be, with its environment changed."""
        key = (settings.file, "look", replace(job, repeat=0, variations=()), knobs)
        return self._work.result(key, partial(self._look, settings, job, knobs))

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
        )

    def _run_opened(self, settings: Settings, job: RunJob) -> Run:
        """The run, failed or not, ready to be compared with any other."""
        run = self.run(settings, job)
        return run if run.failure is not None else self.open_pickles(settings, run)

    def open_differing(
        self, settings: Settings, actual: Run, expected: Run, rules: tuple[Rule, ...]
    ) -> tuple[Run, Run]:
        """Both runs, with those pickles opened that cannot be compared otherwise."""
        names = unopened(actual.outputs, expected.outputs, rules, _names_of(settings, actual))
        begun = [
            self._begin_opening(settings, run, chosen)
            for run, chosen in zip((actual, expected), names, strict=True)
        ]
        return _opened(actual, begun[0]), _opened(expected, begun[1])

    def open_pickles(self, settings: Settings, run: Run) -> Run:
        """The run, with everything opened that only its image can read, for a record to keep."""
        closed = (each for each in run.outputs if each.opened is None)
        names = frozenset(each.name for each in closed if has_to_be_opened(each))
        return _opened(run, self._begin_opening(settings, run, names))

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
        """A started server that has answered; removed at the end of the `with` block."""
        image = self.image(settings, job.image)
        needs = tuple(require(self.run(settings, need)) for need in job.needs)
        entry = job.entrypoint
        assert entry.server is not None
        engine = self._engine(job.target)
        workdir = entry.workdir or image.workdir
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
        )
        placed = tuple(
            (output, absolute(run, output.name, workdir)) for run in needs for output in run.outputs
        )
        with serve(
            entry.name,
            spec,
            entry.server,
            endpoint=job.target.engine,
            environ=self._world.environ,
            owner=self._world.owner,
            files=placed,
            writable=entry.writable,
        ) as started:
            yield started

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start jobs that will be asked for soon, side by side, without waiting for them."""
        if self._world.parallel < 2:
            return
        for job in jobs:
            self._begin(settings, job)

    def close(self) -> None:
        """End what still runs. What others of this session use stays; see `clean_up`."""
        self._processes.kill_all()
        for engine in self._engines.values():
            engine.close()
        if self._work.busy:
            self.clean_up(last=False)
        self._work.join()
        for engine in self._engines.values():
            engine.disconnect()

    def clean_up(self, *, last: bool) -> None:
        """Remove what this session made, workers included; `last` is for its very end."""
        world = self._world
        clean_up(world.cache, world.owner, world.environ, self._options.keep, last=last)

    def kept(self) -> tuple[str, ...]:
        """Containers that stay on their engine for a look, those of workers too."""
        return tuple(entry["kept"] for entry in self._ledger.entries() if "kept" in entry)

    def _begin(self, settings: Settings, job: ImageJob | RunJob) -> None:
        if isinstance(job, ImageJob):
            self._work.begin((settings.file, job), partial(self._make_image, settings, job))
        else:
            self._work.begin((settings.file, job), partial(self._make_run, settings, job))

    # Pickles

    def _begin_opening(
        self, settings: Settings, run: Run, names: frozenset[str]
    ) -> dict[str, Future[Path | None]]:
        """Start to open these outputs, side by side."""
        return {
            output.name: self._work.begin(
                (settings.file, "opening", run.id, output.name),
                partial(self._open_pickle, settings, run, output),
            )
            for output in run.outputs
            if output.name in names
        }

    def _open_pickle(self, settings: Settings, run: Run, output: Output) -> Path | None:
        """The folder with what was found in it; None where there is no image to open it in."""
        jobs = images_to_open_in(settings, self._options, run)
        if not jobs:
            return None

        def make(spare: Path) -> str:
            place = place_for(run, output, self._world.cache, spare)
            openings = (self._opening(settings, run, output, job, place) for job in jobs)
            with self._slots:
                self._world.log(f"{run.entrypoint}[{run.target.platform}]: opening {output.name}")
                open_in_turn(openings)
            return str(place)

        first = self.image(settings, jobs[0])
        key = digest([run.id, output.name, first.digest])
        place, _folder = self._store(settings).once("opened", key, make)
        return Path(place)

    def _opening(
        self, settings: Settings, run: Run, output: Output, job: ImageJob, place: Path
    ) -> Opening:
        engine = self._engine(job.target)
        return Opening(
            engine=engine,
            image=self.image(settings, job),
            target=replace(job.target, emulated=engine.emulates(job.target.platform)),
            entry=settings.entrypoint(run.entrypoint) or Entrypoint(run.entrypoint),
            output=output,
            folder=place,
            note=note_for(run, job),
        )

    # Images

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
            )

        known = self._world.cache / "images" / digest([engine.address])

        def make(_folder: Path) -> object:
            if job.reference is not None:
                return images.image_to_json(images.find(engine, job.reference, platform))
            self._before(settings, sources)
            return images.image_to_json(
                images.build(engine, settings, platform, key, known, self._logger(str(job)))
            )

        raw, _folder = store.once("image", key, make)
        image = images.image_from_json(raw)
        seen = self._facts(settings, engine, image, job.target)
        _check_inside(image, platform, seen)
        return image

    def _check_emulation(self, settings: Settings, engine: Engine, platform: Platform) -> None:
        if settings.emulation is Emulation.ALLOW or not engine.emulates(platform):
            return
        native = engine.native()
        what = f"{platform} is only emulated on this engine"
        value = f"the engine {engine.name} is {native}; emulation = {settings.emulation.value!r}"
        remedy = (
            f'name a native engine: engines = {{ "{platform}" = "ssh://user@machine" }}, or '
            'emulation = "allow"'
        )
        if settings.emulation is Emulation.SKIP:
            raise PlatformSkipped(what, value, remedy)
        raise PlatformError(what, value, remedy)

    def _check_files(self, settings: Settings) -> None:
        problems = check_files(settings)
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
            images.prepare(
                settings.build,
                settings.root,
                self._world.environ,
                self._processes,
                self._logger("before-build"),
            )
            return None

        self._store(settings).once("before", key, make)

    def _facts(self, settings: Settings, engine: Engine, image: Image, target: Target) -> Facts:
        """What the probe sees; one probe for all workers, and none where it is known already."""
        env = common_env(settings)
        key = facts_key(engine.identity(), image, target, env)
        probe = Probe(engine, image, target, env, key, self._world.cache / "facts")
        raw, _folder = self._store(settings).once(
            "facts", key, lambda _folder: dict(read_facts(probe).values)
        )
        return Facts(tuple(sorted(raw.items())))

    def _look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        if job.image is None:
            environ = host_runs.environment(self._world.environ, job.entrypoint, knobs)
            return host_runs.probe(
                self._processes, environ, settings.root, knobs.wrapper, deep=True
            )
        image, engine = self.image(settings, job.image), self._engine(job.target)
        entry = job.entrypoint
        limits = replace(entry.limits, gpus=job.target.gpus)
        place = (limits, entry.workdir, knobs, "deep")
        key = facts_key(engine.identity(), image, job.target, entry.env, *place)
        probe = Probe(
            engine,
            image,
            job.target,
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
            "facts", key, lambda _folder: dict(read_facts(probe).values)
        )
        return Facts(tuple(sorted(raw.items())))

    def _means(self, settings: Settings, engine: DockerEngine, image: Image, knobs: Knobs) -> Means:
        """What an engine has to have ready for some knobs, made once for all workers."""
        network = engine.internal_network() if knobs.network == INTERNAL_NETWORK else None
        if not knobs.preload:
            return Means(network=network)
        architecture = image.platform.architecture
        content = library(architecture)
        assert content is not None  # no variation asks for it elsewhere
        name = f"mlcontainer-{self._world.owner.session[:12]}-preload-{architecture}"

        def fill() -> str:
            engine.volume(name, image, content_tar({NAME: content}))
            return name

        place = digest([engine.identity(), architecture])[:16]
        self._store(settings).session_value(f"preload-{place}", fill)
        return Means(name, network)

    def workshop(self, settings: Settings, target: Target) -> Workshop:
        """What making environments takes; their images go when the session does."""
        engine, store = self._engine(target), self._store(settings)
        repository = images.repository(settings)
        place = {"endpoint": target.engine or "", "store": str(store.root)}
        self._ledger.add(repository=repository, **place)
        known = self._world.cache / "images" / digest([engine.address])
        environ, log = self._world.environ, self._logger("explain")
        return Workshop(engine, store, self._processes, environ, known, log)

    # Runs

    def _make_run(self, settings: Settings, job: RunJob) -> Run:
        if job.image is not None:
            self._begin(settings, job.image)
        needs = tuple(require(self.run(settings, need)) for need in job.needs)
        if job.target.platform == HOST:
            return self._make_host_run(settings, job, needs)
        assert job.image is not None
        image = self.image(settings, job.image)
        engine = self._engine(job.target)
        target = replace(job.target, emulated=engine.emulates(job.target.platform))
        workdir = job.entrypoint.workdir or image.workdir
        inputs = plan_inputs(job.entrypoint, settings.root, workdir)
        key = run_key(job, target, needs, inputs, image.digest, engine.identity())

        def make(folder: Path) -> object:
            volumes, files = self._volumes(settings, job.entrypoint, engine, image, workdir)
            record = folder / "record"
            record.mkdir()
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
                    )
                )
                self._world.log(f"{job}: exit code {run.exit_code} after {run.duration_s:.1f} s")
            return None

        return self._shared_run(settings, job, key, make)

    def _make_host_run(self, settings: Settings, job: RunJob, needs: tuple[Run, ...]) -> Run:
        inputs = plan_inputs(job.entrypoint, settings.root, "")
        sources = self._sources(settings)
        key = run_key(job, job.target, needs, inputs, sources, self._world.owner.host)
        seen = self._host_facts(settings, job.entrypoint)

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
                    )
                )
            return None

        return self._shared_run(settings, job, key, make)

    def _host_facts(self, settings: Settings, entry: Entrypoint) -> Facts:
        environ = {**self._world.environ, **dict(entry.env)}
        return self._work.result(
            (settings.file, "host facts", entry.env),
            partial(host_runs.probe, self._processes, environ, settings.root),
        )

    def _shared_run(
        self, settings: Settings, job: RunJob, key: str, make: Callable[[Path], object]
    ) -> Run:
        kept = self._searches.get((settings.file, job.entrypoint.name))

        def make_or_resume(folder: Path) -> object:
            if kept is None or not (job.variations or job.repeat):
                return make(folder)
            if not kept.find(key, folder / "record"):
                make(folder)
                kept.keep(key, folder / "record")
            return None

        _value, folder = self._store(settings).once("run", key, make_or_resume)
        run = read_record(folder / "record")
        # What a search tries on the way is no run of the project's own.
        if self._options.records is not None and not job.variations:
            opened = run if run.failure is not None else self.open_pickles(settings, run)
            keep_record(opened, conditions_of(settings, job), self._options.records)
        return run

    def _volumes(
        self,
        settings: Settings,
        entry: Entrypoint,
        engine: Engine,
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
                engine.volume(name, image, folder_tar(source))
                return name

            self._store(settings).session_value(f"volume-{key}", fill)
            volumes.append((name, item.target))
        return tuple(volumes), tuple(files)

    # Shared things

    def _engine(self, target: Target) -> DockerEngine:
        with self._lock:
            engine = self._engines.get(target.engine)
            if engine is None:
                engine = DockerEngine(
                    target.engine,
                    self._world.environ,
                    self._world.owner,
                    self._options.keep,
                    lambda container: self._ledger.add(kept=container[:12]),
                )
                self._engines[target.engine] = engine
                self._ledger.add(endpoint=target.engine or "")
                self._work.begin(("greeting", target.engine), partial(self._greet, engine))
            return engine

    def _greet(self, engine: DockerEngine) -> None:
        """What has to be done once for an engine, beside the build that waits for it anyway."""
        engine.identity()
        for session in engine.sweep():
            self._world.log(f"removed what the dead session {session} had left")

    def _store(self, settings: Settings) -> Store:
        with self._lock:
            store = self._stores.get(settings.file)
            if store is None:
                name = digest([str(settings.file)])[:16]
                store = Store(self._world.cache / name, self._world.owner)
                store.open()
                self._stores[settings.file] = store
                self._ledger.add(store=str(store.root))
            return store

    def _logger(self, prefix: str) -> LogLine:
        return lambda line: self._world.log(f"{prefix}: {line}")


def require(run: Run) -> Run:
    """The run, if it did its job.

    Raises:
        RunError: it did not.
    """
    if run.failure is not None:
        raise RunError(run.failure.what, run.failure.value, run.failure.remedy)
    return run


def _opened(run: Run, begun: Mapping[str, Future[Path | None]]) -> Run:
    """The run with what was found in its outputs, once that is there."""
    outputs = tuple(
        replace(each, opened=begun[each.name].result()) if each.name in begun else each
        for each in run.outputs
    )
    return replace(run, outputs=outputs) if begun else run


def _with_resumed(outcome: Outcome, kept: Unfinished) -> Outcome:
    if not kept.resumed:
        return outcome
    runs = "1 run was" if kept.resumed == 1 else f"{kept.resumed} runs were"
    note = f"{runs} made by an earlier search of the last day that was interrupted"
    return replace(outcome, notes=(*outcome.notes, note))


def _names_of(settings: Settings, run: Run) -> Pairs:
    entry = settings.entrypoint(run.entrypoint)
    return () if entry is None else entry.names


def _check_inside(image: Image, platform: Platform, seen: Facts) -> None:
    if not environment_facts.machine_matches(seen, platform):
        raise PlatformError(
            f"the container does not run as {platform}",
            f"inside {image.reference} the machine is {seen.get('machine')}",
            "the image holds programs of another platform: look for copied binaries and a "
            "FROM with a fixed --platform",
        )
