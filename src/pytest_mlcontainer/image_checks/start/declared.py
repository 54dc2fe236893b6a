"""What a project declares of how its image starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.model import CheckSettings, Image, Limits, Pairs, Platform, Target

TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0  # docker's own, after which it sends SIGKILL

# What docker gives a container that asks for nothing; runs of entrypoints have none of it.
_CAPABILITIES: Final = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)

_Value = TypeVar("_Value", int, float, bool, str)


@dataclass(frozen=True)
class DeclaredStart:
    """The table `start`; what is not declared is not looked at.

    Args:
        exit_codes: any of which the default command ends with; () where it is not to end.
        serves: it goes on running.
        port: TCP, that it listens on.
        timeout_s: within which it has ended, or listens.
        stop_timeout_s: within which it ends when it is asked to.
        user: as after USER, or `non-root`.
        writable: folders that it may write to although its root file system is read-only.
        network: as of `docker run --network`.
        labels: with the value that they have to have, or None for any.
        ports: that are exposed, `8000/tcp`.
    """

    exit_codes: tuple[int, ...] = ()
    serves: bool = False
    port: int | None = None
    timeout_s: float = TIMEOUT_S
    stop_timeout_s: float = STOP_TIMEOUT_S
    user: str = ""
    read_only: bool = False
    writable: tuple[str, ...] = ()
    network: str = "bridge"
    env: Pairs = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    entrypoint: tuple[str, ...] | None = None
    ports: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether it says how the default command ends, so that it can be started."""
        return self.serves or bool(self.exit_codes)

    def on(self, target: Target) -> DeclaredStart:
        """The same where it runs: an emulator is told its CPU, unless `env` tells it another."""
        return replace(self, env=tuple({**dict(target.emulator_env), **dict(self.env)}.items()))

    def spec(self, image: Image, platform: Platform) -> ContainerSpec:
        """The container as `docker run` makes it, without what is declared to be missing."""
        limits = Limits(
            timeout_s=self.timeout_s,
            network=self.network,
            capabilities=_CAPABILITIES,
            new_privileges=True,
        )
        return ContainerSpec(
            image=image.reference,
            platform=platform,
            env=self.env,
            limits=limits,
            read_only=self.read_only,
            scratch=self.writable if self.read_only else (),
            passing=True,
        )


def parse_declared(check: CheckSettings) -> DeclaredStart:
    """From the values of the configuration."""
    serves = check.value("serves") or False
    codes, entrypoint = check.value("exit-codes"), check.value("entrypoint")
    return DeclaredStart(
        exit_codes=tuple(map(int, codes)) if isinstance(codes, tuple) else (),
        serves=bool(serves),
        port=serves if isinstance(serves, int) and not isinstance(serves, bool) else None,
        timeout_s=_or(check, "timeout", TIMEOUT_S),
        stop_timeout_s=_or(check, "stop-timeout", STOP_TIMEOUT_S),
        user=_or(check, "user", ""),
        read_only=_or(check, "read-only", False),
        writable=_texts(check, "writable"),
        network=_or(check, "network", "bridge"),
        env=tuple(_pair(each) for each in _texts(check, "env")),
        labels=tuple(_label(each) for each in _texts(check, "labels")),
        entrypoint=entrypoint if isinstance(entrypoint, tuple) else None,
        ports=_texts(check, "ports"),
    )


def _or(check: CheckSettings, key: str, otherwise: _Value) -> _Value:
    value = check.value(key)
    return value if isinstance(value, type(otherwise)) else otherwise


def _texts(check: CheckSettings, key: str) -> tuple[str, ...]:
    value = check.value(key)
    return value if isinstance(value, tuple) else ()


def _pair(text: str) -> tuple[str, str]:
    name, _equals, value = text.partition("=")
    return name, value


def _label(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None
