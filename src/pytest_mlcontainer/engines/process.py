"""The one place that starts processes on this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Self

from pytest_mlcontainer.owners import MAKER_VARIABLE, marked_processes, this_maker

_GRACE_S = 5.0
_ENDING = "this test session is ending"
_LOOK_S = 0.2
_LAST_WORDS_S = 1.0  # after a process group is gone, for what still is in its pipe


@dataclass(frozen=True)
class Completed:
    """How a process ended.

    Args:
        exit_code: negative for a signal, as in `subprocess`.
        timed_out: whether it was killed because its wall-clock limit had passed.
        output: what it printed, where it was not redirected to files.
    """

    exit_code: int
    timed_out: bool
    duration_s: float
    output: str = ""


class Processes:
    """Starts processes, each in a process group of its own, and can kill all that still run.

    A process group, because `uv build` and `docker buildx` have children: killing only the parent
    would leave those behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
        stdout: Path | None = None,
        stderr: Path | None = None,
        past_limits: Callable[[], bool] = lambda: False,
    ) -> Completed:
        """Run to the end, or to the limit.

        Args:
            argv: program and arguments; no shell is involved.
            timeout_s: wall clock, after which the whole process group is ended.
            on_line: called with each line of stdout and stderr together, as it comes, and never
                after this returns; without `stdout` and `stderr` only. What it raises, this does.
            stdout, stderr: files to write to; otherwise the output is returned.
            past_limits: asked several times a second; when it says so, the process group is ended
                as past its wall clock.

        Raises:
            OSError: the program cannot be started, or `kill_all` ended it: how it would have ended
                by itself is not known then.
        """
        with contextlib.ExitStack() as files:
            out: IO[bytes] | int = files.enter_context(stdout.open("wb")) if stdout else -1
            err: IO[bytes] | int = files.enter_context(stderr.open("wb")) if stderr else -2
            interrupts = files.enter_context(_LateInterrupts())
            process = self._start(argv, cwd, env, out, err)
            started = time.monotonic()
            lines = _Lines(process.stdout, on_line)
            try:
                interrupts.let_in()
                timed_out = _wait_within(process, timeout_s, past_limits)
                if process.poll() is None:
                    _end(process)
                lines.wait(_GRACE_S)
            finally:
                self._forget(process)
                output = lines.close()
        if self._closed and not timed_out and process.returncode == -signal.SIGKILL:
            raise OSError(errno.ECANCELED, _ENDING, str(argv[0]))
        lines.check()
        return Completed(process.returncode, timed_out, time.monotonic() - started, output)

    def kill_all(self) -> None:
        """End everything that still runs, and refuse to start more."""
        with self._lock:
            self._closed = True
            live = tuple(self._live)
        for process in live:
            _signal_group(process, signal.SIGKILL)

    def _start(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        out: IO[bytes] | int,
        err: IO[bytes] | int,
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise OSError(errno.ECANCELED, _ENDING, str(argv[0]))
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**env, MAKER_VARIABLE: this_maker()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self._live.add(process)
            return process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            _end(process)
        # The parent may be gone while a child it left in the group still runs.
        _signal_group(process, signal.SIGKILL)
        with self._lock:
            self._live.discard(process)


class _LateInterrupts:
    """Ctrl-C waits meanwhile, so that a process which was just started is not left unknown.

    Python handles signals in its main thread alone: elsewhere nothing has to wait.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> Self:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._note)
        return self

    def let_in(self) -> None:
        """From here on it interrupts, also one that came before."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
        if self._came:
            self._came = False
            signal.raise_signal(signal.SIGINT)

    def __exit__(self, *exc: object) -> None:
        self.let_in()

    def _note(self, *_: object) -> None:
        self._came = True


class _Lines:
    """Reads a process's output in a thread, so that a wait for the process stays interruptible."""

    def __init__(self, stream: IO[bytes] | None, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._parts: list[str] = []
        self._closed = False
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        if stream is not None:
            self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait for the end of the output; a grandchild may keep the pipe open for longer."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def close(self) -> str:
        """Everything up to now. What comes later, from whom a signal did not reach, is dropped."""
        self.wait(_LAST_WORDS_S)
        with self._lock:
            self._closed = True
        return "".join(self._parts)

    def check(self) -> None:
        """Raise what taking a line has raised."""
        if self._error is not None:
            raise self._error

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                with self._lock:
                    if self._closed:
                        return
                    self._take(raw.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        self._parts.append(line)
        if self._on_line is not None and self._error is None:
            try:
                self._on_line(line.rstrip("\r\n"))
            except Exception as error:
                self._error = error


def become(words: Sequence[str], env: Mapping[str, str]) -> None:
    """Become another program, with the same terminal and the same pid; does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(words[0], list(words), dict(env))


def kill_marked(maker: str) -> bool:
    """SIGKILL to everything that a process has started, after its own death.

    Args:
        maker: as of `owners.this_maker`.

    Returns:
        Whether there was anything.
    """
    found = marked_processes(maker)
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


class Detached:
    """A process that goes on when this one dies, and that is told things through its stdin.

    It has a session of its own, so that no Ctrl-C reaches it, and none of our open files, so that
    nobody who waits for our output waits for it.

    Args:
        program: source code for this Python.
        env: its environment, without the mark of what goes with us.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, program: str, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", program],
            cwd="/",
            env={name: value for name, value in env.items() if name != MAKER_VARIABLE},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Send it a line; one that is dead hears nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def leave(self) -> None:
        """Go without it: it hears no more of us, and nobody here waits for its end."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.returncode = 0  # else it is called forgotten, which it is not

    def join(self, timeout_s: float) -> None:
        """Wait for its end, after its last line; one that does not end in time is killed."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if _wait(self._process, timeout_s):
            self._process.kill()
            self._process.wait()


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    return False


def _wait_within(
    process: subprocess.Popen[bytes], timeout_s: float, past_limits: Callable[[], bool]
) -> bool:
    """Whether it ran past its time; it may also still run because it is past another limit."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        if not _wait(process, min(left, _LOOK_S)) or past_limits():
            return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, a grace period, SIGKILL."""
    _signal_group(process, signal.SIGTERM)
    if _wait(process, _GRACE_S):
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
