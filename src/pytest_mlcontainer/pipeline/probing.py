"""What is known of where an image runs: its facts, its CPU, and that it computes right.

All of it comes before a run, and is looked for once by all workers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer import images
from pytest_mlcontainer.engines import Runner
from pytest_mlcontainer.errors import EngineError, PlatformError, PlatformSkipped
from pytest_mlcontainer.matrix import engine_of
from pytest_mlcontainer.model import (
    HOST,
    EmulatedCpu,
    Emulation,
    Entrypoint,
    Facts,
    Image,
    Pairs,
    Platform,
    RunJob,
    ServeJob,
    Settings,
    Target,
)
from pytest_mlcontainer.pipeline.keys import common_env, facts_key
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.workplace import Workplace
from pytest_mlcontainer.runs import host as host_runs
from pytest_mlcontainer.runs.answers import (
    Asking,
    HostAsking,
    ImageAsking,
    ask,
    explain_wrong,
    unasked_notes,
)
from pytest_mlcontainer.runs.emulation import (
    OURS,
    QEMU_CPU,
    choose_cpu,
    emulation_note,
    has_choice,
    named_cpu,
)
from pytest_mlcontainer.runs.probe import Probe, read_facts
from pytest_mlcontainer.storage import digest, read_object, write_json


class Prober(Workplace):
    """Looks at images where they run."""

    def _check_emulation(self, settings: Settings, engine: Runner, platform: Platform) -> None:
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

    def _known_target(
        self, settings: Settings, engine: Runner, image: Image, target: Target, env: Pairs
    ) -> Target:
        """The target with whether it is emulated, and as which CPU.

        Args:
            env: of the entrypoint that runs there.
        """
        if not engine.emulates(target.platform):
            return replace(target, emulated=False, cpu=None)
        cpu = named_cpu(image, env)
        if cpu is None:
            ours = self._our_cpu(settings, engine, image)
            cpu = None if ours is None else EmulatedCpu(ours, OURS, ours=True)
        return replace(target, emulated=True, cpu=cpu)

    def _right_target(
        self, settings: Settings, image: Image, job: RunJob | ServeJob
    ) -> tuple[Target, tuple[str, ...]]:
        """The target, with the CPU that is emulated, where the image's libraries compute right.

        And, as notes, what has to be known of it.

        Raises:
            RunError: they do not.
        """
        engine, entry = self._engine(job.target), job.entrypoint
        target = self._known_target(settings, engine, image, job.target, entry.env)
        if isinstance(job, RunJob) and job.variations:
            return target, emulation_note(target)
        notes = self._hold_answers(settings, engine, image, target, entry)
        return target, (*emulation_note(target), *notes)

    def _our_cpu(self, settings: Settings, engine: Runner, image: Image) -> str | None:
        """The CPU that is emulated where nobody names one; tried once for each engine."""
        if not has_choice(image) or not engine.emulates(image.platform):
            return None
        architecture = image.platform.architecture
        name = digest([engine.identity(), architecture])
        file = self._world.cache / "cpus" / f"{name}.json"
        with suppress(OSError, ValueError, KeyError):
            return str((read_object(file) or {})["cpu"])

        def make(_folder: Path) -> str | None:
            log = self._logger(str(image.platform))
            with self._slots:
                found = repeated(partial(choose_cpu, engine, image), log)
            if found is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, {"cpu": found})
            return found

        value, _folder = self._store(settings).once("cpu", digest([name, image.digest]), make)
        return None if value is None else str(value)

    def _facts(self, settings: Settings, engine: Runner, image: Image, target: Target) -> Facts:
        """What the probe sees; one probe for all workers, and none where it is known already.

        Args:
            target: with the CPU that is emulated.
        """
        env = common_env(settings)
        if target.cpu is not None and not target.cpu.ours and dict(image.env).get(QEMU_CPU) is None:
            env = tuple({**dict(env), QEMU_CPU: target.cpu.name}.items())
        key = facts_key(engine.identity(), image, target, env)
        probe = Probe(engine, image, target, env, key, self._world.cache / "facts")
        raw, _folder = self._store(settings).once(
            "facts", key, lambda _folder: dict(self._read_facts(probe).values)
        )
        return Facts(tuple(sorted(raw.items())))

    def _read_facts(self, probe: Probe) -> Facts:
        return repeated(partial(read_facts, probe), self._logger(str(probe.target.platform)))

    def _hold_answers(
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
        seen = self._facts(settings, engine, image, target)
        place = (entry.entrypoint, entry.command[:1], seen.get("cpu.model"), seen.get("cpu.flags"))
        asking = ImageAsking(
            entry,
            seen,
            target,
            engine,
            image,
            facts_key(engine.identity(), image, target, entry.env, *place),
            self._world.cache / "answers",
        )
        if not asking.has_libraries:
            return ()

        def make(_folder: Path) -> tuple[str, ...]:
            return self._asked(asking, lambda: self._our_cpu(settings, engine, image))

        notes, _folder = self._store(settings).once("answers", asking.key, make)
        return tuple(notes)

    def try_answers(
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
            seen = self._host_facts(settings, entry)
            return self._hold_host_answers(settings, entry, seen)
        target = Target(platform, engine_of(settings, self._options, platform))
        engine = self._engine(target)
        image = engine.find_kept_image(images.repository(settings), platform)
        if image is None:
            return None
        target = self._known_target(settings, engine, image, target, entry.env)
        return self._hold_answers(settings, engine, image, target, entry)

    def _host_facts(self, settings: Settings, entry: Entrypoint) -> Facts:
        environ = {**self._world.environ, **dict(entry.env)}
        return self._work.result(
            (settings.file, "host facts", entry.env),
            partial(host_runs.probe, self._processes, environ, settings.root),
        )

    def _hold_host_answers(
        self, settings: Settings, entry: Entrypoint, seen: Facts
    ) -> tuple[str, ...]:
        """The same of this machine's Python.

        Args:
            seen: what the probe saw here.
        """
        asking = HostAsking(entry, seen, self._processes, self._world.environ, settings.root)
        if not asking.has_libraries:
            return ()
        key = (settings.file, "host answers", entry.env, asking.pythons)
        return self._work.result(key, lambda: self._asked(asking, lambda: None))

    def _asked(self, asking: Asking, our_cpu: Callable[[], str | None]) -> tuple[str, ...]:
        log = self._logger(str(asking.target.platform))
        with self._slots:
            log("asking numerical libraries for what is known")
            answers = repeated(partial(ask, asking), log)
        if answers.wrong:
            raise repeated(partial(explain_wrong, asking, answers, our_cpu()), log)
        return unasked_notes(answers, asking.target)


def check_capabilities(engine: Runner, entry: Entrypoint, target: Target) -> None:
    """Refuse a run whose limits the engine would not hold.

    Raises:
        EngineError: there are such.
    """
    missing = engine.capabilities.missing_for(replace(entry.limits, gpus=target.gpus))
    if missing:
        raise EngineError(
            f"the engine cannot do what {entry.name} asks for",
            f"{engine.name}: {', '.join(missing)}",
            "leave it out of the configuration, or name another engine with --container-engine=URL",
        )
