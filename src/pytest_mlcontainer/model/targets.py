"""Where and how an entrypoint runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_mlcontainer.model.basics import Pairs, Platform
from pytest_mlcontainer.model.clusters import ClusterSettings


@dataclass(frozen=True)
class EmulatedCpu:
    """The CPU that QEMU emulates, as `QEMU_CPU` names it.

    Args:
        by: who chose it, in words: "the configuration", "the image", "pytest-mlcontainer".
        ours: nobody named one, so that runs are given this one.
    """

    name: str
    by: str
    ours: bool = False

    def __str__(self) -> str:
        return f"{self.name}, chosen by {self.by}"


@dataclass(frozen=True)
class Target:
    """Where and how an entrypoint runs.

    Args:
        platform: the platform asked for.
        engine: URL of the engine or name of a docker context; None is the default engine.
        gpus: as `docker run --gpus`; None asks for no GPU.
        emulated: whether the engine runs the platform by emulation; None as long as that is not
            known, which is so while planning.
        variations: names of the variations applied.
        cpu: which CPU is emulated; None where none is, the emulator's own default is, or that is
            not known yet.
        cluster: what the project says of clusters, for an engine that is one; no two targets
            differ in that alone.
    """

    platform: Platform
    engine: str | None = None
    gpus: str | None = None
    emulated: bool | None = None
    variations: tuple[str, ...] = ()
    cpu: EmulatedCpu | None = None
    cluster: ClusterSettings = field(default=ClusterSettings(), compare=False)

    @property
    def emulator_env(self) -> Pairs:
        """The variable that tells the emulator its CPU; none where nothing is known of one."""
        return () if self.cpu is None else (("QEMU_CPU", self.cpu.name),)

    def __str__(self) -> str:
        emulated = " (emulated)" if self.emulated else ""
        return f"{self.platform}{emulated}"
