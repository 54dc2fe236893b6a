"""A container: what it is made from, what it does, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_mlcontainer.model import Limits, Pairs, Platform
from pytest_mlcontainer.secrets import Disclosed

Stream = Generator[bytes, None, None]
LogLine = Callable[[str], None]


def quiet(line: str) -> None:
    """Tell nobody of a line."""


@dataclass(frozen=True)
class ContainerSpec:
    """A container to create. What it may do and use beyond the least, `limits` has to say.

    Args:
        image: id or reference; `platform` picks the variant and is checked by the engine.
        entrypoint: replaces the image's ENTRYPOINT; None keeps it.
        volumes: volume name → container path, mounted read-only.
        writable_volumes: the same, mounted writable (to fill a volume).
        scratch: container folders on volumes of its own, which go when it goes.
        confined: for what nobody vouches for: the root file system is read-only, all that can be
            written to is `scratch` and a small `/tmp` in memory; no capabilities and no way to
            gain any, few processes, no swap, little log. The network is that of `limits`.
        passing: of no interest once it has ended, so that it is never kept for a look.
        hostname: its name for itself; None lets the engine choose one.
        cpuset: processors that it may use, as `docker run --cpuset-cpus`.
        read_only: its root file system cannot be written to; `scratch` and `/tmp` can.
        copy: a folder of the image, and the path at which a copy of it is mounted: with the same
            owners and modes, and of this container alone.
        copy_read_only: the copy cannot be written to.
        nofile: files that a process of it may have open; None leaves the engine's default.
        personality: its programs may change their personality (`setarch -R`), which engines
            otherwise forbid.
        secrets: what it is given of them, and what must not be in its logs; not inherited by
            containers made for its sake.
        log: told what it waits for, by engines whose containers have to wait for a machine.
    """

    image: str
    platform: Platform
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: Pairs = ()
    workdir: str | None = None
    limits: Limits = Limits()
    volumes: Pairs = ()
    writable_volumes: Pairs = ()
    scratch: tuple[str, ...] = ()
    confined: bool = False
    passing: bool = False
    hostname: str | None = None
    cpuset: str | None = None
    read_only: bool = False
    copy: tuple[str, str] | None = None
    copy_read_only: bool = False
    personality: bool = False
    nofile: int | None = None
    secrets: Disclosed = Disclosed()
    log: LogLine = field(default=quiet, compare=False)


@dataclass(frozen=True)
class Exit:
    """How a container ended. `error` is the engine's own word, if it had one."""

    code: int | None
    error: str = ""
    oom_killed: bool = False


@dataclass(frozen=True)
class Usage:
    """What a running container uses; None is what the engine does not tell.

    Args:
        disk_bytes: what it has written to its own file system and its own volumes.
        memory_bytes: the most so far, or else at present.
        processes: at present; threads count.
    """

    disk_bytes: int | None = None
    memory_bytes: int | None = None
    processes: int | None = None


class HealthState(enum.Enum):
    """What a HEALTHCHECK has come to."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class ContainerHealth:
    """What an engine knows of a container's health.

    Args:
        exit_code, output: of the last probe; None and "" before there was one.
    """

    state: HealthState
    exit_code: int | None = None
    output: str = ""


@dataclass(frozen=True)
class FirstProcess:
    """The process with number 1 in a container, as its kernel shows it.

    Args:
        user: its user's number, as the engine's machine counts.
        caught, ignored: masks of the signals that it handles, or ignores; bit 0 is signal 1.
        command: its arguments in a line.
    """

    user: str
    caught: int
    ignored: int
    command: str


@runtime_checkable
class ObservedContainer(Protocol):
    """A container that an engine can be asked about while it runs; not every engine has those.

    None of these raises anything; what cannot be told is None.
    """

    def health(self) -> ContainerHealth | None:
        """Of one whose image has a HEALTHCHECK."""

    def first_process(self) -> FirstProcess | None:
        """While it runs."""

    def read_text(self, path: str) -> str | None:
        """A file as its processes see it, `/proc` too; it takes a `cat` in the image."""

    def written_paths(self) -> tuple[str, ...]:
        """What it has made or changed in its own file system."""


class Container(Protocol):
    """A container that was created. Every call that waits has a limit.

    `started` says whether its command may have run.

    `failed` is set by whoever knows how its run went; with `--container-keep=failed` it decides
    whether the container stays.
    """

    id: str
    failed: bool
    started: bool

    def put(self, path: str, tar: Iterable[bytes], *, copy: bool = False) -> None:
        """Unpack a tar stream into the existing folder `path`.

        Args:
            copy: what the stream has below the folder that the spec copies goes into the copy
                instead, under the names that it has there; the rest is dropped.
        """

    def start(self) -> None:
        """Start it.

        Raises:
            RunError: its command cannot be found or executed.
            PlatformError: the engine cannot run the platform.
            GpuError: a GPU was asked for and there is none.
            EngineLostError: the engine went away, and it never started.
        """

    def follow(self, stdout: Path, stderr: Path, on_full: Callable[[], None]) -> None:
        """Write what it prints to two files as it comes, from its start on.

        Args:
            on_full: called once, from another thread, when it has printed more than its limit.
        """

    def wait(self, timeout_s: float) -> Exit | None:
        """Wait for the end; None when `timeout_s` seconds of wall clock have passed first.

        Raises:
            EngineLostError: the engine was restarted meanwhile, which ended it, or may have.
            EngineError: the engine stays away, or the container was removed.
        """

    def kill(self, grace_s: float) -> None:
        """SIGTERM, `grace_s` seconds, SIGKILL."""

    def inspect_exit(self) -> Exit:
        """What the engine knows of the end: the error, and whether memory ran out."""

    def cpu_seconds(self) -> float | None:
        """CPU time used so far by a running container; None when the engine cannot tell."""

    def usage(self) -> Usage:
        """What it uses while it runs. Raises nothing."""

    def recent_words(self) -> str:
        """The last lines that it printed so far, without the values of secrets. Raises nothing."""

    def write_logs(self, stdout: Path, stderr: Path) -> int:
        """Write what it printed to two files, without the values of secrets.

        Together they hold no more than its limit.
        Those that were followed are there already.

        Returns:
            How many bytes it printed, as far as that is known; more than its limit if some of them
            are not in the files.
        """

    def get(self, path: str) -> Stream | None:
        """A tar stream of the file or folder `path`; None when there is none.

        It has to be closed: until then the engine does not let go of the container.
        """

    def changed_ns(self, path: str) -> int | None:
        """When the file at a path was changed, in nanoseconds since the epoch, which a tar stream
        of an engine gives in seconds; None for a link, or where the engine does not say."""
