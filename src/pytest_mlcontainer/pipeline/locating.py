"""Where two runs part: both are watched, and what is found is proved by exchanging values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.experiments.comparison import RunComparison
from pytest_mlcontainer.judging.apart import set_apart
from pytest_mlcontainer.locating.answer import (
    LocationCandidate,
    doubting,
    find,
    fitted,
    moved,
    noise_of,
)
from pytest_mlcontainer.locating.recording import ProcessRecording, read_recording
from pytest_mlcontainer.model import (
    HOST,
    Aim,
    Knobs,
    Location,
    Outcome,
    Recording,
    Run,
    RunJob,
    SourceLine,
    Variation,
    Verdict,
)
from pytest_mlcontainer.pipeline.search_tools import SearchTools
from pytest_mlcontainer.runs.recording import RECORDING, VALUES

NAME: Final = "recorder"
_EXCHANGES: Final = 4
_SLOWER: Final = 5  # a watched run, at most; else it would end at the time limit
_AGAIN: Final = 1000  # more than any other run of the same is numbered by


@dataclass(frozen=True)
class DriftingRuns:
    """Two runs of one entrypoint that drift.

    Args:
        expected, actual: the jobs of both.
        comparison: by which they drift.
    """

    tools: SearchTools
    expected: RunJob
    actual: RunJob
    comparison: RunComparison

    def locate(self, outcome: Outcome) -> Location:
        """Where they part.

        Raises:
            MlContainerError: a run cannot be made.
        """
        why = self._why_unwatched()
        if why:
            return Location(notes=(why,))
        watched = self._watch(Recording(self.tools.packages))
        random = outcome.verdict is Verdict.NONDETERMINISTIC
        sides = self if random else self.less_clocks(watched.runs[0])
        why = sides._why_not(watched.runs, random=random)
        if why:
            return Location(runs=2, notes=(why,))
        return sides._searched(outcome, watched)

    def less_clocks(self, again: Run | None = None) -> DriftingRuns:
        """The same, with what a clock or an id makes differ from run to run set apart.

        Args:
            again: a further run of the expected side; None to make one.

        Raises:
            MlContainerError: a run cannot be made.
        """
        if again is None:
            again = self.tools.run(replace(self.expected, repeat=self.expected.repeat + 1))
        seen = self.comparison.compare(again, self.tools.run(self.expected))
        if again.failure is not None or seen.verdict.passes:
            return self
        apart = set_apart(seen.differences, self.comparison.entry.rules)
        return replace(self, comparison=self.comparison.less(apart))

    def _searched(self, outcome: Outcome, watched: WatchedPair) -> Location:
        search = Exchange(self, outcome)
        found = search.find(watched)
        if found.is_loose:
            watched = self._watch(Recording(self.tools.packages, dense=True))
            found = search.find(watched)
        return fitted(search.proved(found, watched), self._varied())

    def _varied(self) -> frozenset[str]:
        """Names of the variations that one side has and the other has not."""
        here, there = (
            {each.name for each in job.variations} for job in (self.expected, self.actual)
        )
        return frozenset(here ^ there)

    def _watch(self, recording: Recording) -> WatchedPair:
        sides = self.expected, self.actual
        self.tools.prefetch(tuple(_watched(each, recording) for each in sides))
        return WatchedPair(tuple(self.run(each, recording) for each in sides))

    def _why_unwatched(self) -> str:
        """Why their runs cannot be watched; "" where they can."""
        for target in (self.expected.target, self.actual.target):
            if target.platform == HOST:
                return "runs on host are not watched: only those in containers are"
            asked = Knobs(recording=Recording())
            if self.tools.capabilities(target).missing_knobs(asked):
                return f"the engine of {target.platform} cannot have a program watched"
        return ""

    def _why_not(self, sides: Sequence[Run], *, random: bool) -> str:
        """Why the watched runs say nothing of those that are not watched."""
        for job, run in zip((self.expected, self.actual), sides, strict=True):
            if run.failure is not None:
                return f"watched, {job} fails: {run.failure.what}"
            # What is made anew in each run cannot be the same.
            if not random and not self.comparison.compare(run, self.tools.run(job)).verdict.passes:
                return (
                    f"watched, {job} writes something else than otherwise: its outputs depend on "
                    "what differs from run to run, or on being watched"
                )
        if self.comparison.compare(sides[1], sides[0]).verdict.passes:
            return "watched, both sides agree: what makes them drift did not come about then"
        return ""

    def run(self, job: RunJob, recording: Recording) -> Run:
        """A watched run.

        Raises:
            MlContainerError: it cannot be made.
        """
        return self.tools.run(_watched(job, recording))


@dataclass(frozen=True)
class WatchedPair:
    """Two watched runs, of the expected side and the actual one."""

    runs: tuple[Run, ...]

    @cached_property
    def streams(self) -> tuple[tuple[ProcessRecording, ...], ...]:
        return tuple(read_recording(run.folder / RECORDING) for run in self.runs)


class Exchange:
    """Proves an origin: its values of one side are put into a run of the other."""

    def __init__(self, sides: DriftingRuns, outcome: Outcome) -> None:
        self._sides = sides
        self._outputs = _outputs(outcome)
        self._noise: frozenset[SourceLine] = frozenset()
        self._left = set[int]()
        self._runs = 0

    def find(self, watched: WatchedPair) -> LocationCandidate:
        """What two watched runs tell; of several origins, not those that differ in each run."""
        self._runs += 2
        expected, actual = watched.streams
        found = find(expected, actual, self._outputs, self._noise)
        if len(found.location.origins) < 2 or self._noise:
            return found
        job = self._sides.expected
        again = replace(job, repeat=job.repeat + _AGAIN)
        run = self._sides.run(again, Recording(self._sides.tools.packages))
        self._runs += 1
        self._noise = noise_of(expected, read_recording(run.folder / RECORDING))
        return find(expected, actual, self._outputs, self._noise)

    def proved(self, found: LocationCandidate, watched: WatchedPair) -> Location:
        """The answer, with what exchanging values showed.

        Raises:
            MlContainerError: a run cannot be made.
        """
        if not found.origins:
            return self._told(found)
        sides, packages = self._sides, self._sides.tools.packages
        keeping = Recording(packages, found.kept, records=False)
        giving = sides.run(sides.expected, keeping)
        kept = giving.folder / RECORDING / VALUES
        self._runs += 1
        if not kept.is_file():
            return self._told(found)
        put, origins, unseen = found.origins, found.location.origins, found.unseen
        for _ in range(_EXCHANGES):
            run = sides.run(sides.actual, Recording(packages, put, kept))
            self._runs += 1
            there = read_recording(run.folder / RECORDING)
            if run.failure is not None:
                break
            # The run that the values are from: of a program that draws lots it is like no other.
            if sides.comparison.compare(run, giving).verdict.passes:
                sooner = self._sooner(found, giving)
                where = moved(found.location, sooner) if sooner else found.location
                where = replace(where, origins=sooner or origins, runs=self._runs)
                doubted = () if sooner or found.is_asked else self._unput(found, giving)
                if doubted:
                    return doubting(where, doubted)
                return replace(where, proven=bool(sooner) or not unseen)
            more = find(watched.streams[0], there, self._outputs, self._noise)
            added = _added(found, put, more)
            if not added:
                break
            put, origins = (*put, *added), _together(origins, more.location.origins)
            unseen = unseen or more.unseen
        return self._told(found)

    def _sooner(self, found: LocationCandidate, giving: Run) -> tuple[SourceLine, ...]:
        """What differs before the origins and makes both sides agree without them, if anything."""
        before = [(place, aims) for place, aims in found.before if aims]
        if not (before and self._agrees([aims for _place, aims in before], giving)):
            return ()
        first = before[:_EXCHANGES] if len(before) > 1 else []
        alone = (place for place, aims in first if self._agrees([aims], giving))
        one = next(alone, None)
        return tuple(place for place, _aims in before) if one is None else (one,)

    def _unput(self, found: LocationCandidate, giving: Run) -> tuple[SourceLine, ...]:
        """What differs before the origins, and could not be put without them."""
        numbers = _unput_in(giving) | self._left
        return tuple(
            place
            for place, aims in found.before
            if not aims or not numbers.isdisjoint(aim.number for aim in aims)
        )

    def _agrees(self, put: Sequence[tuple[Aim, ...]], giving: Run) -> bool:
        """Whether the actual side writes what the expected one did, with values put in place."""
        aims = tuple({aim.number: aim for each in put for aim in each}.values())
        kept = giving.folder / RECORDING / VALUES
        run = self._sides.run(self._sides.actual, Recording(self._sides.tools.packages, aims, kept))
        self._runs += 1
        self._left |= _unput_in(run)
        return run.failure is None and self._sides.comparison.compare(run, giving).verdict.passes

    def _told(self, found: LocationCandidate) -> Location:
        return replace(found.location, runs=self._runs)


def _unput_in(run: Run) -> set[int]:
    """Numbers of the aims whose values could not be kept in a run, or put into it."""
    return {number for each in read_recording(run.folder / RECORDING) for number in each.unput}


def _watched(job: RunJob, recording: Recording) -> RunJob:
    setting = "put" if recording.values else "keep" if recording.aims else "watch"
    variation = Variation(NAME, setting, Knobs(recording=recording))
    limits = job.entrypoint.limits
    slower = replace(limits, timeout_s=limits.timeout_s * _SLOWER)
    entry = replace(job.entrypoint, limits=slower)
    return replace(job, entrypoint=entry).varied((*job.variations, variation), job.repeat)


def _added(
    found: LocationCandidate, put: tuple[Aim, ...], more: LocationCandidate
) -> tuple[Aim, ...]:
    """Places at which values were kept, and are not put yet, of origins that are new."""
    sites = {(aim.stream, aim.file, aim.line) for aim in more.origins}
    have = {aim.number for aim in put}
    return tuple(
        aim
        for aim in found.kept
        if (aim.stream, aim.file, aim.line) in sites and aim.number not in have
    )


def _together(
    known: tuple[SourceLine, ...], more: tuple[SourceLine, ...]
) -> tuple[SourceLine, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _outputs(outcome: Outcome) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(each.output for each in outcome.differences if not each.verdict.passes)
    )


def own_packages(root: Path) -> tuple[str, ...]:
    """Import names of the packages that a project installs: by its name, and by its folders."""
    names = set(_project_names(root / "pyproject.toml"))
    for folder in (root, root / "src"):
        names |= {each.parent.name for each in folder.glob("*/__init__.py")}
    return tuple(sorted(name for name in names if name.isidentifier()))


def _project_names(file: Path) -> Iterator[str]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    name = table.get("project", {}).get("name")
    if isinstance(name, str):
        yield name.replace("-", "_").replace(".", "_")


def try_to_locate(sides: DriftingRuns, outcome: Outcome) -> Outcome:
    """The outcome with where its runs part; with why not, where a run cannot be made."""
    try:
        location = sides.locate(outcome)
    except MlContainerError as error:
        location = Location(notes=(f"a watched run could not be made: {error.what}",))
    return replace(outcome, location=location)
