"""Which files can only be read by unpickling them."""

from __future__ import annotations

import io
import pickletools
import zipfile

from pytest_mlcontainer.compare.formats.npy import MAGIC, PickledError, read_header
from pytest_mlcontainer.compare.sources import ComparedFile, UnreadableError

_LOOKED_AT_BYTES = 1 << 14
_OPCODES = 16
_FEWEST_OPCODES = 3
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00", b"\x78", b"\x04\x22\x4d\x18",
           b"\x28\xb5\x2f\xfd")  # fmt: skip
_PACKINGS = ("", ".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst")
_STEMS = (".pkl", ".pickle", ".joblib", ".dill", ".sav")
_SUFFIXES = tuple(stem + packing for stem in _STEMS for packing in _PACKINGS)
_PACKED_SUFFIXES = tuple(each for each in _SUFFIXES if each not in (".dill", ".sav"))


def is_pickle(side: ComparedFile) -> bool:
    """Whether a file can only be read by unpickling it, as far as its first bytes and name say."""
    with side.open() as stream:
        start = stream.read(_LOOKED_AT_BYTES)
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return _is_plausible(start)
    if not side.name.lower().endswith(_SUFFIXES):
        return False
    packed = side.name.lower().endswith(_PACKED_SUFFIXES) and start.startswith(_PACKED)
    return packed or _is_plausible(start)


def needs_opening(side: ComparedFile) -> bool:
    """Whether a file has to be opened in the image: a pickle, or arrays of Python objects.

    Raises:
        UnreadableError: it cannot be read.
    """
    return is_pickle(side) or _has_objects(side)


def _has_objects(side: ComparedFile) -> bool:
    """Whether an npy file, or one in an npz, holds objects."""
    try:
        with side.open() as stream:
            start = stream.read(4)
            stream.seek(0)
            if start == MAGIC[:4]:
                read_header(stream, side.size_bytes())
            elif start == b"PK\x03\x04":
                with zipfile.ZipFile(stream) as archive:
                    for info in archive.infolist():
                        if info.filename.endswith(".npy"):
                            with archive.open(info) as member:
                                read_header(member, info.file_size)
    except PickledError:
        return True
    except UnreadableError:
        raise
    except Exception:
        return False  # damaged, which its own format will say
    return False


def _is_plausible(start: bytes) -> bool:
    """Whether the first opcodes are ones that there are, with arguments that they can have."""
    count = 0
    try:
        # From memory: an opcode may promise more bytes than any machine has.
        for opcode, _argument, _position in pickletools.genops(io.BytesIO(start)):
            if not count and (opcode.stack_before or "GET" in opcode.name):
                return False  # it takes what is not there yet
            count += 1
            if opcode.name == "STOP" or count == _OPCODES:
                return count > 1
    except Exception:
        # A file cut short within its first opcodes; or one that is long, and so are they.
        return count >= _FEWEST_OPCODES
    return False
