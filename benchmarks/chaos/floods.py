"""Runs that use up what they can: each ends within its limits, and the verdict says which one."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.chaos.leftovers import left_by
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.session import Session
from benchmarks.chaos.table import Row
from benchmarks.chaos.trials import begin, forget

NAME = "floods"

_LONGEST_S = 300.0
_LOOK_S = 0.05
_MIB = 1 << 20
# What a build, a probe and others on the same machine write meanwhile, and what a program writes
# between two looks at it.
_SLACK_BYTES = 4096 * _MIB


@dataclass(frozen=True)
class Flood:
    """One way of using too much.

    Args:
        name: of its entrypoint.
        what: it does, in words.
        program: Python that does it.
        limits: lines of its table.
        disk_bytes: how much of the machine's disk these let it use.
        said: what its verdict has to say, as a regular expression.
        bar_s: seconds in which the whole session has to end.
    """

    name: str
    what: str
    program: str
    limits: str
    disk_bytes: int
    said: str
    bar_s: float = 120.0


FLOODS = (
    Flood(
        "prints",
        "a run that prints 10 GB",
        "import sys\nfor _ in range(10 * 1024):\n    sys.stdout.write(('x' * 127 + '\\n') * 8192)",
        'log-limit = "10m"',
        20 * _MIB,
        "log-limit. is 10 MiB|log-limit is 10 MiB",
    ),
    Flood(
        "sparse",
        "a run that writes a sparse output of 50 GB",
        "open('outputs/big.bin', 'wb').truncate(50 << 30)",
        'output-limit = "64m"',
        64 * _MIB,
        "output-limit",
    ),
    Flood(
        "fills",
        "a run that writes to its disk without end",
        "file = open('/tmp/big.bin', 'wb')\nwhile True:\n    file.write(bytes(1 << 20))",
        'disk = "256m"',
        256 * _MIB,
        "disk is 256 MiB",
    ),
    Flood(
        "many",
        "a run that writes 20,000 outputs where 1000 may be",
        "for n in range(20_000):\n    open(f'outputs/{n}', 'w').close()",
        "output-files = 1000",
        64 * _MIB,
        "output-files",
    ),
    Flood(
        "forks",
        "a fork bomb that ends where it is refused",
        "import os\nwhile True:\n    os.fork()",
        "processes = 64",
        64 * _MIB,
        "processes. is 64",
    ),
    Flood(
        "bomb",
        "a fork bomb that never gives up",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        "processes = 64\ntimeout = 5",
        64 * _MIB,
        "timeout",
    ),
    Flood(
        "hog",
        "a run that takes more memory than it may",
        "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * (1 << 24))",
        'memory = "64m"',
        64 * _MIB,
        "memory, 64 MiB",
    ),
    Flood(
        "deaf",
        "a run past its time that ignores SIGTERM",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
        "timeout = 3",
        64 * _MIB,
        "timeout",
    ),
)
_QUICK = ("prints", "sparse", "fills")


class Disk:
    """Looks, until it is closed, how much free space there is less than at the beginning.

    Args:
        places: folders on the file systems that count.
    """

    def __init__(self, *places: Path) -> None:
        self._places = places
        self._before = tuple(map(_free_bytes, places))
        self.most_bytes = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Disk:
        self._thread.start()
        return self

    def __exit__(
        self,
        raised: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    def wait(self, seconds: float) -> None:
        """Let it look meanwhile."""
        self._closed.wait(seconds)

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_S):
            for place, before in zip(self._places, self._before, strict=True):
                self.most_bytes = max(self.most_bytes, before - _free_bytes(place))


def rows(plan: Plan) -> Iterator[Row]:
    """One row for each flood."""
    root = Path(str(plan.api.info()["DockerRootDir"]))
    # The engine may be on another machine, whose disk cannot be looked at from here.
    places = [plan.folder, *([root] if root.exists() else [])]
    for flood in FLOODS:
        if not plan.quick or flood.name in _QUICK:
            yield _try(plan, flood, places)


def _try(plan: Plan, flood: Flood, places: list[Path]) -> Row:
    config = f"""
[tool.mlcontainer.entrypoints.{flood.name}]
command = ["python", "-c", '''
{flood.program}
''']
writable = ["outputs"]
outputs = ["outputs/**"]
{flood.limits}
"""
    with Disk(*places) as disk:
        session = begin(plan, "pyproject.toml", config=config)
        session.wait(_LONGEST_S)
        took_s = session.age_s
    problems = _problems(plan, flood, session, took_s, disk.most_bytes)
    plan.say(f"{flood.what}: {took_s:.1f} s, {disk.most_bytes >> 20} MiB, {len(problems)} problems")
    forget(plan, session, keep=bool(problems))
    most = flood.disk_bytes + _SLACK_BYTES
    return Row(
        flood.what,
        1,
        0 if problems else 1,
        f"{took_s:.0f} s, {disk.most_bytes >> 20} MiB of disk",
        f"{flood.bar_s:.0f} s, {most >> 20} MiB; names {flood.limits.splitlines()[-1]}",
        problems,
    )


def _problems(
    plan: Plan, flood: Flood, session: Session, took_s: float, most_bytes: int
) -> tuple[str, ...]:
    found = []
    if session.exit_code is None:
        session.kill()
        found.append(f"it still ran after {_LONGEST_S:g} s")
    text = next((text for item, text in session.failures().items() if flood.name in item), None)
    if text is None:
        found.append(f"its item did not fail: {session.printed()[-1500:]}")
    elif not re.search(flood.said, text):
        found.append(f"its verdict does not say {flood.said!r}: {text[:1500]}")
    if took_s > flood.bar_s:
        found.append(f"{took_s:.0f} s")
    if most_bytes > flood.disk_bytes + _SLACK_BYTES:
        found.append(f"{most_bytes >> 20} MiB of the disk were used at one time")
    return (*found, *left_by(plan.api, session))


def _free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
