"""`simd`: which vector instructions NumPy, PyTorch and oneDNN use.

`NPY_DISABLE_CPU_FEATURES` (NumPy, "CPU/SIMD optimizations: runtime dispatch"),
`ATEN_CPU_CAPABILITY` (PyTorch, "aten/src/ATen/native/cpu/README.md") and `ONEDNN_MAX_CPU_ISA`
(oneDNN, "CPU dispatcher control").
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import (
    Choice,
    Family,
    Knobs,
    NotExercised,
    Pairs,
    Situation,
    Variation,
)
from pytest_mlcontainer.variations.choosing import (
    architecture,
    has_package,
    unknown_architecture,
    unpinned,
    where,
)

# NumPy calls them otherwise since 2.4; it passes over names that it does not know.
_NUMPY: Final = {
    "amd64": (
        "X86_V3 X86_V4 AVX512_ICL AVX512_SPR "
        "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"
    ),
    "arm64": "ASIMDHP ASIMDDP ASIMDFHM SVE",
}
_WITNESS: Final = ("numpy.simd", "torch.simd", "canary.exp", "canary.sort", "canary.reduce")


def settings(architecture: str) -> tuple[Variation, ...]:
    """As few as each library can do with; none for an unknown architecture."""
    return (_variation(architecture),) if architecture in _NUMPY else ()


def choose(situation: Situation) -> Choice:
    """As few as each library can do with."""
    if not has_package(situation, "numpy", "torch", "tensorflow", "tensorflow-cpu", "onednn"):
        return NotExercised(f"no NumPy, PyTorch or oneDNN {where(situation)}")
    if architecture(situation) not in _NUMPY:
        return unknown_architecture(situation)
    flags = situation.facts.get("cpu.flags")
    if architecture(situation) == "amd64" and isinstance(flags, str) and "avx2" not in flags:
        return NotExercised("the processor has no AVX2 that could be left out")
    return unpinned(situation, _variation(architecture(situation)))


def _env(architecture: str) -> Pairs:
    env = (
        ("NPY_DISABLE_CPU_FEATURES", _NUMPY[architecture]),
        ("ATEN_CPU_CAPABILITY", "default"),
    )
    return (*env, ("ONEDNN_MAX_CPU_ISA", "AVX2")) if architecture == "amd64" else env


def _variation(architecture: str) -> Variation:
    return Variation("simd", "least", Knobs(env=_env(architecture)), _WITNESS)


FAMILY: Final = Family(
    "simd",
    "which vector instructions are used",
    choose,
    hints=(
        r"\b(?:np|numpy|jnp|torch|tf\.math|F|nn\.functional|special)\."
        r"(?:exp|expm1|exp2|log|log1p|log2|log10|tanh|sinh|cosh|sin|cos|tan|power|sigmoid|expit"
        r"|softmax|log_softmax|logsumexp|gelu|erf|cbrt|arctan2?|arcsin|arccos)\(",
        r"\bargsort\((?![^)\n]*stable)",
        r"\b(?:np|numpy)\.(?:sort|argpartition|partition|lexsort)\((?![^)\n]*stable)",
        r"\bsort_values\((?![^)\n]*(?:stable|mergesort))",
        r"\b(?:nlargest|nsmallest|topk)\(",
        r"\btorch\.(?:rand|randn|normal|randperm|randint|dropout)\w*\(",
        r"\bfloat(?:32|16)\b",
        r"\bHistGradientBoosting\w+\(",
        r"\b(?:MLP(?:Classifier|Regressor)|LogisticRegression|GaussianProcess\w*|TSNE|UMAP)\(",
        r"^(?:from|import) (?:numpy|sklearn|torch|tensorflow|jax)\b",
    ),
    weight=3.0,
    numeric=True,
)
