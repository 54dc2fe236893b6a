"""Messages to and from a reader: framed, each within a deadline, and looked after while waiting."""

from __future__ import annotations

import os
import pickle
import select
import time
from collections.abc import Callable
from typing import Final

from pytest_mlcontainer.compare.readers.coding import (
    FRAME_BYTES,
    HEAD_BYTES,
    SHORT_FRAME_BYTES,
    decode,
    frame_bytes,
)
from pytest_mlcontainer.compare.readers.messages import GarbledMessageError, Message, PairCompared

_LOOK_S: Final = 0.2
_READ_BYTES: Final = 1 << 16
_WRITTEN_BYTES: Final = select.PIPE_BUF  # so much is written at once where a pipe is ready


class ReaderLateError(Exception):
    """The time is up."""


class PipeClosedError(Exception):
    """The other end of the pipe is closed."""


class FramedPipe:
    """Both directions between this process and a reader; of one thread at a time.

    Args:
        to_reader, from_reader: descriptors, of which the first is made not to block.
        look: called every 0.2 s in which nothing arrives; what it raises ends the waiting.
    """

    def __init__(self, to_reader: int, from_reader: int, look: Callable[[], None]) -> None:
        os.set_blocking(to_reader, False)
        self._to, self._from, self._look = to_reader, from_reader, look
        self._buffer = bytearray()

    def send(self, message: object, deadline: float) -> None:
        """Send it by a deadline of `time.monotonic`; see `ReaderLateError`, `PipeClosedError`."""
        payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        view = memoryview(len(payload).to_bytes(HEAD_BYTES, "little") + payload)
        try:
            while view:
                if _is_ready(self._to, select.POLLOUT, _left(deadline)):
                    view = view[os.write(self._to, view[:_WRITTEN_BYTES]) :]
        except (BrokenPipeError, ConnectionError, ValueError):
            raise PipeClosedError from None

    def receive(self, deadline: float) -> Message:
        """Raises as `send` does, and `GarbledMessageError` for what is no message."""
        size = frame_bytes(self._take(HEAD_BYTES, deadline))
        if size > FRAME_BYTES:
            raise GarbledMessageError(f"a message of {size} bytes")
        message = decode(self._take(size, deadline))
        if size > SHORT_FRAME_BYTES and not isinstance(message, PairCompared):
            raise GarbledMessageError(f"{type(message).__name__} of {size} bytes")
        return message

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            if not _is_ready(self._from, select.POLLIN, _left(deadline)):
                self._look()
                continue
            chunk = os.read(self._from, _READ_BYTES)
            if not chunk:
                raise PipeClosedError
            self._buffer += chunk
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found


def _left(deadline: float) -> float:
    """Seconds to wait for at once."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise ReaderLateError
    return min(left, _LOOK_S)


def _is_ready(file: int, event: int, timeout_s: float) -> bool:
    # Not select(), which takes no descriptor past 1024.
    poll = select.poll()
    poll.register(file, event)
    return bool(poll.poll(timeout_s * 1000))
