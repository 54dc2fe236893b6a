"""`blas-kernel`: which of its kernels the BLAS library takes, and so the order of its sums."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.variations.variation import Variation

_MKL: Final = ("MKL_CBWR", "COMPATIBLE")
# OpenBLAS takes a name that it does not know for none given, and says so on stderr.
_CORES: Final = {"amd64": ("Nehalem", "Haswell"), "arm64": ("ARMV8", "NEOVERSEN1")}


def settings(architecture: str) -> tuple[Variation, ...]:
    """Kernels that any processor of the last ten years has; none for an unknown architecture."""
    return tuple(
        Variation("blas-kernel", core, (("OPENBLAS_CORETYPE", core), _MKL))
        for core in _CORES.get(architecture, ())
    )
