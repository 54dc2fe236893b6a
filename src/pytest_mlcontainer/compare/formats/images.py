"""Images by their pixels: what they show counts, not how it is stored.

The size, the mode and the depth are part of the value, and so is where the picture is, or which way
up, as EXIF and GeoTIFF have it; text, times, colour profiles, the rest of EXIF and the compression
are not. A palette is replaced by the colours it stands for. An animation's frames are
items, `frame[3]`, and their durations are one. Pillow decodes both sides here, on this machine, so
that decoders do not differ.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from pytest_mlcontainer.compare.formats.image_frames import Frame, FrameReader, next_both, opened
from pytest_mlcontainer.compare.formats.kind import Format, begins
from pytest_mlcontainer.compare.matching.similarity import psnr, ssim
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift
from pytest_mlcontainer.model import Difference, Plots, Verdict

_SSIM_PIXELS = 1 << 25


def _compare(kind: str, pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two images frame by frame, so that one of each side is in memory."""
    with opened(kind, pair.actual) as actual, opened(kind, pair.expected) as expected:
        durations: tuple[list[float], list[float]] = ([], [])
        number = 0
        while True:
            frames = next_both(actual, expected)
            if frames[0] is None or frames[1] is None:
                break
            for times, frame in zip(durations, frames, strict=True):
                times.append(frame.duration_ms)  # type: ignore[union-attr]
            animated = actual.is_animated or expected.is_animated
            place = ItemLocation(pair.name, f"frame[{number}]" if animated else "")
            yield from _compare_frames(place, frames[0], frames[1], book)
            number += 1
        places = _placed(actual, expected)
        yield from compare_items(pair.name, places[0], places[1], book)
        if frames[0] is not frames[1]:
            counts = number + actual.count_rest(frames[0]), number + expected.count_rest(frames[1])
            yield from drift(pair.name, "frames", f"{counts[0]}, expected {counts[1]}", book)
        elif number > 1:
            left, right = (array_of(np.array(times, np.float64)) for times in durations)
            yield from compare_arrays(ItemLocation(pair.name, "durations"), left, right, book)


def _placed(actual: FrameReader, expected: FrameReader) -> tuple[dict[str, Leaf], ...]:
    """Where both lie; one that is silent stands upright, where the other says how it stands."""
    sides = actual.place(), expected.place()
    turned = {"orientation": 1} if any("orientation" in side for side in sides) else {}
    return tuple({**turned, **side} for side in sides)


def _compare_frames(
    place: ItemLocation, actual: Frame, expected: Frame, book: RuleBook
) -> Iterator[Difference]:
    notes = []
    sizes = [frame.values.shape[1::-1] for frame in (actual, expected)]
    if sizes[0] != sizes[1]:
        notes.append("{} × {} pixels, expected {} × {}".format(*sizes[0], *sizes[1]))
    if actual.mode != expected.mode:
        notes.append(f"mode {actual.mode}, expected {expected.mode}")
    if notes:
        for each in drift(place.output, place.item, "; ".join(notes), book):
            yield _pictured(each, actual, expected, book)
        return
    sides = array_of(actual.values), array_of(expected.values)
    for each in compare_arrays(place, *sides, book):
        lost = actual.lost or expected.lost
        if lost and each.verdict.passes:
            # Equal as far as they were read, and their bytes differ: nothing can be said.
            yield Difference(place.output, place.item, Verdict.FAILED, note=lost)
        elif each.differing:
            note = "; ".join((*filter(None, (each.note, lost)), _looks(actual, expected)))
            yield _pictured(replace(each, note=note), actual, expected, book)
        else:
            yield each


def _pictured(found: Difference, actual: Frame, expected: Frame, book: RuleBook) -> Difference:
    """The difference with both frames as a report shows them, if it is among the worst."""
    if found.plots is None and not book.may_draw(found):
        return found
    # Here, because Pillow, which is there when a frame is, need not be there before.
    from pytest_mlcontainer.compare.formats.thumbnails import Pixels, draw_pictures

    sides = Pixels(actual.mode, actual.values), Pixels(expected.mode, expected.values)
    if found.plots is None:
        book.drew(found)
    pictures = draw_pictures(*sides)
    # The picture of the difference is a better map than that of an array of so many rows.
    plots = replace(found.plots or Plots(), places=None, pictures=pictures)
    return replace(found, plots=plots)


def _looks(actual: Frame, expected: Frame) -> str:
    """How alike they look, for the note."""
    decibels = psnr(actual.values, expected.values, expected.span)
    words = [f"PSNR {decibels:.1f} dB" if math.isfinite(decibels) else "the same values"]
    if expected.values.shape[0] * expected.values.shape[1] <= _SSIM_PIXELS:
        likeness = ssim(actual.values, expected.values, expected.span)
        if likeness is not None:
            words.insert(0, f"SSIM {likeness:.4f}")
    return f"{', '.join(words)} (1 and infinite: the same)"


def _begins_as(*magics: bytes) -> Callable[[ComparedFile], bool]:
    return lambda side: begins(side, *magics)


def _is_bitmap(side: ComparedFile) -> bool:
    """Two letters alone could begin any text: the sizes after them have to be right, too."""
    with side.open() as stream:
        start = stream.read(18)
    if len(start) < 18 or not start.startswith(b"BM"):
        return False
    offset, header = struct.unpack("<LL", start[10:18])
    return start[6:10] == bytes(4) and header in (12, 40, 52, 56, 64, 108, 124) and offset < 4096


def _is_webp(side: ComparedFile) -> bool:
    with side.open() as stream:
        start = stream.read(12)
    return start[:4] == b"RIFF" and start[8:] == b"WEBP"


def _format(kind: str, has_content: Callable[[ComparedFile], bool], *suffixes: str) -> Format:
    return Format(kind.lower(), partial(_compare, kind), has_content, suffixes)


FORMATS = (
    _format("PNG", _begins_as(b"\x89PNG\r\n\x1a\n"), ".png"),
    _format("JPEG", _begins_as(b"\xff\xd8\xff"), ".jpg", ".jpeg"),
    _format("GIF", _begins_as(b"GIF87a", b"GIF89a"), ".gif"),
    _format("TIFF", _begins_as(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ".tif", ".tiff"),
    _format("WEBP", _is_webp, ".webp"),
    _format("BMP", _is_bitmap, ".bmp"),
)
