"""Runs of entrypoints, each made at most once."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer import images as project_images
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import HOST, Facts, ImageJob, Knobs, Run, RunJob, Settings
from pytest_mlcontainer.pipeline.arithmetic import Arithmetic
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.keeping import conditions_of
from pytest_mlcontainer.pipeline.keys import facts_key, run_key
from pytest_mlcontainer.pipeline.openings import Openings
from pytest_mlcontainer.pipeline.probes import Probes, check_capabilities
from pytest_mlcontainer.pipeline.provisions import Provisions
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.unfinished import UnfinishedSearches
from pytest_mlcontainer.progress.events import Activity, Progress
from pytest_mlcontainer.records import keep_record, read_record
from pytest_mlcontainer.runs import container as container_runs
from pytest_mlcontainer.runs import host as host_runs
from pytest_mlcontainer.runs.inputs import plan_inputs
from pytest_mlcontainer.runs.probe import Probe
from pytest_mlcontainer.runs.shells import check_command


class Runs:
    """Makes runs, in containers and on this machine.

    Args:
        unfinished: searches that go on now, with what earlier ones have left of them.
    """

    def __init__(
        self,
        resources: PipelineResources,
        probes: Probes,
        arithmetic: Arithmetic,
        images: Images,
        provisions: Provisions,
        openings: Openings,
        unfinished: UnfinishedSearches,
    ) -> None:
        self._resources = resources
        self._probes = probes
        self._arithmetic = arithmetic
        self._images = images
        self._provisions = provisions
        self._openings = openings
        self._unfinished = unfinished

    def make(self, settings: Settings, job: RunJob) -> Run:
        """The run of one entrypoint on one target, failed or not.

        Raises:
            MlContainerError: it could not even be started; the same one again for the same job.
        """
        return self._resources.work.result(
            (settings.file, job), partial(self._make_and_keep, settings, job)
        )

    def make_opened(self, settings: Settings, job: RunJob) -> Run:
        """The run, failed or not, ready to be compared with any other."""
        run = self.make(settings, job)
        return run if run.failure is not None else self._openings.open_all(settings, run)

    def known(self, settings: Settings, job: RunJob) -> Run | None:
        """The run of a job that this process has made or found already; else None."""
        run = self._resources.work.known((settings.file, job))
        return run if isinstance(run, Run) else None

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start what will be asked for soon, side by side, without waiting for it."""
        if self._resources.setup.parallel < 2:
            return
        for job in jobs:
            if isinstance(job, ImageJob):
                self._images.begin(settings, job)
            else:
                self._resources.work.begin(
                    (settings.file, job), partial(self._make_and_keep, settings, job)
                )

    def look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        """What the probe sees where a run would be, with its environment changed."""
        key = (settings.file, "look", replace(job, repeat=0, variations=()), knobs)
        return self._resources.work.result(key, partial(self._look, settings, job, knobs))

    def _look(self, settings: Settings, job: RunJob, knobs: Knobs) -> Facts:
        entry = job.entrypoint
        if job.image is None:
            environ = host_runs.environment(self._resources.environ, entry, knobs)
            processes = self._resources.processes
            return host_runs.probe(processes, environ, settings.root, knobs.wrapper, deep=True)
        image, engine = self._images.make(settings, job.image), self._resources.engine(job.target)
        target = self._probes.known_target(settings, engine, image, job.target, entry.env)
        limits = replace(entry.limits, gpus=job.target.gpus)
        place = (limits, entry.workdir, knobs, "deep")
        probe = Probe(
            engine,
            image,
            target,
            entry.env,
            facts_key(engine.identity(), image, target, entry.env, *place),
            self._resources.cache / "facts",
            knobs=knobs,
            deep=True,
            limits=limits,
            workdir=entry.workdir,
            means=self._provisions.means(settings, engine, image, knobs),
        )
        return self._probes.read(settings, probe)

    def _make_and_keep(self, settings: Settings, job: RunJob) -> Run:
        """The run, with a record of it where those are wanted.

        What a search tries on the way is no run of the project's own.
        """
        run = self._make_run(settings, job)
        records = self._resources.options.records
        if records is not None and not job.variations:
            opened = run if run.failure is not None else self._openings.open_all(settings, run)
            keep_record(opened, conditions_of(settings, job), records)
        return run

    def _make_run(self, settings: Settings, job: RunJob) -> Run:
        self._resources.secrets.check(settings, job.entrypoint)
        if job.image is not None:
            self._images.begin(settings, job.image)
        needs = tuple(require(self.make(settings, need)) for need in job.needs)
        if job.target.platform == HOST:
            return self._make_host_run(settings, job, needs)
        return self._make_container_run(settings, job, needs)

    def _make_container_run(self, settings: Settings, job: RunJob, needs: tuple[Run, ...]) -> Run:
        assert job.image is not None
        entry = job.entrypoint
        image, engine = self._images.make(settings, job.image), self._resources.engine(job.target)
        check_capabilities(engine, entry, job.target)
        check_command(entry, image)
        target, notes = self._arithmetic.checked_target(settings, image, job)
        workdir = entry.workdir or image.workdir
        inputs = plan_inputs(entry, settings.root, workdir)
        key = run_key(job, target, needs, inputs, image.digest, engine.identity())

        def make(record: Path) -> None:
            record.mkdir()
            volumes, files = self._provisions.inputs(settings, entry, engine, image, workdir)
            with self._resources.slots, self._task(settings, job) as progress:
                run = container_runs.execute(
                    container_runs.ContainerRun(
                        id=uuid.uuid4().hex,
                        engine=engine,
                        image=image,
                        entry=entry,
                        target=target,
                        volumes=volumes,
                        files=files,
                        needs=needs,
                        facts=self._probes.facts(settings, engine, image, target),
                        folder=record,
                        knobs=job.knobs,
                        means=self._provisions.means(settings, engine, image, job.knobs),
                        secrets=self._resources.secrets.disclosed(settings, entry),
                        needed=any(entry.name in each.needs for each in settings.entrypoints),
                        notes=notes,
                        log=progress.say,
                    )
                )
                progress.say(f"exit code {run.exit_code} after {run.duration_s:.1f} s")

        return self._shared(settings, job, key, self._again(job, make))

    def _task(self, settings: Settings, job: RunJob) -> AbstractContextManager[Progress]:
        limit_s = job.entrypoint.limits.timeout_s
        return self._resources.task(settings, Activity.RUNNING, str(job), limit_s=limit_s)

    def _again(self, job: RunJob, make: Callable[[Path], None]) -> Callable[[Path], None]:
        """Make a record, and from the start where the engine went away under it."""
        log = self._resources.logger(str(job))
        return lambda folder: repeated(partial(_afresh, folder / "record", make), log)

    def _make_host_run(self, settings: Settings, job: RunJob, needs: tuple[Run, ...]) -> Run:
        entry = job.entrypoint
        inputs = plan_inputs(entry, settings.root, "")
        sources = self._resources.store(settings).session_value(
            "project", lambda: project_images.project_fingerprint(settings)
        )
        key = run_key(job, job.target, needs, inputs, sources, self._resources.setup.owner.host)
        seen = self._probes.host_facts(settings, entry)
        notes = () if job.variations else self._arithmetic.check_host(settings, entry, seen)

        def make(folder: Path) -> None:
            record = folder / "record"
            record.mkdir()
            with self._resources.slots, self._task(settings, job):
                host_runs.execute(
                    host_runs.HostRun(
                        id=uuid.uuid4().hex,
                        processes=self._resources.processes,
                        project=settings.root,
                        entry=entry,
                        target=replace(job.target, emulated=False),
                        environ=self._resources.environ,
                        inputs=inputs,
                        needs=needs,
                        facts=seen,
                        folder=record,
                        knobs=job.knobs,
                        secrets=self._resources.secrets.disclosed(settings, entry),
                        notes=notes,
                    )
                )

        return self._shared(settings, job, key, make)

    def _shared(
        self, settings: Settings, job: RunJob, key: str, make: Callable[[Path], None]
    ) -> Run:
        """The run as one worker or an interrupted search has made it; made where none has."""
        kept = self._unfinished.of(settings, job.entrypoint)

        def make_or_resume(folder: Path) -> None:
            with self._resources.secrets.hidden_of(settings).guarding():
                if kept is None or not (job.variations or job.repeat):
                    make(folder)
                elif not kept.find(key, folder / "record"):
                    make(folder)
                    kept.keep(key, folder / "record")

        _value, folder = self._resources.store(settings).once("run", key, make_or_resume)
        return read_record(folder / "record")


def require(run: Run) -> Run:
    """The run, if it did its job.

    Raises:
        RunError: it did not.
    """
    if run.failure is not None:
        raise RunError(run.failure.what, run.failure.value, run.failure.remedy)
    return run


def _afresh(folder: Path, make: Callable[[Path], None]) -> None:
    """Make something in a folder that holds nothing of an earlier try."""
    shutil.rmtree(folder, ignore_errors=True)
    make(folder)
