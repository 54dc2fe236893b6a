"""One reader from outside: started clean, asked, limited in time, and its death explained."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from pytest_mlcontainer.compare.formats.opened_tree import ARRAYS, TREE
from pytest_mlcontainer.compare.readers.allowed import AllowedMessages
from pytest_mlcontainer.compare.readers.framing import FramedPipe, PipeClosedError, ReaderLateError
from pytest_mlcontainer.compare.readers.limits import GIB, ReaderLimits
from pytest_mlcontainer.compare.readers.messages import (
    GarbledMessageError,
    Job,
    Message,
    PairCompared,
    ReaderOutOfMemory,
    ReaderReady,
)
from pytest_mlcontainer.compare.sources import UnreadableError
from pytest_mlcontainer.temporary import temporary_folder

# Before anything is imported: the paths of this session, temporary files where they are removed
# with the process, one thread of BLAS (each reserves memory), and no arena of a gigabyte for Arrow.
_BOOT: Final = """
import json, os, sys
given = json.loads(sys.argv[1])
sys.path[:] = given["path"]
os.environ.update(given["environment"])
from pytest_mlcontainer.compare.readers.worker import main
main(given["memory_bytes"], given["parent"])
"""
_ENVIRONMENT: Final = (
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("ARROW_DEFAULT_MEMORY_POOL", "system"),
    ("ARROW_NUM_THREADS", "1"),
)
_SAID_BYTES: Final = 2000
_MOST_SAID_BYTES: Final = 1 << 26
_SAID: Final = 200
_MEGA: Final = 1e6
_RESIDENT: Final = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_LITTLE: Final = 8  # of the memory, as its part
_ALLOWED_FOR_LATE: Final = 1.1  # where the system limits it, that comes first

Serve = Callable[[Message], object]
"""Takes a message of the reader and gives what is to be answered, `NO_ANSWER` for nothing."""
NO_ANSWER: Final = object()


def _never() -> bool:
    return False


class ReaderDiedError(Exception):
    """The reader is dead; `str()` says how it died, in a few words."""


class TooLongError(ReaderDiedError):
    """It was ended because a job took too long."""


class TooMuchError(ReaderDiedError):
    """It lives on: the job asked at once for more memory than there may be, and got none of it."""


class ReaderProcess:
    """A process that compares; of one thread at a time.

    Args:
        limits: what it may take.

    Raises:
        ReaderDiedError: it cannot be started.
    """

    def __init__(self, limits: ReaderLimits) -> None:
        self._limits = limits
        self._stack = ExitStack()
        self._started = False
        self._is_over = _never
        self.served: int = 0
        try:
            self.scratch: Path = self._stack.enter_context(temporary_folder())
            self._said = self.scratch / "stderr"
            self._process = self._start()
            self._pipe = self._framed()
        except OSError as error:
            self._stack.close()
            raise ReaderDiedError(f"could not be started ({error.strerror or error})") from error

    def _start(self) -> subprocess.Popen[bytes]:
        given = {
            "path": [str(Path(each).absolute()) for each in sys.path],
            "environment": {**dict(_ENVIRONMENT), "TMPDIR": str(self.scratch)},
            "memory_bytes": self._limits.memory_bytes,
            "parent": os.getpid(),
        }
        flags = ["-B"] if sys.dont_write_bytecode else []
        if sys.pycache_prefix:
            flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
        words = [sys.executable, "-I", *flags, "-c", _BOOT, json.dumps(given)]
        with self._said.open("ab") as said:
            return subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the session's
            )

    def _framed(self) -> FramedPipe:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        return FramedPipe(process.stdin.fileno(), process.stdout.fileno(), self._look)

    def run(self, job: Job, serve: Serve, is_over: Callable[[], bool] = _never) -> PairCompared:
        """What the reader finds; `serve` is asked whatever it wants to know on the way.

        Args:
            is_over: whether nobody waits for it any more; looked at now and then.

        Raises:
            ReaderDiedError: the reader died of it, or was ended, and cannot be used again.
            TooMuchError: it did not, and can be.
        """
        self.served += 1
        self._is_over = is_over
        allowed = AllowedMessages(job, self.scratch)
        seconds = self._limits.seconds_for(_bytes_of(job))
        try:
            if not self._started:
                self._await_start()
            deadline = time.monotonic() + seconds
            self._pipe.send(job, deadline)
            while True:
                message = self._pipe.receive(deadline)
                allowed.check(message)
                if isinstance(message, PairCompared):
                    return message
                if isinstance(message, ReaderOutOfMemory):
                    raise self._refused()
                began = time.monotonic()
                answer = serve(message)
                deadline += time.monotonic() - began
                if answer is not NO_ANSWER:
                    self._pipe.send(answer, deadline)
        except ReaderLateError:
            self.kill()
            raise TooLongError(self._too_long(job, seconds)) from None
        except GarbledMessageError as error:
            self.kill()
            raise ReaderDiedError(f"crashed (what it said makes no sense: {error})") from error
        except PipeClosedError:
            raise ReaderDiedError(self._death()) from None
        except TooMuchError:
            raise
        except BaseException:
            self.kill()
            raise

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def is_spent(self) -> bool:
        """Whether it keeps so much memory that the next file could be blamed for it."""
        return _resident_bytes(self._process.pid) > self._limits.memory_bytes // 2

    def kill(self) -> None:
        """End it, whatever it does. Also from another thread."""
        if self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it and give back all that it took."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._stack.close()

    def _await_start(self) -> None:
        message = self._pipe.receive(time.monotonic() + self._limits.start_s)
        if not isinstance(message, ReaderReady):
            raise GarbledMessageError(f"{type(message).__name__} before it was ready")
        self._started = True

    def _look(self) -> None:
        """Now and then: does anybody wait? Is it within its memory, and its prints on the disk?

        The system limits what a process allocates for itself, and not what it could share.
        """
        if self._is_over():
            self.kill()
            raise ReaderDiedError("was ended, as nobody waits for it")
        if _resident_bytes(self._process.pid) > _ALLOWED_FOR_LATE * self._limits.memory_bytes:
            raise self._exhausted()
        with suppress(OSError):
            if self._said.stat().st_size > _MOST_SAID_BYTES:
                os.truncate(self._said, 0)

    def _death(self) -> str:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self.kill()
            return "crashed (it closed its pipe)"
        if code >= 0:
            return f"crashed (exit code {code}{self._last_words()})"
        name = _signal_name(-code)
        if name == "SIGKILL":
            return "crashed (SIGKILL, as the system does where memory is short)"
        return f"crashed ({name}{self._last_words()})"

    def _last_words(self) -> str:
        """The last line that it printed on stderr, which is where libraries say why they abort."""
        with suppress(OSError), self._said.open("rb") as stream:
            stream.seek(max(0, self._said.stat().st_size - _SAID_BYTES))
            lines = stream.read().decode("utf-8", "replace").split("\n")
            words = next((line.strip() for line in reversed(lines) if line.strip()), "")
            return f": {words[:_SAID]}" if words else ""
        return ""

    def _refused(self) -> ReaderDiedError:
        """Where it holds next to nothing, what it was refused is what the file promises.

        Damaged files promise terabytes. Starting another reader takes longer than most of them.
        """
        if _resident_bytes(self._process.pid) > self._limits.memory_bytes // _LITTLE:
            return self._exhausted()
        return TooMuchError(self._too_much())

    def _exhausted(self) -> ReaderDiedError:
        self.kill()
        return ReaderDiedError(self._too_much())

    def _too_much(self) -> str:
        most = self._limits.memory_bytes / GIB
        return f"took more than {most:.3g} GiB of memory, the most that it may"

    def _too_long(self, job: Job, seconds: float) -> str:
        size, pace = _bytes_of(job), self._limits.bytes_per_s / _MEGA
        return (
            f"took more than {seconds:.3g} s and was ended ({self._limits.base_s:g} s, and {pace:g}"
            f" MB/s for {size} bytes)"
        )


def _resident_bytes(pid: int) -> int:
    """Memory that the process has and no file stands behind; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return sum(int(size) for size in _RESIDENT.findall(lines)) * 1024


def _bytes_of(job: Job) -> int:
    """Of both files; of a pickle that was opened also what was found in it."""
    size = 0
    for side in (job.pair.actual, job.pair.expected):
        with suppress(UnreadableError):
            size += side.size_bytes()
        if side.opened is not None:
            for name in (TREE, ARRAYS):
                with suppress(OSError):
                    size += (side.opened / name).stat().st_size
    return size


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
