"""Runs as others can read them: pickles opened inside the image."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_mlcontainer.compare import has_to_be_opened, unopened
from pytest_mlcontainer.model import (
    Entrypoint,
    ImageJob,
    Output,
    Pairs,
    Rule,
    Run,
    Settings,
)
from pytest_mlcontainer.pipeline.background import awaited
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.opening_places import (
    images_to_open_in,
    note_for,
    open_in_turn,
    place_for,
)
from pytest_mlcontainer.pipeline.probes import Probes
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.runs.opening import Opening
from pytest_mlcontainer.storage import digest


class Openings:
    """Opens what only the image may unpickle, each pickle at most once."""

    def __init__(self, resources: PipelineResources, probes: Probes, images: Images) -> None:
        self._resources = resources
        self._probes = probes
        self._images = images

    def open_differing(
        self, settings: Settings, actual: Run, expected: Run, rules: tuple[Rule, ...]
    ) -> tuple[Run, Run]:
        """Both runs, with those pickles opened that cannot be compared otherwise."""
        names = unopened(actual.written, expected.written, rules, _names_of(settings, actual))
        begun = [
            self._begin_opening(settings, run, chosen)
            for run, chosen in zip((actual, expected), names, strict=True)
        ]
        return _opened(actual, begun[0]), _opened(expected, begun[1])

    def open_all(self, settings: Settings, run: Run) -> Run:
        """The run, with everything opened that only its image can read, for a record to keep."""
        closed = (each for each in run.written if each.opened is None)
        names = frozenset(each.name for each in closed if has_to_be_opened(each))
        return _opened(run, self._begin_opening(settings, run, names))

    def _begin_opening(
        self, settings: Settings, run: Run, names: frozenset[str]
    ) -> dict[str, Future[Path | None]]:
        """Start to open these outputs, side by side."""
        return {
            output.name: self._resources.work.begin(
                (settings.file, "opening", run.id, output.name),
                partial(self._open_pickle, settings, run, output),
            )
            for output in run.outputs
            if output.name in names
        }

    def _open_pickle(self, settings: Settings, run: Run, output: Output) -> Path | None:
        """The folder with what was found in it; None where there is no image to open it in,
        or no engine that would confine what it does."""
        jobs = images_to_open_in(settings, self._resources.options, run)
        if not jobs or not self._confines(jobs[0]):
            return None

        def make(spare: Path) -> str:
            place = place_for(run, output, self._resources.cache, spare)
            confined = (job for job in jobs if self._confines(job))
            openings = (self._opening(settings, run, output, job, place) for job in confined)
            title = f"{output.name} of {run.entrypoint}[{run.target.platform}]"
            task = self._resources.task(settings, Activity.OPENING, title)
            with self._resources.slots, task:
                open_in_turn(openings)
            return str(place)

        first = self._images.make(settings, jobs[0])
        key = digest([run.id, output.name, first.digest])
        place, _folder = self._resources.store(settings).once("opened", key, make)
        return Path(place)

    def _confines(self, job: ImageJob) -> bool:
        return self._resources.engine(job.target).capabilities.confines

    def _opening(
        self, settings: Settings, run: Run, output: Output, job: ImageJob, place: Path
    ) -> Opening:
        engine, image = self._resources.engine(job.target), self._images.make(settings, job)
        entry = settings.entrypoint(run.entrypoint) or Entrypoint(run.entrypoint)
        return Opening(
            engine=engine,
            image=image,
            target=self._probes.known_target(settings, engine, image, job.target, entry.env),
            entry=entry,
            output=output,
            folder=place,
            note=note_for(run, job),
            hidden=self._resources.secrets.hidden_of(settings),
        )


def _opened(run: Run, begun: Mapping[str, Future[Path | None]]) -> Run:
    """The run with what was found in its outputs, once that is there."""
    outputs = tuple(
        replace(each, opened=awaited(begun[each.name])) if each.name in begun else each
        for each in run.outputs
    )
    return replace(run, outputs=outputs) if begun else run


def _names_of(settings: Settings, run: Run) -> Pairs:
    entry = settings.entrypoint(run.entrypoint)
    return () if entry is None else entry.names
