"""`cpu-model`: which CPU is emulated, where one is, as `QEMU_CPU` names it.

Libraries take other kernels on another CPU, and programs may ask for its features. The models here
are among those whose products were held against plain Python; see `runs.emulation`.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import architecture, unpinned

_CPU: Final = "QEMU_CPU"
_MODELS: Final = {"arm64": ("cortex-a57", "neoverse-n1")}
_WITNESS: Final = ("cpu.hwcap", "blas.kernel", "numpy.simd")


def choose(situation: Situation) -> Choice:
    """An older CPU than the one that is emulated."""
    present = situation.facts.get(f"env.{_CPU}")
    models = _MODELS.get(architecture(situation), ())
    if present is None or not models:
        return NotExercised("no CPU is emulated whose model could be chosen")
    model = next(each for each in models if each != present)
    older = Variation("cpu-model", model, Knobs(env=((_CPU, model),)), _WITNESS)
    return unpinned(situation, older)


FAMILY: Final = Family(
    "cpu-model",
    "which CPU is emulated",
    choose,
    hints=(
        r"/proc/cpuinfo\b|\bcpuinfo\b|\bget_cpu_info\(",
        r"\bplatform\.processor\(",
        r"\b__cpu_features__\b|\bget_cpu_capability\(",
    ),
    weight=1.0,
)
