"""What was taken over of that which a run wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_mlcontainer.globs import covers
from pytest_mlcontainer.model import PRINTED, Folder, Output
from pytest_mlcontainer.outputs.declared import clean

MAX_FILES = 100_000


@dataclass
class Collected:
    """What was taken over so far, by output name.

    Args:
        links: links whose target is not among what was collected: link's path → target's path,
            both absolute in the container.
    """

    outputs: dict[str, Output] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)

    def missing(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Patterns for which no file was found; stdout and stderr need none."""
        return tuple(
            pattern
            for pattern in patterns
            if pattern not in PRINTED
            and not any(covers(clean(pattern), name) for name in self.outputs)
        )
