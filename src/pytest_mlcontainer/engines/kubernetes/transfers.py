"""Files into a pod and out of it: whole, or not at all.

A connection to a pod may end in the middle and look as if that was all. So what goes in is unpacked
only when it has its size and its SHA-256, and what comes out is counted and hashed on both sides,
and goes on where it was cut off.
"""

from __future__ import annotations

import hashlib
import shlex
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, Final, cast

from pytest_mlcontainer.engines import Stream
from pytest_mlcontainer.engines.kubernetes.executing import (
    PATIENCE_S,
    PAUSE_S,
    Execution,
    PodPlace,
    patiently,
)
from pytest_mlcontainer.errors import EngineError, EngineLostError

_SPOOLED_BYTES: Final = 16 << 20
_PIECE_BYTES: Final = 1 << 20
_SILENCE_S: Final = 120.0
_NOT_THERE, _NOT_WHOLE = 44, 45
_BLOCK: Final = tarfile.BLOCKSIZE
_CUT_REMEDY: Final = "see what the cluster's API server and the pod's node have logged, and repeat"

# $1 a folder, $2 the size, $3 the digest. Nothing is unpacked of what did not come whole.
_PUT: Final = """
set -e
T=$D/in.$$
trap '"$B" rm -f "$T"' EXIT
"$B" head -c "$2" >"$T"
echo "$3  $T" | "$B" sha256sum -c -s || exit 45
[ -d "$1" ] || { echo "no such folder: $1" >&2; exit 44; }
cd "$1"
"$B" tar -x -p -o -f "$T"
"""

# $1 a folder, $2 how many bytes are known already, the rest names there. The digest comes last, on
# stderr.
_GET: Final = """
cd "$1" 2>/dev/null || exit 44
FROM=$2
shift 2
[ -e "$1" ] || [ -L "$1" ] || exit 44
Q=$D/out.$$
"$B" mkfifo "$Q" || exit 46
trap '"$B" rm -f "$Q"' EXIT
"$B" sha256sum <"$Q" >"$Q.sum" &
S=$!
"$B" tar -c -f - -- "$@" | "$B" tee "$Q" | "$B" tail -c "+$FROM"
wait $S
read -r SUM _ <"$Q.sum"
"$B" rm -f "$Q.sum"
echo "sha256 $SUM" >&2
"""


class PodFiles:
    """Files into and out of one container of a pod.

    Args:
        busybox: path of the helper's program in the container.
        folder: that the helper may write to.
    """

    def __init__(self, place: PodPlace, busybox: str, folder: str) -> None:
        self._place = place
        self._busybox = busybox
        self._folder = folder

    def script(self, text: str, *arguments: str) -> tuple[str, ...]:
        """The command that runs a script of the helper's shell, which knows B and D."""
        head = f"B={shlex.quote(self._busybox)} D={shlex.quote(self._folder)}\n"
        return (self._busybox, "sh", "-c", head + text, "mlcontainer", *arguments)

    def put(self, path: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar stream into an existing folder.

        Raises:
            EngineError: it cannot be written there.
            EngineLostError: the connection broke too often.
        """
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spooled:
            file = cast("IO[bytes]", spooled)
            as_gnu(tar, file)
            size = file.tell()
            digest = _sha256(file)
            execution = patiently(self._place.api, lambda: self._put_once(path, file, size, digest))
        if execution.code:
            raise EngineError(
                "files cannot be put into the pod",
                f"{path}: {execution.words() or f'exit code {execution.code}'}",
                f"the folder must exist in the image, and be writable for the user that the "
                f"image names: a pod's files are put there by that user (`RUN mkdir -p {path} && "
                f"chown USER {path}`)",
            )

    def _put_once(self, path: str, file: IO[bytes], size: int, digest: str) -> Execution:
        file.seek(0)
        execution = Execution()
        command = self.script(_PUT, path, str(size), digest)
        pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
        for _ in self._place.execute(command, execution, pieces, silence_s=_SILENCE_S):
            pass
        if execution.code == _NOT_WHOLE:
            raise EngineLostError("files did not come whole into the pod", path, _CUT_REMEDY)
        return execution

    def get(self, path: str) -> Stream | None:
        """A tar stream of a file or folder; None where there is none. See `get_all`."""
        folder, _slash, name = path.rstrip("/").rpartition("/")
        return self.get_all(folder or "/", name or ".")

    def get_all(self, folder: str, *names: str) -> Stream | None:
        """A tar stream of what has these names in a folder; None where the first is not there.

        Raises, also in the middle:
            EngineLostError: the connection broke too often, or what came is not what is there.
            EngineError: something there cannot be read.
        """
        stream = self._received(folder, names)
        first = next(stream, None)
        return None if first is None else _chained(first, stream)

    def _received(self, folder: str, names: tuple[str, ...]) -> Stream:
        digest, seen, heard = hashlib.sha256(), 0, time.monotonic()
        while True:
            execution = Execution()
            command = self.script(_GET, folder, str(seen + 1), *names)
            try:
                with closing(
                    cast("Stream", self._place.execute(command, execution, silence_s=_SILENCE_S))
                ) as pieces:
                    for piece in pieces:
                        digest.update(piece)
                        seen += len(piece)
                        yield piece
                        heard = time.monotonic()
                break
            except EngineLostError:
                past = time.monotonic() > heard + PATIENCE_S
                if past or self._place.api.ending.wait(PAUSE_S):
                    raise
        path = f"{folder.rstrip('/')}/{' '.join(names)}"
        self._check(path, execution, digest.hexdigest(), seen)

    def _check(self, path: str, execution: Execution, digest: str, seen: int) -> None:
        if execution.code == _NOT_THERE and not seen:
            return
        lines = execution.words().splitlines()
        told = [line for line in lines if not line.startswith("sha256 ")]
        bad = [line for line in told if "Permission denied" not in line and "socket" not in line]
        if bad or execution.code:
            raise EngineError(
                "files in the pod cannot be read",
                f"{path}: {' '.join(bad) or f'exit code {execution.code}'}",
                "",
            )
        if f"sha256 {digest}" not in lines:
            raise EngineLostError(
                "what came out of the pod is not what is there",
                f"{path}: {seen:,} bytes of another digest",
                _CUT_REMEDY,
            )


def _chained(first: bytes, rest: Stream) -> Stream:
    with closing(rest):
        yield first
        yield from rest


class TarPieces:
    """A stream of pieces, as a file to read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        cut = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:cut], self._rest[cut:]
        return taken


def as_gnu(tar: Iterable[bytes], into: IO[bytes]) -> None:
    """Write a tar stream anew as busybox reads it: long names as GNU's tar has them."""
    source = cast("IO[bytes]", TarPieces(tar))
    with (
        tarfile.open(fileobj=source, mode="r|", errorlevel=1) as read,
        tarfile.open(fileobj=into, mode="w|", format=tarfile.GNU_FORMAT) as written,
    ):
        for entry in read:
            entry.mtime = int(entry.mtime)
            written.addfile(entry, read.extractfile(entry) if entry.isreg() else None)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
