"""The containers that `torch.save` writes: a pickle, and the storages that it refers to by key."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pytest_mlcontainer.compare.formats.inert_pickle import (
    BrokenPickleError,
    Global,
    Persistent,
    read_pickle,
)
from pytest_mlcontainer.compare.formats.kind import begins
from pytest_mlcontainer.compare.formats.zips import BAD_ZIP, ENCRYPTED, crc32, member_offset
from pytest_mlcontainer.compare.numeric.dtypes import dtype_named
from pytest_mlcontainer.compare.numeric.gaps import Dtype
from pytest_mlcontainer.compare.sources import ComparedFile, chunks

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
# That number as a pickle, which the older form begins with.
LEGACY_MAGIC = b"\x80\x02\x8a\x0a" + _MAGIC_NUMBER.to_bytes(10, "little") + b"."
_LEGACY_PROTOCOL = 1001
_PICKLE_LIMIT_BYTES = 1 << 28
_PICKLE = "/data.pkl"
STORAGES: Mapping[str, str] = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.ComplexDoubleStorage": "complex128",
    "torch.ComplexFloatStorage": "complex64",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.storage.UntypedStorage": "uint8",
    "torch.UntypedStorage": "uint8",
}


@dataclass(frozen=True)
class Storage:
    """Bytes in the file that tensors are views of; `crc` is their checksum, 0 for none."""

    key: str
    offset: int
    size_bytes: int
    crc: int = 0


@dataclass(frozen=True)
class TorchFile:
    """A file that `torch.save` wrote: the value of its pickle, and where its storages are.

    Args:
        checked: keys of storages whose checksum has been found right.
    """

    side: ComparedFile
    root: Any
    storages: Mapping[str, Storage]
    big_endian: bool
    checked: set[str] = field(default_factory=set)

    def storage(self, reference: Persistent) -> tuple[Storage, Dtype]:
        """What a reference of the pickle means, checked against what is there."""
        name, numel = _parse_reference(reference)
        dtype = dtype_named(STORAGES[name[0]])
        there = self.storages.get(name[1])
        assert dtype is not None
        if there is None:
            raise BrokenPickleError(f"refers to a storage {name[1]!r:.100}, which is not there")
        if numel * dtype.itemsize > there.size_bytes:
            raise BrokenPickleError(
                f"is truncated: storage {name[1]!r:.100} has {there.size_bytes} bytes, "
                f"{numel * dtype.itemsize} are promised"
            )
        return Storage(there.key, there.offset, numel * dtype.itemsize, there.crc), dtype

    @contextmanager
    def open(self, storage: Storage) -> Iterator[BinaryIO]:
        """The file, to read from a storage.

        Raises:
            UnreadableError: the storage's checksum is not what the archive says.
        """
        with self.side.open() as stream:
            if storage.crc and storage.key not in self.checked:
                self._check(storage, stream)
                self.checked.add(storage.key)
            yield stream

    def _check(self, storage: Storage, stream: BinaryIO) -> None:
        stream.seek(storage.offset)
        left, crc = self.storages[storage.key].size_bytes, 0
        for chunk in chunks(stream):
            crc = crc32(chunk[:left], crc)
            left -= len(chunk)
            if left <= 0:
                break
        if crc != storage.crc:
            raise self.side.unreadable(f"storage {storage.key!r} is damaged (its checksum differs)")


def _parse_reference(reference: Persistent) -> tuple[tuple[str, str], int]:
    """(class of the storage, key), and how many elements."""
    parts = reference.id
    if not isinstance(parts, tuple) or len(parts) not in (5, 6) or parts[0] != "storage":
        raise BrokenPickleError("refers to something outside that is no storage")
    kind, key, numel = parts[1], parts[2], parts[4]
    if not isinstance(kind, Global) or kind.name not in STORAGES:
        raise BrokenPickleError("refers to a storage of a class that is not read")
    if not isinstance(key, str) or type(numel) is not int or not 0 <= numel < 2**62:
        raise BrokenPickleError("refers to a storage without a key and a size")
    if len(parts) == 6 and parts[5] is not None:
        raise BrokenPickleError("refers to a view of a storage, as PyTorch before 0.4 wrote it")
    return (kind.name, key), numel


def is_archive(side: ComparedFile) -> bool:
    if not begins(side, b"PK\x03\x04"):
        return False
    try:
        with side.open() as stream, zipfile.ZipFile(stream) as file:
            return _prefix(file) is not None
    except BAD_ZIP:
        return False


def is_legacy(side: ComparedFile) -> bool:
    return begins(side, LEGACY_MAGIC)


def read_archive(side: ComparedFile, known: Container[str]) -> TorchFile:
    """The zip that PyTorch writes since 1.6.

    Raises:
        UnreadableError: it cannot be read.
        ObjectsError: something in it is not known.
    """
    try:
        with side.open() as stream, zipfile.ZipFile(stream) as file:
            return _read_members(side, file, stream, known)
    except BrokenPickleError as error:
        raise side.unreadable(f"cannot be read: its data.pkl {error}") from error
    except BAD_ZIP as error:
        raise side.unreadable(f"is truncated or damaged ({str(error)[:200]})") from error


def _prefix(file: zipfile.ZipFile) -> str | None:
    """The folder that all is in; None where this is no PyTorch archive."""
    names = set(file.namelist())
    found = [name for name in names if name.endswith(_PICKLE) and name.count("/") == 1]
    if len(found) != 1:
        return None
    prefix = found[0].removesuffix(_PICKLE)
    marks = {f"{prefix}/version", f"{prefix}/byteorder", f"{prefix}/.format_version"}
    return prefix if names & marks else None


def _read_members(
    side: ComparedFile, file: zipfile.ZipFile, stream: BinaryIO, known: Container[str]
) -> TorchFile:
    prefix = _prefix(file)
    if prefix is None:
        raise side.unreadable("is a zip that torch.save did not write: it has no data.pkl")
    pickled = _read_small(side, file, prefix + _PICKLE, _PICKLE_LIMIT_BYTES)
    root = read_pickle(io.BytesIO(pickled), len(pickled), known)
    order = b"little"
    if f"{prefix}/byteorder" in file.NameToInfo:
        order = _read_small(side, file, f"{prefix}/byteorder", 16)
    if order not in (b"little", b"big"):
        raise side.unreadable(f"is damaged: its byte order is {order!r}")
    storages: dict[str, Storage] = {}
    for info in file.infolist():
        key = info.filename.removeprefix(f"{prefix}/data/")
        if key == info.filename:
            continue
        if key in storages:
            raise side.unreadable(f"holds the storage {key!r:.100} more than once")
        storages[key] = _locate(side, info, key, stream)
    return TorchFile(side, root, storages, order == b"big")


def _read_small(side: ComparedFile, file: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = file.getinfo(name)
    _check_plain(side, info)
    if info.file_size > min(limit, side.size_bytes()):
        raise side.unreadable(f"has a {name!r:.100} of {info.file_size} bytes, more than is read")
    if not info.CRC:  # Written without checksums, which zipfile would find wrong.
        stored = _locate(side, info, name, file.fp)
        with side.open() as stream:
            stream.seek(stored.offset)
            return stream.read(stored.size_bytes)
    return file.read(name)


def _check_plain(side: ComparedFile, info: zipfile.ZipInfo) -> None:
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
        raise side.unreadable(
            f"has a compressed or encrypted member {info.filename!r:.100}, "
            "which torch.save never writes"
        )


def _locate(side: ComparedFile, info: zipfile.ZipInfo, key: str, stream: Any) -> Storage:
    """Where a member's bytes lie, which only its own header says."""
    _check_plain(side, info)
    try:
        offset = member_offset(stream, info)
    except zipfile.BadZipFile as error:
        raise side.unreadable(f"is damaged at its member {info.filename!r:.100}") from error
    if offset + info.file_size > side.size_bytes():
        raise side.unreadable(f"is truncated within its member {info.filename!r:.100}")
    return Storage(key, offset, info.file_size, info.CRC)


def read_legacy(side: ComparedFile, known: Container[str]) -> TorchFile:
    """The form before PyTorch 1.6: pickles and storages one after the other.

    Raises:
        UnreadableError, ObjectsError: as `read_archive`.
    """
    size_bytes = side.size_bytes()
    references: list[Persistent] = []
    try:
        with side.open() as stream:
            magic, protocol, _machine, root, keys = (
                read_pickle(stream, size_bytes - stream.tell(), known, references) for _ in range(5)
            )
            if magic != _MAGIC_NUMBER or protocol != _LEGACY_PROTOCOL:
                raise BrokenPickleError(f"has protocol {protocol!r:.40}, not {_LEGACY_PROTOCOL}")
            storages = _legacy_storages(stream, size_bytes, keys, _widths(references))
            # Numbers are little-endian here whatever the machine was.
            return TorchFile(side, root, storages, big_endian=False)
    except BrokenPickleError as error:
        raise side.unreadable(f"cannot be read: its pickle {error}") from error
    except OSError as error:
        raise side.unreadable(f"cannot be read ({error})") from error


def _widths(references: list[Persistent]) -> dict[str, int]:
    """Bytes of an element of each storage."""
    widths: dict[str, int] = {}
    for reference in references:
        (name, key), _numel = _parse_reference(reference)
        dtype = dtype_named(STORAGES[name])
        assert dtype is not None
        if widths.setdefault(key, dtype.itemsize) != dtype.itemsize:
            raise BrokenPickleError(f"has the storage {key!r:.100} in two types")
    return widths


def _legacy_storages(
    stream: BinaryIO, size_bytes: int, keys: Any, widths: Mapping[str, int]
) -> dict[str, Storage]:
    """Each storage is its number of elements, then the elements, in the order of the keys."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise BrokenPickleError("has no list of storages")
    storages: dict[str, Storage] = {}
    for key in keys:
        if key not in widths or key in storages:
            raise BrokenPickleError(f"lists a storage {key!r:.100} that it does not use, or twice")
        prefix = stream.read(8)
        length = int.from_bytes(prefix, "little") * widths[key]
        offset = stream.tell()
        if len(prefix) < 8 or offset + length > size_bytes:
            raise BrokenPickleError(f"is truncated within the storage {key!r:.100}")
        storages[key] = Storage(key, offset, length)
        stream.seek(offset + length)
    if stream.tell() != size_bytes:
        raise BrokenPickleError(f"has {size_bytes - stream.tell()} bytes after its last storage")
    return storages
