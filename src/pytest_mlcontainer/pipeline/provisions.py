"""What an engine has to have ready for runs: inputs as volumes, the preload library, networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pytest_mlcontainer.engines import Runner
from pytest_mlcontainer.inside import file_watcher
from pytest_mlcontainer.model import Entrypoint, Image, Knobs, Settings
from pytest_mlcontainer.pipeline.repeating import repeated
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.runs.inputs import Input, content_tar, folder_tar, plan_inputs
from pytest_mlcontainer.runs.knobs import INTERNAL_NETWORK, KnobResources
from pytest_mlcontainer.runs.opened_files import PROGRAM
from pytest_mlcontainer.runs.recording import recorder_tar
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.variations.preload import NAME, library


class Provisions:
    """Makes it, once for each session and engine."""

    def __init__(self, resources: PipelineResources) -> None:
        self._resources = resources

    def means(
        self, settings: Settings, engine: Runner, image: Image, knobs: Knobs
    ) -> KnobResources:
        """What some knobs take."""
        network = engine.internal_network() if knobs.network == INTERNAL_NETWORK else None
        recorder = self._recorder(settings, engine, image) if knobs.recording else None
        watcher = self._watcher(settings, engine, image) if knobs.opens else None
        if not knobs.preload:
            return KnobResources(network=network, recorder=recorder, watcher=watcher)
        architecture = image.platform.architecture
        content = library(architecture)
        assert content is not None  # no variation asks for it elsewhere
        name = self._resources.session_name(f"preload-{architecture}")

        def fill() -> str:
            tar = partial(content_tar, {NAME: content})
            repeated(lambda: engine.volume(name, image, tar()), self._resources.logger("preload"))
            return name

        place = digest([engine.identity(), architecture])[:16]
        self._resources.store(settings).session_value(f"preload-{place}", fill)
        return KnobResources(name, network, recorder, watcher)

    def _recorder(self, settings: Settings, engine: Runner, image: Image) -> str:
        """The volume with the recorder."""
        name = self._resources.session_name("recorder")

        def fill() -> str:
            log = self._resources.logger("recorder")
            repeated(lambda: engine.volume(name, image, recorder_tar()), log)
            return name

        place = digest([engine.identity()])[:16]
        self._resources.store(settings).session_value(f"recorder-{place}", fill)
        return name

    def _watcher(self, settings: Settings, engine: Runner, image: Image) -> str:
        """The volume with the program that watches which files are opened.

        It is one of the engine's own architecture, whatever the image's: what is emulated opens
        files through its emulator.
        """
        architecture = engine.native().architecture
        content = file_watcher(architecture)
        assert content is not None  # nobody asks for it elsewhere
        name = self._resources.session_name(f"watcher-{architecture}")

        def fill() -> str:
            tar = partial(content_tar, {PROGRAM: content})
            repeated(lambda: engine.volume(name, image, tar()), self._resources.logger("watcher"))
            return name

        place = digest([engine.identity(), architecture])[:16]
        self._resources.store(settings).session_value(f"watcher-{place}", fill)
        return name

    def inputs(
        self, settings: Settings, entry: Entrypoint, engine: Runner, image: Image, workdir: str
    ) -> tuple[tuple[tuple[str, str], ...], tuple[Input, ...]]:
        """An entrypoint's inputs: folders as volumes with their places, and files as they are."""
        volumes, files = [], []
        for item in plan_inputs(entry, settings.root, workdir):
            if item.is_folder:
                name = self._volume(settings, engine, image, item.source)
                volumes.append((name, item.target))
            else:
                files.append(item)
        return tuple(volumes), tuple(files)

    def _volume(self, settings: Settings, engine: Runner, image: Image, source: Path) -> str:
        key = digest([engine.identity(), str(source)])[:16]
        name = self._resources.session_name(key)

        def fill() -> str:
            repeated(
                lambda: engine.volume(name, image, folder_tar(source)),
                self._resources.logger(str(source)),
            )
            return name

        self._resources.store(settings).session_value(f"volume-{key}", fill)
        return name
