"""Where the computations run: two architectures, BLAS kernels, threads, instruction sets, libm."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np

from benchmarks.noise.hidden import Values

_HERE = Path(__file__).parent
_NO_SIMD = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
_OLD = {**_NO_SIMD, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}


@dataclass(frozen=True)
class Setting:
    """One way to run the computations."""

    name: str
    platform: str
    env: Mapping[str, str] = field(default_factory=dict)


# The emulated CPUs are ones whose arithmetic is right; QEMU's default is not, for current OpenBLAS.
SETTINGS = (
    Setting("base", "linux/amd64"),
    Setting("one thread", "linux/amd64", {"OPENBLAS_NUM_THREADS": "1"}),
    Setting("haswell", "linux/amd64", {"OPENBLAS_CORETYPE": "Haswell"}),
    Setting("nehalem", "linux/amd64", {"OPENBLAS_CORETYPE": "Nehalem"}),
    Setting(
        "no SIMD", "linux/amd64", {"NPY_DISABLE_CPU_FEATURES": _OLD["NPY_DISABLE_CPU_FEATURES"]}
    ),
    Setting(
        "old machine",
        "linux/amd64",
        {**_OLD, "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
    ),
    Setting("arm64", "linux/arm64", {"QEMU_CPU": "neoverse-n1"}),
    Setting(
        "small arm64",
        "linux/arm64",
        {"QEMU_CPU": "cortex-a72", "OPENBLAS_CORETYPE": "ARMV8", "OPENBLAS_NUM_THREADS": "1"},
    ),
)
_BETWEEN = (
    *((each.name, "base") for each in SETTINGS[1:]),
    ("arm64", "nehalem"),
    ("small arm64", "old machine"),
    ("arm64", "small arm64"),
    ("haswell", "nehalem"),
)


@dataclass(frozen=True)
class Noisy:
    """The same computation under two settings, with results that differ."""

    family: str
    name: str
    between: tuple[str, str]
    actual: Values
    expected: Values


def compute(folder: Path) -> None:
    """Run all settings that are not in the folder yet; images are built only for these.

    Raises:
        CalledProcessError: the engine has no such platform, or no network for the build.
    """
    missing = [each for each in SETTINGS if not (folder / f"{each.name}.npz").exists()]
    tags = {}
    for platform in sorted({each.platform for each in missing}):
        tag = f"mlcontainer-noise:{platform.partition('/')[2]}"
        words = ["docker", "buildx", "build", "--load", "-q", "--platform", platform, "-t", tag]
        subprocess.run([*words, str(_HERE)], check=True, stdout=subprocess.DEVNULL)
        tags[platform] = tag
    for setting in missing:
        file = folder / f"{setting.name}.npz"
        print(f"computing: {setting.name}", flush=True)
        env = [word for name, value in setting.env.items() for word in ("-e", f"{name}={value}")]
        words = ["docker", "run", "--rm", "--network", "none", "--platform", setting.platform]
        mount = ["-v", f"{folder.resolve()}:/results", "-u", f"{os.getuid()}:{os.getgid()}"]
        program = ["python", "/computations.py", f"{setting.name}.part.npz"]
        subprocess.run([*words, *env, *mount, tags[setting.platform], *program], check=True)
        (folder / f"{setting.name}.part.npz").rename(file)


def noise(folder: Path) -> Iterator[Noisy]:
    """All pairs of results that differ, each once."""
    results = {each.name: _load(folder / f"{each.name}.npz") for each in SETTINGS}
    seen: set[bytes] = set()
    for left, right in _BETWEEN:
        for name, actual in results[left].items():
            expected = results[right][name]
            both = actual.tobytes() + expected.tobytes()
            digest = hashlib.sha256(both).digest()
            if (
                actual.tobytes() == expected.tobytes()
                or digest in seen
                or actual.dtype.kind in "iu"
            ):
                continue
            seen.add(digest)
            yield Noisy(name.partition(".")[0], name, (left, right), actual, expected)


def _load(file: Path) -> dict[str, Values]:
    with np.load(file) as found:
        return {
            name: found[name].view(ml_dtypes.bfloat16) if ".bfloat16." in name else found[name]
            for name in found.files
        }
