"""Two images as small PNGs for a report: drawn anew from pixels, so that nothing else of a file
that a run wrote gets onto a page. This runs where the image was read, in a reader process.
"""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.model import Pictures

MOST_BYTES = 48_000  # of the PNGs together, before they become text
_LENGTHS = (240, 160, 112, 80, 56)  # of the longer side; the last fits whatever the pixels are
_FAINTEST = 0.35
_BACKDROP = 200
_RED = (208, 0, 32)


@dataclass(frozen=True)
class Pixels:
    """One side: Pillow's mode, and values of (height, width) or (height, width, channels)."""

    mode: str
    values: Values

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.values.shape[:2]
        return height, width


def draw_pictures(actual: Pixels, expected: Pixels) -> Pictures:
    """Both sides, and where they differ: not where they have different sizes or modes.

    In the picture of the difference what differs is red on a faint copy of the expected side. Each
    of its pixels stands for the largest difference below it, so that no single one is lost.
    """
    height, width = expected.size
    gaps = None
    if actual.size == expected.size and actual.mode == expected.mode:
        gaps = _largest_gaps(actual.values, expected.values)
    span = _span(actual, expected)
    pngs: list[bytes] = []
    for length in _LENGTHS:
        left, right = (_drawn(side, span, length) for side in (actual, expected))
        pngs = [_png(left), _png(right)]
        if gaps is not None:
            pngs.append(_png(_marked(right, gaps)))
        if sum(map(len, pngs)) <= MOST_BYTES:
            break
    texts = [base64.b64encode(png).decode("ascii") for png in pngs]
    return Pictures(texts[0], texts[1], texts[2] if gaps is not None else "", width, height)


def _span(*sides: Pixels) -> tuple[float, float] | None:
    """The range of both sides' values, where black and white do not have numbers of their own."""
    if all(side.values.dtype in (np.uint8, np.bool_) for side in sides):
        return None
    finite = [side.values[np.isfinite(side.values)] for side in sides]
    ends = [float(end) for each in finite if each.size for end in (each.min(), each.max())]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _drawn(side: Pixels, span: tuple[float, float] | None, length: int) -> Image.Image:
    height, width = side.size
    every = max(1, max(height, width) // (2 * length))
    image = _image(side.mode, side.values[::every, ::every], span)
    return image.resize(_fitted(width, height, length), Image.Resampling.BOX)


def _fitted(width: int, height: int, length: int) -> tuple[int, int]:
    share = min(1.0, length / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def _image(mode: str, values: Values, span: tuple[float, float] | None) -> Image.Image:
    """As colours or, for modes without any, as shades of grey."""
    height, width = values.shape[:2]
    if span is None and values.dtype == np.uint8:
        image = Image.frombytes(mode, (width, height), np.ascontiguousarray(values).tobytes())
        try:
            return image.convert("RGBA" if mode in ("LA", "RGBA", "PA") else "RGB")
        except ValueError:  # Lab has no way to RGB without a profile
            pass
    low, high = span or (0.0, 1.0 if values.dtype == np.bool_ else 255.0)
    grey = values.reshape(height, width, -1)[:, :, 0].astype(np.float64)
    shades = np.nan_to_num((grey - low) / ((high - low) or 1.0) * 255, nan=0.0)
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).convert("RGB")


def _largest_gaps(actual: Values, expected: Values) -> Values:
    """How far pixels are apart, 0 to 1, in as many cells as the largest picture has pixels."""
    height, width = expected.shape[:2]
    columns, rows = _fitted(width, height, _LENGTHS[0])
    edges = np.linspace(0, height, rows + 1).astype(int)
    found = np.empty((rows, columns))
    for row, (start, end) in enumerate(itertools.pairwise(edges)):
        left, right = (side[start:end].astype(np.float64) for side in (actual, expected))
        with np.errstate(all="ignore"):
            gaps = np.where(left == right, 0.0, np.abs(left - right))
        gaps = np.where(np.isnan(left) & np.isnan(right), 0.0, gaps)
        gaps = np.nan_to_num(gaps, nan=np.inf).reshape(end - start, width, -1).max(axis=(0, 2))
        found[row] = _largest_of(gaps, columns)
    finite = found[np.isfinite(found)]
    largest = float(finite.max(initial=0)) or 1.0
    return np.asarray(np.minimum(found / largest, 1.0))


def _largest_of(values: Values, count: int) -> Values:
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.asarray(np.maximum.reduceat(values, edges[:-1], axis=0))


def _marked(image: Image.Image, gaps: Values) -> Image.Image:
    """The image, faintly and without colours, with red where there are gaps."""
    strength = _largest_of(_largest_of(gaps, image.height).T, image.width).T
    grey = np.asarray(image.convert("RGB").convert("L"), np.float64)
    faint = _BACKDROP + grey / 255 * (255 - _BACKDROP)
    share = np.where(strength > 0, _FAINTEST + (1 - _FAINTEST) * strength, 0)[..., None]
    colours = faint[..., None] * (1 - share) + np.array(_RED) * share
    return Image.fromarray(colours.round().astype(np.uint8))


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
