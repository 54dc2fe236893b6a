"""How alike two images look: numbers for a reader, not a verdict.

SSIM is the mean structural similarity of Wang, Bovik, Sheikh and Simoncelli, Image quality
assessment: from error visibility to structural similarity, IEEE Trans. Image Process. 13(4), 2004:
a Gaussian window of 11 × 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, over the positions where the
window lies inside the image. 1 is the same image; below about 0.95 people see a difference.

PSNR is 10 log10(range² / mean squared error), in decibels.
"""

from __future__ import annotations

import math

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Floats, Values

WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_STRIP_ROWS = 256
# ITU-R BT.601, as Pillow converts to grey.
_LUMA = np.array([0.299, 0.587, 0.114])


def psnr(actual: Values, expected: Values, span: float) -> float:
    """In decibels; infinite for the same values.

    Args:
        span: the range of the values, 255 for 8 bits.
    """
    total = 0.0
    for start in range(0, len(expected), _STRIP_ROWS):
        rows = slice(start, start + _STRIP_ROWS)
        total += float(np.sum((actual[rows].astype(float) - expected[rows].astype(float)) ** 2))
    return 10 * math.log10(span**2 / (total / expected.size)) if total else math.inf


def ssim(actual: Values, expected: Values, span: float) -> float | None:
    """Of two arrays (height, width), or (height, width, channels) by their luma.

    None for an image smaller than the window.
    """
    height, width = expected.shape[:2]
    if min(height, width) < WINDOW:
        return None
    total = 0.0
    for start in range(0, height - WINDOW + 1, _STRIP_ROWS):
        rows = slice(start, min(start + _STRIP_ROWS + WINDOW - 1, height))
        total += float(np.sum(_map(_grey(actual[rows]), _grey(expected[rows]), span)))
    return total / float((height - WINDOW + 1) * (width - WINDOW + 1))


def _map(actual: Floats, expected: Floats, span: float) -> Floats:
    """SSIM at each position of the window; equation 13 of the paper."""
    first, second = (_K1 * span) ** 2, (_K2 * span) ** 2
    mine, theirs = _smooth(actual), _smooth(expected)
    mine_variance = _smooth(actual * actual) - mine * mine
    theirs_variance = _smooth(expected * expected) - theirs * theirs
    covariance = _smooth(actual * expected) - mine * theirs
    above = (2 * mine * theirs + first) * (2 * covariance + second)
    below = (mine * mine + theirs * theirs + first) * (mine_variance + theirs_variance + second)
    return np.asarray(above / below)


def _smooth(values: Floats) -> Floats:
    """Mean under the window, rows and columns one after the other."""
    weights = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    rows = values.shape[0] - WINDOW + 1
    down = sum(weight * values[at : at + rows] for at, weight in enumerate(weights))
    columns = values.shape[1] - WINDOW + 1
    across = sum(weight * down[:, at : at + columns] for at, weight in enumerate(weights))
    return np.asarray(across)


def _grey(values: Values) -> Floats:
    """Luma; of an image with an alpha channel as it looks on black."""
    if values.ndim == 2:
        return values.astype(np.float64)
    channels = values.astype(np.float64)
    count = channels.shape[2]
    grey = channels[:, :, :3] @ _LUMA if count >= 3 else channels[:, :, 0]
    if count in (2, 4):
        top = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1.0
        grey = grey * channels[:, :, -1] / top
    return np.asarray(grey)
