"""Which GPUs the programs in a file are made for, found while its bytes pass by.

Host programs carry code for GPUs in "fat binaries": a header, then one entry for each architecture,
machine code (a cubin) or PTX. NVIDIA's cuobjdump lists the same. Their layout has been read from
binaries: 16 bytes of header (magic, version 1, its own size, size of all entries), and entries of
64 bytes or more (kind, version, its own size, size of what follows, …, the architecture as a number
at byte 28, flags at byte 40). One flag marks code that is special to one architecture, `sm_90a`.
"""

from __future__ import annotations

import struct

ELF = b"\x7fELF"
_MAGIC = struct.pack("<IHH", 0xBA55ED50, 1, 16)
_HEADER = struct.Struct("<IHHQ")
_ENTRY = struct.Struct("<HHIQ12xI8xI")
_ENTRY_BYTES = 64
_SPECIAL = 1 << 20
_PTX, _CUBIN = 1, 2
_KINDS = {_PTX: "compute", _CUBIN: "sm"}
_OLDEST, _NEWEST = 20, 199  # architectures of CUDA 7.0 to those that nobody has named yet
_MOST_ENTRY_HEADER = 4096
# Of one fat binary; the largest of a library of NVIDIA's is some hundred megabytes.
_MOST_BYTES = 1 << 32
_CUDA_MACHINE = 190
_ELF_FLAGS = 48
_ELF_ABI_VERSION = 8
_SECOND_FORMAT = 8


class FatbinScan:
    """Takes a file's bytes in pieces, and knows the targets of its GPU code so far.

    It holds no more than the end of one piece.
    """

    def __init__(self) -> None:
        self._targets: set[str] = set()
        self._kept = b""
        self._skip = 0
        self._left = 0  # of the fat binary it is in

    @property
    def targets(self) -> tuple[str, ...]:
        """`sm_80` for machine code, `compute_90` for PTX; by number."""
        return tuple(sorted(self._targets, key=by_number))

    def feed(self, piece: bytes | memoryview) -> None:
        """The next bytes of the file."""
        if self._skip >= len(piece) and not self._kept:
            self._skip -= len(piece)
            return
        data = self._kept + bytes(piece)
        at = 0
        while True:
            jump = min(self._skip, len(data) - at)
            at, self._skip = at + jump, self._skip - jump
            if self._skip:
                break
            ahead = self._entry(data, at) if self._left else self._search(data, at)
            if ahead is None:
                break
            at = ahead
        self._kept = data[at:] if self._left else data[max(at, len(data) - _HEADER.size + 1) :]
        if self._skip:
            self._kept = b""

    def _search(self, data: bytes, start: int) -> int | None:
        """Go behind the next header; None where there is none yet."""
        at = data.find(_MAGIC, start)
        if at < 0 or at + _HEADER.size > len(data):
            return None
        size = _HEADER.unpack_from(data, at)[3]
        if _ENTRY_BYTES <= size <= _MOST_BYTES:
            self._left = size
        return at + _HEADER.size

    def _entry(self, data: bytes, at: int) -> int | None:
        """Go behind the header of an entry, its content to be skipped; None if it is not whole."""
        if self._left < _ENTRY_BYTES:
            self._left = 0
            return at
        if at + _ENTRY_BYTES > len(data):
            return None
        kind, _version, header_bytes, size, target, flags = _ENTRY.unpack_from(data, at)
        sane = (
            kind in _KINDS
            and _ENTRY_BYTES <= header_bytes <= _MOST_ENTRY_HEADER
            and header_bytes + size <= self._left
            and _OLDEST <= target <= _NEWEST
        )
        if not sane:
            self._left = 0  # the magic stood there by chance, or this is a kind of its own
            return at
        self._targets.add(f"{_KINDS[kind]}_{target}{'a' if flags & _SPECIAL else ''}")
        self._left -= header_bytes + size
        self._skip = header_bytes + size - _ENTRY_BYTES
        return at + _ENTRY_BYTES


def by_number(target: str) -> tuple[int, str]:
    """Sorts targets: `sm_90` before `sm_100`."""
    return int(target.partition("_")[2].rstrip("a")), target


def cubin_target(head: bytes) -> str:
    """The target of a file that is itself GPU machine code; empty for any other.

    The flags of its ELF header have the architecture in their lowest byte, or, from version 8 of
    the format on, in the second one, as LLVM's `BinaryFormat/ELF.h` lists them.

    Args:
        head: the first 64 bytes of an ELF file.
    """
    if len(head) < _ENTRY_BYTES or not head.startswith(ELF):
        return ""
    machine = struct.unpack_from("<H", head, 18)[0]
    flags = struct.unpack_from("<I", head, _ELF_FLAGS)[0]
    target = (flags >> 8 if head[_ELF_ABI_VERSION] >= _SECOND_FORMAT else flags) & 0xFF
    known = machine == _CUDA_MACHINE and _OLDEST <= target <= _NEWEST
    return f"sm_{target}" if known else ""
