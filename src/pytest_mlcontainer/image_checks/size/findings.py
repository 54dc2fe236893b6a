"""What takes room in an image that it need not take, with the bytes and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.image_checks.inventory import Inventory
from pytest_mlcontainer.image_checks.size.measure import (
    CacheBytes,
    Duplicate,
    FolderBytes,
    HiddenBytes,
    SizeFigures,
)
from pytest_mlcontainer.image_checks.size.recorded import SizeChange
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.storage import shown_size
from pytest_mlcontainer.wording import truncate

OVER_BUDGET: Final = "SZ001"
LAYER_OVER_BUDGET: Final = "SZ002"
GROWN: Final = "SZ003"
CACHE_LEFT: Final = "SZ004"
PAID_AND_INVISIBLE: Final = "SZ005"
SAME_CONTENT: Final = "SZ006"
DOWNLOADS: Final = "SZ007"
TESTS: Final = "SZ008"
BYTECODE: Final = "SZ009"
PLATFORMS: Final = "SZ010"

SMALLEST_BYTES: Final = 1_000_000
"""What takes less is not worth a line."""

_INSTRUCTION: Final = 90


@dataclass(frozen=True)
class SizeLimits:
    """What an image may take; None where nothing is set.

    Args:
        growth: as a fraction of the last recorded build.
    """

    total_bytes: int | None = None
    layer_bytes: int | None = None
    growth: float | None = None


def made_by(inventory: Inventory, number: int) -> str:
    """The instruction that made a layer, in a line."""
    return truncate(" ".join(inventory.layers[number].instruction.split()), _INSTRUCTION)


def over_budget(
    inventory: Inventory,
    figures: SizeFigures,
    limits: SizeLimits,
    change: SizeChange | None,
    base_layers: int = 0,
) -> Iterator[ImageFinding]:
    """What is larger than it may be.

    Args:
        base_layers: how many of the layers are those of the base, as far as that is known.
    """
    total = figures.total_bytes
    if limits.total_bytes is not None and total > limits.total_bytes:
        yield ImageFinding(
            OVER_BUDGET,
            Severity.ERROR,
            f"the image takes {shown_size(total)}, its budget is {shown_limit(limits.total_bytes)}",
            why=_largest(figures),
            mend="leave out what no entrypoint needs, or raise size.budget",
            cost_bytes=total - limits.total_bytes,
        )
    for number, size in enumerate(figures.layers):
        if limits.layer_bytes is not None and size > limits.layer_bytes:
            yield ImageFinding(
                LAYER_OVER_BUDGET,
                Severity.ERROR,
                f"layer {number + 1} takes {shown_size(size)}, the budget of a layer is "
                f"{shown_limit(limits.layer_bytes)}: {made_by(inventory, number) or 'unknown'}",
                place=f"layer {number + 1}",
                mend="choose a smaller base, or raise size.layer-budget"
                if number < base_layers
                else "divide the instruction, so that what seldom changes has a layer of its own; "
                "or raise size.layer-budget",
                cost_bytes=size - limits.layer_bytes,
            )
    if limits.growth is not None and change is not None and change.growth > limits.growth:
        most = ", ".join(shown_change(*each) for each in change.parts[:3])
        yield ImageFinding(
            GROWN,
            Severity.ERROR,
            f"the image grew by {change.growth:.1%} against the last build recorded, "
            f"{limits.growth:.1%} are allowed: {shown_size(change.before_bytes)} → "
            f"{shown_size(change.after_bytes)}",
            why=f"most of it: {most}",
            mend="leave out what is new, or raise size.growth",
            cost_bytes=change.grown_bytes,
        )


def shown_limit(size: int) -> str:
    """A limit in the unit that it was written in, and in that of all sizes: `1 GiB (1.1 GB)`."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size % 2**power == 0 and size >= 2**power:
            return f"{size // 2**power:,} {unit} ({shown_size(size)})"
    return shown_size(size)


def shown_change(name: str, size: int) -> str:
    """`torch (python) +1.2 GB`."""
    return f"{name} {'+' if size >= 0 else '−'}{shown_size(abs(size))}"


def avoidable(
    inventory: Inventory, figures: SizeFigures, base_layers: int
) -> Iterator[ImageFinding]:
    """What nobody needs in an image, or may not need.

    Args:
        base_layers: how many of the layers are those of the base, as far as that is known.
    """
    for cache in figures.caches:
        if cache.size_bytes >= SMALLEST_BYTES:
            yield _cache(inventory, cache)
    for hidden in figures.hidden:
        if hidden.size_bytes >= SMALLEST_BYTES:
            yield _hidden(inventory, hidden, hidden.layer < base_layers)
    yield from _duplicates(figures.duplicates)
    yield from _tests(figures)
    if figures.bytecode_bytes >= SMALLEST_BYTES:
        yield ImageFinding(
            BYTECODE,
            Severity.INFO,
            f"{shown_size(figures.bytecode_bytes)} are bytecode that Python makes anew when it "
            "is missing",
            why="it lets programs start faster; where the root file system is read-only, each "
            "start would compile again",
            mend="ENV PYTHONDONTWRITEBYTECODE=1 before, and pip install --no-compile",
            cost_bytes=figures.bytecode_bytes,
        )


def _largest(figures: SizeFigures) -> str:
    parts = [(str(package), size) for package, size in figures.packages[:5]]
    parts += [(shown_place(each), each.size_bytes) for each in figures.folders[:3]]
    parts.sort(key=lambda each: -each[1])
    return "the largest: " + ", ".join(f"{name} {shown_size(size)}" for name, size in parts[:5])


def shown_place(folder: FolderBytes) -> str:
    """`/app (mostly weights.bin)`."""
    return f"/{folder.folder}" + (f" (mostly {folder.told})" if folder.told else "")


def _cache(inventory: Inventory, cache: CacheBytes) -> ImageFinding:
    kind = cache.kind
    layers = ", ".join(
        f"layer {number + 1} ({made_by(inventory, number)})" for number in cache.layers[:3]
    )
    return ImageFinding(
        DOWNLOADS if kind.needed else CACHE_LEFT,
        Severity.INFO if kind.needed else Severity.WARNING,
        f"{kind.name} is in the image: /{cache.folder}, {shown_size(cache.size_bytes)}",
        place=f"/{cache.folder}",
        why=f"it came with {layers}",
        mend=kind.mend.format(folder=cache.folder),
        cost_bytes=cache.size_bytes,
    )


def _hidden(inventory: Inventory, hidden: HiddenBytes, of_base: bool) -> ImageFinding:
    """What a later layer hides: each kind with its own mend."""
    examples = ", ".join(f"/{path}" for path in hidden.examples)
    by, source = made_by(inventory, hidden.by), made_by(inventory, hidden.layer)
    size = shown_size(hidden.size_bytes)
    if hidden.same_bytes * 2 > hidden.size_bytes:
        what = f"layer {hidden.by + 1} holds {size} of layer {hidden.layer + 1} a second time"
        why = "only owner, mode or time are others, and a layer holds a file as a whole"
        mend = "set them where the files come from: COPY --chown=… --chmod=…, or in the same RUN"
    elif hidden.deleted_bytes * 2 > hidden.size_bytes:
        what = f"layer {hidden.by + 1} deletes {size} that layer {hidden.layer + 1} still holds"
        why = "a deleted file is sent and stored with the layer that brought it"
        mend = "delete in the same RUN that makes the files, or make them in a stage of their own"
    else:
        what = f"layer {hidden.by + 1} replaces {size} of layer {hidden.layer + 1}"
        why = "both versions are sent and stored"
        mend = "install the wanted version at once, in one instruction"
    if of_base:
        mend = "the base brought the files: choose one that has what you want, or leave them alone"
    return ImageFinding(
        PAID_AND_INVISIBLE,
        Severity.WARNING,
        f"{what}: {examples}",
        place=f"layer {hidden.by + 1}",
        why=f"{why}; made by: {source or 'unknown'}; hidden by: {by or 'unknown'}",
        mend=mend,
        cost_bytes=hidden.size_bytes,
    )


def _duplicates(duplicates: tuple[Duplicate, ...]) -> Iterator[ImageFinding]:
    for each in duplicates:
        if each.wasted_bytes >= SMALLEST_BYTES and not each.owned:
            shown = ", ".join(f"/{path}" for path in each.paths[:3])
            more = f" and {len(each.paths) - 3} more" if len(each.paths) > 3 else ""
            yield ImageFinding(
                SAME_CONTENT,
                Severity.INFO,
                f"{len(each.paths)} files have the same content, {shown_size(each.size_bytes)} "
                f"each: {shown}{more}",
                place=f"/{each.paths[1]}",
                mend=f"keep one, and link to it: ln -sf /{each.paths[0]} /{each.paths[1]}, in "
                "the instruction that makes it",
                cost_bytes=each.wasted_bytes,
            )


def _tests(figures: SizeFigures) -> Iterator[ImageFinding]:
    total = sum(size for _package, size in figures.tests)
    if total >= SMALLEST_BYTES:
        shown = ", ".join(f"{p.name} {shown_size(size)}" for p, size in figures.tests[:5])
        yield ImageFinding(
            TESTS,
            Severity.INFO,
            f"{shown_size(total)} are test suites of dependencies: {shown}",
            why="folders called tests, with test files, inside installed packages; whether a "
            "program imports from them was not looked at, and some do",
            mend="try without, and let the entrypoints show that all is there: end the RUN that "
            "installs with: find / -path '*/site-packages/*' -type d -name tests -prune "
            "-exec rm -rf {} +",
            cost_bytes=total,
        )


def between_platforms(change: SizeChange, platform: str, reference: str) -> Iterator[ImageFinding]:
    """What an image has for one platform and not for the other."""
    if abs(change.grown_bytes) >= SMALLEST_BYTES and abs(change.growth) > _ALIKE:
        most = ", ".join(shown_change(*each) for each in change.parts[:5])
        yield ImageFinding(
            PLATFORMS,
            Severity.INFO,
            f"for {platform} the image takes {shown_size(change.after_bytes)}, for {reference} "
            f"{shown_size(change.before_bytes)}",
            why=f"the largest differences: {most}",
            mend="if that is not meant, look for dependencies that one platform has and the other "
            "has not (markers, wheels with CUDA)",
            cost_bytes=abs(change.grown_bytes),
        )


_ALIKE: Final = 0.1
