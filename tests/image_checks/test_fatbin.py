"""Which GPUs programs are made for.

Held by hand against cuobjdump 13.4, with the same targets found: libnvjpeg 12 and 13, libnccl 2.32,
xgboost 3.4, onnxruntime-gpu 1.31.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.image_checks.inventory.fatbin import FatbinScan, cubin_target

PTX, CUBIN = 1, 2


def fatbin(*entries: tuple[int, int, bytes], flags: int = 0x8011) -> bytes:
    """Kind, architecture and content of each entry."""
    body = b""
    for kind, target, content in entries:
        head = struct.pack("<HHIQ12xI8xI", kind, 0x101, 64, len(content), target, flags)
        body += head.ljust(64, b"\0") + content
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def targets(data: bytes, piece: int = 1 << 20) -> tuple[str, ...]:
    scan = FatbinScan()
    for at in range(0, len(data), piece):
        scan.feed(memoryview(data)[at : at + piece])
    return scan.targets


TWO = fatbin((CUBIN, 80, b"c" * 333), (CUBIN, 90, b"d" * 64), (PTX, 90, b"e" * 1000))


@given(st.integers(1, 4000), st.integers(0, 700))
def test_targets_are_found_however_the_file_comes(piece: int, before: int) -> None:
    data = b"h" * before + TWO + b"between" * 9 + fatbin((CUBIN, 120, b"")) + b"t" * 50
    assert targets(data, piece) == ("sm_80", "compute_90", "sm_90", "sm_120")


def test_code_for_one_architecture_alone_is_told_from_other_code() -> None:
    """The flags are those of onnxruntime's sm_90a and sm_120a, and of sm_120 of NCCL's."""
    assert targets(fatbin((CUBIN, 90, b""), flags=0x108011)) == ("sm_90a",)
    assert targets(fatbin((CUBIN, 120, b""), flags=0x1108011)) == ("sm_120a",)
    assert targets(fatbin((CUBIN, 120, b""), flags=0x1008011)) == ("sm_120",)


def test_what_stands_in_the_code_of_an_entry_is_passed_by() -> None:
    """It may be compressed, and any bytes come up in it."""
    assert targets(fatbin((CUBIN, 75, fatbin((CUBIN, 60, b""))))) == ("sm_75",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 2**60) + TWO[16:],
        struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 0),
        struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 500) + b"\xff" * 600,
        fatbin((7, 80, b"")),
        fatbin((CUBIN, 80, b"c" * 99)).replace(struct.pack("<Q", 99), struct.pack("<Q", 2**40)),
        fatbin((CUBIN, 4000, b"")),
        fatbin((CUBIN, 80, b""))[:70],
    ],
)
def test_a_magic_by_chance_is_no_gpu_code(data: bytes) -> None:
    assert targets(data) == ()


def test_code_behind_a_magic_by_chance_is_found() -> None:
    chance = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 500) + b"\xff" * 64
    assert targets(chance + TWO, 100) == ("sm_80", "compute_90", "sm_90")


@given(st.binary(max_size=3000), st.integers(1, 999))
def test_any_bytes_are_read_without_a_crash(data: bytes, piece: int) -> None:
    targets(TWO[:16] + data, piece)


def elf(machine: int, flags: int, version: int) -> bytes:
    head = bytearray(64)
    head[:4], head[8] = b"\x7fELF", version
    struct.pack_into("<H", head, 18, machine)
    struct.pack_into("<I", head, 48, flags)
    return bytes(head)


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (elf(190, 0x500550, 7), "sm_80"),
        (elf(190, 0x4005A04, 8), "sm_90"),
        (elf(62, 0x550, 7), ""),
        (elf(190, 0, 7), ""),
        (b"\x7fELF", ""),
    ],
)
def test_a_cubin_says_its_target_in_its_header(head: bytes, target: str) -> None:
    assert cubin_target(head) == target
