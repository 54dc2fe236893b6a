"""Changes of the environment: what they are made of, and who offers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Union

from pytest_mlcontainer.model.basics import Pairs, Platform
from pytest_mlcontainer.model.recordings import Recording
from pytest_mlcontainer.model.results import Facts, Image
from pytest_mlcontainer.model.settings import Entrypoint, Limits


@dataclass(frozen=True)
class Knobs:
    """How the environment of a run is changed. What is None or empty stays as it is.

    Args:
        env: variables that are set.
        unset: variables that are taken away; on `host` only, where there are others than ours.
        hostname: the container's name for itself.
        cpuset: processors that it may use, as `docker run --cpuset-cpus`.
        memory_bytes, shm_size_bytes, network, user: as in `Limits`.
        nofile: files that a process may have open, as `docker run --ulimit nofile=N`.
        read_only: nothing may be written but declared outputs and /tmp.
        wrapper: program and arguments put before the command; it has to execute what follows.
        workdir: absolute path at which the run finds a copy of its working directory, and works.
        preload: the library of `variations.preload` is loaded into every program; `env` steers it.
        personality: the wrapper may change its personality, which switches address space
            randomisation off.
        recording: the project's own Python code is watched, and this is what the recorder does.
        opens: which files it opens is watched, by `inside/file_watcher`.
    """

    env: Pairs = ()
    unset: tuple[str, ...] = ()
    hostname: str | None = None
    cpuset: str | None = None
    memory_bytes: int | None = None
    nofile: int | None = None
    shm_size_bytes: int | None = None
    network: str | None = None
    user: str | None = None
    read_only: bool = False
    wrapper: tuple[str, ...] = ()
    workdir: str | None = None
    preload: bool = False
    personality: bool = False
    recording: Recording | None = None
    opens: bool = False

    def __add__(self, other: Knobs) -> Knobs:
        """Both together; where they collide, the other's holds."""
        return Knobs(
            env=tuple({**dict(self.env), **dict(other.env)}.items()),
            unset=tuple(dict.fromkeys((*self.unset, *other.unset))),
            hostname=other.hostname or self.hostname,
            cpuset=other.cpuset or self.cpuset,
            memory_bytes=other.memory_bytes or self.memory_bytes,
            nofile=other.nofile or self.nofile,
            shm_size_bytes=other.shm_size_bytes or self.shm_size_bytes,
            network=other.network or self.network,
            user=other.user or self.user,
            read_only=other.read_only or self.read_only,
            wrapper=(*other.wrapper, *self.wrapper),
            workdir=other.workdir or self.workdir,
            preload=other.preload or self.preload,
            personality=other.personality or self.personality,
            recording=other.recording or self.recording,
            opens=other.opens or self.opens,
        )

    @property
    def needs_container(self) -> bool:
        """Whether a run without a container cannot have them."""
        return replace(self, env=(), unset=(), wrapper=(), preload=False) != Knobs()


# Limits that are held from outside, whatever the engine.
_HELD_BY_US = {"timeout_s", "log_bytes", "output_bytes", "output_files"}


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do of what a project or a variation may ask for.

    Args:
        limits: names of fields of `Limits` that it holds. A run that asks for another is refused.
        knobs: names of fields of `Knobs` that it can turn. Variations that need another have
            nothing to change there.
        networks: names of networks that it has; None where others may exist.
        confines: it keeps to `ContainerSpec.confined`. Pickles are opened nowhere else.
    """

    limits: frozenset[str] = frozenset()
    knobs: frozenset[str] = frozenset()
    networks: frozenset[str] | None = None
    confines: bool = False

    def missing_for(self, limits: Limits) -> tuple[str, ...]:
        """What it cannot do of these limits, as the configuration calls it: `shm-size`."""
        usual = Limits()
        names = [
            each.name
            for each in fields(limits)
            if each.name not in (*self.limits, *_HELD_BY_US, "network")
            and getattr(limits, each.name) != getattr(usual, each.name)
        ]
        if self.networks is not None and limits.network not in self.networks:
            names.append(f'network = "{limits.network}"')
        return tuple(name.removesuffix("_bytes").replace("_", "-") for name in names)

    def missing_knobs(self, knobs: Knobs) -> tuple[str, ...]:
        """Names of the knobs that it cannot turn."""
        return tuple(
            each.name
            for each in fields(knobs)
            if each.name not in self.knobs and getattr(knobs, each.name) != each.default
        )


EVERYTHING = Capabilities(
    limits=frozenset(each.name for each in fields(Limits)),
    knobs=frozenset(each.name for each in fields(Knobs)),
    confines=True,
)


@dataclass(frozen=True)
class Variation:
    """One named change of the environment, in one setting.

    Args:
        name: of its family, as reports and labels use it: `threads`.
        setting: which of the family's settings: `1`.
        witness: facts of which at least one is another under the variation, if it took effect;
            a name that ends with a dot stands for all that begin with it. Where the value that
            a fact has to have is known, it is given: `folder=/elsewhere`.
    """

    name: str
    setting: str
    knobs: Knobs = Knobs()
    witness: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}={self.setting}"


@dataclass(frozen=True)
class NotExercised:
    """Why a family has nothing to change here.

    Args:
        pins: variables that are set already, where that is why.
    """

    why: str
    pins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """Where a variation is wanted.

    Args:
        facts: what the probe saw with nothing varied.
        entry: with its variables and limits, as configured.
        image: None on `host`.
        leaked: variables of this machine that the project's sources mention, with their values.
        over_image: what the image sets may be changed, because the variation was named: a variable
            that one image sets hides a fault that shows on `host` and in other images.
        capabilities: of the engine.
    """

    platform: Platform
    facts: Facts
    entry: Entrypoint
    image: Image | None = None
    leaked: Pairs = ()
    over_image: bool = False
    capabilities: Capabilities = EVERYTHING

    @property
    def pinned(self) -> dict[str, str]:
        """Variables that stay as the project sets them, by its configuration or in its image."""
        return dict(self.entry.env) if self.over_image else self.present

    @property
    def present(self) -> dict[str, str]:
        """Variables that the project sets, whether they may be changed or not."""
        image = () if self.image is None else self.image.env
        return {**dict(image), **dict(self.entry.env)}


Choice = Union[Variation, NotExercised]


@dataclass(frozen=True)
class Family:
    """A kind of change, and how one is chosen that has an effect here.

    Args:
        name: as reports, labels and `--container-vary` use it.
        what: what is changed, in a few words ("how many threads share the work").
        choose: gives the variation that differs from what a run has anyway, or why there is none.
        hints: regular expressions; where the project's sources match one, the family is suspected
            first. They only order the search.
        weight: how often it is the cause, against others, where nothing is known yet.
        numeric: whether it changes the last digits of numbers rather than what is computed.
        natural: whether any two runs differ in it by themselves: a drift that it causes is
            nondeterminism until it is pinned.
        pin: how a run is kept from differing in it; None where it does not differ by itself.
        on_request: whether it is varied only where it is named.
        demanding: whether it takes away what a program may well rely on, such as a file system
            that can be written to: failing under it is no drift unless it was named.
        apart: names of families that hide it, or that it hides: never varied in the same run
            unless each alone does nothing.
        kin: names of families that are causes where it is one, or together with it: it changes
            them as well, programs answer to both in the same way, or one shows only where the
            other is varied too.
    """

    name: str
    what: str
    choose: Callable[[Situation], Choice]
    hints: tuple[str, ...] = ()
    weight: float = 1.0
    numeric: bool = False
    natural: bool = False
    pin: Callable[[Situation], Choice] | None = None
    on_request: bool = False
    demanding: bool = False
    apart: tuple[str, ...] = ()
    kin: tuple[str, ...] = ()
