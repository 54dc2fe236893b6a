"""Further stages of the probe: what numbers come out here, as digests that two places can compare.

The probe runs this text as it runs itself: by whatever Python 3 an image has. What the canaries are
fed is exact wherever numbers follow IEEE 754, so that only what they compute can differ.
"""

import array
import importlib
import math
import zlib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

_IMPORTING_S = 60
_COMPUTING_S = 30


def _numpy_build() -> "dict[str, object]":
    importlib.import_module("numpy")
    return {"numpy.simd": _numpy_features(), "numpy.build": _numpy_blas()}


def _numpy_features() -> "str | None":
    """CPU features that NumPy found and that nothing disabled."""
    for package in ("numpy._core", "numpy.core"):
        try:
            core = importlib.import_module(package + "._multiarray_umath")
        except ImportError:
            continue
        features = getattr(core, "__cpu_features__", {})
        return " ".join(sorted(name for name in features if features[name])) or None
    return None


def _numpy_blas() -> "str | None":
    config = importlib.import_module("numpy.__config__")
    built = getattr(config, "CONFIG", None)
    if built is None:  # NumPy before 1.25
        found = getattr(config, "blas_opt_info", None) or getattr(config, "blas_ilp64_opt_info", {})
        return " ".join(found.get("libraries", ())) or None
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key)) or None


def _libm() -> "dict[str, object]":
    """Few arguments show nothing: a library's variants disagree in one of many thousand."""
    several = [place * 0.00037 - 18.5 for place in range(60000)]
    positive = several[50001:]
    digest = 0
    for values in (
        map(math.exp, several),
        map(math.sin, several[::3]),
        map(math.log, positive),
        map(math.pow, positive, several[::6]),
    ):
        digest = zlib.crc32(array.array("d", values).tobytes(), digest)
    return {"canary.libm": format(digest, "08x")}


def _numpy_canaries() -> "dict[str, object]":
    numpy = importlib.import_module("numpy")
    both = [_ramp(numpy, 20000, dtype) for dtype in ("float32", "float64")]
    curves = [curve(ramp * 9) for ramp in both for curve in (numpy.exp, numpy.tanh)]
    ties = [numpy.floor(ramp * 20).astype(kind) for ramp in both for kind in ("f4", "f8", "i4")]
    sums = [total for ramp in both for total in (ramp.sum(), numpy.dot(ramp, ramp[::-1].copy()))]
    products = []
    for dtype in ("float32", "float64"):
        left, right = _ramp(numpy, 60000, dtype), _ramp(numpy, 60000, dtype)[::-1]
        products.append(left.reshape(200, 300) @ right.reshape(300, 200))
    return {
        "canary.exp": _digest(curves),
        "canary.sort": _digest([numpy.argsort(values).astype("i8") for values in ties]),
        "canary.reduce": _digest(sums),
        "canary.matmul": _digest(products),
    }


def _ramp(numpy: ModuleType, size: int, dtype: str) -> Any:
    """Numbers between -0.5 and 0.5 in no order, the same on any machine."""
    return ((numpy.arange(size) * 7919 % 10007) / 10007 - 0.5).astype(dtype)


def _torch_canary() -> "dict[str, object]":
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return {}
    configured = torch.__config__.show()
    parts = [part.strip(" ,\n-") for part in configured.replace("\n", ",").split(",")]
    told = [part for part in parts if part.startswith(("BLAS_INFO", "USE_MKLDNN=", "LAPACK_INFO"))]
    onednn = [part.split(" (")[0] for part in parts if "MKL-DNN v" in part or "oneDNN v" in part]
    found: dict[str, object] = {
        "torch.simd": torch.backends.cpu.get_cpu_capability(),
        "torch.build": " ".join(told + onednn) or None,
    }
    images = _torch_ramp(torch, 4 * 8 * 24 * 24).reshape(4, 8, 24, 24)
    kernels = _torch_ramp(torch, 16 * 8 * 3 * 3).reshape(16, 8, 3, 3)
    with torch.no_grad():
        values = torch.nn.functional.conv2d(images, kernels).flatten().tolist()
    data = array.array("d", values).tobytes()
    found["canary.precision"] = format(zlib.crc32(data), "08x")
    return found


def _torch_ramp(torch: ModuleType, size: int) -> Any:
    return (torch.arange(size) * 7919 % 10007).to(torch.float32) / 10007 - 0.5


def _digest(arrays: "Iterable[Any]") -> str:
    digest = 0
    for values in arrays:
        digest = zlib.crc32(values.tobytes(), digest)
    return format(digest, "08x")


def _where_numpy_is(read: "Callable[[], dict[str, object]]") -> "Callable[[], dict[str, object]]":
    """Nothing is found, and nothing is amiss, where there is no NumPy."""

    def reading() -> "dict[str, object]":
        try:
            importlib.import_module("numpy")
        except ImportError as error:
            if getattr(error, "name", None) != "numpy":
                raise
            return {}
        return read()

    return reading


STAGES = (
    ("libm", _COMPUTING_S, _libm),
    ("numpy", _IMPORTING_S, _where_numpy_is(_numpy_build)),
    ("canaries", _COMPUTING_S, _where_numpy_is(_numpy_canaries)),
    ("torch", _IMPORTING_S, _torch_canary),
)
