"""The two images that are held against each other; one of them may be this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_mlcontainer import images
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.mixing.contents import Contents
from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.model import Image, Settings


@dataclass(frozen=True)
class Side:
    """One of two images, A or B, or this machine in the place of B.

    Args:
        name: as the user calls it.
        image: None for this machine.
    """

    name: str
    contents: Contents
    image: Image | None = None


def find_side(tools: HybridTools, reference: str, settings: Settings) -> Image:
    """An image that the user names, of whatever platform it is.

    Raises:
        EngineError: there is none, or it has no name that a build could begin with.
    """
    if re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", reference):
        raise EngineError(
            "an image has to be named, not given by its id",
            reference,
            f"give it a name: docker tag {reference} a-name",
        )
    platform = settings.reference
    local = tools.engine.find_image(reference, platform)
    wanted = platform if local is None else local.platform
    try:
        return images.find(tools.engine, reference, wanted)
    except EngineError as error:
        remedy = error.remedy.replace("--container-image", "--image")
        raise type(error)(error.what, error.value, remedy) from error


def check_sides(a: Side, b: Side) -> None:
    """See that these two can be held against each other.

    Raises:
        EngineError: they cannot.
    """
    if a.image is None or b.image is None:
        return
    if a.image.digest == b.image.digest:
        raise EngineError(
            "both are the same image",
            f"{a.name} and {b.name} are {a.image.digest[:19]}",
            "name two images that differ",
        )
    if a.image.platform != b.image.platform:
        raise EngineError(
            "the images are of different platforms",
            f"{a.name} is {a.image.platform}, {b.name} is {b.image.platform}",
            "name two of the same platform; what a platform changes is found by "
            f"`pytest --container --container-platform={a.image.platform},{b.image.platform}`",
        )
