"""Which CPU is emulated where a platform is: one that computes right.

QEMU's default for arm64 has every feature that QEMU knows, scalable vectors among them, for which
OpenBLAS has kernels that compute wrong products there; and it checks pointers in software, which
makes Python six times slower. The CPUs below have neither, and their products were held against
plain Python with NumPy 2.1 to 2.5 (docs/explanation/emulation.md). An emulator that is not QEMU,
and a machine that needs none, do not read the variable.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.engines import ContainerSpec, Runner
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import EmulatedCpu, Image, Limits, Pairs, Target
from pytest_mlcontainer.temporary import temporary_folder

QEMU_CPU: Final = "QEMU_CPU"
OURS: Final = "pytest-mlcontainer"
# The first that the engine's QEMU knows: the first came with 7.0, the last is as old as arm64 is.
_CPUS: Final = {"arm64": ("neoverse-n1", "cortex-a72", "cortex-a57")}
_LIMITS: Final = Limits(timeout_s=60.0)
_UNKNOWN: Final = ("unable to find cpu model", "unable to find cpu definition")
_COST: Final = "about ten times as slow as a machine of its own kind"


def choose_cpu(engine: Runner, image: Image) -> str | None:
    """The first CPU that the engine's emulator knows, tried in a container of the image.

    Returns:
        None where there is nothing to choose, or no program of the image could be tried.
    """
    for name in _CPUS.get(image.platform.architecture, ()):
        knows = _knows(engine, image, name)
        if knows is None:
            return None
        if knows:
            return name
    return None


def has_choice(image: Image) -> bool:
    """Whether there are CPUs to choose from for the image's architecture."""
    return image.platform.architecture in _CPUS


def named_cpu(image: Image, env: Pairs) -> EmulatedCpu | None:
    """The CPU that the configuration's variables or the image name; None where neither does."""
    for variables, who in ((env, "the configuration"), (image.env, "the image")):
        name = dict(variables).get(QEMU_CPU)
        if name is not None:
            return EmulatedCpu(name, who)
    return None


def with_cpu(spec: ContainerSpec, target: Target) -> ContainerSpec:
    """The spec with the CPU that was chosen for the target, unless somebody else named one."""
    if target.cpu is None or not target.cpu.ours or QEMU_CPU in dict(spec.env):
        return spec
    return replace(spec, env=(*spec.env, (QEMU_CPU, target.cpu.name)))


def emulation_note(target: Target) -> tuple[str, ...]:
    """That the target is emulated, as which CPU, what that costs, and what is faster."""
    if not target.emulated:
        return ()
    cpu = "" if target.cpu is None else f" (emulated CPU: {target.cpu})"
    native = f'engines = {{ "{target.platform}" = "ssh://user@machine" }}'
    return (f"{target.platform} is emulated here{cpu}, {_COST}: {native} runs it natively",)


def _knows(engine: Runner, image: Image, name: str) -> bool | None:
    """Whether the emulator knows the CPU; None where nothing could be started."""
    for program, *words in (("/bin/sh", "-c", ":"), ("python3", "-c", "")):
        spec = ContainerSpec(
            image=image.reference,
            platform=image.platform,
            entrypoint=(program,),
            command=tuple(words),
            env=((QEMU_CPU, name),),
            limits=_LIMITS,
            passing=True,
        )
        with suppress(RunError):
            return _ends_well(engine, spec)
    return None


def _ends_well(engine: Runner, spec: ContainerSpec) -> bool | None:
    with temporary_folder() as folder, engine.container(spec) as container:
        container.failed = False
        container.start()
        ended = container.wait(spec.limits.timeout_s)
        if ended is None:
            container.kill(0)
            return None
        container.write_logs(folder / "stdout", folder / "stderr")
        said = (folder / "stderr").read_text(errors="replace").lower()
    if any(text in said for text in _UNKNOWN):
        return False
    return True if ended.code == 0 else None
