"""Builds that are made to see how they go; no image comes of them on the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrialBuild:
    """How such a build is made.

    Args:
        cached: steps that are known may be taken from the builder's cache.
        archive: file that the image is written to, as an OCI layout in a tar stream; None for
            no image at all.
        epoch: seconds; what `SOURCE_DATE_EPOCH` is, and the latest time that files of the archive
            have.
    """

    cached: bool = True
    archive: Path | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class BuildStep:
    """What became of one step of a Dockerfile.

    Args:
        stage: name of its stage, `stage-1` for one without; "" where there is one stage alone.
        number: of the step in its stage, as the builder counts.
        text: the instruction as the builder shows it.
        cached: it was not carried out.
        duration_s: how long that took.
        lines: the last that it printed.
    """

    stage: str
    number: int
    text: str
    cached: bool
    duration_s: float = 0.0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialBuilt:
    """What came of it: the steps in the order in which they began, and how long all took."""

    steps: tuple[BuildStep, ...]
    duration_s: float
    notes: tuple[str, ...] = ()
