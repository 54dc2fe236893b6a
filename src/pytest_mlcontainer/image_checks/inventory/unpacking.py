"""A layer's bytes, unpacked in pieces of bounded size, whatever they are compressed with."""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, cast

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.outputs.tar import DamagedTarError

# Where there is no wheel for this machine, the standard library does the same, slower.
try:
    from isal import isal_zlib
    from isal.igzip_lib import IsalError

    _decompressobj: Callable[..., Any] = isal_zlib.decompressobj
    # Its types take this class for an exception.
    _GZIP_ERROR: type[Exception] = cast(type[Exception], IsalError)
except ImportError:
    _decompressobj = zlib.decompressobj
    _GZIP_ERROR = zlib.error

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_PIECE_BYTES = 1 << 20
_GZIP_WINDOW = 31  # the largest, in a gzip frame
# Windows of 128 MiB are the largest that containerd reads; what asks for more means harm.
_MOST_WINDOW_LOG = 27


class _Frame(Protocol):
    """One compressed frame, the same for both libraries."""

    def feed(self, data: bytes) -> bytes:
        """Take in more of the frame, and give out up to `_PIECE_BYTES`.

        Raises:
            DamagedTarError: it is none.
        """

    @property
    def waits(self) -> bool:
        """Whether there is nothing to give out before there is more to take in."""

    @property
    def ended(self) -> bool:
        """Whether that was all of it."""

    @property
    def rest(self) -> bytes:
        """What was taken in behind its end."""


class _GzipFrame:
    """A member of a gzip file."""

    def __init__(self) -> None:
        self._reader = _decompressobj(wbits=_GZIP_WINDOW)

    def feed(self, data: bytes) -> bytes:
        waiting: bytes = self._reader.unconsumed_tail
        try:
            return bytes(self._reader.decompress(waiting + data, _PIECE_BYTES))
        except (_GZIP_ERROR, EOFError) as error:
            raise DamagedTarError(f"a layer's gzip data is damaged: {error}") from error

    @property
    def waits(self) -> bool:
        return not self._reader.unconsumed_tail

    @property
    def ended(self) -> bool:
        return bool(self._reader.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._reader.unused_data)


class _ZstdFrame:
    """A frame of a zstd file."""

    def __init__(self) -> None:
        zstd = _zstd_module()
        options = {zstd.DecompressionParameter.window_log_max: _MOST_WINDOW_LOG}
        self._reader = zstd.ZstdDecompressor(options=options)
        self._error: type[Exception] = zstd.ZstdError

    def feed(self, data: bytes) -> bytes:
        try:
            return bytes(self._reader.decompress(data, _PIECE_BYTES))
        except (self._error, EOFError) as error:
            raise DamagedTarError(f"a layer's zstd data is damaged: {error}") from error

    @property
    def waits(self) -> bool:
        return bool(self._reader.needs_input)

    @property
    def ended(self) -> bool:
        return bool(self._reader.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._reader.unused_data)


def unpacked(head: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a layer.

    Args:
        head: its first bytes.
        chunks: what follows them, in small pieces.

    Raises:
        DamagedTarError: it is cut off, or damaged.
        EngineError: it is compressed with zstd, and nothing here reads that.
    """
    if head.startswith(GZIP):
        return _frames(head, chunks, _GzipFrame, GZIP)
    if head.startswith(ZSTD):
        return _frames(head, chunks, _ZstdFrame, ZSTD)
    return _plain(head, chunks)


def _plain(head: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


def _frames(
    head: bytes, chunks: Iterable[bytes], start: Callable[[], _Frame], magic: bytes
) -> Iterator[bytes]:
    """All frames of a stream: some programs compress each file into one of its own."""
    frame, pending = start(), b""
    for chunk in _plain(head, chunks):
        pending += chunk
        while True:
            if frame.ended:
                if not magic.startswith(pending[: len(magic)]):
                    pending = b""  # padding
                if len(pending) < len(magic):
                    break
                frame = start()
            piece = frame.feed(pending)
            pending = frame.rest if frame.ended else b""
            if piece:
                yield piece
            if not frame.ended and frame.waits:
                break
    while not frame.ended and (piece := frame.feed(b"")):
        yield piece
    if not frame.ended:
        raise DamagedTarError("a compressed layer is cut off")


def _zstd_module() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineError(
            "a layer of the image is compressed with zstd, which nothing installed here reads",
            f"no module {name}",
            "pip install 'pytest-mlcontainer[zstd]'",
        ) from error
