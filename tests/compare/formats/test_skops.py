"""skops files: arrays that are called after their addresses meet by their place in the model."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.sources import make_pair
from pytest_mlcontainer.model import Output, Verdict
from tests.fixture_types import Compare


def model(
    address: int, *, first: float = 0.5, depth: int = 3, swapped: bool = False, schema: bytes = b""
) -> bytes:
    """Two trees with an array each, and one array that both share."""
    stream = io.BytesIO()
    files = [f"{address + place * 48}.npy" for place in range(3)]

    def array(name: str) -> dict[str, Any]:
        return {
            "__class__": "ndarray",
            "__loader__": "NdArrayNode",
            "type": "numpy",
            "file": name,
            "__id__": int(name.removesuffix(".npy")),
        }

    def tree(name: str) -> dict[str, Any]:
        values = {"values": array(name), "classes": array(files[2])}
        return {
            "__loader__": "ObjectNode",
            "content": {"__loader__": "DictNode", "content": values},
        }

    names = files[1::-1] if swapped else files[:2]
    trees = {"__loader__": "ListNode", "content": [tree(name) for name in names]}
    limit = {"__loader__": "JsonNode", "content": json.dumps(depth), "__id__": address - 7}
    top = {"__loader__": "ObjectNode", "content": {"estimators_": trees, "max_depth": limit}}
    with zipfile.ZipFile(stream, "w") as file:
        for name, values in zip(files, ([first, 1.0], [2.0, 3.0], [0.0, 1.0]), strict=True):
            held = io.BytesIO()
            np.save(held, np.array(values))
            file.writestr(name, held.getvalue())
        file.writestr("schema.json", schema or json.dumps({**top, "_skops_version": "0.16.0"}))
    return stream.getvalue()


ONE, OTHER = 140_299_834_592_496, 139_910_000_111_328


@pytest.mark.parametrize("name", ["model.skops", "model.bin"])
def test_addresses_do_not_count(compare: Compare, name: str) -> None:
    found, _notes = compare(name, model(ONE), model(OTHER))
    assert verdict_of(found) is Verdict.IDENTICAL


def test_an_array_is_called_by_its_place(compare: Compare) -> None:
    found, _notes = compare("model.skops", model(ONE, first=0.6), model(OTHER))
    drifting = [each.item for each in found if not each.verdict.passes]
    assert drifting == ["estimators_[0]/values.npy"]


def test_arrays_that_change_places_count(compare: Compare) -> None:
    found, _notes = compare("model.skops", model(ONE, swapped=True), model(OTHER))
    drifting = {each.item for each in found if not each.verdict.passes}
    assert drifting == {"estimators_[0]/values.npy", "estimators_[1]/values.npy"}


def test_what_the_tree_says_counts(compare: Compare) -> None:
    found, _notes = compare("model.skops", model(ONE, depth=4), model(OTHER))
    (drifting,) = [each for each in found if not each.verdict.passes]
    assert drifting.item.startswith("schema.json/content.max_depth")


@pytest.mark.parametrize("schema", [b"{", b"[1]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_another_schema_makes_it_a_zip(compare: Compare, schema: bytes) -> None:
    found, _notes = compare("a.zip", model(ONE, schema=schema), model(OTHER, schema=schema))
    assert {each.note for each in found} >= {"missing in the actual run", "only in the actual run"}


def test_a_tree_that_is_too_deep_leaves_a_zip(compare: Compare) -> None:
    deep = b'{"__loader__": "x", "content": ' + b"[" * 5000 + b"1" + b"]" * 5000 + b"}"
    found, _notes = compare("m.skops", model(ONE, schema=deep), model(OTHER, schema=deep))
    assert Verdict.FAILED not in {each.verdict for each in found}
    assert {each.note for each in found} >= {"missing in the actual run", "only in the actual run"}


def test_no_more_is_read_of_a_schema_than_one_may_have(tmp_path: Path) -> None:
    """Before anything is unpacked to compare it; a few kilobytes promise 200 MB."""
    path = tmp_path / "m.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("schema.json", b" " * 200_000_000)
    side = make_pair("m.skops", *[Output("m.skops", path, path.stat().st_size)] * 2).actual
    tracemalloc.start()
    try:
        assert Formats().recognise(side).name == "zip"
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
