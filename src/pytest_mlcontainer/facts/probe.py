"""Read the environment it runs in, and print it as one JSON object behind a marker.

Sent into images as text and run there by whatever Python 3 they have, so it imports nothing but the
standard library, loads no numerical library as a module, and treats every fact as optional. Old
Pythons read it too: annotations are text, and paths are strings, as pathlib loads slowly.
"""

import ctypes
import glob
import json
import locale
import os
import platform
import sys
import sysconfig
import time

MARKER = "mlcontainer-facts:"
_FLAGS = ("avx", "avx2", "avx512f", "fma", "sse4_2", "asimd", "sve", "bf16", "amx_tile", "avx_vnni")
_ENVIRONMENT = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_CBWR",
    "NPY_DISABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "PYTHONHASHSEED",
    "TZ",
    "LC_ALL",
    "LANG",
)


def main() -> None:
    found: dict[str, object] = {}
    for read in (_system, _cpu, _limits, _python, _packages, _blas, _place, _environment):
        try:
            found.update(read())
        except Exception as error:
            found["unread." + read.__name__.lstrip("_")] = repr(error)[:200]
    print(MARKER + json.dumps(found, sort_keys=True))


def _system() -> "dict[str, object]":
    release = {}
    for line in _text("/etc/os-release").splitlines():
        name, _equals, value = line.partition("=")
        release[name] = value.strip('"')
    libc = platform.libc_ver()
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "distribution": release.get("PRETTY_NAME"),
        "libc": " ".join(libc).strip() or _musl(),
    }


def _cpu() -> "dict[str, object]":
    model = None
    flags: set[str] = set()
    for line in _text("/proc/cpuinfo").splitlines():
        name, _colon, value = line.partition(":")
        name = name.strip().lower()
        if name == "model name" and model is None:
            model = value.strip()
        if name in ("flags", "features") and not flags:
            flags = set(value.split())
    return {
        "cpu.model": model,
        "cpu.flags": " ".join(flag for flag in _FLAGS if flag in flags) or None,
        "cpu.count": os.cpu_count(),
        "cpu.usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def _limits() -> "dict[str, object]":
    raw = _text("/sys/fs/cgroup/memory.max") or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    value = int(raw) if raw.strip().isdigit() else None
    # Version 1 of cgroups writes "no limit" as a number near 2**63.
    return {"memory.limit_bytes": value if value is not None and value < 2**60 else None}


def _python() -> "dict[str, object]":
    return {
        "python.version": platform.python_version(),
        "python.implementation": platform.python_implementation(),
        "python.compiler": platform.python_compiler(),
        "python.platform": sysconfig.get_platform(),
        "python.hash_randomization": bool(sys.flags.hash_randomization),
    }


def _packages() -> "dict[str, object]":
    from importlib import metadata

    found: dict[str, object] = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        if name:
            found["package." + name.lower().replace("_", "-")] = package.version
    return found


def _blas() -> "dict[str, object]":
    """OpenBLAS by its own API, from the library that NumPy's or SciPy's wheel brings along."""
    for folder in sys.path:
        for path in sorted(glob.glob(os.path.join(folder, "*.libs", "*openblas*"))):
            library = ctypes.CDLL(path)
            for prefix in ("scipy_openblas", "openblas"):
                for suffix in ("64_", ""):
                    core = getattr(library, prefix + "_get_corename" + suffix, None)
                    threads = getattr(library, prefix + "_get_num_threads" + suffix, None)
                    if core is None or threads is None:
                        continue
                    core.restype = ctypes.c_char_p
                    return {
                        "blas.kernel": core().decode("ascii", "replace"),
                        "blas.threads": threads(),
                    }
    return {}


def _place() -> "dict[str, object]":
    return {
        "locale.encoding": locale.getpreferredencoding(False),
        "timezone.offset_s": -time.timezone,
        "user.id": os.getuid() if hasattr(os, "getuid") else None,
        "folder": os.getcwd(),
    }


def _environment() -> "dict[str, object]":
    return {"env." + name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def _musl() -> "str | None":
    return "musl" if glob.glob("/lib/ld-musl-*") else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
