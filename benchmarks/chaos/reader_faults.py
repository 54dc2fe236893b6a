"""Comparators that do to their reader what a damaged file does to a library in C.

What is done stands in the file: a word, and what belongs to it. This module is imported by name in
readers, as a package's comparator is.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_mlcontainer.model import Comparator


def read(path: Path) -> Mapping[str, object]:
    """Do what the file says."""
    text = path.read_text()
    _fault(text)
    word, _blank, rest = text.partition(" ")
    return {"word": word, "rest": rest.strip()}


def _fine(_rest: str) -> None:
    """Nothing."""


def _where(rest: str) -> None:
    Path(rest).write_text(str(os.getpid()))


def _segv(_rest: str) -> None:
    ctypes.string_at(0)


def _signal(rest: str) -> None:
    os.kill(os.getpid(), getattr(signal, rest))


def _abort(rest: str) -> None:
    os.write(2, f"terminate called: {rest}\n".encode())
    os.abort()


def _exit(rest: str) -> None:
    os._exit(int(rest))


def _stack(_rest: str) -> None:
    """As a parser that recurses for each level of nesting, on a stack that is smaller than what the
    limit of Python 3.12 for calls of C allows."""
    library = ctypes.CDLL(None)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    holder: list[object] = []

    def again(_one: object, _other: object) -> int:
        array = (ctypes.c_int * 2)(1, 2)
        library.qsort(array, 2, 4, holder[0])
        return 0

    sys.setrecursionlimit(1 << 30)
    holder.append(kind(again))
    threading.stack_size(1 << 16)
    thread = threading.Thread(target=again, args=(None, None))
    thread.start()
    thread.join()


def _hang(_rest: str) -> None:
    """Where no Python can interrupt it."""
    ctypes.PyDLL(None).pause()


def _spin(_rest: str) -> None:
    while True:
        pass


def _sleep(rest: str) -> None:
    time.sleep(float(rest))


def _allocate(_rest: str) -> None:
    kept = []
    while True:
        kept.append(b"x" * (1 << 24))


def _malloc(_rest: str) -> None:
    """As a library that does not look whether there was memory."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    while True:
        ctypes.memset(library.malloc(ctypes.c_size_t(1 << 26)), 1, 1 << 26)


def _share(_rest: str) -> None:
    """Memory that could be shared, which the system does not count as the process's own."""
    kept = []
    while True:
        kept.append(mmap.mmap(-1, 1 << 24))
        kept[-1].write(b"x" * (1 << 24))
        time.sleep(0.005)


def _reserve(rest: str) -> None:
    bytearray(int(rest))


def _leak(rest: str) -> None:
    """So many bytes of memory that are never given back."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    ctypes.memset(library.malloc(ctypes.c_size_t(int(rest))), 1, int(rest))


def _map(_rest: str) -> None:
    """Files that are mapped are no memory of its own."""
    with Path(sys.executable).open("rb") as file:
        mapped = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for _ in range(200)]
        assert all(mapped)


def _garbage(rest: str) -> None:
    """Onto every descriptor that takes it, the one of the messages too."""
    for file in range(3, 30):
        try:
            os.write(file, bytes.fromhex(rest))
        except OSError:
            continue
    time.sleep(60)


def _print(rest: str) -> None:
    for file in (1, 2):
        os.write(file, rest.encode() * 1000)


def _close(_rest: str) -> None:
    os.closerange(0, 30)
    time.sleep(60)


def _orphan(rest: str) -> None:
    Path(rest).write_text(str(os.getpid()))
    ctypes.PyDLL(None).pause()


def _raise(rest: str) -> None:
    raise ValueError(rest)


def _poison(_rest: str) -> None:
    """Break what the next file needs, as one that writes past its memory does."""
    os.environ["READER_FAULTS_POISON"] = "1"


def _poisoned(_rest: str) -> None:
    if "READER_FAULTS_POISON" in os.environ:
        os.abort()


def _hdf5(rest: str) -> None:
    """In the midst of libhdf5, which calls for each item of a file."""
    import h5py

    with h5py.File("faults.h5", "w", driver="core", backing_store=False) as file:
        file["a/b"] = [1.0]
        file.visititems(lambda _name, _item: _fault(rest))


def _arrow(rest: str) -> None:
    """In the midst of Arrow, which reads Parquet from a file of Python's."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": [1, 2]}), stream)
    pyarrow.parquet.read_table(pyarrow.PythonFile(_Failing(stream.getvalue(), rest), "r"))


def _onnx(rest: str) -> None:
    """Right after protobuf, which calls nobody, has parsed a model."""
    import onnx

    model = onnx.ModelProto(producer_name="x" * 1000)
    onnx.load_model_from_string(model.SerializeToString())
    _fault(rest)


def _pillow(rest: str) -> None:
    """In the midst of Pillow, which decodes what it reads from a file of Python's."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "png")
    with Image.open(_Failing(stream.getvalue(), rest)) as picture:
        picture.load()


def _sqlite(rest: str) -> None:
    """In the midst of a statement, which calls a function for each row."""
    base = sqlite3.connect(":memory:")
    base.create_function("fault", 0, lambda: _fault(rest))
    base.execute("SELECT fault()").fetchall()
    base.close()


class _Failing(io.BytesIO):
    """A file that does it while a library reads."""

    def __init__(self, data: bytes, fault: str) -> None:
        super().__init__(data)
        self._fault = fault

    def read(self, size: int | None = -1, /) -> bytes:
        _fault(self._fault)
        return super().read(size)


def _fault(text: str) -> None:
    word, _blank, rest = text.partition(" ")
    globals()[f"_{word}"](rest.strip())


COMPARATOR = Comparator("fault", read, (".fault",))
LIBRARIES = ("hdf5", "arrow", "onnx", "pillow", "sqlite")
"""Words that do another one inside a library: `hdf5 segv`."""
