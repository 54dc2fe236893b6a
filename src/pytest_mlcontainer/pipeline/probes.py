"""What is known of where an image runs: its facts, whether it is emulated, and as which CPU.

All of it comes before a run, and is looked for once by all workers.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.engines import Runner
from pytest_mlcontainer.errors import EngineError, PlatformError, PlatformSkipped
from pytest_mlcontainer.model import (
    EmulatedCpu,
    Emulation,
    Entrypoint,
    Facts,
    Image,
    Pairs,
    Platform,
    Settings,
    Target,
)
from pytest_mlcontainer.pipeline.keys import common_env, facts_key
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.runs import host as host_runs
from pytest_mlcontainer.runs.emulation import OURS, QEMU_CPU, choose_cpu, has_choice, named_cpu
from pytest_mlcontainer.runs.probe import Probe, read_facts
from pytest_mlcontainer.storage import digest, read_object, write_json


class Probes:
    """Looks at where images run, and at this machine."""

    def __init__(self, resources: PipelineResources) -> None:
        self._resources = resources

    def check_emulation(self, settings: Settings, engine: Runner, platform: Platform) -> None:
        """Refuse a platform that is emulated where the project does not want that.

        Raises:
            PlatformSkipped: it is to be skipped.
            PlatformError: it is an error.
        """
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

    def known_target(
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
            ours = self.our_cpu(settings, engine, image)
            cpu = None if ours is None else EmulatedCpu(ours, OURS, ours=True)
        return replace(target, emulated=True, cpu=cpu)

    def our_cpu(self, settings: Settings, engine: Runner, image: Image) -> str | None:
        """The CPU that is emulated where nobody names one; tried once for each engine."""
        if not has_choice(image) or not engine.emulates(image.platform):
            return None
        architecture = image.platform.architecture
        name = digest([engine.identity(), architecture])
        file = self._resources.cache / "cpus" / f"{name}.json"
        with suppress(OSError, ValueError, KeyError):
            return str((read_object(file) or {})["cpu"])

        def make(_folder: Path) -> str | None:
            title = f"image[{image.platform}]"
            task = self._resources.task(settings, Activity.LOOKING, title)
            with self._resources.slots, task as progress:
                progress.say("looking for a CPU whose emulation computes right")
                found = repeated(partial(choose_cpu, engine, image), progress.say)
            if found is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, {"cpu": found})
            return found

        value, _folder = self._resources.store(settings).once(
            "cpu", digest([name, image.digest]), make
        )
        return None if value is None else str(value)

    def facts(self, settings: Settings, engine: Runner, image: Image, target: Target) -> Facts:
        """What the probe sees where nothing is varied.

        Args:
            target: with the CPU that is emulated.
        """
        env = common_env(settings)
        if target.cpu is not None and not target.cpu.ours and dict(image.env).get(QEMU_CPU) is None:
            env = tuple({**dict(env), QEMU_CPU: target.cpu.name}.items())
        key = facts_key(engine.identity(), image, target, env)
        return self.read(
            settings, Probe(engine, image, target, env, key, self._resources.cache / "facts")
        )

    def read(self, settings: Settings, probe: Probe) -> Facts:
        """What a probe sees; one for all workers, and none where it is known already."""

        def make(_folder: Path) -> dict[str, object]:
            title = f"image[{probe.target.platform}]"
            with self._resources.task(settings, Activity.LOOKING, title) as progress:
                progress.say("reading which Python, packages and processor a run has")
                return dict(repeated(partial(read_facts, probe), progress.say).values)

        raw, _folder = self._resources.store(settings).once("facts", probe.key, make)
        return Facts(tuple(sorted(raw.items())))

    def host_facts(self, settings: Settings, entry: Entrypoint) -> Facts:
        """What the probe sees of this machine."""
        environ = {**self._resources.environ, **dict(entry.env)}
        return self._resources.work.result(
            (settings.file, "host facts", entry.env),
            partial(host_runs.probe, self._resources.processes, environ, settings.root),
        )


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
