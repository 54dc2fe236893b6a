"""ONNX: the graph node by node, its inputs and outputs, and its initialisers as arrays.

What a value between two nodes is called does not count, nor what a node is called: exporters number
them as they come. Names of the model's inputs and outputs do count. An initialiser is known by its
name; one whose name is on one side only is known by the place where it is used first. Nodes are
compared in the order written.

Left out: who produced the model, its documentation, IR version and inferred shapes. Its metadata
counts, which holds the names of classes for example, but for what says how it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mlcontainer.compare.formats.kind import Format, need
from pytest_mlcontainer.compare.formats.metadata import compare_metadata
from pytest_mlcontainer.compare.formats.onnx_graph import BadModelError, Graph, read_graph
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, read_both
from pytest_mlcontainer.compare.trees.items import Leaf, compare_items
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.wording import first_of

_LARGEST_BYTES = (1 << 31) - 1
_SHOWN = 5


@dataclass(frozen=True)
class _Model:
    graph: Graph
    opsets: Mapping[str, Leaf]
    metadata: Mapping[str, str]


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two models, item by item."""
    actual, expected = read_both(pair, _read)
    sides = [actual, expected]
    failed = {
        item: reason for side in sides[::-1] for item, reason in side.graph.unreadable.items()
    }
    for item, reason in failed.items():
        if not book.find(pair.name, item).tolerance.ignore:
            yield Difference(pair.name, item, Verdict.FAILED, note=reason)
    own = [
        side.graph.initialisers.keys() - other.graph.initialisers.keys()
        for side, other in zip(sides, sides[::-1], strict=True)
    ]
    left, right = (
        {
            item: leaf
            for item, leaf in {**side.opsets, **side.graph.items(renamed)}.items()
            if item not in failed
        }
        for side, renamed in zip(sides, own, strict=True)
    )
    yield from compare_items(pair.name, left, right, book)
    yield from compare_metadata(pair.name, actual.metadata, expected.metadata, book)
    outside = sorted(expected.graph.outside | actual.graph.outside)
    if outside:
        note = (
            f"initialisers are kept in {first_of(outside, _SHOWN)}, "
            "which is compared only where it is an output itself"
        )
        yield Difference(pair.name, "external_data", Verdict.IDENTICAL, note=note)


def _read(side: ComparedFile) -> _Model:
    onnx = need(side, "onnx", "onnx")
    broken = need(side, "google.protobuf.message", "onnx")
    size_bytes = side.size_bytes()
    if not size_bytes:
        raise side.unreadable("is empty")
    if size_bytes > _LARGEST_BYTES:
        raise side.unreadable(f"has {size_bytes} bytes; no ONNX model has more than 2 GiB")
    with side.open() as stream:
        data = stream.read()
    try:
        model = onnx.ModelProto.FromString(data)
        if not model.HasField("graph"):
            raise BadModelError("has no graph")
        metadata = {f"metadata_props.{each.key}": each.value for each in model.metadata_props}
        return _Model(read_graph(onnx, side, model), _opsets(model), metadata)
    except (BadModelError, broken.DecodeError, ValueError) as error:
        raise side.unreadable(
            f"cannot be read as ONNX, it is truncated or damaged ({str(error)[:200]})"
        ) from error


def _opsets(model: Any) -> dict[str, Leaf]:
    return {f"opset.{each.domain or 'ai.onnx'}": int(each.version) for each in model.opset_import}


FORMAT = Format("ONNX", compare, suffixes=(".onnx",), folds=True)
