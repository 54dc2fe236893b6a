"""Variables that keep results from depending on something: what is known of each, as data.

A row answers to families of variations, holds for packages and versions of them, and says where it
is documented. Its value is one that every machine can have: one thread, the least of instructions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.model import CureSetting, Facts, Situation
from pytest_mlcontainer.variations.choosing import architecture, has_fact, has_package

RANDOMNESS: Final = "randomness"
_BLAS: Final = ("numpy", "scipy")
_OPENMP: Final = (
    "numpy", "scipy", "torch", "scikit-learn", "numba", "xgboost", "lightgbm", "tensorflow",
    "tensorflow-cpu", "faiss-cpu",
)  # fmt: skip
_TF: Final = ("tensorflow", "tensorflow-cpu", "intel-tensorflow")
_ONEDNN: Final = ("torch", *_TF)
_ANY: Final = "any"
_FACT: Final = "fact:"  # before the name of a fact whose value it is


@dataclass(frozen=True)
class KnownSetting:
    """One variable, and where it helps.

    Args:
        name: of the variable.
        families: of the variations that it answers to.
        values: by architecture, or under `any` for all.
        source: where it is documented.
        packages: of which one has to be installed; () for any program.
        facts: beginnings of facts that stand for such a package.
        versions: of the first package that is there: from the first, below the second; None for
            no such bound.
        python: the oldest Python that reads it.
        gpu: whether it means something on a GPU alone.
    """

    name: str
    families: tuple[str, ...]
    values: Mapping[str, str]
    source: str
    packages: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    versions: tuple[tuple[int, ...] | None, tuple[int, ...] | None] = (None, None)
    python: tuple[int, ...] = ()
    gpu: bool = False


def _one(value: str) -> Mapping[str, str]:
    return {_ANY: value}


# Those that are preferred stand first: what comes later is left out first where it is not needed.
KNOWN: Final[tuple[KnownSetting, ...]] = (
    KnownSetting(
        "PYTHONHASHSEED", ("hash-seed",), _one("0"),
        "Python, Command line and environment", facts=("python.version",),
    ),
    KnownSetting(
        "OPENBLAS_NUM_THREADS", ("threads", "cpus"), _one("1"),
        "OpenBLAS, Runtime variables", packages=_BLAS, facts=("blas.",),
    ),
    KnownSetting(
        "OMP_NUM_THREADS", ("threads", "cpus"), _one("1"),
        "OpenMP 5.2, section 21.2", packages=_OPENMP, facts=("openmp.",),
    ),
    KnownSetting(
        "MKL_NUM_THREADS", ("threads", "cpus"), _one("1"),
        "oneMKL developer guide, Threading control", packages=("mkl", "torch"), facts=("mkl.",),
    ),
    KnownSetting(
        "NUMEXPR_NUM_THREADS", ("threads", "cpus"), _one("1"),
        "NumExpr, Threadpool configuration", packages=("numexpr",),
    ),
    KnownSetting(
        "NUMBA_NUM_THREADS", ("threads", "cpus"), _one("1"),
        "Numba, Environment variables", packages=("numba",),
    ),
    KnownSetting(
        "POLARS_MAX_THREADS", ("threads", "cpus"), _one("1"),
        "Polars, thread_pool_size", packages=("polars",),
    ),
    KnownSetting(
        "TF_NUM_INTRAOP_THREADS", ("threads", "cpus"), _one("1"),
        "TensorFlow, tf.config.threading", packages=_TF,
    ),
    KnownSetting(
        "TF_NUM_INTEROP_THREADS", ("threads", "cpus"), _one("1"),
        "TensorFlow, tf.config.threading", packages=_TF,
    ),
    KnownSetting(
        "PYTHON_CPU_COUNT", ("cpus",), _one("4"),
        "Python, Command line and environment", facts=("python.version",), python=(3, 13),
    ),
    KnownSetting(
        "LOKY_MAX_CPU_COUNT", ("cpus",), _one("4"),
        "joblib, Embarrassingly parallel for loops", packages=("joblib", "scikit-learn"),
    ),
    KnownSetting(
        "OPENBLAS_CORETYPE", ("blas-kernel",), {"amd64": "Nehalem", "arm64": "ARMV8"},
        "OpenBLAS, Runtime variables", packages=_BLAS, facts=("blas.",),
    ),
    KnownSetting(
        "MKL_CBWR", ("blas-kernel",), {"amd64": "COMPATIBLE"},
        "oneMKL developer guide, Obtaining numerically reproducible results",
        packages=("mkl", "torch"), facts=("mkl.",),
    ),
    KnownSetting(
        "NPY_DISABLE_CPU_FEATURES", ("simd",),
        {"amd64": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "arm64": "ASIMDHP ASIMDDP ASIMDFHM SVE"},
        "NumPy, CPU/SIMD optimizations", packages=("numpy",), versions=((2, 4), None),
    ),
    KnownSetting(
        "NPY_DISABLE_CPU_FEATURES", ("simd",),
        {
            "amd64": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
            "arm64": "ASIMDHP ASIMDDP ASIMDFHM",
        },
        "NumPy, CPU/SIMD optimizations", packages=("numpy",), versions=((1, 20), (2, 4)),
    ),
    KnownSetting(
        "ATEN_CPU_CAPABILITY", ("simd",), _one("default"),
        "PyTorch, aten/src/ATen/native/cpu/README.md", packages=("torch",),
    ),
    KnownSetting(
        "ONEDNN_MAX_CPU_ISA", ("simd", "precision"), {"amd64": "SSE41"},
        "oneDNN, CPU dispatcher control", packages=_ONEDNN,
    ),
    KnownSetting(
        "TF_ENABLE_ONEDNN_OPTS", ("simd", "precision"), {"amd64": "0"},
        "TensorFlow, release 2.9", packages=_TF, versions=((2, 5), None),
    ),
    KnownSetting(
        "XLA_FLAGS", ("simd", "libm"), _one("--xla_cpu_enable_fast_math=false"),
        "XLA, Flags", packages=("jaxlib",),
    ),
    KnownSetting(
        "GLIBC_TUNABLES", ("libm",), {"amd64": "glibc.cpu.hwcaps=-AVX2,-FMA"},
        "glibc manual, Hardware capability tunables", facts=("libc",),
    ),
    KnownSetting(
        "ONEDNN_DEFAULT_FPMATH_MODE", ("precision",), _one("STRICT"),
        "oneDNN, Primitive attributes: floating-point math mode", packages=_ONEDNN,
    ),
    KnownSetting(
        "NVIDIA_TF32_OVERRIDE", ("precision",), _one("0"),
        "cuBLAS, Floating-point emulation and TF32", gpu=True,
    ),
    KnownSetting("HOME", ("home",), _one("fact:user.home"), "POSIX.1-2017, section 8.3"),
    KnownSetting(
        "LOGNAME", ("user",), _one("app"), "Python, getpass", facts=("python.version",)
    ),
    KnownSetting("TZ", ("timezone",), _one("UTC"), "POSIX.1-2017, section 8.3"),
    KnownSetting("LC_ALL", ("locale", "encoding"), _one("C.UTF-8"), "POSIX.1-2017, section 8.2"),
    KnownSetting(
        "PYTHONUTF8", ("encoding",), _one("1"),
        "PEP 540", facts=("python.version",), python=(3, 7),
    ),
    KnownSetting(
        "HF_HUB_OFFLINE", ("network",), _one("1"),
        "huggingface_hub, Environment variables", packages=("huggingface-hub",),
    ),
    KnownSetting(
        "SOURCE_DATE_EPOCH", ("clock",), _one("315532800"),
        "reproducible-builds, SOURCE_DATE_EPOCH", packages=("matplotlib", "reportlab", "sphinx"),
    ),
    KnownSetting(
        "CUBLAS_WORKSPACE_CONFIG", (RANDOMNESS,), _one(":4096:8"),
        "cuBLAS, Results reproducibility", packages=("torch", *_TF, "jaxlib"), gpu=True,
    ),
    KnownSetting(
        "TF_DETERMINISTIC_OPS", (RANDOMNESS,), _one("1"),
        "TensorFlow, release 2.1", packages=_TF, versions=((2, 1), None),
    ),
    KnownSetting(
        "XLA_FLAGS", (RANDOMNESS,), _one("--xla_gpu_deterministic_ops=true"),
        "XLA, Flags", packages=("jaxlib",), gpu=True,
    ),
)  # fmt: skip
_JOINED: Final = {"GLIBC_TUNABLES": ":", "XLA_FLAGS": " "}
_OLD_TUNABLE: Final = "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable"
_RENAMED: Final = (2, 33)  # of glibc, since which features are called as here
_NUMERIC: Final = ("threads", "blas-kernel", "simd", "libm", "precision")
# The facts that variables decide, where these tell a value that can be given to them.
_SETS: Final = {
    "OPENBLAS_NUM_THREADS": "blas.threads",
    "OMP_NUM_THREADS": "openmp.threads",
    "MKL_NUM_THREADS": "mkl.threads",
    "OPENBLAS_CORETYPE": "blas.kernel",
    "PYTHON_CPU_COUNT": "cpu.usable",
    "LOKY_MAX_CPU_COUNT": "cpu.usable",
}


def settings_for(families: frozenset[str], situation: Situation) -> tuple[CureSetting, ...]:
    """Variables that may help against these, in the order of preference.

    What the project sets itself is offered with its own value.
    """
    found: dict[str, CureSetting] = {}
    for row in KNOWN:
        answers = [family for family in row.families if family in families]
        value = _value(row, situation)
        if answers and value is not None and row.name not in found:
            there = situation.present.get(row.name)
            is_ours = there is None or row.name in _JOINED
            chosen = _joined(row.name, value, there) if is_ours else str(there)
            found[row.name] = CureSetting(
                row.name, chosen, answers[0], row.source, is_there=not is_ours
            )
    return tuple(found.values())


def settings_as_then(then: Facts, situation: Situation) -> tuple[CureSetting, ...]:
    """Variables that make this environment in their concern what it was when a run was made.

    Args:
        then: what is known of the environment of that run.
    """
    now, found = situation.facts, dict[str, CureSetting]()
    for row in KNOWN:
        fact = f"env.{row.name}"
        value = then.get(fact)
        if value is None and now.get(fact) is None:
            fact = _SETS.get(row.name, fact)
            value = then.get(fact)
        if value is None and now.get(fact) is not None:
            value = _value(row, situation)  # it was not set then, and is now
        if value is not None and value != now.get(fact) and _is_read(row, situation):
            found.setdefault(
                row.name, CureSetting(row.name, str(value), row.families[0], row.source)
            )
    return tuple(found.values())


def numeric_families() -> frozenset[str]:
    """Those that change how numbers are computed, between any two machines."""
    return frozenset(_NUMERIC)


def _value(row: KnownSetting, situation: Situation) -> str | None:
    """What to set the variable to here; None where it means nothing."""
    if row.gpu and situation.entry.limits.gpus is None:
        return None
    if not _is_read(row, situation):
        return None
    if row.name == "GLIBC_TUNABLES":
        return _tunable(row, situation)
    value = row.values.get(architecture(situation), row.values.get(_ANY))
    if value is None or not value.startswith(_FACT):
        return value
    fact = situation.facts.get(value.removeprefix(_FACT))
    return None if fact is None else str(fact)


def _is_read(row: KnownSetting, situation: Situation) -> bool:
    """Whether something is there that reads the variable."""
    if row.python and _version(situation.facts.get("python.version")) < row.python:
        return False
    if not row.packages and not row.facts:
        return True
    if any(has_fact(situation, fact) for fact in row.facts):
        return True
    for package in row.packages:
        if has_package(situation, package):
            low, high = row.versions
            version = _version(situation.facts.get(f"package.{package}"))
            return (low is None or version >= low) and (high is None or version < high)
    return False


def _tunable(row: KnownSetting, situation: Situation) -> str | None:
    libc = str(situation.facts.get("libc") or "")
    value = row.values.get(architecture(situation))
    if not libc.startswith("glibc") or value is None:
        return None
    return value if _version(libc) >= _RENAMED else _OLD_TUNABLE


def _joined(name: str, value: str, there: str | None) -> str:
    """The value beside what the variable holds already, where it holds several things."""
    separator, key = _JOINED.get(name), value.partition("=")[0]
    if separator is None or not there:
        return value
    kept = (each for each in there.split(separator) if each and not each.startswith(key))
    return separator.join([*kept, value])


def _version(text: object) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", str(text or ""))[:3])
