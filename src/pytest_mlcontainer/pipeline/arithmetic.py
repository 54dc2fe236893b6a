"""Whether numerical libraries compute right where an entrypoint is to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pytest_mlcontainer import images
from pytest_mlcontainer.engines import Runner
from pytest_mlcontainer.matrix import target_of
from pytest_mlcontainer.model import (
    HOST,
    Entrypoint,
    Facts,
    Image,
    Platform,
    RunJob,
    ServeJob,
    Settings,
    Target,
)
from pytest_mlcontainer.pipeline.keys import facts_key
from pytest_mlcontainer.pipeline.probes import Probes
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.runs.answers import (
    Asking,
    HostAsking,
    ImageAsking,
    ask,
    explain_wrong,
    unasked_notes,
)
from pytest_mlcontainer.runs.emulation import emulation_note


class Arithmetic:
    """Asks numerical libraries for what is known, once for each image, platform and CPU."""

    def __init__(self, resources: PipelineResources, probes: Probes) -> None:
        self._resources = resources
        self._probes = probes

    def checked_target(
        self, settings: Settings, image: Image, job: RunJob | ServeJob
    ) -> tuple[Target, tuple[str, ...]]:
        """The target, with the CPU that is emulated, where the image's libraries compute right.

        And, as notes, what has to be known of it.

        Raises:
            RunError: they do not.
        """
        engine, entry = self._resources.engine(job.target), job.entrypoint
        target = self._probes.known_target(settings, engine, image, job.target, entry.env)
        if isinstance(job, RunJob) and job.variations:
            return target, emulation_note(target)
        notes = self._check_image(settings, engine, image, target, entry)
        return target, (*emulation_note(target), *notes)

    def check_kept(
        self, settings: Settings, entry: Entrypoint, platform: Platform
    ) -> tuple[str, ...] | None:
        """Ask the libraries of this machine, or of the image that an earlier session left.

        Returns:
            What could not be seen, as notes; None where there is no image.

        Raises:
            RunError: they compute wrong.
            EngineError: the engine does not answer.
        """
        if platform == HOST:
            seen = self._probes.host_facts(settings, entry)
            return self.check_host(settings, entry, seen)
        target = target_of(settings, self._resources.options, platform)
        engine = self._resources.engine(target)
        image = engine.find_kept_image(images.repository(settings), platform)
        if image is None:
            return None
        target = self._probes.known_target(settings, engine, image, target, entry.env)
        return self._check_image(settings, engine, image, target, entry)

    def _check_image(
        self, settings: Settings, engine: Runner, image: Image, target: Target, entry: Entrypoint
    ) -> tuple[str, ...]:
        """See that the image's libraries compute right there, before an output is judged.

        Args:
            target: with the CPU that is emulated.

        Returns:
            What could not be seen, as notes.

        Raises:
            RunError: they do not: no drift, and no platform's doing, but a fault.
        """
        seen = self._probes.facts(settings, engine, image, target)
        place = (entry.entrypoint, entry.command[:1], seen.get("cpu.model"), seen.get("cpu.flags"))
        asking = ImageAsking(
            entry,
            seen,
            target,
            engine,
            image,
            facts_key(engine.identity(), image, target, entry.env, *place),
            self._resources.cache / "answers",
        )
        if not asking.has_libraries:
            return ()

        def make(_folder: Path) -> tuple[str, ...]:
            our_cpu = partial(self._probes.our_cpu, settings, engine, image)
            return self._asked(settings, asking, our_cpu)

        notes, _folder = self._resources.store(settings).once("answers", asking.key, make)
        return tuple(notes)

    def check_host(self, settings: Settings, entry: Entrypoint, seen: Facts) -> tuple[str, ...]:
        """The same of this machine's Python.

        Args:
            seen: what the probe saw here.
        """
        asking = HostAsking(
            entry, seen, self._resources.processes, self._resources.environ, settings.root
        )
        if not asking.has_libraries:
            return ()
        key = (settings.file, "host answers", entry.env, asking.pythons)
        return self._resources.work.result(key, lambda: self._asked(settings, asking, lambda: None))

    def _asked(
        self, settings: Settings, asking: Asking, our_cpu: Callable[[], str | None]
    ) -> tuple[str, ...]:
        platform = asking.target.platform
        title = str(platform) if platform == HOST else f"image[{platform}]"
        task = self._resources.task(settings, Activity.LOOKING, title)
        with self._resources.slots, task as progress:
            progress.say("asking numerical libraries for what is known")
            answers = repeated(partial(ask, asking), progress.say)
        if answers.wrong:
            log = self._resources.logger(str(asking.target.platform))
            raise repeated(partial(explain_wrong, asking, answers, our_cpu()), log)
        return unasked_notes(answers, asking.target)
