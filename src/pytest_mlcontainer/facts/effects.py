"""Which facts a variation changed, and which variations the facts make suspicious."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pytest_mlcontainer.facts.ranking import LISTING, first_names
from pytest_mlcontainer.model import Facts, Scalar
from pytest_mlcontainer.wording import first_and_count

_SHOWN: Final = 3
_LONG: Final = 40
# A variable that is not there is not set; a canary that is not there was not computed.
_ABSENT_IS_UNSET: Final = ("env.",)

# For each family of variations the facts that make it suspicious where they differ, and how much.
_EVIDENCE: Final[Mapping[str, Mapping[str, float]]] = {
    "blas-kernel": {"blas.kernel": 0.7, "mkl.": 0.5, "numpy.build": 0.5, "machine": 0.5,
                    "cpu.flags": 0.4, "cpu.model": 0.2},
    "threads": {"blas.threads": 0.7, "openmp.threads": 0.7, "mkl.threads": 0.7,
                "cpu.usable": 0.6, "cpu.count": 0.4},
    "simd": {"numpy.simd": 0.7, "torch.simd": 0.7, "cpu.flags": 0.5, "machine": 0.5},
    "libm": {"libc": 0.5, "machine": 0.4, "cpu.flags": 0.4},
    "precision": {"cuda.": 0.4, "torch.build": 0.4, "torch.cuda": 0.4, "machine": 0.2,
                  "env.ONEDNN_DEFAULT_FPMATH_MODE": 0.8, "env.NVIDIA_TF32_OVERRIDE": 0.8},
    "hash-seed": {"python.hash_seed": 0.6, "canary.hash": 0.6, "python.hash_randomization": 0.6},
    "timezone": {"timezone.offset_s": 0.7, "timezone.name": 0.3, "timezone.data": 0.2},
    "clock": {"clock.date": 0.4},
    "locale": {"locale.collation": 0.8, "locale.decimal": 0.8, "env.LC_ALL": 0.3, "env.LANG": 0.2},
    "encoding": {"locale.encoding": 0.8, "env.PYTHONUTF8": 0.3},
    "file-order": {"files.listing": 0.4},
    "hostname": {"host.name": 0.3},
    "user": {"user.id": 0.4},
    "home": {"user.home": 0.3},
    "umask": {"user.umask": 0.3},
    "cpus": {"cpu.usable": 0.6, "cpu.count": 0.4},
    "memory": {"memory.limit_bytes": 0.4, "memory.total_bytes": 0.2},
    "shm": {"memory.shm_bytes": 0.4},
    "read-only": {"files.root_read_only": 0.5},
    "nofile": {"process.nofile": 0.4},
    "cpu-model": {"env.QEMU_CPU": 0.5, "cpu.hwcap": 0.5},
    "network": {"network.interfaces": 0.2, "network.route": 0.4},
    "aslr": {"process.aslr": 0.4},
    "workdir": {"folder": 0.3},
    "env": {"environment.names": 0.4, "env.": 0.4},
    "dependency": {"package.": 0.5, "torch.version": 0.7},
    "base-image": {"distribution": 0.4, "libc": 0.5, "python.version": 0.5,
                   "python.compiler": 0.2},
}  # fmt: skip
# What a family changes at once: where these are known and equal, whatever else differs did nothing.
_CANARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "blas-kernel": ("canary.matmul",),
    "threads": ("canary.matmul", "canary.reduce"),
    "simd": ("canary.exp", "canary.sort"),
    "libm": ("canary.libm",),
    "precision": ("canary.precision",),
    "locale": ("locale.collation", "locale.decimal"),
    "encoding": ("locale.encoding",),
    "timezone": ("timezone.offset_s",),
}
# A changed canary and a fact of its family convict; without such a fact it may be another's doing.
_CONVICTED: Final = 0.95
_SUSPECTED: Final = 0.4
_CLEARED: Final = 0.05
# Few products are too few to clear an unknown shape of a matrix.
_THREADS_CLEARED: Final = 0.2
_NUMERIC: Final = ("numpy", "scipy", "scikit-learn", "torch", "tensorflow", "jax", "jaxlib",
                   "xgboost", "lightgbm", "pandas", "onnxruntime", "openblas", "mkl")  # fmt: skip


def took_effect(witness: tuple[str, ...], before: Facts, after: Facts) -> str:
    """What shows that a variation changed something: "blas.kernel SkylakeX → Nehalem".

    Args:
        witness: as in `Variation`: at least one of these facts is another. A name that ends with
            a dot stands for all that begin with it; `NAME=VALUE` demands that value in `after`.

    Returns:
        "" if none differs. A fact that only one of the two probes could read shows nothing.
    """
    left, right = dict(before.values), dict(after.values)
    shown = [
        f"{name} {_short(name, left.get(name), right.get(name))}"
        for each in witness
        for name in _named(each.partition("=")[0], left, right)
        if _changed(name, left, right) and _as_demanded(each, right.get(name))
    ]
    return first_and_count(shown, _SHOWN)


def can_be_witnessed(witness: tuple[str, ...], facts: Facts) -> bool:
    """Whether at least one of the facts that would show an effect can be read here at all."""
    known = dict(facts.values)
    names = (each.partition("=")[0] for each in witness)
    return any(
        name.startswith(_ABSENT_IS_UNSET) or any(each in known for each in _named(name, known, {}))
        for name in names
    )


def suspicion(before: Facts, after: Facts) -> dict[str, float]:
    """How suspicious each family of variations is of what differs between two environments.

    Canaries, which a deep probe computes, count most: where one that a family changes differs, it
    is hardly another family's doing, and where it is equal, different facts did nothing.

    Returns:
        0 (nothing of it differs) to 1, for every family; they are no probabilities.
    """
    left, right = dict(before.values), dict(after.values)
    if not left or not right:
        return dict.fromkeys(_EVIDENCE, 0.0)
    return {family: round(_suspicion(family, left, right), 3) for family in _EVIDENCE}


def _suspicion(family: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> float:
    different = {
        name: weight * _weight(name)
        for prefix, weight in _EVIDENCE[family].items()
        for name in _named(prefix, left, right)
        if _differs(name, left, right)
    }
    facts = _together(different.values())
    canaries = [name for name in _CANARIES.get(family, ()) if name in left and name in right]
    if not canaries:
        return facts
    if any(left[name] != right[name] for name in canaries):
        return _CONVICTED if facts else _SUSPECTED
    return min(facts, _THREADS_CLEARED if family == "threads" else _CLEARED)


def _together(weights: Iterable[float]) -> float:
    """Several pieces of evidence for one thing, each of which leaves some doubt."""
    doubt = 1.0
    for weight in weights:
        doubt *= 1 - weight
    return min(1 - doubt, _CONVICTED)


def _weight(name: str) -> float:
    """Of one fact among many with the same beginning."""
    if not name.startswith("package."):
        return 1.0
    return 1.0 if name.split(".")[1] in _NUMERIC else 0.2


def _named(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> Iterator[str]:
    if name.endswith("."):
        yield from sorted(each for each in left.keys() | right.keys() if each.startswith(name))
    else:
        yield name


def _changed(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    known = (name in left and name in right) or name.startswith(_ABSENT_IS_UNSET)
    return known and left.get(name) != right.get(name)


def _differs(name: str, left: Mapping[str, Scalar], right: Mapping[str, Scalar]) -> bool:
    """As `_changed`, of two environments that may be of different images."""
    if name.startswith("package."):
        return left.get(name) != right.get(name)
    return _changed(name, left, right)


def _as_demanded(witness: str, value: Scalar) -> bool:
    _name, equals, wanted = witness.partition("=")
    return not equals or str(value) == wanted


def _short(name: str, one: Scalar, other: Scalar) -> str:
    if name.startswith("canary."):  # a digest, which says nothing to a reader
        return "comes out otherwise"
    if name == LISTING:
        first, then = first_names(one, other)
        return f"{first} → {then}" if first != then else "in another order"
    if name == "environment.names":
        left, right = set(str(one or "").split()), set(str(other or "").split())
        signed = [*(f"-{each}" for each in sorted(left - right)),
                  *(f"+{each}" for each in sorted(right - left))]  # fmt: skip
        return " ".join(signed[:_SHOWN]) + (" …" if len(signed) > _SHOWN else "")
    words = [str(one).split(), str(other).split()]
    if max(map(len, words)) > _SHOWN:  # a list, of which only the difference tells
        gone = [f"-{each}" for each in words[0] if each not in words[1]]
        come = [f"+{each}" for each in words[1] if each not in words[0]]
        signed = gone + come
        return " ".join(signed[:_SHOWN]) + (" …" if len(signed) > _SHOWN else "")
    return " → ".join("none" if value is None else str(value)[:_LONG] for value in (one, other))
