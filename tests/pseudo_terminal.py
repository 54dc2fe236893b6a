"""A program on a pseudo-terminal, whose screen is emulated and can be looked at as it changes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte


@dataclass(frozen=True)
class Watched:
    """What was on the screen.

    Args:
        frames: every other screen that there was, each as its lines without what is empty.
        raw: all that was written.
        longest_s: for which nothing was written.
    """

    frames: tuple[str, ...]
    raw: str
    exit_code: int
    longest_s: float

    @property
    def last(self) -> str:
        return self.frames[-1]


def watch(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    columns: int = 100,
    lines: int = 50,
    timeout_s: float = 300.0,
    typed: str = "",
    *,
    has_size: bool = True,
) -> Watched:
    """Run a program to its end on a terminal of its own.

    Args:
        typed: before it asks for anything.
        has_size: False for one that says that it has no lines and no columns.
    """
    ours, theirs = pty.openpty()
    said = (lines, columns) if has_size else (0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *said, 0, 0))
    with subprocess.Popen(
        command, cwd=cwd, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        try:
            frames, raw, longest_s = _follow(ours, columns, lines, time.monotonic() + timeout_s)
        finally:
            os.close(ours)  # which hangs up on a program that is still there
        code = process.wait(timeout=60)
    return Watched(tuple(frames), raw.decode("utf-8", "replace"), code, longest_s)


def _follow(
    terminal: int, columns: int, lines: int, deadline: float
) -> tuple[list[str], bytes, float]:
    screen = pyte.Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    frames, raw, longest_s, last = [""], b"", 0.0, time.monotonic()
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # the program has closed its end
            break
        if not data:
            break
        longest_s, last = max(longest_s, time.monotonic() - last), time.monotonic()
        raw += data
        stream.feed(data)
        frame = "\n".join(line.rstrip() for line in screen.display).rstrip()
        if frame != frames[-1]:
            frames.append(frame)
    return frames, raw, longest_s
