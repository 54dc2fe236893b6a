"""Checks of the image, each made at most once."""

from __future__ import annotations

from functools import partial
from typing import Final

from pytest_mlcontainer.config import check_files
from pytest_mlcontainer.errors import ConfigError, NothingChecked
from pytest_mlcontainer.image_checks.contents import RecentContents
from pytest_mlcontainer.image_checks.inputs import CheckInputs, judge
from pytest_mlcontainer.image_checks.registry import CHECKS
from pytest_mlcontainer.image_checks.trials import EntrypointTrials
from pytest_mlcontainer.matrix import platforms
from pytest_mlcontainer.model import (
    HOST,
    IMAGE_CHECKS,
    CheckJob,
    CheckNeeds,
    CheckReport,
    Comparator,
    Settings,
)
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.slimming import Slimming
from pytest_mlcontainer.progress.events import Activity

_NEED_RUNS: Final = frozenset(each.name for each in IMAGE_CHECKS if each.needs is CheckNeeds.RUNS)


class Checks:
    """Makes checks of the image, each at most once."""

    def __init__(self, resources: PipelineResources, images: Images, slimming: Slimming) -> None:
        self._resources = resources
        self._images = images
        self._slimming = slimming
        self._recent = RecentContents()

    def make(
        self, settings: Settings, job: CheckJob, comparators: tuple[Comparator, ...] = ()
    ) -> CheckReport:
        """What a check found, judged as it is set.

        Args:
            comparators: formats that plugins add, for checks that hold runs against one another.

        Raises:
            NothingChecked: there is nothing to look at.
            MlContainerError: the image cannot be had, or the check cannot be made.
        """
        make = partial(self._make, settings, job, comparators)
        return self._resources.work.result((settings.file, job), make)

    def _make(
        self, settings: Settings, job: CheckJob, comparators: tuple[Comparator, ...]
    ) -> CheckReport:
        if job.skipped:
            remedy = "leave out --container-image, so that the image is built"
            raise NothingChecked(f"{job} has nothing to check", job.skipped, remedy)
        is_given = job.image is not None and job.image.reference is not None
        problems = () if is_given else check_files(settings)
        if problems:
            raise ConfigError(str(settings.file), problems)
        resources, images = self._resources, self._images
        resources.enter()  # a check of the Dockerfile makes a folder before any engine is asked
        jobs = {each.target.platform: each for each in job.images}
        with resources.task(settings, Activity.LOOKING, str(job)) as progress:
            inputs = CheckInputs(
                settings=settings,
                check=job.check,
                platform=job.platform,
                platforms=tuple(jobs),
                endpoint=job.images[0].target.engine,
                environ=resources.environ,
                processes=resources.processes,
                cache=resources.cache / "checks",
                engine=lambda platform: resources.engine(jobs[platform].target),
                image=lambda platform: images.make(settings, jobs[platform]),
                facts=lambda platform: images.facts(settings, jobs[platform]),
                target=lambda platform: images.target(settings, jobs[platform]),
                report_folder=resources.options.report,
                recent=self._recent,
                log=progress.say,
                hidden=resources.secrets.hidden_of(settings),
                trials=self._trials(settings, job, comparators),
                with_host=HOST in platforms(settings, resources.options),
            )
            return judge(CHECKS[job.check.name](inputs), job.check)

    def _trials(
        self, settings: Settings, job: CheckJob, comparators: tuple[Comparator, ...]
    ) -> EntrypointTrials | None:
        """For a check that needs runs."""
        if job.image is None or job.check.name not in _NEED_RUNS:
            return None
        return self._slimming.trials(settings, job.image, comparators)
