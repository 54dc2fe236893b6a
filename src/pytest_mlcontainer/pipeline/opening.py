"""Runs as others can read them: pickles opened inside the image, and records kept."""

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
    RunJob,
    Settings,
)
from pytest_mlcontainer.pipeline.keeping import conditions_of
from pytest_mlcontainer.pipeline.making import Maker
from pytest_mlcontainer.pipeline.unpickling import (
    images_to_open_in,
    note_for,
    open_in_turn,
    place_for,
)
from pytest_mlcontainer.records import keep_record
from pytest_mlcontainer.runs.opening import Opening
from pytest_mlcontainer.storage import digest


class Opener(Maker):
    """Opens what only the image may unpickle, each pickle at most once."""

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

    def open_pickles(self, settings: Settings, run: Run) -> Run:
        """The run, with everything opened that only its image can read, for a record to keep."""
        closed = (each for each in run.written if each.opened is None)
        names = frozenset(each.name for each in closed if has_to_be_opened(each))
        return _opened(run, self._begin_opening(settings, run, names))

    def _make_run(self, settings: Settings, job: RunJob) -> Run:
        """The run, with a record of it where those are wanted.

        What a search tries on the way is no run of the project's own.
        """
        run = super()._make_run(settings, job)
        if self._options.records is not None and not job.variations:
            opened = run if run.failure is not None else self.open_pickles(settings, run)
            keep_record(opened, conditions_of(settings, job), self._options.records)
        return run

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
        """The folder with what was found in it; None where there is no image to open it in,
        or no engine that would confine what it does."""
        jobs = images_to_open_in(settings, self._options, run)
        if not jobs or not self._confines(jobs[0]):
            return None

        def make(spare: Path) -> str:
            place = place_for(run, output, self._world.cache, spare)
            confined = (job for job in jobs if self._confines(job))
            openings = (self._opening(settings, run, output, job, place) for job in confined)
            with self._slots:
                self._world.log(f"{run.entrypoint}[{run.target.platform}]: opening {output.name}")
                open_in_turn(openings)
            return str(place)

        first = self.image(settings, jobs[0])
        key = digest([run.id, output.name, first.digest])
        place, _folder = self._store(settings).once("opened", key, make)
        return Path(place)

    def _confines(self, job: ImageJob) -> bool:
        return self._engine(job.target).capabilities.confines

    def _opening(
        self, settings: Settings, run: Run, output: Output, job: ImageJob, place: Path
    ) -> Opening:
        engine, image = self._engine(job.target), self.image(settings, job)
        entry = settings.entrypoint(run.entrypoint) or Entrypoint(run.entrypoint)
        return Opening(
            engine=engine,
            image=image,
            target=self._known_target(settings, engine, image, job.target, entry.env),
            entry=entry,
            output=output,
            folder=place,
            note=note_for(run, job),
            hidden=self._hidden(settings),
        )


def _opened(run: Run, begun: Mapping[str, Future[Path | None]]) -> Run:
    """The run with what was found in its outputs, once that is there."""
    outputs = tuple(
        replace(each, opened=begun[each.name].result()) if each.name in begun else each
        for each in run.outputs
    )
    return replace(run, outputs=outputs) if begun else run


def _names_of(settings: Settings, run: Run) -> Pairs:
    entry = settings.entrypoint(run.entrypoint)
    return () if entry is None else entry.names
