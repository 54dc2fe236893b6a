"""Values as h5py gives them → plain ones: text, and text for what has no place in an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values


def plain_dtype(h5py: Any, dtype: Dtype) -> Dtype:
    """What `plain` makes of this type: text stays an object, numbers get this machine's order."""
    if dtype.names:
        parts = [(name, *_field(h5py, dtype, name)) for name in dtype.names]
        return np.dtype(parts)
    if dtype.hasobject:
        return np.dtype(object)
    native: Dtype = np.dtype(dtype.str).newbyteorder("=") if dtype.kind != "V" else dtype
    return native


def plain(h5py: Any, file: Any, values: Values, dtype: Dtype) -> Values:
    """Values of a dataset or an attribute, without references and raggedness.

    Args:
        dtype: as the file has it, which says more of objects than the values do.
    """
    if dtype.names:
        found = np.empty(values.shape, plain_dtype(h5py, dtype))
        for name in dtype.names:
            field, _inner = dtype.fields[name][0].base, None  # type: ignore[index]
            found[name] = plain(h5py, file, values[name], field)
        return found
    if not dtype.hasobject:
        return values.astype(plain_dtype(h5py, dtype), copy=False)
    texts = np.empty(values.shape, object)
    flat, source = texts.reshape(-1), values.reshape(-1)
    for index, value in enumerate(source):
        flat[index] = _text(h5py, file, value)
    return texts


def _field(h5py: Any, dtype: Dtype, name: str) -> tuple[Any, tuple[int, ...]]:
    field = dtype.fields[name][0]  # type: ignore[index]
    return plain_dtype(h5py, field.base), field.shape


def _text(h5py: Any, file: Any, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return value
    if isinstance(value, h5py.RegionReference):
        return f"a part of {_target(h5py, file, value)}: {_region(h5py, file, value)}"
    if isinstance(value, h5py.Reference):
        return f"a reference to {_target(h5py, file, value)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype.newbyteorder('=')} {value.tolist()}"
    return str(value)


def _target(h5py: Any, file: Any, reference: Any) -> str:
    if not reference:
        return "nothing"
    name = h5py.h5r.get_name(reference, file.id)
    return name.decode("utf-8", "backslashreplace") if name else "something without a name"


def _region(h5py: Any, file: Any, reference: Any) -> str:
    if not reference:
        return ""
    space = h5py.h5r.get_region(reference, file.id)
    if not space.get_select_npoints():
        return "no elements"
    low, high = space.get_select_bounds()
    return f"{space.get_select_npoints()} elements between {low} and {high}"
