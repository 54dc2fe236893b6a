"""What usually helps against each cause, in a line, and how a change reads in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RANDOMNESS: Final = "randomness"

_HELPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "threads": "pin OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and MKL_NUM_THREADS in the image, "
        "or let the solver converge so far that the order of a sum no longer shows",
        "blas-kernel": "a converged solver or a wider tolerance; or pin the kernel with "
        "OPENBLAS_CORETYPE, MKL with MKL_CBWR=COMPATIBLE",
        "simd": "stable sorts and a tolerance of a few ULP; or pin NPY_DISABLE_CPU_FEATURES and "
        "ATEN_CPU_CAPABILITY",
        "libm": "a tolerance of a few ULP, or a converged solver; or pin GLIBC_TUNABLES",
        "precision": "ask for full float32 products: unset ONEDNN_DEFAULT_FPMATH_MODE, "
        "NVIDIA_TF32_OVERRIDE=0",
        "hash-seed": "sort sets, and what is keyed by hash(), before their order is used; or set "
        "PYTHONHASHSEED=0 in the image",
        "file-order": "sorted(...) around os.listdir, glob and iterdir",
        "clock": "pass the date as an input instead of asking the clock",
        "timezone": "compute in UTC, with datetimes that carry their zone; or set TZ=UTC",
        "locale": "sort, parse and format without the locale; or set LC_ALL=C.UTF-8",
        "encoding": 'open(..., encoding="utf-8"), or set PYTHONUTF8=1',
        "hostname": "take nothing from the host's name: pass what tells workers apart as an input",
        "user": "write only where any user may, and fail, rather than fall back, elsewhere; set "
        "USER in the image where a name is asked for (getpass.getuser)",
        "home": "keep caches and weights under a path in the image (HF_HOME, TORCH_HOME, "
        "XDG_CACHE_HOME), not under HOME",
        "umask": "set the modes of files that are written, or leave modes out of results",
        "cpus": "fix the number of workers and chunks instead of counting processors",
        "memory": "fix batch and chunk sizes instead of deriving them from the memory there is",
        "shm": "set shm-size for the data loader's workers, or use none (num_workers=0)",
        "nofile": "close what is read, and open shards one after the other; or raise the limit "
        "where it runs (--ulimit nofile=65536)",
        "cpu-model": "a tolerance of a few ULP, or a machine of that kind: an emulated CPU is none",
        "read-only": "write only to declared outputs and /tmp, and fail where it cannot be",
        "network": "put weights and data into the image or the inputs, and fail where a download "
        "would be needed",
        "aslr": "do not sort or key by id() or by an address; a race or memory that was never "
        "initialised shows this way, too",
        "memory-layout": "do not sort or key by id() or by an address, as sets of objects without "
        "a __hash__ of their own do; or memory is read that was never initialised",
        "workdir": "use paths relative to the program, and keep them out of results",
        "env": "set the variable in the image or in the entrypoint's env, so that it is the same "
        "everywhere",
        "platform": "judge across platforms by tolerance; converge solvers, break ties, and keep "
        "labels away from thresholds",
        "dependency": "pin the version, with its hash (pip-compile --generate-hashes, uv lock)",
        "base-image": "pin the base image by digest (FROM python@sha256:…)",
        "project": "the change is in the project's own files: look at what they differ in",
        RANDOMNESS: "seed every generator (random, NumPy, the framework), ask for deterministic "
        "algorithms, and look for workers that race",
    }
)
# What a sentence says that changes; True where there is more than one of it.
_NOUNS: Final[Mapping[str, tuple[str, bool]]] = MappingProxyType(
    {
        "threads": ("threads", True),
        "blas-kernel": ("the BLAS kernel", False),
        "simd": ("vector instructions", True),
        "libm": ("the math library's variant", False),
        "precision": ("the precision of products", False),
        "hash-seed": ("the hash seed", False),
        "file-order": ("the order of files", False),
        "clock": ("the date", False),
        "timezone": ("the time zone", False),
        "locale": ("the locale", False),
        "encoding": ("the default encoding", False),
        "hostname": ("the host name", False),
        "user": ("the user", False),
        "home": ("the home folder", False),
        "umask": ("the umask", False),
        "cpus": ("the number of processors", False),
        "memory": ("the memory limit", False),
        "shm": ("the size of /dev/shm", False),
        "nofile": ("the limit of open files", False),
        "cpu-model": ("the emulated CPU", False),
        "read-only": ("write access", False),
        "network": ("the network", False),
        "aslr": ("the layout of memory", False),
        "memory-layout": ("nothing but where things lie in memory", False),
        "workdir": ("the working directory", False),
        "env": ("environment variables", True),
        "base-image": ("the base image", False),
    }
)


def advice(name: str) -> str:
    """What usually helps where this is the cause; "" where nothing is known of it."""
    return _HELPS.get(name, "")


def changes(names: tuple[str, ...]) -> str:
    """The changes as a clause: `threads change`, `the date and the time zone change together`."""
    known = [_NOUNS.get(name, (name, False)) for name in names]
    if len(known) == 1:
        noun, plural = known[0]
        return f"{noun} {'change' if plural else 'changes'}"
    *others, last = [noun for noun, _plural in known]
    return f"{', '.join(others)} and {last} change together"
