"""`threads`: into how many parts sums are cut.

Each library has a variable of its own: OpenMP's (OpenMP 5.2, section 21.2), OpenBLAS's, MKL's and
NumExpr's ("Threadpool configuration"); scikit-learn and PyTorch follow OpenMP's.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import has_package, number, unpinned, where

_COUNTS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_POOLS: Final = ("blas.threads", "openmp.threads", "mkl.threads")


def _variation(count: str) -> Variation:
    env = tuple((name, count) for name in _COUNTS)
    return Variation("threads", count, Knobs(env=env), _POOLS)


# Whatever number of cores there is, at least one of them is another than the usual.
SETTINGS: Final = tuple(_variation(count) for count in ("1", "2"))


def choose(situation: Situation) -> Choice:
    """One thread, or two where there is one now."""
    return _choose(situation, "1" if _present(situation) != 1 else "2")


def pin(situation: Situation) -> Choice:
    """One thread, where there are more: with it no two of them race."""
    if _present(situation) == 1:
        return NotExercised("there is one thread anyway")
    return _choose(situation, "1")


def _choose(situation: Situation, count: str) -> Choice:
    pools = any(number(situation, name) is not None for name in _POOLS)
    if not pools and not has_package(situation, "numpy", "scipy", "torch", "numexpr", "numba"):
        return NotExercised(f"no OpenMP, OpenBLAS or MKL {where(situation)}")
    return unpinned(situation, _variation(count))


def _present(situation: Situation) -> int | None:
    """Threads of the largest pool; of a pool that is not seen, as many as there are processors."""
    pools = [size for name in _POOLS if (size := number(situation, name)) is not None]
    return max(pools) if pools else number(situation, "cpu.usable")


FAMILY: Final = Family(
    "threads",
    "how many threads share the work",
    choose,
    hints=(
        r"\bset_num_(?:interop_)?threads\(",
        r"\b(?:intra|inter)_op_parallelism",
        r"\bthreadpool_limits\(",
        r"\b(?:OMP|OPENBLAS|MKL|NUMEXPR)_NUM_THREADS\b",
        r"\bprange\(",
        r"\bparallel\s*=\s*True",
        r"\bnthreads?\s*=",
        r"\bnum_threads\s*=",
        r"\bprefer\s*=\s*[\"']threads",
        r"\w\)?\]? @ [\w(]",
        r"\b(?:matmul|einsum|tensordot)\(",
        r"\.dot\(",
        r"\blinalg\b",
        r"\b(?:LogisticRegression|LinearRegression|Ridge|SVC|SVR|PCA|TruncatedSVD|NMF|KMeans"
        r"|GaussianMixture|MLP(?:Classifier|Regressor)|HistGradientBoosting\w+|XGB\w+|LGBM\w+)\(",
        r"\.backward\(",
        r"^(?:from|import) (?:numpy|scipy|sklearn|torch|tensorflow|jax|xgboost|lightgbm|numba)\b",
    ),
    weight=3.0,
    numeric=True,
    pin=pin,
)
