"""Servers: started, waited for, judged and removed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Image, ServeJob, Settings, Target
from pytest_mlcontainer.pipeline.arithmetic import Arithmetic
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.probes import check_capabilities
from pytest_mlcontainer.pipeline.provisions import Provisions
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.runs import Runs, require
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.runs.emulation import with_cpu
from pytest_mlcontainer.runs.inputs import needs_tar
from pytest_mlcontainer.runs.programs import why_not_executed
from pytest_mlcontainer.runs.serving import StartedServer, serve
from pytest_mlcontainer.runs.shells import check_command


class Servers:
    """Starts server entrypoints."""

    def __init__(
        self,
        resources: PipelineResources,
        arithmetic: Arithmetic,
        images: Images,
        provisions: Provisions,
        runs: Runs,
    ) -> None:
        self._resources = resources
        self._arithmetic = arithmetic
        self._images = images
        self._provisions = provisions
        self._runs = runs

    @contextmanager
    def serve(self, settings: Settings, job: ServeJob) -> Iterator[StartedServer]:
        """A started server that has answered; judged and removed at the end of the `with` block."""
        entry = job.entrypoint
        assert entry.server is not None
        self._resources.secrets.check(settings, entry)
        image = self._images.make(settings, job.image)
        check_command(entry, image)
        needs = tuple(require(self._runs.make(settings, need)) for need in job.needs)
        target, _notes = self._arithmetic.checked_target(settings, image, job)
        engine = self._resources.engine(job.target)
        check_capabilities(engine, entry, job.target)
        workdir = entry.workdir or image.workdir
        spec = self._spec(settings, job, image, target)
        launching = engine.launch(
            entry.name,
            spec,
            entry.server.port,
            files=needs_tar(needs, posixpath.join("/", workdir)) if needs else None,
            writable=tuple(posixpath.join("/", workdir, path) for path in entry.writable),
        )
        limited = replace(entry, limits=spec.limits)
        look = partial(
            why_not_executed, entry=entry, image=image, workdir=posixpath.join("/", workdir)
        )
        serving = serve(
            limited, spec, launching, why_not_executed=look, emulated=bool(target.emulated)
        )
        with ExitStack() as stack:
            limit_s = entry.server.startup_timeout_s
            with self._resources.task(settings, Activity.SERVING, str(job), limit_s=limit_s):
                started = stack.enter_context(serving)
            yield started

    def _spec(
        self, settings: Settings, job: ServeJob, image: Image, target: Target
    ) -> ContainerSpec:
        engine, entry = self._resources.engine(job.target), job.entrypoint
        workdir = entry.workdir or image.workdir
        volumes, files = self._provisions.inputs(settings, entry, engine, image, workdir)
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
            secrets=self._resources.secrets.disclosed(settings, entry),
        )
        return with_cpu(spec, target)
