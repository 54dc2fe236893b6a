"""The check `size`: how large the image is, where the bytes are, and what need not be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.dockerfile import read_dockerfile
from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.reading import contents_of
from pytest_mlcontainer.image_checks.size.base import (
    count_base_layers,
    count_common_layers,
    external_base,
)
from pytest_mlcontainer.image_checks.size.findings import (
    SizeLimits,
    avoidable,
    between_platforms,
    made_by,
    over_budget,
    shown_change,
    shown_limit,
)
from pytest_mlcontainer.image_checks.size.measure import FolderBytes
from pytest_mlcontainer.image_checks.size.recorded import (
    RecordedBuild,
    RecordedSizes,
    SizeChange,
    change_between,
    parts_of,
)
from pytest_mlcontainer.model import (
    CheckReport,
    CheckRow,
    CheckTable,
    ImageFinding,
    Platform,
    Scalar,
)
from pytest_mlcontainer.storage import cache_in_use, digest, shown_size

_MOST_ROWS: Final = 100


def check_size(inputs: CheckInputs) -> CheckReport:
    """How large the image is for one platform; fails alone for what is declared.

    Raises:
        NothingChecked: nothing is known of its layers.
        EngineError: it cannot be read.
    """
    platform = inputs.platform
    assert platform is not None
    contents = contents_of(inputs, platform)
    figures, inventory = contents.figures, contents.inventory
    limits = SizeLimits(_bytes(inputs, "budget"), _bytes(inputs, "layer-budget"), _growth(inputs))
    change = _noted(inputs, contents, platform)
    base, notes = _base(inputs, contents, platform)
    findings: list[ImageFinding] = [
        *over_budget(inventory, figures, limits, change, base or 0),
        *avoidable(inventory, figures, base or 0),
        *_across(inputs, contents, platform),
    ]
    if limits.growth is not None and change is None:
        notes.append("no earlier build is recorded on this machine, so that growth is not known")
    return CheckReport(
        inputs.check.name,
        platform,
        tuple(findings),
        notes=(*notes, *inventory.notes),
        figures=tuple(_figures(contents, base, change)),
        headline=_headline(contents, base, limits, change),
        tables=_tables(contents, base, change),
        tables_shown=inputs.check.asked,
    )


def _bytes(inputs: CheckInputs, key: str) -> int | None:
    value = inputs.check.value(key)
    return value if isinstance(value, int) else None


def _growth(inputs: CheckInputs) -> float | None:
    value = inputs.check.value("growth")
    return value if isinstance(value, float) else None


def _base(
    inputs: CheckInputs, contents: ImageContents, platform: Platform
) -> tuple[int | None, list[str]]:
    """How many layers are those of the base; and why that is not known."""
    build, image = inputs.settings.build, inputs.image(platform)
    if not image.built:
        return None, ["the image was not built here, so that nothing says what its base is"]
    text, target = read_dockerfile(build.dockerfile), build.target or ""
    layers = contents.inventory.layers
    count = count_base_layers(tuple(layer.instruction for layer in layers), text, target)
    if count is None and (reference := external_base(text, target)):
        base = inputs.engine(platform).find_image(reference, platform)
        digests = tuple(layer.digest for layer in layers)
        count = None if base is None else count_common_layers(digests, base.layers)
    if count is None:
        return None, [
            "the image's history does not end with the instructions of its Dockerfile, and the "
            "engine does not have the base, so that nothing says which layers are the base's"
        ]
    return count, []


def _noted(inputs: CheckInputs, contents: ImageContents, platform: Platform) -> SizeChange | None:
    """What changed since the last build of another image; this one is noted."""
    project = digest([str(inputs.settings.file), str(platform)])
    recorded = RecordedSizes(inputs.cache / "sizes" / f"{project}.json")
    before = recorded.before(contents.digest)
    parts = parts_of(contents.figures)
    with cache_in_use(inputs.cache, whole=False):
        build = RecordedBuild(
            contents.digest, contents.figures.total_bytes, tuple(sorted(parts.items()))
        )
        recorded.note(build)
    return None if before is None else change_between(dict(before.parts), parts)


def _across(
    inputs: CheckInputs, contents: ImageContents, platform: Platform
) -> Iterator[ImageFinding]:
    """What differs from the image of the first platform; told once, at the other one."""
    reference = inputs.platforms[0]
    if platform != reference:
        other = contents_of(inputs, reference)
        change = change_between(parts_of(other.figures), parts_of(contents.figures))
        yield from between_platforms(change, str(platform), str(reference))


def _headline(
    contents: ImageContents, base: int | None, limits: SizeLimits, change: SizeChange | None
) -> str:
    figures = contents.figures
    count = len(figures.layers)
    parts = [f"{shown_size(figures.total_bytes)} in {count} {'layers' if count != 1 else 'layer'}"]
    if base:
        parts.append(f"{shown_size(sum(figures.layers[:base]))} of them the base")
    if limits.total_bytes is not None:
        parts.append(f"budget {shown_limit(limits.total_bytes)}")
    if change is not None:
        sign = "+" if change.grown_bytes >= 0 else "−"
        parts.append(f"{sign}{shown_size(abs(change.grown_bytes))} since the last build recorded")
    return ", ".join(parts)


def _figures(
    contents: ImageContents, base: int | None, change: SizeChange | None
) -> Iterator[tuple[str, Scalar]]:
    figures = contents.figures
    yield "total_bytes", figures.total_bytes
    yield "sent_bytes", sum(layer.sent_bytes for layer in contents.inventory.layers)
    yield "visible_bytes", figures.visible_bytes
    yield "hidden_bytes", figures.hidden_bytes
    yield "layers", len(figures.layers)
    yield "largest_layer_bytes", max(figures.layers, default=0)
    yield "base_bytes", None if base is None else sum(figures.layers[:base])
    yield "packages_bytes", sum(size for _package, size in figures.packages)
    yield "caches_bytes", sum(cache.size_bytes for cache in figures.caches)
    yield "duplicates_bytes", sum(each.wasted_bytes for each in figures.duplicates)
    yield "tests_bytes", sum(size for _package, size in figures.tests)
    yield "bytecode_bytes", figures.bytecode_bytes
    yield "grown_bytes", None if change is None else change.grown_bytes


def _tables(
    contents: ImageContents, base: int | None, change: SizeChange | None
) -> tuple[CheckTable, ...]:
    figures, inventory = contents.figures, contents.inventory
    layers = [
        CheckRow(
            f"layer {number + 1}{' (base)' if number < (base or 0) else ''}",
            size,
            made_by(inventory, number),
        )
        for number, size in enumerate(figures.layers)
    ]
    places = [CheckRow(str(p), size, p.manager) for p, size in figures.packages]
    places += [
        CheckRow(f"/{each.folder}", each.size_bytes, _of_no_package(each))
        for each in figures.folders
    ]
    places += [CheckRow(f"/{c.folder}", c.size_bytes, c.kind.name) for c in figures.caches]
    if figures.hidden_bytes:
        places.append(CheckRow("deleted or overwritten", figures.hidden_bytes, "later layers"))
    tables = [
        CheckTable("layers", _largest(layers)),
        CheckTable("what takes the room", _largest(places)),
    ]
    changes = change.parts if change is not None else ()
    if changes:
        rows = (CheckRow(shown_change(*each)) for each in changes[:_MOST_ROWS])
        tables.append(CheckTable("changed since the last build recorded", tuple(rows)))
    return tuple(tables)


def _of_no_package(folder: FolderBytes) -> str:
    return "no package" + (f", mostly {folder.told}" if folder.told else "")


def _largest(rows: list[CheckRow]) -> tuple[CheckRow, ...]:
    return tuple(sorted(rows, key=lambda each: -(each.size_bytes or 0))[:_MOST_ROWS])
