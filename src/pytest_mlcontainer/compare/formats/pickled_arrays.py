"""NumPy's arrays and scalars, rebuilt from the calls that `inert_pickle` read."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.formats.inert_pickle import BrokenPickleError, PickledCall
from pytest_mlcontainer.compare.numeric.dtypes import bad_shape
from pytest_mlcontainer.compare.numeric.gaps import Dtype
from pytest_mlcontainer.compare.numeric.measure import Array, array_of

_SCALAR = "numpy._core.multiarray.scalar"
_RECONSTRUCT = "numpy._core.multiarray._reconstruct"
_FROM_BUFFER = "numpy._core.numeric._frombuffer"
BYTES = ("_codecs.encode", "builtins.bytearray", "builtins.bytes")
NAMES = frozenset({_SCALAR, _RECONSTRUCT, _FROM_BUFFER, *BYTES, "numpy.dtype", "numpy.ndarray"})
_PLAIN = re.compile(r"[biufcSUV]\d{1,7}")


def is_array(call: PickledCall) -> bool:
    return call.name in (_SCALAR, _RECONSTRUCT, _FROM_BUFFER)


def array_from(call: PickledCall) -> Array:
    """The array, whose bytes are in the pickle.

    Raises:
        BrokenPickleError: of objects, of fields, or with more or fewer bytes than its shape needs.
    """
    shape: Any = ()
    order: Any = "C"
    if call.name == _SCALAR:
        described, data = call.arguments
    elif call.name == _FROM_BUFFER:
        data, described, shape, order = call.arguments
    else:
        _version, shape, described, fortran, data = call.state
        order = "F" if fortran is True else "C"
    dtype, data = _dtype(described), bytes_of(data)
    if not isinstance(shape, tuple) or not all(type(length) is int for length in shape):
        raise BrokenPickleError("holds a NumPy array whose shape is not whole numbers")
    reason = bad_shape(shape)
    if reason or math.prod(shape) * dtype.itemsize != len(data):
        what = reason or f"of {len(data)} bytes, which {dtype} {shape} does not have"
        raise BrokenPickleError(f"holds a NumPy array that {what}")
    flat = np.frombuffer(data, dtype) if dtype.itemsize else np.empty(0, dtype)
    return array_of(flat.reshape(shape, order="F" if order == "F" else "C"))


def bytes_of(value: Any) -> bytes:
    """Bytes, which pickles before protocol 3 hold as Latin-1 text to be encoded."""
    if isinstance(value, PickledCall) and value.name in BYTES:
        arguments = (*value.arguments, "latin1")
        value = arguments[0] if value.arguments else b""
        if isinstance(value, str) and arguments[1] in ("latin1", "latin-1"):
            value = value.encode("latin1")
    if not isinstance(value, bytes):
        raise BrokenPickleError("holds Python objects where bytes should be")
    return value


def _dtype(described: Any) -> Dtype:
    if not isinstance(described, PickledCall) or described.name != "numpy.dtype":
        raise BrokenPickleError("holds a NumPy array without a dtype")
    code = described.arguments[0] if described.arguments else None
    state = described.state
    if not isinstance(code, str) or not _PLAIN.fullmatch(code):
        raise BrokenPickleError(f"holds a NumPy array of dtype {code!r:.100}, which is not read")
    if isinstance(state, tuple) and len(state) > 3 and state[3] is not None:
        raise BrokenPickleError("holds a NumPy array with fields, which is not read")
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    if order not in ("<", ">", "|", "="):
        raise BrokenPickleError("holds a NumPy array of unknown byte order")
    dtype: Dtype = np.dtype(code).newbyteorder(">" if order == ">" else "<")
    return dtype
