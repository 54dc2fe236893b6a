"""What is asked of two images, what it takes to answer, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Union

from pytest_mlcontainer.mixing.looking import Workshop
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


class ExperimentRuns(Protocol):
    """What is asked of a pipeline; see `pipeline.Pipeline`."""

    def image(self, settings: Settings, job: ImageJob) -> Image:
        """The image for one platform."""

    def run(self, settings: Settings, job: RunJob) -> Run:
        """The run, failed or not."""

    def prefetch(self, settings: Settings, jobs: tuple[ImageJob | RunJob, ...]) -> None:
        """Start what will be asked for soon."""

    def open_differing(
        self, settings: Settings, actual: Run, expected: Run, rules: tuple[Rule, ...]
    ) -> tuple[Run, Run]:
        """Both, with those pickles opened that cannot be compared otherwise."""

    def workshop(self, settings: Settings, target: Target) -> Workshop:
        """What looking into images and building hybrids takes."""


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
