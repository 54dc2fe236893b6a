"""Frames of images, as Pillow decodes them: one after the other, so that one is in memory.

A palette is replaced by the colours it stands for. Depth that Pillow does not read is told.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.kind import need
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.sources import WRONG_BYTES, ComparedFile, UnreadableError
from pytest_mlcontainer.compare.trees.items import Leaf

_MOST_FRAMES = 10_000
_MOST_PIXELS_OF_ALL = 1 << 30
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


class FrameReader:
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


def next_both(actual: FrameReader, expected: FrameReader) -> tuple[Frame | None, Frame | None]:
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
def opened(kind: str, side: ComparedFile) -> Iterator[FrameReader]:
    pillow = need(side, "PIL.Image", "images")
    with side.open() as stream:
        try:
            with _quiet():
                image = pillow.open(stream, formats=[kind])
                reader = FrameReader(side, image, kind, pillow)
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
