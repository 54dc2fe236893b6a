"""When an element of an array is close enough, and where that comes from.

The default. An element passes when

    |actual - expected|  <=  atol + max(rtol * |expected|, k * eps * S)

with S the magnitude that the element may have been summed from (at least its own, and at least the
dtype's smallest normal number, below which the spacing of floats no longer shrinks), `eps` the
dtype's machine epsilon, atol 0, and

    dtype      rtol      k     eps       k * eps
    float16    1e-3      3     9.8e-4    2.9e-3
    bfloat16   1.6e-2    3     7.8e-3    2.3e-2
    float32    1.3e-6    128   1.2e-7    1.5e-5
    float64    1e-7      128   2.2e-16   2.8e-14
    float8     eps       see below       1.6e-2

Complex numbers take the values of their parts, and |.| is the modulus.

`rtol` is that of `torch.testing.assert_close`. Its fixed atol (1e-5, for float64 1e-7) is left out,
because it lets anything pass in an array of small numbers. The second term takes its place: a sum
of n products has an error proportional to the magnitudes summed, not to the result, so that results
near zero, where terms cancelled, are relatively far off on any two machines. `scale` says how S is
found, and why it is not the largest value of the array.

`k`. Higham (Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1) bounds the error
of a dot product by n * u * sum |x_i y_i|, u = eps / 2; with rounding errors that are independent
and of mean zero, Higham and Mary (SIAM J. Sci. Comput. 41(5), 2019) replace n by a multiple of
sqrt(n). S is estimated from results, which are smaller than what was summed into them by about
sqrt(n) where signs are random: k has to make up for that. It was measured, by
`python -m benchmarks.noise`: of the noise of real arithmetic on two architectures and under four
BLAS kernels k = 128 refuses less than 16 * eps * max |expected| did, and it lets nothing pass of
the drift beside large values that the other hid. It costs sight of differences between 1e-6 and
1.5e-5 of an element in float32, which no two libraries promise each other.

float16 and bfloat16 are summed in float32 by every current library, so only the rounding of inputs
and result remains, and k is 3.

float8 (Micikevicius et al., FP8 Formats for Deep Learning, arXiv:2209.05433, and its variants) only
stores: values are computed in bfloat16 or wider and rounded at the end. Results that agree before
that lie at most one step apart after it, and a step is at most eps * |expected|: so rtol is eps
(0.125 with 3 bits of mantissa, 0.25 with 2). The second term is what bfloat16 allows for values
before they are rounded, 2 * 2**-7 * scale, written as a multiple of float8's eps; k = 2 of its own
would be a quarter of the scale, and see nothing. Below the smallest normal number one step is let
pass too. An array of float8_e8m0fnu holds powers of two that others are multiplied by, and has to
be equal, as do formats of 6 and 4 bits.

Integers, booleans, text and labels have to be equal unless a rule gives `rtol`, `atol` or `margin`,
which then hold for integers too. A rule with `rtol` or `atol` and without `scale` means just that
bound: |actual - expected| <= atol + rtol * |expected|, with no term for the scale.

`exact` asks for the same value including the sign of zero, which IEEE 754 defines for every
operation. It does not ask for the same NaN payload and sign, which the standard leaves open and in
which amd64 and arm64 differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_mlcontainer.compare.numeric.scale import Noise
from pytest_mlcontainer.model import Tolerance


@dataclass(frozen=True)
class Precision:
    """What the default needs to know about a floating-point format.

    Args:
        scale: the multiple k of `eps` that an element may be off, × S.
        tiny: the smallest normal number.
        spread: see `scale.Noise`. Errors of numbers with few bits are more alike.
    """

    name: str
    rtol: float
    eps: float
    scale: float
    tiny: float
    spread: float = 40.0


FLOAT16 = Precision("float16", 1e-3, 2.0**-10, 3, 2.0**-14)
BFLOAT16 = Precision("bfloat16", 1.6e-2, 2.0**-7, 3, 2.0**-126)
FLOAT32 = Precision("float32", 1.3e-6, 2.0**-23, 128, 2.0**-126, 256.0)
FLOAT64 = Precision("float64", 1e-7, 2.0**-52, 128, 2.0**-1022, 256.0)


def _float8(name: str, mantissa_bits: int, lowest_exponent: int) -> Precision:
    eps = 2.0**-mantissa_bits
    return Precision(name, eps, eps, 2 * BFLOAT16.eps / eps, 2.0**lowest_exponent)


_FLOAT8 = (
    _float8("float8_e3m4", 4, -2),
    _float8("float8_e4m3", 3, -6),
    _float8("float8_e4m3fn", 3, -6),
    _float8("float8_e4m3fnuz", 3, -7),
    _float8("float8_e4m3b11fnuz", 3, -10),
    _float8("float8_e5m2", 2, -14),
    _float8("float8_e5m2fnuz", 2, -15),
)


def precision_of(dtype_name: str) -> Precision | None:
    """The format of a dtype's (real or imaginary) parts; None for what is no float."""
    match dtype_name:
        case "float16":
            return FLOAT16
        case "bfloat16":
            return BFLOAT16
        case "float32" | "complex64":
            return FLOAT32
        case "float64" | "complex128":
            return FLOAT64
        case _:
            return next((each for each in _FLOAT8 if each.name == dtype_name), None)


@dataclass(frozen=True)
class Bound:
    """A tolerance made concrete: what each element may be off, whatever stands beside it.

    Args:
        text: the bound as a reader sees it.
        atol, rtol, floor: an element passes when its error ≤ atol + max(rtol × |expected|, floor).
        ulp: if given, the only bound.
        exact: only identical values pass.
        noise: for the default: an element may be off by more than that (on top of `atol`), where
            `scale.TileNoise` says that it may be rounding.
    """

    text: str
    atol: float = 0.0
    rtol: float = 0.0
    floor: float = 0.0
    ulp: int | None = None
    exact: bool = False
    noise: Noise | None = None

    def allowed(self, magnitude: float) -> float:
        """What an element of this magnitude may be off, whatever stands beside it."""
        return self.atol + max(self.rtol * magnitude, self.floor)

    def flushed_below(self) -> float:
        """Numbers below this may be zero on a machine that flushes subnormal ones; 0 for none."""
        return 0.0 if self.noise is None else self.noise.tiny


@dataclass(frozen=True)
class Calibration:
    """A bound derived from runs of the reference; `noise` has the method.

    Args:
        bound: largest absolute difference that is still noise; 0 where the runs were identical,
            infinite where they differed without a distance.
        runs: how many there were.
    """

    bound: float
    runs: int


def make_bound(
    tolerance: Tolerance,
    precision: Precision | None,
    calibration: Calibration | None = None,
) -> Bound:
    """The bound that a tolerance means for an array.

    Args:
        precision: the format that the values are judged by; None for integers.
        calibration: for a tolerance that is calibrated.
    """
    if tolerance.calibrated:
        default = make_bound(replace(tolerance, calibrated=False), precision)
        return _calibrated_bound(default, calibration)
    if tolerance.equivalence is not None:
        text = f"exact, for an equivalence of {tolerance.equivalence:g} is judged over seeds"
        return Bound(text, exact=True)
    if tolerance.exact:
        return Bound("exact", exact=True)
    if tolerance.margin is not None:
        return Bound(f"margin {tolerance.margin:g}", atol=tolerance.margin)
    if precision is None:
        return _integer_bound(tolerance)
    if tolerance.ulp is not None:
        return Bound(f"{tolerance.ulp} ULP", ulp=tolerance.ulp)
    return _float_bound(tolerance, precision)


def is_default(tolerance: Tolerance) -> bool:
    """Whether it leaves it to this package how close is close enough."""
    plain = (tolerance.rtol, tolerance.atol, tolerance.scale, tolerance.ulp, tolerance.margin)
    shared = tolerance.agreement, tolerance.equivalence
    return not tolerance.exact and all(bound is None for bound in (*plain, *shared))


def gives_up_scale(tolerance: Tolerance) -> bool:
    """Whether a rule names rtol or atol, and so has no term for rounding noise."""
    alone = (tolerance.ulp, tolerance.margin, tolerance.agreement, tolerance.equivalence)
    bare = tolerance.rtol is not None or tolerance.atol is not None
    single = tolerance.exact or any(each is not None for each in alone)
    return bare and tolerance.scale is None and not single


def _calibrated_bound(default: Bound, calibration: Calibration | None) -> Bound:
    """What runs of the reference differ by, besides what passes anyway."""
    if calibration is None or not 0 < calibration.bound < math.inf:
        why = "without runs of the reference"
        if calibration is not None:
            same = "are identical" if not calibration.bound else "differ without a distance"
            why = f"{calibration.runs} runs {same}"
        return replace(default, text=f"{default.text}, not calibrated: {why}")
    text = f"calibrated {calibration.bound:.2g} from {calibration.runs} runs"
    if default.exact:
        return Bound(text, floor=calibration.bound)
    floor = max(default.floor, calibration.bound)
    return replace(default, text=f"{text} or {default.text}", floor=floor)


def _integer_bound(tolerance: Tolerance) -> Bound:
    atol, rtol = tolerance.atol or 0.0, tolerance.rtol or 0.0
    if tolerance.ulp is not None or not (atol or rtol):
        return Bound("exact", exact=True)
    return Bound(_text(tolerance.atol, tolerance.rtol, 0.0), atol=atol, rtol=rtol)


def _float_bound(tolerance: Tolerance, precision: Precision) -> Bound:
    rtol = precision.rtol if tolerance.rtol is None else tolerance.rtol
    multiple = precision.scale if tolerance.scale is None else tolerance.scale
    if gives_up_scale(tolerance):
        multiple = 0.0
    text = _text(tolerance.atol, rtol, multiple * precision.eps)
    atol = tolerance.atol or 0.0
    if not multiple:
        return Bound(text, atol=atol, rtol=rtol)
    noise = Noise(multiple, precision.eps, precision.tiny, precision.spread)
    return Bound(
        text,
        atol=atol,
        rtol=max(rtol, noise.unit),  # an element vouches for itself
        # Of formats with k below 1, a step between numbers below the normal ones is wider.
        floor=max(noise.unit, precision.eps) * precision.tiny,
        noise=noise,
    )


def _text(atol: float | None, rtol: float | None, of_scale: float) -> str:
    parts = [] if atol is None else [f"atol {atol:g}"]
    if rtol is not None:
        parts.append(f"rtol {rtol:g}")
    text = " + ".join(parts)
    return f"{text} or {of_scale:.2g} of scale" if of_scale else text
