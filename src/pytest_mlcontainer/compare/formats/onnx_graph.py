"""An ONNX graph → items; a value between two nodes is called by the node and output it is of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_mlcontainer.compare.numeric.dtypes import bad_shape, dtype_named, elements
from pytest_mlcontainer.compare.numeric.gaps import Dtype, Values
from pytest_mlcontainer.compare.numeric.measure import Array, array_of
from pytest_mlcontainer.compare.sources import ComparedFile
from pytest_mlcontainer.compare.trees.items import Leaf

_DTYPES: Mapping[str, str] = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
    "INT64": "int64",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "UINT64": "uint64",
    "UINT32": "uint32",
    "UINT16": "uint16",
    "UINT8": "uint8",
    "BOOL": "bool",
    "INT4": "int4",
    "UINT4": "uint4",
}
_HALVES = ("INT4", "UINT4")
# Where values are when they are not raw, and how wide they are there.
_WIDE: Mapping[str, str] = {
    "FLOAT": "float_data",
    "COMPLEX64": "float_data",
    "DOUBLE": "double_data",
    "COMPLEX128": "double_data",
    "INT64": "int64_data",
    "UINT64": "uint64_data",
    "UINT32": "uint64_data",
}
_SHOWN = 2000


class BadModelError(Exception):
    """`str()` is the reason, to follow the file's name."""


@dataclass
class Graph:
    """Items of a model.

    Args:
        leaves: all but initialisers, whose names in them are marked by `mark`.
        initialisers: by name.
        used: where an initialiser is used first.
        unreadable: why an item cannot be read.
        outside: files that hold initialisers.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    calls: dict[str, tuple[str, list[tuple[str, bool]], str]] = field(default_factory=dict)
    initialisers: dict[str, Leaf] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    def items(self, renamed: Set[str]) -> dict[str, Leaf]:
        """All items; the initialisers in `renamed` are called by their first use."""
        found = dict(self.leaves)
        for item, (operator, inputs, rest) in self.calls.items():
            shown = (
                f"initializer.{self._name(name, renamed)}" if initial else name
                for name, initial in inputs
            )
            found[item] = f"{operator}({', '.join(shown)}){rest}"
        for name, leaf in self.initialisers.items():
            found[f"initializer.{self._name(name, renamed)}"] = leaf
        return found

    def _name(self, name: str, renamed: Set[str]) -> str:
        return self.used.get(name, name) if name in renamed else name


def read_graph(onnx: Any, side: ComparedFile, model: Any) -> Graph:
    """The model's graph and functions.

    Raises:
        BadModelError: a name is there twice, or a type is unknown.
    """
    reader = _OnnxReader(onnx, side)
    reader.read(model.graph)
    for function in model.functions:
        path = f"function.{function.domain}.{function.name}."
        names = {
            name: (f"{path}inputs[{index}]", False) for index, name in enumerate(function.input)
        }
        reader.nodes(path, function.node, names)
        results = [names.get(name, (_text(name), False))[0] for name in function.output]
        reader.found.leaves[f"{path}outputs"] = ", ".join(results)
    return reader.found


class _OnnxReader:
    def __init__(self, onnx: Any, side: ComparedFile) -> None:
        self._onnx, self._side = onnx, side
        self.found = Graph()

    def read(self, graph: Any) -> None:
        """The main graph, whose inputs and outputs are known by name."""
        names: dict[str, tuple[str, bool]] = {}
        for tensor in graph.initializer:
            name = _text(tensor.name)
            if name in self.found.initialisers:
                raise BadModelError(f"has the initialiser {name!r:.100} twice")
            self.found.initialisers[name] = self._guarded(f"initializer.{name}", tensor)
            names[tensor.name] = name, True
        for sparse in graph.sparse_initializer:
            for part, tensor in (("values", sparse.values), ("indices", sparse.indices)):
                item = f"sparse_initializer.{sparse.values.name}.{part}"
                self.found.leaves[item] = self._guarded(item, tensor)
            self.found.leaves[f"sparse_initializer.{sparse.values.name}.dims"] = str(
                list(sparse.dims)
            )
            names[sparse.values.name] = _text(sparse.values.name), False
        for kind, values in (("inputs", graph.input), ("outputs", graph.output)):
            for index, value in enumerate(values):
                self.found.leaves[f"{kind}[{index}]"] = f"{value.name}: {self._type(value.type)}"
                names.setdefault(value.name, (_text(value.name), False))
        self.nodes("", graph.node, names)

    def nodes(self, path: str, nodes: Any, names: dict[str, tuple[str, bool]]) -> None:
        """Nodes in order; `names` says what values are called here, and gets those made here."""
        for index, node in enumerate(nodes):
            item = f"{path}nodes[{index}]"
            inputs = [names.get(name, (_text(name), False)) for name in node.input]
            for place, (name, initial) in enumerate(inputs):
                if initial:
                    self.found.used.setdefault(name, f"{item}.inputs[{place}]")
            for place, name in enumerate(node.output):
                if name:
                    names.setdefault(name, (f"{item}.outputs[{place}]", False))
            own = [names[name][0] if name else '""' for name in node.output]
            results = [name for place, name in enumerate(own) if name != f"{item}.outputs[{place}]"]
            rest = f" -> {', '.join(results)}" if results else ""
            operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            self.found.calls[item] = (
                operator,
                inputs,
                f"{rest}, of {len(own)}" if len(own) > 1 else rest,
            )
            for attribute in node.attribute:
                self._attribute(f"{item}.{attribute.name}", attribute, names)

    def _attribute(self, item: str, attribute: Any, names: dict[str, tuple[str, bool]]) -> None:
        kind = self._onnx.AttributeProto.AttributeType.Name(attribute.type)
        leaves = self.found.leaves
        if item in leaves:
            raise BadModelError(f"has the attribute {item!r:.200} twice")
        if attribute.ref_attr_name:
            leaves[item] = f"the function's attribute {attribute.ref_attr_name}"
        elif kind == "TENSOR":
            leaves[item] = self._guarded(item, attribute.t)
        elif kind in ("GRAPH", "GRAPHS"):
            graphs = [attribute.g] if kind == "GRAPH" else attribute.graphs
            for index, graph in enumerate(graphs):
                self._subgraph(item if kind == "GRAPH" else f"{item}[{index}]", graph, names)
        else:
            leaves[item] = self._plain(kind, attribute)

    def _plain(self, kind: str, attribute: Any) -> Leaf:
        if kind == "FLOAT":
            return array_of(np.array(attribute.f, np.float32))
        if kind == "FLOATS":
            return array_of(np.array(attribute.floats, np.float32))
        if kind == "INT":
            return int(attribute.i)
        if kind == "INTS":
            return array_of(np.array(attribute.ints, np.int64))
        if kind == "STRING":
            return bytes(attribute.s).decode("utf-8", "backslashreplace")
        if kind == "STRINGS":
            texts = [each.decode("utf-8", "backslashreplace") for each in attribute.strings]
            return array_of(np.array(texts, object))
        # Rare kinds (types, sparse tensors) have to be equal as they are written.
        return bytes(attribute.SerializeToString(deterministic=True))

    def _subgraph(self, item: str, graph: Any, above: Mapping[str, tuple[str, bool]]) -> None:
        """The body of a loop or a branch, which sees the values around it."""
        path = f"{item}."
        names = dict(above)
        for tensor in graph.initializer:
            name = f"{path}initializer.{tensor.name}"
            self.found.leaves[name] = self._guarded(name, tensor)
            names[tensor.name] = name, False
        for index, value in enumerate(graph.input):
            names[value.name] = f"{path}inputs[{index}]", False
        own = {name for node in graph.node for name in node.output}
        for name in own:
            names.pop(name, None)
        self.nodes(path, graph.node, names)
        results = [names.get(value.name, (_text(value.name), False))[0] for value in graph.output]
        self.found.leaves[f"{path}outputs"] = ", ".join(results)

    def _type(self, kind: Any) -> str:
        if kind.WhichOneof("value") != "tensor_type":
            return " ".join(str(kind).split())[:_SHOWN]
        tensor = kind.tensor_type
        if not tensor.HasField("shape"):
            return f"{self._dtype_name(tensor.elem_type)} of any shape"
        # Exporters number the names of dimensions that vary.
        dims = [
            str(dim.dim_value) if dim.HasField("dim_value") else "?" for dim in tensor.shape.dim
        ]
        return f"{self._dtype_name(tensor.elem_type)}[{', '.join(dims)}]"

    def _dtype_name(self, number: int) -> str:
        try:
            return str(self._onnx.TensorProto.DataType.Name(number))
        except ValueError:
            return f"type {number}"

    def _guarded(self, item: str, tensor: Any) -> Leaf:
        try:
            return self._tensor(tensor)
        except (BadModelError, ValueError, OverflowError) as error:
            self.found.unreadable[item] = str(
                self._side.unreadable(f"cannot be read: {item!r:.200} {str(error)[:200]}")
            )
            return None

    def _tensor(self, tensor: Any) -> Leaf:
        shape = tuple(int(length) for length in tensor.dims)
        name = self._dtype_name(tensor.data_type)
        reason = bad_shape(shape)
        if reason:
            raise BadModelError(reason)
        if tensor.data_location == tensor.EXTERNAL:
            held = {_text(each.key): _text(each.value) for each in tensor.external_data}
            self.found.outside.add(f"{held.get('location', '')!r:.200}")
            where = ", ".join(
                f"{key} {held[key]}" for key in ("location", "offset", "length") if key in held
            )
            return f"{name} {shape} in another file: {where}"[:_SHOWN]
        if name == "STRING":
            texts = [each.decode("utf-8", "backslashreplace") for each in tensor.string_data]
            return array_of(np.array(texts, object).reshape(shape))
        dtype = dtype_named(_DTYPES[name]) if name in _DTYPES else None
        if dtype is None:
            raise BadModelError(f"is of {name}, which cannot be compared")
        if not tensor.HasField("raw_data"):
            return array_of(_typed(tensor, name, dtype).reshape(shape))
        needed = math.prod(shape) * dtype.itemsize
        if name in _HALVES:
            needed = (math.prod(shape) + 1) // 2
        if len(tensor.raw_data) != needed:
            raise BadModelError(f"has {len(tensor.raw_data)} bytes, {name} {shape} needs {needed}")
        if name in _HALVES:
            return array_of(_unpacked(tensor.raw_data, math.prod(shape), dtype).reshape(shape))

        def blocks(length: int) -> Iterator[Values]:
            flat = elements(tensor.raw_data, dtype)
            for start in range(0, len(flat), length):
                yield flat[start : start + length]

        return Array(dtype, shape, blocks)


def _text(name: str | bytes) -> str:
    """A name; protobuf gives the bytes of one that is not UTF-8."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def _typed(tensor: Any, name: str, dtype: Dtype) -> Values:
    """Values in a field of their own type; narrow ones, and floats as their bits, are int32."""
    count = math.prod(tensor.dims)
    values = getattr(tensor, _WIDE.get(name, "int32_data"))
    parts = 2 if dtype.kind == "c" else 1
    if name in _HALVES:
        return _unpacked(bytes(each & 0xFF for each in values), count, dtype)
    if len(values) != count * parts:
        raise BadModelError(f"has {len(values) // parts} values, its shape needs {count}")
    if parts == 2:
        return np.array(values, dtype.type(0).real.dtype).view(dtype)
    if name in _WIDE or dtype.kind in "iub":
        return np.array(values, np.int64 if dtype.kind == "b" else None).astype(dtype)
    bits = np.array(values, np.int64).astype(f"u{dtype.itemsize}")
    return bits.view(dtype)


def _unpacked(data: bytes, count: int, dtype: Dtype) -> Values:
    """Two numbers of 4 bits from each byte, the lower half first."""
    raw = np.frombuffer(data, np.uint8)
    if len(raw) != (count + 1) // 2:
        raise BadModelError(f"has {len(raw)} bytes, {count} numbers of 4 bits do not fit them")
    halves = np.stack([raw & 15, raw >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
    signed = np.where(halves > 7, halves - 16, halves) if dtype.name == "int4" else halves
    return np.asarray(signed.astype(dtype))
