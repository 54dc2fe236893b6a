"""Text beside the values counts, but for what says who made the file, when, and with what."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper
from PIL import Image, TiffImagePlugin
from pyarrow import feather

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare

Notes = dict[str, str]
WEIGHTS = np.arange(6, dtype=np.float32)
PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)


def safetensors_of(notes: Notes) -> bytes:
    tensor = {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}
    header = json.dumps({"__metadata__": notes, "w": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + WEIGHTS.tobytes()


def onnx_of(notes: Notes) -> bytes:
    node = helper.make_node("Relu", ["x"], ["y"])
    values = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    model = helper.make_model(helper.make_graph([node], "g", [next(values)], [next(values)]))
    helper.set_model_props(model, notes)
    content: bytes = model.SerializeToString()
    return content


def table_of(notes: Notes) -> pa.Table:
    return pa.table({"label": [0, 1, 1]}).replace_schema_metadata(notes)


def parquet_of(notes: Notes) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table_of(notes), sink)
    return sink.getvalue()


def stream_of(notes: Notes) -> bytes:
    sink, table = io.BytesIO(), table_of(notes)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def feather_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(table, sink)
    return sink.getvalue()


def groups_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "write", "item"),
    [
        ("m.safetensors", safetensors_of, "__metadata__.{}"),
        ("m.onnx", onnx_of, "metadata_props.{}"),
        ("d.parquet", parquet_of, "@{}"),
        ("d.arrows", stream_of, "@{}"),
    ],
)
def test_what_says_something_of_the_values_counts_and_what_says_who_wrote_them_does_not(
    compare: Compare, name: str, write: Callable[[Notes], bytes], item: str
) -> None:
    expected = {
        "names": "{0: 'cat', 1: 'dog'}",
        "alpha": "16",
        "features": json.dumps({"label": {"names": ["neg", "pos"]}, "scale": 0.1}),
        "date": "2026-11-29T10:00:01",
        "version": "8.1",
        "training": "began at 2026-11-29 10:00:01",
    }
    written = expected | {
        "features": json.dumps({"scale": 0.1 + 1e-12, "label": {"names": ["neg", "pos"]}}),
        "date": "2026-11-30T11:12:13",
        "version": "8.2",
        "training": "began at 2026-11-30 11:12:13",
    }
    found, _notes = compare(name, write(written), write(expected), Tolerance(exact=True))
    assert verdict_of(found) is Verdict.EQUIVALENT
    for key, value in {
        "names": "{0: 'dog', 1: 'cat'}",
        "alpha": "32",
        "features": json.dumps({"label": {"names": ["pos", "neg"]}, "scale": 0.1}),
    }.items():
        found, _notes = compare(name, write(expected | {key: value}), write(expected))
        assert [each.item for each in found if not each.verdict.passes] == [item.format(key)]
    without = {key: value for key, value in expected.items() if key != "names"}
    assert verdict_of(compare(name, write(without), write(expected))[0]) is Verdict.DRIFT


@pytest.mark.parametrize(
    ("key", "actual", "expected"),
    [
        ("box_format", "xywh", "xyxy"),
        ("data_format", "NHWC", "NCHW"),
        ("image.format", "BGR", "RGB"),
        ("box-format", "xywh", "xyxy"),
        ("label.pixel_format", "BGR", "RGB"),
        ("dataset_version", "v2", "v1"),
        ("vocab_hash", "9f1c03aa77de", "9f1c03aa77df"),
        ("target_date", "2026-02-01", "2026-01-01"),
        ("class_title", "Dog", "Cat"),
        ("label_description", "0 is a dog", "0 is a cat"),
        ("head_library", "sigmoid", "softmax"),
        ("train_data_path", "/data/v2.csv", "/data/v1.csv"),
    ],
)
def test_what_only_ends_as_a_makers_key_does_says_something_of_the_values(
    compare: Compare, key: str, actual: str, expected: str
) -> None:
    found, _notes = compare(
        "m.safetensors", safetensors_of({key: actual}), safetensors_of({key: expected})
    )
    assert [each.item for each in found if not each.verdict.passes] == [f"__metadata__.{key}"]


@pytest.mark.parametrize(
    ("key", "actual", "expected"),
    [
        ("format", "tf", "pt"),
        ("keras_version", "3.1.0", "3.2.0"),
        ("modelspec.date", "2026-11-30", "2026-11-29"),
        ("modelspec.hash_sha256", "0x9f1c", "0x8f1c"),
        ("ss_sd_scripts_commit_hash", "9f1c03aa", "8f1c03aa"),
        ("sshs_model_hash", "9f1c03aa", "8f1c03aa"),
        ("ss_output_name", "monday", "sunday"),
        ("export_date", "2026-11-30", "2026-11-29"),
        ("created_by", "a", "b"),
        ("Creation Date", "2026-11-30", "2026-11-29"),
        ("git.commit", "9f1c03aa", "8f1c03aa"),
        ("checkpoint_path", "/home/ann/run/best.pt", "/srv/run/best.pt"),
    ],
)
def test_who_made_a_model_when_and_with_what_is_no_drift(
    compare: Compare, key: str, actual: str, expected: str
) -> None:
    found, _notes = compare(
        "m.safetensors", safetensors_of({key: actual}), safetensors_of({key: expected})
    )
    assert verdict_of(found) is Verdict.EQUIVALENT


def test_what_a_column_is_measured_in_counts(compare: Compare) -> None:
    def write(unit: str) -> bytes:
        field = pa.field("length", pa.float64(), metadata={"unit": unit})
        sink = io.BytesIO()
        pq.write_table(pa.table([pa.array([1.5])], schema=pa.schema([field])), sink)
        return sink.getvalue()

    found, _notes = compare("d.parquet", write("ft"), write("m"))
    assert [each.item for each in found if not each.verdict.passes] == ["length@unit"]


@pytest.mark.parametrize(("name", "write"), [("t.parquet", groups_of), ("t.feather", feather_of)])
def test_in_which_order_categories_stand_counts_where_it_says_which_is_less(
    compare: Compare, name: str, write: Callable[[pa.Table], bytes]
) -> None:
    """And not where the same values only are numbered otherwise."""

    def graded(order: str, ordered: bool) -> bytes:
        codes = pa.array([order.index(grade) for grade in "abca"], pa.int8())
        column = pa.DictionaryArray.from_arrays(codes, pa.array([*order]), ordered=ordered)
        return write(pa.table({"id": [1, 2, 3, 4], "grade": column}))

    def off(one: bytes, other: bytes) -> list[str]:
        found, _notes = compare(name, one, other)
        return [each.item for each in found if not each.verdict.passes]

    assert off(graded("abc", False), graded("cba", False)) == []
    assert off(graded("abc", True), graded("abc", True)) == []
    assert off(graded("abc", True), graded("cba", True)) == ["grade@categories"]

    days = pa.array(["2026-01-01", "2026-01-02"])  # no clock gives them in another order
    sides = [
        write(pa.table({"grade": pa.DictionaryArray.from_arrays(codes, order, ordered=True)}))
        for codes, order in (([0, 1], days), ([1, 0], days[::-1]))
    ]
    assert off(*sides) == ["grade@categories"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_which_way_up_a_picture_stands_counts(compare: Compare, kind: str) -> None:
    def write(orientation: int | None) -> bytes:
        sink, exif = io.BytesIO(), Image.Exif()
        if orientation is not None:
            exif[274] = orientation
        exif[305] = f"a program {orientation}"
        Image.fromarray(PIXELS).save(sink, kind, exif=exif)
        return sink.getvalue()

    name = f"f.{kind.lower()}"
    assert verdict_of(compare(name, write(None), write(1))[0]) is Verdict.IDENTICAL
    found, _notes = compare(name, write(6), write(None))
    assert [each.item for each in found if not each.verdict.passes] == ["orientation"]


def test_where_on_earth_a_picture_lies_counts(compare: Compare) -> None:
    def write(east: float, **options: str) -> bytes:
        tags, sink = TiffImagePlugin.ImageFileDirectory_v2(), io.BytesIO()
        for tag, value in ((33922, (0.0, 0.0, 0.0, east, 5e6, 0.0)), (33550, (10.0, 10.0, 0.0))):
            tags.tagtype[tag] = 12
            tags[tag] = value
        Image.fromarray(PIXELS).save(sink, "TIFF", tiffinfo=tags, **options)
        return sink.getvalue()

    other = write(4e5, software="another")
    assert verdict_of(compare("r.tif", other, write(4e5))[0]) is Verdict.IDENTICAL
    found, _notes = compare("r.tif", write(4.1e5), write(4e5))
    assert [each.item for each in found if not each.verdict.passes] == ["geo.tie_points"]
