"""Images for one platform: built or found, of the right platform, and looked into."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pytest_mlcontainer import facts as environment_facts
from pytest_mlcontainer import images
from pytest_mlcontainer.config import check_files
from pytest_mlcontainer.errors import ConfigError, PlatformError
from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.model import Facts, Image, ImageJob, Platform, Settings, Target
from pytest_mlcontainer.pipeline.keys import common_env
from pytest_mlcontainer.pipeline.probes import Probes
from pytest_mlcontainer.pipeline.project_secrets import build_secret_problems
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.setup import kept_bytes
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.storage import digest


class Images:
    """Makes images, each at most once."""

    def __init__(self, resources: PipelineResources, probes: Probes) -> None:
        self._resources = resources
        self._probes = probes

    def make(self, settings: Settings, job: ImageJob) -> Image:
        """The image for one platform: built or found, of the right platform, probed inside.

        Raises:
            MlContainerError: that failed; the same one again for the same job.
        """
        return self._resources.work.result(
            (settings.file, job), partial(self._make_image, settings, job)
        )

    def made(self, settings: Settings, job: ImageJob) -> Image | None:
        """The image that this session has made or found, in whichever process; never a new one.

        Raises:
            MlContainerError: it could not be had.
        """
        known = self._resources.work.known((settings.file, job))
        if isinstance(known, Image):
            return known
        store, engine = self._resources.store(settings), self._resources.engine(job.target)
        sources = "" if job.reference else store.known("sources", store.session)
        if sources is None:
            return None
        raw = store.known("image", images.build_key(settings, job, engine.address, sources))
        return None if raw is None else images.image_from_json(raw)

    def facts(self, settings: Settings, job: ImageJob) -> Facts:
        """What the probe sees in the image, which is made if need be; errors as of `make`."""
        return self._look_into(settings, job, self.make(settings, job))

    def target(self, settings: Settings, job: ImageJob) -> Target:
        """Where its containers run, with what is known of emulation; errors as of `make`."""
        return self._target(settings, job, self.make(settings, job))

    def begin(self, settings: Settings, job: ImageJob) -> None:
        """Start to make one, without waiting for it."""
        self._resources.work.begin((settings.file, job), partial(self._make_image, settings, job))

    def hybrid_tools(self, settings: Settings, target: Target) -> HybridTools:
        """What making environments takes; their images go when the session does."""
        engine, store = self._resources.engine(target), self._resources.store(settings)
        repository = images.repository(settings)
        place = {"endpoint": target.engine or "", "store": str(store.root)}
        self._resources.ledger.add(repository=repository, **place)
        known, log = self._resources.known_builds(engine), self._resources.logger("explain")
        environ = self._resources.environ
        building = partial(self._resources.task, settings, Activity.BUILDING)
        return HybridTools(engine, store, self._resources.processes, environ, known, log, building)

    def _make_image(self, settings: Settings, job: ImageJob) -> Image:
        engine, platform = self._resources.engine(job.target), job.target.platform
        self._probes.check_emulation(settings, engine, platform)
        raw = self._found(settings, job) if job.reference else self._built(settings, job)
        image = images.image_from_json(raw)
        _check_inside(image, platform, self._look_into(settings, job, image))
        return image

    def _look_into(self, settings: Settings, job: ImageJob, image: Image) -> Facts:
        engine, target = self._resources.engine(job.target), self._target(settings, job, image)
        return self._probes.facts(settings, engine, image, target)

    def _target(self, settings: Settings, job: ImageJob, image: Image) -> Target:
        engine, env = self._resources.engine(job.target), common_env(settings)
        return self._probes.known_target(settings, engine, image, job.target, env)

    def _found(self, settings: Settings, job: ImageJob) -> Mapping[str, Any]:
        """An image that is there already."""
        engine, reference = self._resources.engine(job.target), job.reference
        assert reference is not None
        store = self._resources.store(settings)

        def make(_folder: Path) -> object:
            with self._resources.task(settings, Activity.PULLING, str(job)) as progress:
                found = images.find(engine, reference, job.target.platform, progress.say)
            return images.image_to_json(found)

        key = images.build_key(settings, job, engine.address, "")
        found: Mapping[str, Any] = store.once("image", key, make)[0]
        return found

    def _built(self, settings: Settings, job: ImageJob) -> Mapping[str, Any]:
        """The project's own image."""
        engine, platform = self._resources.engine(job.target), job.target.platform
        environ, store = self._resources.environ, self._resources.store(settings)
        problems = (*check_files(settings), *build_secret_problems(settings, environ))
        if problems:
            raise ConfigError(str(settings.file), problems)
        sources = store.session_value("sources", lambda: images.fingerprint(settings.build))
        repository, budget = images.repository(settings), kept_bytes(settings, environ)
        # Also where another session builds it: the last one to end removes it.
        self._resources.ledger.add(
            repository=repository,
            endpoint=job.target.engine or "",
            store=str(store.root),
            budget=str(budget),
        )
        key = images.build_key(settings, job, engine.address, sources)

        def make(_folder: Path) -> object:
            self._before(settings, sources)
            known = self._resources.known_builds(engine)
            hidden = self._resources.secrets.hidden_of(settings)
            with self._resources.task(settings, Activity.BUILDING, str(job)) as progress:
                log = progress.say
                built = images.build(engine, settings, platform, key, known, log, hidden)
            if budget:
                engine.keep_image(built.reference, repository, platform)
            return images.image_to_json(built)

        found: Mapping[str, Any] = store.once("image", key, make)[0]
        return found

    def _before(self, settings: Settings, sources: str) -> None:
        """What the project does before it builds, once for all platforms."""
        build = settings.build
        if not build.before and not images.wheels_copied(build.dockerfile):
            return

        def make(_folder: Path) -> object:
            hidden = self._resources.secrets.hidden_of(settings)
            environ, processes = self._resources.environ, self._resources.processes
            task = self._resources.task(settings, Activity.BUILDING, "before-build")
            with hidden.guarding(), task as progress:
                log = hidden.line(progress.say)
                images.prepare(build, settings.root, environ, processes, log, hidden)
            return None

        key = digest([sources, *build.before])
        self._resources.store(settings).once("before", key, make)


def _check_inside(image: Image, platform: Platform, seen: Facts) -> None:
    if not environment_facts.machine_matches(seen, platform):
        raise PlatformError(
            f"the container does not run as {platform}",
            f"inside {image.reference} the machine is {seen.get('machine')}",
            "the image holds programs of another platform: look for copied binaries and a "
            "FROM with a fixed --platform",
        )
