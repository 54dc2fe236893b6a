"""The changes between two images, those that are the most likely causes first. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mlcontainer.mixing.contents import Contents, Distribution
from pytest_mlcontainer.mixing.versions import jump, parse_requirement
from pytest_mlcontainer.wording import first_and_count

BASE, PROJECT, ENV = "base-image", "project", "env"

# What computes comes first; what only builds, downloads or tests comes last.
_NUMERIC = (
    "numpy", "scipy", "scikit-learn", "torch", "tensorflow", "jax", "jaxlib", "pandas", "xgboost",
    "lightgbm", "catboost", "torchvision", "torchaudio", "transformers", "tokenizers", "polars",
    "numba", "statsmodels", "onnxruntime", "opencv-python", "opencv-python-headless", "pillow",
    "scikit-image", "librosa", "sentence-transformers", "keras", "pyarrow", "openblas", "mkl",
)  # fmt: skip
_NAMED = 3
_TOOLING = (
    "pip", "setuptools", "wheel", "certifi", "uv", "virtualenv", "pytest", "pluggy", "iniconfig",
    "coverage", "ruff", "mypy", "black", "ipython", "jupyter", "typing-extensions", "packaging",
    "urllib3", "requests", "idna", "charset-normalizer", "six", "colorama", "tqdm", "click", "rich",
)  # fmt: skip
# Variables that belong to the system and its Python: with another base they have to stay its own.
_OF_BASE = (
    "PATH", "HOME", "HOSTNAME", "GPG_KEY", "LD_LIBRARY_PATH", "LIBRARY_PATH", "VIRTUAL_ENV",
    "PYTHONHOME", "PYTHON_", "CONDA_", "CUDA_", "NVIDIA_", "NV_", "NVARCH", "MAMBA_",
)  # fmt: skip
# Variables whose values say nothing secret.
_SHOWN = (
    "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "BLIS_", "VECLIB_", "PYTHONHASHSEED", "TZ", "LC_",
    "LANG", "NPY_", "ATEN_", "ONEDNN_", "GLIBC_TUNABLES", "TF_ENABLE", "TF_DETERMINISTIC",
    "XLA_FLAGS", "CUBLAS_WORKSPACE_CONFIG", "JAX_ENABLE", "PYTHONUTF8", "SEED",
)  # fmt: skip


class ImageChangeKind(enum.Enum):
    """What a change between two images replaces."""

    PACKAGE = "package"
    BASE = "base"
    PROJECT = "project"
    ENV = "env"


@dataclass(frozen=True)
class Change:
    """One thing in which image B differs from image A.

    Args:
        name: of the distribution, or one of `base-image`, `project` and `env`.
        text: what becomes of it, `numpy 2.3.5 → 2.4.6`; `setting` is that without its name.
        before, after: the distributions, A's and B's; None where there is none.
        own: of the project: its own distributions, `before` and `after`.
        weight: how often such a change is the cause, against others.
    """

    name: str
    kind: ImageChangeKind
    text: str
    setting: str
    weight: float
    before: Distribution | None = None
    after: Distribution | None = None
    own: tuple[tuple[Distribution, ...], tuple[Distribution, ...]] = ((), ())


def changes(a: Contents, b: Contents, project: str = "") -> tuple[Change, ...]:
    """All that leads from A to B, the most suspicious first.

    Args:
        project: the project's name: the distribution called so is part of the change `project`.
    """
    mine, theirs = _packages(a, project), _packages(b, project)
    pythons = a.python, b.python
    found = list(_package_changes(mine, theirs, pythons, same_machine=a.machine == b.machine))
    found += _project_change(a, b, project)
    found += _env_change(a, b)
    found += _base_change(a, b)
    return tuple(sorted(found, key=lambda change: (-change.weight, change.name)))


def shown(name: str, value: str) -> str:
    """A variable's value, where it is known to be no secret."""
    return value if name.startswith(_SHOWN) else "…"


def env_differences(a: Contents, b: Contents) -> tuple[tuple[str, str | None, str | None], ...]:
    """Variables that differ and are not the system's own: name, A's value, B's value."""
    mine, theirs = dict(a.env), dict(b.env)
    return tuple(
        (name, mine.get(name), theirs.get(name))
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name) and not name.startswith(_OF_BASE)
    )


def _packages(contents: Contents, project: str) -> dict[str, Distribution]:
    every = contents.distributions
    return {each.name: each for each in every if not _is_own(each, project)}


def _is_own(each: Distribution, project: str) -> bool:
    return each.own or (bool(project) and each.name == project)


def _package_changes(
    mine: dict[str, Distribution],
    theirs: dict[str, Distribution],
    pythons: tuple[str, str],
    *,
    same_machine: bool,
) -> Iterator[Change]:
    for name in sorted(mine.keys() | theirs.keys()):
        before, after = mine.get(name), theirs.get(name)
        if before is not None and after is not None and before.version == after.version:
            # Machine code of one version is another on another machine: that is the platform.
            compiled = before.compiled or after.compiled
            if before.digest == after.digest or (compiled and not same_machine):
                continue
            setting = f"{before.version}, another build"
        else:
            missing = "not installed"
            versions = (missing if side is None else side.version for side in (before, after))
            setting = " → ".join(versions)
            if before is None:
                setting += _say_required(name, theirs, pythons[1])
            elif after is None:
                setting += _say_required(name, mine, pythons[0])
        # A package may be called like one of our own words.
        own_word = name in (BASE, PROJECT, ENV)
        called = f"{name} (package)" if own_word else name
        text, weight = f"{name} {setting}", _weight(before, after)
        yield Change(called, ImageChangeKind.PACKAGE, text, setting, weight, before, after)


def _say_required(name: str, packages: dict[str, Distribution], python: str) -> str:
    """Which packages require one that is on one side only, in brackets; "" for none."""
    found = [
        f"{each.name} {each.version}"
        for each in packages.values()
        for wanted in (parse_requirement(text, python) for text in each.requires)
        if wanted is not None and wanted.name == name
    ]
    noun = "requires" if len(found) == 1 else "require"
    return f" ({first_and_count(found, _NAMED)} {noun} it)" if found else ""


def _weight(before: Distribution | None, after: Distribution | None) -> float:
    either = after or before
    assert either is not None
    name = either.name
    if name in _TOOLING or name.startswith(("types-", "pytest-")):
        return 0.05
    weight = 1.0
    if name in _NUMERIC:
        weight = 12.0 - 8.0 * _NUMERIC.index(name) / len(_NUMERIC)
    if either.compiled:
        weight *= 2.0
    if before is None or after is None:
        return weight * 0.3  # what a program uses is mostly in both
    return weight * (0.5, 0.7, 1.0, 1.4)[jump(before.version, after.version)]


def _project_change(a: Contents, b: Contents, project: str) -> Iterator[Change]:
    own = tuple(
        tuple(each for each in side.distributions if _is_own(each, project)) for side in (a, b)
    )
    mine, theirs = dict(a.project), dict(b.project)
    files = [
        name for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name)
    ]
    installed = [{(each.name, each.version, each.digest) for each in side} for side in own]
    names = sorted({name for name, _version, _digest in installed[0] ^ installed[1]})
    if files or names or a.workdir != b.workdir:
        setting = first_and_count([*names, *files], _NAMED) or f"{a.workdir} → {b.workdir}"
        text = f"the project's code ({setting})"
        yield Change(PROJECT, ImageChangeKind.PROJECT, text, setting, 10.0, own=(own[0], own[1]))


def _env_change(a: Contents, b: Contents) -> Iterator[Change]:
    found = env_differences(a, b)
    if found:
        texts = [
            f"{name}: {_value(name, mine)} → {_value(name, theirs)}" for name, mine, theirs in found
        ]
        setting = first_and_count(texts, _NAMED)
        yield Change(ENV, ImageChangeKind.ENV, f"ENV ({setting})", setting, 4.0)


def _value(name: str, value: str | None) -> str:
    return "unset" if value is None else shown(name, value)


def _base_change(a: Contents, b: Contents) -> Iterator[Change]:
    mine, theirs = dict(a.base), dict(b.base)
    files = [
        name for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name)
    ]
    if not files and a.python == b.python:
        return
    told = [
        f"{what} {one} → {other}"
        for what, one, other in (
            ("Python", a.python, b.python),
            ("system", a.release, b.release),
            ("libc", a.libc, b.libc),
        )
        if one != other
    ]
    # The same system and Python: some files that a build left, seldom a cause.
    weight = 5.0 if told else 0.5
    setting = first_and_count(told or files, _NAMED)
    yield Change(BASE, ImageChangeKind.BASE, f"the base image ({setting})", setting, weight)
