"""Comparators that do to their reader what a damaged file does to a library in C.

What is done stands in the file: a word, and what belongs to it. This module is imported by name in
readers, as a package's comparator is.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_mlcontainer.model import Comparator


def read(path: Path) -> Mapping[str, object]:
    """Do what the file says."""
    word, _blank, rest = path.read_text().partition(" ")
    globals()[f"_{word}"](rest.strip())
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
    """As a parser that recurses for each level of nesting, without Python's own limit."""
    library = ctypes.CDLL(None)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    holder: list[object] = []

    def again(_one: object, _other: object) -> int:
        array = (ctypes.c_int * 2)(1, 2)
        library.qsort(array, 2, 4, holder[0])
        return 0

    sys.setrecursionlimit(1 << 30)
    holder.append(kind(again))
    again(None, None)


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


def _reserve(rest: str) -> None:
    bytearray(int(rest))


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


COMPARATOR = Comparator("fault", read, (".fault",))
