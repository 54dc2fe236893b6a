"""An image's contents for a check: known from before, or read from its engine once for all."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from filelock import FileLock

from pytest_mlcontainer.errors import NothingChecked
from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.inventory import Inventory, StoredLayers, read_image
from pytest_mlcontainer.model import Platform
from pytest_mlcontainer.storage import cache_in_use, digest, shown_size

READ_UNASKED_BYTES: Final = 1_000_000_000
"""Of the largest image that is read where nothing is configured, as its engine gives its size."""


def contents_of(inputs: CheckInputs, platform: Platform) -> ImageContents:
    """What the image for a platform holds.

    Raises:
        NothingChecked: its engine hands out no images, or it is large and nobody asked.
        EngineError: it cannot be read.
    """
    image = inputs.image(platform)
    known = inputs.recent.find(image.digest, platform)
    if known is not None:
        return known
    stored = StoredLayers(inputs.cache / "inventories")
    lock = inputs.cache / f"reading-{digest([image.digest])}.lock"
    with cache_in_use(inputs.cache, whole=False):
        inputs.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            inventory = stored.find_image(image.digest, platform)
            if inventory is None:
                inventory = _read(inputs, platform, stored)
                stored.keep_image(image.digest, inventory)
    return inputs.recent.keep(ImageContents(image.digest, inventory), platform)


def _read(inputs: CheckInputs, platform: Platform, stored: StoredLayers) -> Inventory:
    image = inputs.image(platform)
    if image.size_bytes > READ_UNASKED_BYTES and not inputs.check.asked:
        raise NothingChecked(
            f"the image is large ({shown_size(image.size_bytes)}), and reading it takes a while",
            image.reference,
            f"{inputs.check.name} = true in [tool.mlcontainer.image] reads it",
        )
    inputs.log(f"reading the layers of {image.reference}")
    stream = inputs.engine(platform).save(image.reference, platform)
    if stream is None:
        raise NothingChecked(
            "the engine hands out no images, so that nothing is known of their layers",
            image.reference,
            f"{inputs.check.name} = false in [tool.mlcontainer.image] leaves the check out",
        )
    with closing(stream):
        return read_image(stream, platform, known=stored)
