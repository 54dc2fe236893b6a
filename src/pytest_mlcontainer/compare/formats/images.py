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
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import Format, begins, need
from pytest_mlcontainer.compare.matching.similarity import psnr, ssim
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import WRONG_BYTES, ComparedFile, Pair, UnreadableError
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.compare.values.notes import drift
from pytest_mlcontainer.model import Difference, Plots, Verdict

_MOST_FRAMES = 10_000
_MOST_PIXELS_OF_ALL = 1 << 30
_SSIM_PIXELS = 1 << 25
_PNG_HEADER = 26
_TIFF_BITS = 258
_ORIENTATION = 274
_GEO_TAGS = {
    "geo.scale": 33550,
    "geo.tie_points": 33922,
    "geo.transformation": 34264,
    "geo.keys": 34735,
    "geo.doubles": 34736,
    "geo.text": 34737,
    "geo.nodata": 42113,
}


@dataclass(frozen=True)
class Frame:
    """One image.

    Args:
        mode: Pillow's name of its channels and depth: `RGB`, `L`, `I;16`, `1`.
        values: (height, width) or (height, width, channels).
        lost: why not all of its depth is in `values`; "" where it is.
    """

    mode: str
    values: Values
    duration_ms: float
    lost: str = ""

    @property
    def span(self) -> float:
        """The range of its values."""
        if self.values.dtype == bool:
            return 1.0
        if self.values.dtype.kind == "u":
            return float(np.iinfo(self.values.dtype).max)
        return float(np.ptp(self.values)) or 1.0


def _compare(kind: str, pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two images frame by frame, so that one of each side is in memory."""
    with _opened(kind, pair.actual) as actual, _opened(kind, pair.expected) as expected:
        durations: tuple[list[float], list[float]] = ([], [])
        number = 0
        while True:
            frames = _next_both(actual, expected)
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


def _placed(actual: _FrameReader, expected: _FrameReader) -> tuple[dict[str, Leaf], ...]:
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


class _FrameReader:
    """The frames of one side, one after the other."""

    def __init__(self, side: ComparedFile, image: Any, kind: str, pillow: ModuleType) -> None:
        self._side, self._image, self._kind, self._pillow = side, image, kind, pillow
        self._next = self._pixels = 0
        self.is_animated = bool(getattr(image, "is_animated", False))

    def read(self) -> Frame | None:
        """The next frame; None after the last.

        Raises:
            UnreadableError: it is damaged, or there is too much of it.
        """
        try:
            with _quiet():
                if self._next:
                    try:
                        self._image.seek(self._next)
                    except EOFError:
                        return None
                self._next += 1
                self._check()
                return self._frame()
        except _bombs(
            self._pillow
        ) as error:  # a frame of an animation may be larger than the first
            raise _too_many_pixels(self._side, self._pillow, error) from error
        except WRONG_BYTES as error:
            raise self._side.unreadable(
                f"is damaged or truncated: {self._kind} frame {self._next - 1} ({error:})"
            ) from error

    def count_rest(self, current: Frame | None) -> int:
        count = 0
        while current is not None:
            count += 1
            current = self.read()
        return count

    def place(self) -> dict[str, Leaf]:
        """Which way up it is, unless upright, and where on Earth; once frames were read."""
        found: dict[str, Leaf] = {}
        image = self._image
        if image.format == "TIFF":  # which is turned when it is read
            for name, tag in _GEO_TAGS.items():
                held = image.tag_v2.get(tag)
                if held is not None:
                    found[name] = held if isinstance(held, str) else array_of(np.atleast_1d(held))
            return found
        with suppress(*WRONG_BYTES):
            turned = int(image.getexif().get(_ORIENTATION, 1))
            found |= {"orientation": turned} if turned != 1 else {}
        return found

    def _check(self) -> None:
        width, height = self._image.size
        self._pixels += width * height
        if self._next > _MOST_FRAMES or self._pixels > _MOST_PIXELS_OF_ALL:
            raise self._side.unreadable(
                f"has more than {_MOST_FRAMES} frames, or {_MOST_PIXELS_OF_ALL} pixels in all of "
                "them; write it as an array, or ignore it by a rule"
            )

    def _frame(self) -> Frame:
        image = self._image
        duration_ms = float(image.info.get("duration", 0) or 0)
        lost = _lost_depth(image, self._side)
        if image.mode in ("P", "PA"):
            transparent = image.mode == "PA" or "transparency" in image.info
            image = image.convert("RGBA" if transparent else "RGB")
        elif "transparency" in image.info and image.mode in ("L", "RGB"):
            image = image.convert("RGBA" if image.mode == "RGB" else "LA")
        image.load()
        return Frame(image.mode, np.array(image), duration_ms, lost)


def _next_both(actual: _FrameReader, expected: _FrameReader) -> tuple[Frame | None, Frame | None]:
    found: list[Frame | None] = []
    reasons: list[str] = []
    for reader in (actual, expected):
        try:
            found.append(reader.read())
        except UnreadableError as error:
            reasons.append(str(error))
    if reasons:
        raise UnreadableError("; ".join(reasons))
    return found[0], found[1]


@contextmanager
def _opened(kind: str, side: ComparedFile) -> Iterator[_FrameReader]:
    pillow = need(side, "PIL.Image", "images")
    with side.open() as stream:
        try:
            with _quiet():
                image = pillow.open(stream, formats=[kind])
                reader = _FrameReader(side, image, kind, pillow)
        except _bombs(pillow) as error:
            raise _too_many_pixels(side, pillow, error) from error
        except WRONG_BYTES as error:
            reason = f"is damaged or truncated: no readable {kind} ({error})"
            raise side.unreadable(reason) from error
        with image:
            yield reader


def _too_many_pixels(side: ComparedFile, pillow: ModuleType, error: Exception) -> UnreadableError:
    return side.unreadable(
        f"has more than {pillow.MAX_IMAGE_PIXELS} pixels, as many as Pillow opens, and may be made "
        f"to fill memory ({error}); write it as an array, or ignore it by a rule"
    )


def _bombs(pillow: ModuleType) -> tuple[type[Exception], ...]:
    return pillow.DecompressionBombWarning, pillow.DecompressionBombError


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of oddities, which do not matter here, and of bombs, which do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", r"Image size .* exceeds limit")
        yield


def _lost_depth(image: Any, side: ComparedFile) -> str:
    """Pillow reads 16 bits of grey in full, but of each colour channel only the upper 8."""
    bits = 8
    if image.format == "PNG":
        with side.open() as stream:
            header = stream.read(_PNG_HEADER)
        bits = header[24] if header[25] != 0 else 8
    elif image.format == "TIFF" and image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "LA"):
        bits = max(image.tag_v2.get(_TIFF_BITS, (8,)))
    if bits <= 8:
        return ""
    return (
        f"has {bits} bits for each colour channel, of which Pillow reads the upper 8; the others "
        "cannot be seen; write an array for exact values"
    )


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
