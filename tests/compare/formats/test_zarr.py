"""Zarr stores, in folders and in zip files: what the package reads is compared."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.compare.formats.zarr_store import FORMAT
from pytest_mlcontainer.compare.sources import ACTUAL, ComparedFile
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict
from tests.fixture_types import Compare, OnlyHere

WEIGHTS = np.linspace(-3, 5, 90).reshape(9, 10).astype("f4")
HOLED = np.where(np.arange(9)[:, None] < 4, WEIGHTS, np.float32(0))
Stored = Callable[..., tuple[Output, ...]]


@pytest.fixture(params=["folder", "zip"])
def stored(tmp_path: Path, request: pytest.FixtureRequest) -> Stored:
    """`stored("actual", data, version=2, …)`: the outputs of a run that wrote a store."""

    def write(side: str, *args: Any, **kwargs: Any) -> tuple[Output, ...]:
        root = tmp_path / side / "out" / "data.zarr"
        make(root, *args, **kwargs)
        if request.param == "zip":
            packed = tmp_path / side / "out" / "data.zip"
            with zipfile.ZipFile(packed, "w") as file:
                for path in files_of(root):
                    file.write(path, path.relative_to(root))
            return (Output("out/data.zip", packed, packed.stat().st_size),)
        return outputs_of(tmp_path / side)

    return write


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def outputs_of(place: Path) -> tuple[Output, ...]:
    return tuple(
        Output(path.relative_to(place).as_posix(), path, path.stat().st_size)
        for path in files_of(place)
    )


def make(
    root: Path,
    data: Any = WEIGHTS,
    version: Any = 3,
    name: str = "w",
    attributes: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    rows: int | None = None,
    **options: Any,
) -> None:
    group = zarr.open_group(root, mode="w", zarr_format=version, attributes=about)
    inner = group.create_group("g")
    options = {"chunks": (4, 5), **options}
    array = inner.create_array(
        name, shape=data.shape, dtype=data.dtype, attributes=attributes, **options
    )
    array[:rows] = data[:rows]


def drifting(found: tuple[Difference, ...]) -> list[str]:
    return sorted(each.item for each in found if not each.verdict.passes)


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        ({"data": np.nextafter(WEIGHTS, np.float32(99))}, {}, []),
        ({"data": WEIGHTS + np.float32(0.01)}, {}, ["g/w"]),
        ({"data": WEIGHTS[:8]}, {}, ["g/w"]),
        ({"data": WEIGHTS.astype("f8")}, {}, ["g/w"]),
        ({"name": "v"}, {}, ["g/v", "g/w"]),
        ({"version": 2}, {}, []),
        ({"chunks": (9, 10)}, {}, []),
        ({"chunks": (3, 5), "shards": (9, 10)}, {}, []),
        ({"compressors": None}, {}, []),
        ({"data": HOLED, "rows": 4, "fill_value": 0.0}, {"data": HOLED, "fill_value": 1.0}, []),
        # What was never written is the fill value, so another one is another value.
        ({"data": HOLED, "rows": 4, "fill_value": 2.0}, {"data": HOLED}, ["g/w"]),
        ({"attributes": {"units": "K"}}, {"attributes": {"units": "m"}}, ["g/w@units"]),
        ({"attributes": {"n": {"lr": 0.1}}}, {"attributes": {"n": {"lr": 0.2}}}, ["g/w@n.lr"]),
        ({"about": {"history": "2026-12-01T04:48:13Z: made"}},
         {"about": {"history": "2026-12-01T05:11:44Z: made"}}, []),
        ({"about": {"classes": "cat dog"}}, {"about": {"classes": "dog cat"}}, ["@classes"]),
    ],
)  # fmt: skip
def test_arrays_and_attributes_are_compared_by_value(
    stored: Stored, actual: dict[str, Any], expected: dict[str, Any], items: list[str]
) -> None:
    sides = stored("actual", **actual), stored("expected", **expected)
    found, _notes = compare_outputs(*sides, ())
    assert drifting(found) == items
    assert len({each.output for each in found}) == 1


def test_consolidated_metadata_says_nothing_new(tmp_path: Path) -> None:
    for side in ("actual", "expected"):
        make(tmp_path / side / "data.zarr", version=2)
    zarr.consolidate_metadata(tmp_path / "actual" / "data.zarr")
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    found, _notes = compare_outputs(sides[0], sides[1], ())
    assert verdict_of(found).passes


def test_a_folder_is_one_output_that_a_rule_names(tmp_path: Path) -> None:
    make(tmp_path / "actual" / "out" / "data.zarr", WEIGHTS + np.float32(0.01))
    make(tmp_path / "expected" / "out" / "data.zarr")
    for side in ("actual", "expected"):
        (tmp_path / side / "out" / "loss.json").write_text("[1.5]")
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    rule = Rule("out/data.zarr", "g/w", Tolerance(atol=0.02))
    found, _notes = compare_outputs(sides[0], sides[1], (rule,))
    assert verdict_of(found) is Verdict.EQUIVALENT
    assert {each.output for each in found} == {"out/data.zarr", "out/loss.json"}


def test_a_rule_for_files_of_a_folder_keeps_it_files(tmp_path: Path) -> None:
    make(tmp_path / "actual" / "data.zarr", WEIGHTS + np.float32(0.01))
    make(tmp_path / "expected" / "data.zarr")
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    found, _notes = compare_outputs(
        sides[0], sides[1], (Rule("data.zarr/g/**", None, Tolerance(ignore=True)),)
    )
    assert verdict_of(found).passes
    assert "data.zarr" not in {each.output for each in found}


def test_folders_with_the_same_files_are_identical(tmp_path: Path) -> None:
    for side in ("actual", "expected"):
        make(tmp_path / side / "data.zarr")
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    ((found,), _notes) = compare_outputs(sides[0], sides[1], ())
    assert (found.verdict, found.size) == (
        Verdict.IDENTICAL,
        sum(each.size_bytes for each in sides[0]),
    )
    sides[1][-1].path.unlink()
    found_now, _notes = compare_outputs(sides[0], outputs_of(tmp_path / "expected"), ())
    assert verdict_of(found_now) is not Verdict.IDENTICAL


def test_a_folder_that_one_side_alone_has_stays_files(tmp_path: Path) -> None:
    make(tmp_path / "actual" / "data.zarr")
    found, _notes = compare_outputs(outputs_of(tmp_path / "actual"), (), ())
    assert {each.output for each in found} > {"data.zarr/zarr.json", "data.zarr/g/w/zarr.json"}


def test_a_damaged_chunk_fails_its_array_alone(tmp_path: Path) -> None:
    root = tmp_path / "actual" / "out" / "data.zarr"
    make(root)
    chunk = root / "g" / "w" / "c" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    make(tmp_path / "expected" / "out" / "data.zarr")
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    found, _notes = compare_outputs(sides[0], sides[1], ())
    (failed,) = (each for each in found if not each.verdict.passes)
    assert (failed.verdict, failed.item) == (Verdict.FAILED, "g/w")
    assert "a chunk of 'g/w' is damaged" in failed.note


def test_a_codec_that_unpickles_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for side, shape in (("actual", [1]), ("expected", [2])):
        root = tmp_path / side / "data.zarr"
        root.mkdir(parents=True)
        described = {
            "zarr_format": 2, "shape": shape, "chunks": [1], "dtype": "|O", "compressor": None,
            "fill_value": None, "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
        }  # fmt: skip
        root.joinpath(".zarray").write_text(json.dumps(described))
        code = f"cbuiltins\nopen\n(V{mark}\nVw\ntR."
        root.joinpath("0").write_bytes(code.encode())
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    ((found,), _notes) = compare_outputs(sides[0], sides[1], ())
    assert found.verdict is Verdict.FAILED
    assert "packed by pickle, which is not read" in found.note
    assert not mark.exists()


@pytest.mark.parametrize(
    "described",
    [
        b"{",
        b"[]",
        b'{"zarr_format": 3, "node_type": "array"}',
        b'{"zarr_format": 3, "node_type": "array", "attributes": 7}',
        json.dumps(
            {
                "zarr_format": 3, "node_type": "array", "shape": [2**50], "data_type": "float64",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2**50]}},
                "chunk_key_encoding": {"name": "default"}, "fill_value": 0,
                "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            }
        ).encode(),
    ],
)  # fmt: skip
def test_what_lies_about_itself_fails_by_itself(tmp_path: Path, described: bytes) -> None:
    for side in ("actual", "expected"):
        make(tmp_path / side / "data.zarr")
    (tmp_path / "actual" / "data.zarr" / "g" / "w" / "zarr.json").write_bytes(described)
    sides = [outputs_of(tmp_path / side) for side in ("actual", "expected")]
    found, _notes = compare_outputs(sides[0], sides[1], ())
    (failed,) = (each for each in found if each.verdict is Verdict.FAILED)
    assert failed.item == "g/w"
    assert "raised" not in failed.note


def test_a_zip_of_which_nothing_can_be_read_fails_by_itself(compare: Compare) -> None:
    packed = []
    for attributes in ("{", "["):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(".zgroup", '{"zarr_format": 2}')
            file.writestr("w/.zarray", attributes)
            file.writestr("v/.zarray", attributes)
        packed.append(stream.getvalue())
    found, _notes = compare("a.zarr.zip", *packed)
    assert {(each.item, each.verdict) for each in found if not each.verdict.passes} == {
        ("w", Verdict.FAILED),
        ("v", Verdict.FAILED),
    }


def test_a_truncated_zip_fails(tmp_path: Path) -> None:
    sides: list[tuple[Output, ...]] = []
    for side, kept in (("actual", 0.6), ("expected", 1.0)):
        path = tmp_path / f"{side}.zarr.zip"
        make(tmp_path / side)
        with zipfile.ZipFile(path, "w") as file:
            for each in files_of(tmp_path / side):
                file.write(each, each.relative_to(tmp_path / side))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        sides.append((Output("a.zarr.zip", path, path.stat().st_size),))
    found, _notes = compare_outputs(sides[0], sides[1], ())
    assert verdict_of(found) is Verdict.FAILED


def test_arrays_are_read_in_blocks(tmp_path: Path) -> None:
    make(tmp_path / "data.zarr")
    assert FORMAT.arrays is not None
    with FORMAT.arrays(ComparedFile(ACTUAL, "data.zarr", tmp_path / "data.zarr")) as arrays:
        array = dict(arrays)["g/w"]()
        assert [len(block) for block in array.blocks(50)] == [50, 40]
        np.testing.assert_array_equal(array.values(), WEIGHTS)


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    zips = []
    for number in range(2):
        make(tmp_path / str(number), WEIGHTS + np.float32(number))
        path = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as file:
            for each in files_of(tmp_path / str(number)):
                file.write(each, each.relative_to(tmp_path / str(number)))
        zips.append(path.read_bytes())
    monkeypatch.setitem(sys.modules, "zarr", None)
    found = only_here("a.zip", *zips)
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[zarr]'" in found.note
