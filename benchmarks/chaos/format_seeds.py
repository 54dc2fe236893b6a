"""Small valid files of every format that a library in C reads, and damage to their bytes."""

from __future__ import annotations

import gzip
import io
import json
import random
import sqlite3
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

Seeds = Mapping[str, tuple[bytes, ...]]
_EXTREMES = (
    0,
    1,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)


def format_seeds() -> Seeds:
    """Files by the ending that says their format."""
    seeds: dict[str, tuple[bytes, ...]] = {
        "h5": _hdf5(),
        "parquet": _parquet(),
        "arrow": _arrow(),
        "onnx": _onnx(),
        "sqlite": _sqlite(),
        "nc": _netcdf(),
        "msgpack": _msgpack(),
        "nii": _nifti(),
        "zarr.zip": _zarr(),
        "gguf": _gguf(),
        **_images(),
    }
    array = np.arange(12.0).reshape(3, 4)
    npy, npz, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, array)
    np.savez(npz, a=array, b=np.arange(3))
    np.savez_compressed(packed, a=array)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    tensors = struct.pack("<Q", len(header)) + header + bytes(range(16))
    seeds |= {
        "npy": (npy.getvalue(),),
        "npz": (npz.getvalue(), packed.getvalue()),
        "safetensors": (tensors,),
        "yaml": (b"a: [1, 2.5, {b: c}]\nd: |\n  text\n---\n- &x 1\n- *x\n",),
    }
    return {**seeds, **_archives(seeds)}


def damage(data: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """The bytes with one to four changes: bits, numbers, pieces that move, go, come or repeat."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        if changed:
            dice.choice(_CHANGES)(changed, others, dice)
    return bytes(changed)


def _flip(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    """A number of any width, as lengths and offsets are, with an extreme one."""
    width = dice.choice((1, 2, 4, 8))
    at = dice.randrange(len(data))
    value = dice.choice(_EXTREMES) & ((1 << 8 * width) - 1)
    order: Literal["little", "big"] = dice.choice(("little", "big"))
    data[at : at + width] = value.to_bytes(width, order)[: len(data) - at]


def _cut(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 4, 64, len(data)))]


def _repeat(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.choice((1, 8, 64))] * dice.choice((1, 2, 50))


def _splice(data: bytearray, others: Sequence[bytes], dice: random.Random) -> None:
    other = dice.choice(others)
    start = dice.randrange(len(other))
    piece = other[start : start + dice.choice((4, 32, 256))]
    at = dice.randrange(len(data))
    data[at : at + len(piece)] = piece


_CHANGES: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _flip, _flip, _overwrite, _overwrite, _cut, _repeat, _splice,
)  # fmt: skip


def _hdf5() -> tuple[bytes, ...]:
    import h5py

    def file(write: Callable[[Any], None], **options: Any) -> bytes:
        stream = io.BytesIO()
        with h5py.File(stream, "w", **options) as opened:
            write(opened)
        return stream.getvalue()

    def plain(opened: Any) -> None:
        opened["w"] = np.arange(20.0).reshape(4, 5)
        opened["texts"] = ["one", "two"]
        opened.attrs["lr"] = 0.1
        opened["group/again"] = opened["w"]

    def packed(opened: Any) -> None:
        opened.create_dataset("z", data=np.arange(400), chunks=(50,), compression="gzip")
        opened.create_dataset("s", data=np.arange(64.0), chunks=(8,), shuffle=True, fletcher32=True)
        opened.create_dataset("pair", data=np.zeros(2, [("a", "f4"), ("b", "i8")]))

    return file(plain), file(packed), file(plain, libver="latest")


def _parquet() -> tuple[bytes, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    for options in ({"compression": "none"}, {"compression": "snappy"}, {"use_dictionary": False}):
        stream = io.BytesIO()
        pq.write_table(_table(pa), stream, row_group_size=4, **options)
        found.append(stream.getvalue())
    return tuple(found)


def _table(pa: Any) -> Any:
    return pa.table(
        {
            "i": pa.array([1, None, 3, 4, 5, 6]),
            "f": pa.array([0.5, 1.5, None, 2.5, 3.5, 4.5]),
            "s": pa.array(["a", "bb", None, "", "ccc", "d"]),
            "l": pa.array([[1, 2], [], None, [3], [4, 5, 6], [7]]),
            "d": pa.array(["x", "y", "x", None, "y", "x"]).dictionary_encode(),
            "r": pa.array([{"k": 1}, None, {"k": 2}, {"k": 3}, {"k": None}, {"k": 4}]),
        }
    )


def _arrow() -> tuple[bytes, ...]:
    import pyarrow as pa

    table = _table(pa)
    found = []
    for writer in (pa.ipc.new_file, pa.ipc.new_stream):
        for codec in (None, "zstd"):
            stream = io.BytesIO()
            options = pa.ipc.IpcWriteOptions(compression=codec)
            with writer(stream, table.schema, options=options) as opened:
                opened.write_table(table)
            found.append(stream.getvalue())
    return tuple(found)


def _onnx() -> tuple[bytes, ...]:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    sides = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3]),
    )
    graph = helper.make_graph([node], "g", [sides[0]], [sides[1]], [weights])
    return (helper.make_model(graph).SerializeToString(),)


def _sqlite() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        base = sqlite3.connect(path)
        base.execute("PRAGMA page_size = 512")
        base.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT, loss REAL, raw BLOB)")
        rows = [(number, f"run {number}", number / 7, b"x" * number * 9) for number in range(60)]
        base.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", rows)
        base.execute("CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID")
        base.execute("INSERT INTO pairs VALUES (1, 'x'), (2, '')")
        base.commit()
        base.close()
        return (path.read_bytes(),)


def _netcdf() -> tuple[bytes, ...]:
    from scipy.io import netcdf_file

    found = []
    for version, unlimited in ((1, True), (2, False)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.nc")
            with netcdf_file(path, "w", version=version) as file:
                file.history = "made"
                file.createDimension("t", None if unlimited else 6)
                file.createDimension("x", 5)
                packed = file.createVariable("packed", np.dtype("i2"), ("t", "x"))
                packed[:] = np.arange(30, dtype="i2").reshape(6, 5)
                packed.scale_factor, packed.units = 0.5, "K"
                file.createVariable("w", np.dtype("f8"), ("t",))[:] = np.arange(6.0)
            found.append(path.read_bytes())
    return tuple(found)


def _msgpack() -> tuple[bytes, ...]:
    import msgpack

    weights = np.arange(6, dtype="f4").reshape(2, 3)
    array = msgpack.ExtType(1, msgpack.packb((weights.shape, "float32", weights.tobytes())))
    plain = {"loss": 0.5, "ids": [1, 2, 2**40], "raw": b"abc", "t": msgpack.Timestamp(5, 6)}
    pieces = {str(number): array for number in range(2)}
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 12}, "chunks": pieces}
    state = {"params": {"w": array, "z": msgpack.ExtType(2, msgpack.packb((1.0, 2.0)))}}
    values = (plain, state, {"table": chunked}, {1: [True, None, -5, "text" * 20]})
    return tuple(msgpack.packb(value) for value in values)


def _nifti() -> tuple[bytes, ...]:
    import nibabel

    found = []
    kinds: tuple[Any, ...] = (nibabel.Nifti1Image, nibabel.Nifti2Image)
    for kind in kinds:
        for data in (np.arange(24, dtype="i2"), np.arange(24.0)):
            image = kind(data.reshape(2, 3, 4), np.eye(4))
            image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
            found.append(image.to_bytes())
    return tuple(found)


def _zarr() -> tuple[bytes, ...]:
    import zarr

    found = []
    versions: tuple[Literal[2, 3], ...] = (2, 3)
    for version in versions:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            attributes: dict[str, Any] = {"title": "made", "n": [1, 2]}
            group = zarr.open_group(root, mode="w", zarr_format=version, attributes=attributes)
            for name, data in (("w", np.arange(60.0).reshape(6, 10)), ("ids", np.arange(9))):
                array = group.create_array(
                    name, shape=data.shape, dtype=data.dtype, chunks=(3,) * data.ndim
                )
                array[...] = data
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                for path in sorted(each for each in root.rglob("*") if each.is_file()):
                    archive.write(path, path.relative_to(root))
        found.append(stream.getvalue())
    return tuple(found)


def _gguf() -> tuple[bytes, ...]:
    import gguf

    weights = np.arange(64, dtype="f4").reshape(2, 32)
    kind = gguf.GGMLQuantizationType.Q8_0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gguf")
        writer: Any = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(1)
        writer.add_token_list(["a", "b"])
        writer.add_tensor("w", weights)
        writer.add_tensor("q", gguf.quants.quantize(weights, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return (path.read_bytes(),)


def _images() -> dict[str, tuple[bytes, ...]]:
    from PIL import Image

    picture = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3) % 251)
    found: dict[str, tuple[bytes, ...]] = {}
    for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp"):
        stream = io.BytesIO()
        picture.save(stream, kind)
        found[kind] = (stream.getvalue(),)
    return found


def _archives(seeds: Seeds) -> dict[str, tuple[bytes, ...]]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in ("h5", "npy", "yaml"):
            archive.writestr(f"a.{kind}", seeds[kind][0])
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        for kind in ("png", "sqlite"):
            info = tarfile.TarInfo(f"a.{kind}")
            info.size = len(seeds[kind][0])
            tar.addfile(info, io.BytesIO(seeds[kind][0]))
    packed = gzip.compress(seeds["parquet"][0])
    return {"zip": (zipped.getvalue(),), "tar": (tarred.getvalue(),), "parquet.gz": (packed,)}
