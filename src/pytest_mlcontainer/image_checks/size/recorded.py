"""Sizes of earlier builds of an image, so that what changed can be said; kept on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mlcontainer.image_checks.size.measure import SizeFigures
from pytest_mlcontainer.storage import read_object, write_json

_VERSION = 1
_MOST_BUILDS = 20


@dataclass(frozen=True)
class RecordedBuild:
    """What is kept of one build.

    Args:
        image: its digest.
        parts: bytes of each package, cache and folder, by a name of their own.
    """

    image: str
    total_bytes: int
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SizeChange:
    """How a build differs from an earlier one.

    Args:
        parts: those that changed with by how much, the largest change first.
    """

    before_bytes: int
    after_bytes: int
    parts: tuple[tuple[str, int], ...]

    @property
    def grown_bytes(self) -> int:
        return self.after_bytes - self.before_bytes

    @property
    def growth(self) -> float:
        """As a fraction of the size before; infinite where that was nothing."""
        if not self.before_bytes:
            return float("inf") if self.after_bytes else 0.0
        return self.grown_bytes / self.before_bytes


def parts_of(figures: SizeFigures) -> dict[str, int]:
    """All bytes that a container sees, and those that it does not, by what they belong to.

    Packages stand without their version, so that an update is a change and no new part.
    """
    parts: dict[str, int] = {}
    for package, size in figures.packages:
        key = f"{package.name} ({package.manager})"
        parts[key] = parts.get(key, 0) + size
    for cache in figures.caches:
        parts[f"{cache.kind.name} in /{cache.folder}"] = cache.size_bytes
    for each in figures.folders:
        parts[f"/{each.folder}"] = each.size_bytes
    if figures.hidden_bytes:
        parts["deleted or overwritten by later layers"] = figures.hidden_bytes
    return parts


def change_between(before: Mapping[str, int], after: Mapping[str, int]) -> SizeChange:
    """What changed from one set of parts to another."""
    changes = {
        name: after.get(name, 0) - before.get(name, 0) for name in before.keys() | after.keys()
    }
    ordered = sorted(changes.items(), key=lambda each: (-abs(each[1]), each[0]))
    return SizeChange(
        sum(before.values()),
        sum(after.values()),
        tuple(each for each in ordered if each[1]),
    )


class RecordedSizes:
    """Builds of one image for one platform.

    Args:
        file: where they are kept; what is damaged reads as none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def before(self, image: str) -> RecordedBuild | None:
        """The last build that was another image; None where there is none."""
        return next((each for each in reversed(self._read()) if each.image != image), None)

    def note(self, build: RecordedBuild) -> None:
        """Keep a build as the last one.

        Raises:
            OSError: that cannot be written.
        """
        builds = [each for each in self._read() if each.image != build.image]
        value = {
            "version": _VERSION,
            "builds": [
                {"image": each.image, "total": each.total_bytes, "parts": dict(each.parts)}
                for each in [*builds, build][-_MOST_BUILDS:]
            ],
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._file, value)

    def _read(self) -> list[RecordedBuild]:
        raw = read_object(self._file)
        if raw is None or raw.get("version") != _VERSION:
            return []
        try:
            return [_build_from_json(each) for each in raw["builds"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            return []


def _build_from_json(raw: Mapping[str, Any]) -> RecordedBuild:
    parts = tuple((str(name), int(size)) for name, size in raw["parts"].items())
    return RecordedBuild(str(raw["image"]), int(raw["total"]), parts)
