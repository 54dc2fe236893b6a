"""What the product asks of an engine, as a protocol; `docker.engine` fulfils it.

Only this package talks to engines and starts processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_mlcontainer.model import BuildSettings, Image, Limits, Pairs, Platform
from pytest_mlcontainer.secrets import NOTHING, Disclosed, Redactor

LogLine = Callable[[str], None]
Stream = Generator[bytes, None, None]
DETAIL = "| "  # before a line that a step printed, as against the step itself


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


@dataclass(frozen=True)
class Built:
    """What came of a build.

    Args:
        digest: what the builder calls the image; None where it does not say.
        notes: remarks worth showing.
    """

    digest: str | None = None
    notes: tuple[str, ...] = ()


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


class Engine(Protocol):
    """A Docker-API endpoint that builds and runs."""

    name: str
    address: str

    def identity(self) -> str:
        """A name that stays the same for the same engine on the same kernel."""

    def native(self) -> Platform:
        """The platform that the engine runs without emulation."""

    def emulates(self, platform: Platform) -> bool:
        """Whether the engine would run `platform` by emulation, or not at all."""

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> Built:
        """Build the image for one platform under `tag`.

        Args:
            hidden: what must not be in what is logged and raised.

        Raises:
            BuildError: a step failed; the value has the step and its last lines.
            PlatformError: a step could not be executed for lack of emulation.
        """

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        """Let an image that was built under `repository` stay for the next session."""

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        """Remove kept images that are too old, or beyond `limit_bytes`; as of `trim_kept`."""

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        """The image as the engine has it, whatever its platform; None when it has none."""

    def pull(self, reference: str, platform: Platform) -> str:
        """Pull one platform of `reference` without moving its tag; returns the pinned reference.

        Raises:
            EngineError: it cannot be had; the value says why.
        """

    def container(self, spec: ContainerSpec) -> AbstractContextManager[Container]:
        """Create a container; it is removed at the end of the `with` block unless kept."""

    def adopt(self, id: str, spec: ContainerSpec) -> Container:
        """A container that somebody else has started, and will remove."""

    def volume(self, name: str, image: Image, tar: Iterable[bytes]) -> None:
        """Make a volume filled with what the tar stream holds. Its owner's cleaning removes it."""

    def internal_network(self) -> str:
        """The session's network without a way out; made when it is asked for first.

        Raises:
            EngineError: the engine cannot make one.
        """

    def sweep(self) -> tuple[str, ...]:
        """Remove what dead owners of this host left; returns the names of what was removed."""

    def remove_session(self, *, keep_containers: bool) -> bool:
        """Remove everything of this session: containers, networks, volumes.

        Returns whether there was anything; `remove_made` and `remove_images` do so as well.
        """

    def remove_made(self, maker: str) -> bool:
        """Remove the containers that one process of this session made (`owners.this_maker`)."""

    def remove_images(self, repository: str) -> bool:
        """Remove the images that were built under `repository`."""

    def close(self) -> None:
        """Refuse new work, end what runs, and let go of connections."""
