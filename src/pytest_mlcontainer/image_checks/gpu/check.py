"""The check `gpu`: whether all that an image has for GPUs fits together, and is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.gpu import drivers
from pytest_mlcontainer.image_checks.gpu.findings import (
    DeclaredGpu,
    agreement_findings,
    capability_findings,
    cpu_findings,
    cudnn_findings,
    driver_findings,
    pin_findings,
    platform_findings,
)
from pytest_mlcontainer.image_checks.gpu.stack import GpuStack, read_stack, tensorflow_cudnn
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.reading import contents_of
from pytest_mlcontainer.model import (
    CheckReport,
    CheckRow,
    CheckTable,
    ImageFinding,
    Platform,
)
from pytest_mlcontainer.wording import first_of

_MOST_ROWS: Final = 100
# Of CUDA's own libraries where the base or apt put them.
_SYSTEM_PLACES: Final = ("usr/local/cuda", "usr/lib/x86_64-linux-gnu/libcud", "opt/nvidia")
_SYSTEM_PACKAGES: Final = ("cuda-", "libcu", "libnccl", "libnpp", "libnv", "libcudnn")


def check_gpu(inputs: CheckInputs) -> CheckReport:
    """What the image has for GPUs, for one platform. No GPU is needed, and none is tried.

    Raises:
        NothingChecked: nothing is known of its layers.
        EngineError: it cannot be read.
    """
    platform = inputs.platform
    assert platform is not None
    contents, declared = contents_of(inputs, platform), _declared(inputs)
    stack = _stack(contents)
    notes = list(contents.inventory.notes)
    if stack.is_there:
        notes.append(
            "read from the image's files: that a GPU is found, and computes right, only a run on "
            "one shows"
        )
    return CheckReport(
        inputs.check.name,
        platform,
        tuple(_findings(inputs, contents, stack, declared, platform)),
        notes=tuple(notes),
        figures=(
            ("cuda_packages", len(stack.users)),
            ("nvidia_wheels_bytes", _wheels(contents, stack)),
            ("gpu_code_bytes", sum(each.size_bytes for each in stack.programs)),
        ),
        headline=_headline(stack),
        tables=tuple(_tables(contents, stack)),
        tables_shown=inputs.check.asked,
    )


def _declared(inputs: CheckInputs) -> DeclaredGpu:
    """What the project says of its GPUs."""
    driver, capabilities = inputs.check.value("driver"), inputs.check.value("capabilities")
    texts = capabilities if isinstance(capabilities, tuple) else ()
    numbers = (text.split(".") for text in texts)
    asked = any(entry.limits.gpus is not None for entry in inputs.settings.entrypoints)
    return DeclaredGpu(
        drivers.parse_version(str(driver)) if driver is not None else (),
        tuple((int(major), int(minor)) for major, minor in numbers),
        asked or driver is not None or bool(texts),
    )


def _stack(contents: ImageContents) -> GpuStack:
    return read_stack(contents.inventory, contents.files, contents.texts, contents.owners)


def _findings(
    inputs: CheckInputs,
    contents: ImageContents,
    stack: GpuStack,
    declared: DeclaredGpu,
    platform: Platform,
) -> Iterator[ImageFinding]:
    sizes = dict(contents.figures.packages)
    yield from driver_findings(stack, declared.driver)
    yield from agreement_findings(stack, sizes, _system_bytes(contents))
    yield from pin_findings(stack, contents.texts, wanted=declared.wanted)
    yield from cudnn_findings(stack, tensorflow_cudnn(contents.texts), wanted=declared.wanted)
    yield from capability_findings(stack, declared.capabilities)
    if not declared.wanted:
        yield from cpu_findings(stack, sizes)
    reference = inputs.platforms[0]
    if platform != reference:
        other = _stack(contents_of(inputs, reference))
        yield from platform_findings(str(platform), stack, str(reference), other, sizes)


def _system_bytes(contents: ImageContents) -> int:
    """Of CUDA's libraries outside of Python packages; a file that belongs to no package too."""
    packages = sum(
        size
        for package, size in contents.figures.packages
        if package.manager in ("deb", "apk") and package.name.startswith(_SYSTEM_PACKAGES)
    )
    loose = sum(
        each.entry.size_bytes
        for each in contents.files.files
        if each.entry.path.startswith(_SYSTEM_PLACES)
        and contents.owners.owner(each.entry.path) is None
    )
    return packages + loose


def _wheels(contents: ImageContents, stack: GpuStack) -> int:
    sizes = dict(contents.figures.packages)
    return sum(sizes.get(package, 0) for package in {each.package for each in stack.nvidia})


def _headline(stack: GpuStack) -> str:
    if not stack.is_there:
        return "nothing in it is for GPUs"
    parts = []
    if stack.base:
        parts.append(f"base with CUDA {drivers.dotted(stack.base)}")
    parts += [f"{each.package} ({each.release})" for each in stack.users]
    if stack.nvidia and not stack.users:
        parts.append(f"{len(stack.nvidia)} wheels of NVIDIA's")
    return first_of(parts, 4) or "libraries of CUDA, and no framework that is known here"


def _tables(contents: ImageContents, stack: GpuStack) -> Iterator[CheckTable]:
    sizes = dict(contents.figures.packages)
    rows = [CheckRow("base", None, f"CUDA {drivers.dotted(stack.base)}")] if stack.base else []
    rows += [
        CheckRow(str(each.package), sizes.get(each.package), f"{each.release}, says {each.source}")
        for each in stack.users
    ]
    rows += [CheckRow(str(each.package), sizes.get(each.package)) for each in stack.nvidia]
    rows += [
        CheckRow(f"lib{name}.so.{drivers.dotted(version)}", None, f"/{path}")
        for name, version, path in stack.loadable
    ]
    if rows:
        yield CheckTable("what is for GPUs", tuple(rows[:_MOST_ROWS]))
    code = [
        CheckRow(each.name, each.size_bytes, ", ".join(each.targets)) for each in stack.programs
    ]
    if code:
        yield CheckTable("GPU code, by compute capability", tuple(code[:_MOST_ROWS]))
