"""The plan: what is to be built, run and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Union

from pytest_mlcontainer.model.basics import Platform
from pytest_mlcontainer.model.checks import CheckSettings, check_name
from pytest_mlcontainer.model.settings import DEFAULT_BUDGET, Entrypoint
from pytest_mlcontainer.model.targets import Target
from pytest_mlcontainer.model.variations import Knobs, Variation


@dataclass(frozen=True)
class ImageJob:
    """One image to have: built for (or, with `reference`, found on) the target's platform."""

    target: Target
    reference: str | None = None

    def __str__(self) -> str:
        return f"image[{self.target.platform}]"


@dataclass(frozen=True)
class CheckJob:
    """One check of the image, for one platform or, with no `image`, of what it is made from.

    Args:
        images: all that there are in this session, the reference's first.
        skipped: why it cannot be made; "" where it can.
    """

    check: CheckSettings
    image: ImageJob | None = None
    images: tuple[ImageJob, ...] = ()
    skipped: str = ""

    @property
    def platform(self) -> Platform | None:
        return None if self.image is None else self.image.target.platform

    def __str__(self) -> str:
        return check_name(self.check.name, self.platform)


@dataclass(frozen=True)
class RunJob:
    """One entrypoint on one target, with the jobs whose outputs it needs.

    Args:
        repeat: the same again under another number is another run.
        seed: the value of the entrypoint's `seed_env`, where that is not the first of its seeds.
        variations: how the environment is changed; the target has their names.
    """

    entrypoint: Entrypoint
    target: Target
    image: ImageJob | None
    needs: tuple[RunJob, ...] = ()
    repeat: int = 0
    seed: str | None = None
    variations: tuple[Variation, ...] = ()

    @property
    def knobs(self) -> Knobs:
        """All that is changed, put together."""
        knobs = Knobs()
        for variation in self.variations:
            knobs += variation.knobs
        return knobs

    def varied(self, variations: tuple[Variation, ...], repeat: int = 0) -> RunJob:
        """The same in an environment that is changed."""
        names = tuple(str(variation) for variation in variations)
        target = replace(self.target, variations=names)
        return replace(self, target=target, variations=variations, repeat=repeat)

    def __str__(self) -> str:
        parts = [str(self.target.platform), *self.target.variations]
        parts += [f"repeat {self.repeat}"] if self.repeat else []
        parts += [f"{self.entrypoint.seed_env}={self.seed}"] if self.seed is not None else []
        return f"{self.entrypoint.name}[{', '.join(parts)}]"


@dataclass(frozen=True)
class ServeJob:
    """One server entrypoint on one target: it has to start and answer."""

    entrypoint: Entrypoint
    target: Target
    image: ImageJob
    needs: tuple[RunJob, ...] = ()

    def __str__(self) -> str:
        return f"{self.entrypoint.name}[{self.target.platform}]"


@dataclass(frozen=True)
class RepeatsJob:
    """Several runs of the same on one target, held against one another.

    Args:
        varied: the reference, then the same under variations that must not matter; empty where
            no tolerance is calibrated.
    """

    runs: tuple[RunJob, ...]
    varied: tuple[RunJob, ...] = ()

    @property
    def entrypoint(self) -> Entrypoint:
        return self.runs[0].entrypoint

    def __str__(self) -> str:
        return f"{self.entrypoint.name}::repeats[{self.runs[0].target.platform}]"


@dataclass(frozen=True)
class CompareJob:
    """One entrypoint's outputs on one target, held against the reference target's.

    Args:
        repeats: of both sides, all of them; empty where each target runs once.
        seeds: the pairs for the seeds after the first, whose pair is `actual` and `expected`.
        varied: as in `RepeatsJob`.
    """

    actual: RunJob
    expected: RunJob
    repeats: tuple[RepeatsJob, ...] = ()
    seeds: tuple[tuple[RunJob, RunJob], ...] = ()
    varied: tuple[RunJob, ...] = ()

    @property
    def runs(self) -> tuple[RunJob, ...]:
        """All that have to be made, each once."""
        pairs = ((self.actual, self.expected), *self.seeds)
        every = [run for pair in pairs for run in pair]
        every += [run for job in self.repeats for run in job.runs]
        return tuple(dict.fromkeys((*every, *self.varied)))

    def __str__(self) -> str:
        return (
            f"{self.actual.entrypoint.name}::agrees"
            f"[{self.actual.target.platform} vs {self.expected.target.platform}]"
        )


@dataclass(frozen=True)
class BaselineJob:
    """One entrypoint's outputs on one target, held against what the project keeps of them."""

    actual: RunJob

    def __str__(self) -> str:
        return f"{self.actual.entrypoint.name}::baseline[{self.actual.target.platform}]"


@dataclass(frozen=True)
class VariesJob:
    """One entrypoint on one target, in environments that must not change what it writes.

    Args:
        names: of the variations that are asked for; None stands for all that apply.
        budget: the most runs that the search for a cause may make.
    """

    run: RunJob
    names: tuple[str, ...] | None = None
    budget: int = DEFAULT_BUDGET

    def __str__(self) -> str:
        return f"{self.run.entrypoint.name}::varies[{self.run.target.platform}]"


Job = Union[ImageJob, CheckJob, RunJob, ServeJob, RepeatsJob, CompareJob, BaselineJob, VariesJob]
