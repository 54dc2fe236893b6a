"""What the product asks of an engine, and how one is added."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pytest_mlcontainer.engines.containers import (
    Container,
    ContainerSpec,
    LogLine,
    Stream,
    quiet,
)
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import (
    BuildSettings,
    Capabilities,
    ClusterSettings,
    Image,
    ImageName,
    KeepPolicy,
    Owner,
    Pairs,
    Platform,
)
from pytest_mlcontainer.secrets import NOTHING, Redactor


@dataclass(frozen=True)
class Built:
    """What came of a build.

    Args:
        digest: what the builder calls the image; None where it does not say.
        notes: remarks worth showing.
    """

    digest: str | None = None
    notes: tuple[str, ...] = ()


class LeftoverKind(enum.Enum):
    """What a leftover is, in the order of removal: what uses another thing goes first."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"
    IMAGE = "image"


@dataclass(frozen=True)
class Leftover:
    """One thing on an engine with our label.

    Args:
        id: what the engine removes it by.
        name: what a user knows it by.
        why: whose it is.
        left: why it must stay; empty for what can go.
    """

    kind: LeftoverKind
    id: str
    name: str
    why: str
    left: str = ""


class ImageStore(Protocol):
    """Where an engine keeps its images: `images` finds them, `cleanup` removes them.

    Args:
        address: the same for everybody who means the same engine.
    """

    address: str

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        """The image as the engine has it, whatever its platform; None when it has none."""

    def pull(self, reference: str, platform: Platform, log: LogLine = quiet) -> str:
        """Pull one platform of `reference` without moving its tag; returns the pinned reference.

        `log` is told how far that is, behind `progress.events.FAR`.

        Raises:
            EngineError: it cannot be had; the value says why.
        """

    def save(self, reference: str, platform: Platform) -> Stream | None:
        """The image as `docker save` writes it, in pieces; None where the engine hands out none.

        Whoever does not read it to its end has to close it.

        Raises:
            EngineError: it is not there, or the stream breaks off.
        """

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        """Let an image that was built under `repository` stay for the next session."""

    def find_kept_image(self, repository: str, platform: Platform) -> Image | None:
        """The image that stayed for the next session; None when there is none."""

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        """Remove kept images that are too old, or beyond `limit_bytes`.

        Args:
            unwanted: repositories of which nothing is kept.

        Returns:
            Whether anything was removed.
        """

    def remove_images(self, repository: str) -> bool:
        """Remove the images that were built under `repository`; returns whether there were any."""


class Builder(ImageStore, Protocol):
    """Builds images into its own store, for `images`."""

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


class Runner(Protocol):
    """Runs containers, for `runs` and for what `pipeline` gives them.

    Args:
        name: as the user chose it.
        capabilities: what it can do beyond running a command.
    """

    name: str
    capabilities: Capabilities

    def identity(self) -> str:
        """A name that stays the same for the same engine on the same kernel."""

    def native(self) -> Platform:
        """The platform that the engine runs without emulation."""

    def emulates(self, platform: Platform) -> bool:
        """Whether the engine would run `platform` by emulation, or not at all."""

    def container(self, spec: ContainerSpec) -> AbstractContextManager[Container]:
        """Create a container; it is removed at the end of the `with` block unless kept."""

    def volume(self, name: str, image: Image, tar: Iterable[bytes]) -> None:
        """Make a volume filled with what the tar stream holds. Its owner's cleaning removes it."""

    def internal_network(self) -> str:
        """The session's network without a way out; made when it is asked for first.

        Raises:
            EngineError: the engine cannot make one.
        """


class Launched(Protocol):
    """A server's container, filled and not yet started."""

    @property
    def container(self) -> Container:
        """Not to be removed by whoever gets it: the end of `Launcher.launch` does so."""

    def start(self) -> None:
        """Start it, once.

        Raises:
            EngineError: the engine goes away or does not answer.
            RunError: its command cannot be found or executed.
        """

    def url(self) -> str | None:
        """Its base URL without a trailing slash, reachable from this machine.

        None while, or once, its port is not published.
        """


class Launcher(Protocol):
    """Makes servers' containers, for `runs.serving`."""

    def launch(
        self,
        name: str,
        spec: ContainerSpec,
        port: int,
        *,
        files: Iterable[bytes] | None = None,
        writable: tuple[str, ...] = (),
    ) -> AbstractContextManager[Launched]:
        """Make a server's container, and remove it at the end of the `with` block.

        Once started it is reached from here; where its machine is this one, from here alone.

        Args:
            name: of the entrypoint, for messages.
            port: that it listens on.
            files: a tar stream to unpack at `/` before it starts.
            writable: folders that every user may write to, in memory.

        Raises:
            EngineError: the engine goes away or does not answer.
        """


class Janitor(Protocol):
    """Removes what sessions made: for `cleanup`, and for `mlcontainer clean`."""

    def sweep(self) -> tuple[str, ...]:
        """Remove what dead owners of this host left; returns the names of what was removed."""

    def remove_session(self, *, keep_containers: bool) -> bool:
        """Remove everything of this session: containers, networks, volumes.

        Returns whether there was anything; `remove_made` does so as well.
        """

    def remove_made(self, maker: str) -> bool:
        """Remove the containers that one process of this session made (`owners.this_maker`)."""

    def leftovers(
        self, claimed: Collection[str], abandoned: Collection[str]
    ) -> tuple[Leftover, ...]:
        """Everything of any session, in the order in which it can be removed.

        Args:
            claimed: repositories of images that living sessions use; they stay in any case.
            abandoned: repositories of images whose sessions are dead.
        """

    def remove_leftover(self, thing: Leftover) -> Leftover:
        """Remove one thing; returns it with `left` set when the engine does not let it go."""


class Engine(Builder, Runner, Launcher, Janitor, Protocol):
    """All of it, on one connection: what `pipeline` opens and hands on in parts."""

    def close(self) -> None:
        """Refuse new work, and end what runs."""

    def disconnect(self) -> None:
        """Let go of connections, after the last request."""


# Sends an image that a store has to a registry, under a name with a tag; returns the digest of its
# manifest.
SendImage = Callable[[ImageName, Image, ImageStore, LogLine], str]


def refuse_to_send(_name: ImageName, image: Image, _store: ImageStore, _log: LogLine) -> str:
    """Where nothing is run, nothing is sent.

    Raises:
        EngineError: always.
    """
    raise EngineError("no image can be sent to a registry here", image.reference, "")


@dataclass(frozen=True)
class EngineRequest:
    """Which engine is to be opened, and for whom.

    Args:
        endpoint: URL, or the name of a docker context; None is the default engine.
        environ: environment variables for the connection.
        owner: of the session: everything made on the engine has to be found by it.
        keep: which containers stay after their `with` block.
        on_keep: called with a command to look at each container that stays.
        cluster: what the project says of clusters, for an engine that is one.
        send: for an engine that runs what a registry has.
    """

    endpoint: str | None
    environ: Mapping[str, str]
    owner: Owner
    keep: KeepPolicy = KeepPolicy.NONE
    on_keep: Callable[[str], None] = lambda _container: None
    cluster: ClusterSettings = ClusterSettings()
    send: SendImage = refuse_to_send


@dataclass(frozen=True)
class EngineKind:
    """A kind of engine, chosen by the scheme of its URL.

    Args:
        name: as messages call it: `kubernetes`.
        schemes: those of its URLs: `("k8s",)` for `k8s://cluster/namespace`.
        open: connects to one; what it raises besides `MlContainerError` is taken for a failure to
            connect.
    """

    name: str
    schemes: tuple[str, ...]
    open: Callable[[EngineRequest], Engine]


Kinds = Callable[[], tuple[EngineKind, ...]]  # those that plugins add, loaded when asked for
