"""`simd`: which vector instructions NumPy, PyTorch and oneDNN use."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.variations.variation import Variation

# NumPy calls them otherwise since 2.4; it passes over names that it does not know.
_NUMPY: Final = {
    "amd64": (
        "X86_V3 X86_V4 AVX512_ICL AVX512_SPR "
        "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"
    ),
    "arm64": "ASIMDHP ASIMDDP ASIMDFHM SVE",
}


def settings(architecture: str) -> tuple[Variation, ...]:
    """As few as each library can do with; none for an unknown architecture."""
    if architecture not in _NUMPY:
        return ()
    env = [
        ("NPY_DISABLE_CPU_FEATURES", _NUMPY[architecture]),
        ("ATEN_CPU_CAPABILITY", "default"),
    ]
    if architecture == "amd64":
        env.append(("ONEDNN_MAX_CPU_ISA", "AVX2"))
    return (Variation("simd", "least", tuple(env)),)
