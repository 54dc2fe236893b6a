"""`precision`: with how many bits products are formed, where a library may choose.

`ONEDNN_DEFAULT_FPMATH_MODE=BF16` lets oneDNN convert f32 to bfloat16 (oneDNN, "Primitive
attributes: floating-point math mode"). `NVIDIA_TF32_OVERRIDE=0` keeps NVIDIA's libraries from
TensorFloat-32 whatever a program asks for (cuBLAS documentation).
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import (
    architecture,
    has_fact,
    has_package,
    unknown_architecture,
    unpinned,
    where,
)

_ENV: Final = (("ONEDNN_DEFAULT_FPMATH_MODE", "BF16"), ("NVIDIA_TF32_OVERRIDE", "0"))
_ONEDNN: Final = (
    "torch", "tensorflow", "tensorflow-cpu", "intel-tensorflow", "intel-extension-for-pytorch",
    "onednn", "onednn-cpu-gomp", "mxnet", "paddlepaddle", "openvino", "ctranslate2",
)  # fmt: skip


def choose(situation: Situation) -> Choice:
    """Fewer bits on a CPU, more on a GPU: each is the other way round than by default."""
    gpu = situation.entry.limits.gpus is not None or has_fact(situation, "cuda.driver")
    if not gpu and not has_package(situation, *_ONEDNN):
        return NotExercised(f"no oneDNN (PyTorch, TensorFlow) {where(situation)}, and no GPU")
    if architecture(situation) not in ("amd64", "arm64"):
        return unknown_architecture(situation)
    other = Variation("precision", "other", Knobs(env=_ENV), ("canary.precision",))
    return unpinned(situation, other)


FAMILY: Final = Family(
    "precision",
    "with how many bits products are formed",
    choose,
    hints=(
        r"\b[Cc]onv[123][dD]\b",
        r"\bconv_transpose",
        r"\bb(?:float|f)16\b",
        r"\.half\(\)",
        r"\bautocast\b",
        r"(?i)\btf32\b|allow_tf32",
        r"\bset_float32_matmul_precision\(",
        r"\bfpmath",
        r"\bmixed_precision\b",
        r"\btorchvision\b",
        r"\.cuda\(|\.to\(\s*(?:device|[\"']cuda)",
        r"\bnn\.(?:Linear|LSTM|GRU|MultiheadAttention|Transformer\w*)\(",
    ),
    weight=1.5,
    numeric=True,
)
