"""What is asked of two images, what it takes to answer, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.model import (
    Comparator,
    Entrypoint,
    Failure,
    Image,
    ImageJob,
    Options,
    Outcome,
    Rule,
    Run,
    RunJob,
    Settings,
    Target,
)

HERE = "host"
# The run that all of B made, where no image can be begun with it; None where one can.
Other = Union[Run, Failure, None]


@dataclass(frozen=True)
class ExperimentRuns:
    """What experiments need of a pipeline; each takes the settings first.

    Args:
        image: gives the image for one platform.
        run: gives a run, failed or not.
        prefetch: starts what will be asked for soon.
        open_differing: both runs, with those pickles opened that cannot be compared otherwise.
        hybrid_tools: what looking into images and building hybrids takes.
    """

    image: Callable[[Settings, ImageJob], Image]
    run: Callable[[Settings, RunJob], Run]
    prefetch: Callable[[Settings, tuple[ImageJob | RunJob, ...]], None]
    open_differing: Callable[[Settings, Run, Run, tuple[Rule, ...]], tuple[Run, Run]]
    hybrid_tools: Callable[[Settings, Target], HybridTools]


@dataclass(frozen=True)
class Question:
    """Which changes from image A to image B make this entrypoint's outputs drift?

    Args:
        settings: with a container platform as `reference`.
        options: with image A as `image`.
        entry: the entrypoint, one of those of the settings.
        b: image B, or `host`.
        budget: how many runs may be made to find causes.
    """

    settings: Settings
    options: Options
    entry: Entrypoint
    b: str
    comparators: tuple[Comparator, ...] = ()
    budget: int = 40

    @property
    def a(self) -> str:
        assert self.options.image is not None
        return self.options.image


@dataclass(frozen=True)
class Answer:
    """The changes that do, as an outcome.

    Args:
        headlines: one line for each thing found; the outcome has all else.
        whole: whether image A with just the causes agrees with the run that all of B made.
    """

    outcome: Outcome
    headlines: tuple[str, ...]
    whole: bool = False
