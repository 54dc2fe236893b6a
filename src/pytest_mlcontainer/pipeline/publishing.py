"""Publishing what a session has tested, and saying what came of it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from pytest_mlcontainer.engines import LogLine
from pytest_mlcontainer.engines.distribution import Descriptor, Repository
from pytest_mlcontainer.engines.registry import open_repository
from pytest_mlcontainer.errors import EngineError, MlContainerError
from pytest_mlcontainer.image_checks.environment.installed import look_inside
from pytest_mlcontainer.image_checks.environment.materials import MISSING, bill_of_materials
from pytest_mlcontainer.model import (
    Failure,
    Image,
    ImageJob,
    ImageName,
    Publication,
    PublishedImage,
    Settings,
)
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.provenance import provenance
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.progress.events import Activity
from pytest_mlcontainer.publishing.attestations import BILL, PROVENANCE, Attestation
from pytest_mlcontainer.publishing.pushing import CheckedImage, push_image, push_index
from pytest_mlcontainer.publishing.reading_back import (
    check_same,
    check_tag,
    read_image,
    read_index,
)


@dataclass
class _Push:
    """What has been done so far."""

    reference: str = ""
    images: list[PublishedImage] = field(default_factory=list)
    entries: list[Descriptor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Publishing:
    """Publishes images of this session."""

    def __init__(self, resources: PipelineResources, images: Images) -> None:
        self._resources = resources
        self._images = images

    def check(self, name: ImageName) -> None:
        """See that something may be pushed there, before it is worth the while.

        Raises:
            RegistryError: it may not, or the registry cannot be reached.
        """
        with closing(open_repository(name, self._resources.environ, push=True)) as repository:
            repository.check_push()

    def read(self, settings: Settings, name: ImageName) -> Iterator[PublishedImage]:
        """Read all of what a digest stands for, a platform at a time.

        Args:
            name: with its digest.

        Raises:
            RegistryError: something is missing, damaged, or not what it says it is.
        """
        resources = self._resources
        with closing(open_repository(name, resources.environ)) as repository:
            for entry in read_index(repository, name.digest):
                title = f"{name.repository} for {entry.image.platform}"
                with resources.task(settings, Activity.PULLING, title) as progress:
                    yield read_image(repository, entry, progress.say)

    def publish(
        self,
        settings: Settings,
        jobs: tuple[ImageJob, ...],
        name: ImageName,
        tests: tuple[str, ...],
    ) -> Publication:
        """Push the images of all platforms as one index, and read it back.

        Args:
            jobs: whose images were tested.
            tests: the names of those that passed.
        """
        done, failure = _Push(), None
        try:
            with self._resources.task(settings, Activity.PUBLISHING, str(name)) as progress:
                self._publish(settings, jobs, name, tests, done, progress.say)
        except MlContainerError as error:
            failure = Failure(error.what, error.value, error.remedy)
        return Publication(
            asked=str(name),
            reference=done.reference,
            images=tuple(done.images) if done.reference else (),
            failure=failure,
            notes=tuple(dict.fromkeys(done.notes)),
        )

    def _publish(
        self,
        settings: Settings,
        jobs: tuple[ImageJob, ...],
        name: ImageName,
        tests: tuple[str, ...],
        done: _Push,
        log: LogLine,
    ) -> None:
        environ = self._resources.environ
        with closing(open_repository(name, environ, push=True)) as repository:
            for job in jobs:
                image = self._tested(settings, job)
                log(f"pushing {job.target.platform}")
                attestations = tuple(self._attestations(settings, job, image, tests, done.notes))
                checked = CheckedImage(image, self._resources.engine(job.target))
                published, entries = push_image(repository, checked, attestations, log)
                done.images.append(published)
                done.entries += entries
            images_first = sorted(done.entries, key=lambda each: bool(each.annotations))
            digest = push_index(repository, tuple(images_first))
            done.reference = name.at(digest)
        # With another connection, as whoever pulls it.
        with closing(open_repository(name, environ)) as repository:
            _read_back(repository, digest, done.images, log)

    def _tested(self, settings: Settings, job: ImageJob) -> Image:
        image = self._images.made(settings, job)
        if image is None:
            raise EngineError(
                "what this session has tested is not known any more, and nothing is built anew",
                str(job),
                "run again; the folder of MLCONTAINER_CACHE_DIR has to stay while it runs",
            )
        return image

    def _attestations(
        self,
        settings: Settings,
        job: ImageJob,
        image: Image,
        tests: tuple[str, ...],
        notes: list[str],
    ) -> Iterator[Attestation]:
        resources = self._resources
        content = provenance(settings, job, image, tests, resources.environ, resources.processes)
        yield Attestation(PROVENANCE, content)
        if importlib.util.find_spec("cyclonedx") is None:
            notes.append(MISSING)
            return
        platform = job.target.platform
        try:
            engine, cache = resources.engine(job.target), resources.cache / "checks"
            installed = look_inside(engine, image, settings.entrypoints, cache)
        except MlContainerError as error:
            notes.append(f"no bill of materials for {platform}: {error.what}")
            return
        if installed is None:
            notes.append(f"no bill of materials for {platform}: no Python in the image answers")
            return
        yield Attestation(BILL, json.loads(bill_of_materials(installed, image, settings.name)))


def _read_back(
    repository: Repository, digest: str, pushed: list[PublishedImage], log: LogLine
) -> None:
    """Read what is there now, and hold it against what was pushed."""
    entries = {each.image.platform: each for each in read_index(repository, digest)}
    for image in pushed:
        entry = entries.get(image.platform)
        if entry is None:
            raise EngineError(
                "the registry's index has lost a platform",
                f"{repository.name.at(digest)}: {image.platform}",
                "publish again",
            )
        check_same(repository, image, read_image(repository, entry, log))
    check_tag(repository, digest)
