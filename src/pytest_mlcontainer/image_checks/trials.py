"""What a check may ask of the project's entrypoints: to be watched, and tried in another image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_mlcontainer.model import Image


@dataclass(frozen=True)
class WatchedRun:
    """A run of an entrypoint, of which it was noted what it opened.

    Args:
        paths: absolute, as they were asked for: neither normalised nor without links, and of files
            that do not exist, too.
        unseen: why that is nothing, or not all; "" where it is.
        unlike: why its outputs say nothing of those of other runs; "" where they do.
    """

    entrypoint: str
    paths: frozenset[str] = frozenset()
    unseen: str = ""
    unlike: str = ""


@dataclass(frozen=True)
class TriedImage:
    """An image that a check had built, and how the project's entrypoints fared in it.

    Args:
        image: None where it could not be built.
        problem: why not, or which entrypoint wrote something else in it; "" where none did.
    """

    image: Image | None
    problem: str = ""


@dataclass(frozen=True)
class EntrypointTrials:
    """For the image of one platform.

    Args:
        watch: runs each entrypoint under watch, and once more without where that was not done.
        try_image: builds a Dockerfile, with the project's context, and runs each entrypoint in it;
            their outputs are held against those in the project's own image.
    """

    watch: Callable[[], tuple[WatchedRun, ...]]
    try_image: Callable[[str], TriedImage]
