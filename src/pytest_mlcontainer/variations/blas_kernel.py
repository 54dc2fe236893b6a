"""`blas-kernel`: which of its kernels the BLAS library takes, and so the order of its sums.

`OPENBLAS_CORETYPE` names one of the kernels that a build with DYNAMIC_ARCH holds, as wheels do
(OpenBLAS, "Runtime variables"). `MKL_CBWR=COMPATIBLE` keeps MKL to the code path that all
processors have (oneMKL developer guide, "Obtaining numerically reproducible results").
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
    has_fact,
    has_package,
    unknown_architecture,
    unpinned,
    where,
)

_MKL: Final = ("MKL_CBWR", "COMPATIBLE")
# OpenBLAS takes a name that it does not know for none given, and says so on stderr.
_CORES: Final = {"amd64": ("Nehalem", "Haswell"), "arm64": ("ARMV8", "NEOVERSEN1")}
# The canary is for a BLAS that the probe does not find by itself, such as a distribution's.
_WITNESS: Final = ("blas.kernel", "mkl.", "canary.matmul")


def settings(architecture: str) -> tuple[Variation, ...]:
    """Kernels that any processor of the last ten years has; none for an unknown architecture."""
    return tuple(_variation(core) for core in _CORES.get(architecture, ()))


def choose(situation: Situation) -> Choice:
    """The first kernel that is not the present one."""
    if not (
        has_fact(situation, "blas.")
        or has_fact(situation, "mkl.")
        or has_package(situation, "numpy", "scipy", "torch")
    ):
        return NotExercised(f"no OpenBLAS or MKL {where(situation)}")
    cores = _CORES.get(architecture(situation), ())
    if not cores:
        return unknown_architecture(situation)
    present = str(situation.facts.get("blas.kernel") or "").lower()
    core = next(core for core in cores if core.lower() != present)
    return unpinned(situation, _variation(core))


def _env(core: str) -> Pairs:
    return (("OPENBLAS_CORETYPE", core), _MKL)


def _variation(core: str) -> Variation:
    return Variation("blas-kernel", core, Knobs(env=_env(core)), _WITNESS)


FAMILY: Final = Family(
    "blas-kernel",
    "which kernel the BLAS library multiplies with",
    choose,
    hints=(
        r"\w\)?\]? @ [\w(]",
        r"\b(?:matmul|einsum|tensordot|inner|vdot)\(",
        r"\.dot\(",
        r"\blinalg\b",
        r"\b(?:lstsq|svd|svds|eigh?|qr|cholesky|pinv|solve)\(",
        r"\b(?:LogisticRegression|LinearRegression|Ridge|Lasso|ElasticNet|SVC|SVR|LinearSVC|PCA"
        r"|TruncatedSVD|NMF|KMeans|GaussianMixture|GaussianProcess\w*|MLP(?:Classifier|Regressor)"
        r"|LinearDiscriminantAnalysis|PLSRegression)\(",
        r"\bnn\.Linear\(",
        r"^(?:from|import) (?:numpy|scipy|sklearn|torch|tensorflow|jax)\b",
    ),
    weight=3.5,
    numeric=True,
)
