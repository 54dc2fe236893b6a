"""Where what an image has for GPUs does not fit together, or is not needed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.image_checks.gpu import drivers
from pytest_mlcontainer.image_checks.gpu.capabilities import Coverage, coverage
from pytest_mlcontainer.image_checks.gpu.drivers import Version, dotted, shown
from pytest_mlcontainer.image_checks.gpu.stack import CudaUser, GpuStack
from pytest_mlcontainer.image_checks.size.packages import Package, python_distribution
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.storage import shown_size
from pytest_mlcontainer.wording import first_of

DRIVER_TOO_OLD: Final = "GPU001"
DRIVER_OLDER: Final = "GPU002"
DRIVER_REFUSED: Final = "GPU003"
SEVERAL_CUDAS: Final = "GPU004"
CUDA_TWICE: Final = "GPU005"
LIBRARY_MISSING: Final = "GPU006"
CUDA_IN_CPU_IMAGE: Final = "GPU007"
ONE_PLATFORM: Final = "GPU008"
NO_CODE: Final = "GPU009"
ONLY_PTX: Final = "GPU010"

_CLAUSE: Final = re.compile(r"(cuda|driver|brand)(>=|<=|=|<|>)([\w.]+)")
# An exact version that metadata require, but for those that only extras bring.
_PINNED: Final = re.compile(
    r"(?m)^Requires-Dist:\s*(nvidia-[\w.-]+?)\s*\(?==\s*([\w.+]+)\)?(?!.*\bextra\b)"
)
_CPU_INDEX: Final = "https://download.pytorch.org/whl/cpu"
_UV_SOURCES: Final = """\
[[tool.uv.index]]
name = "pytorch-cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
[tool.uv.sources]
torch = [{ index = "pytorch-cpu" }]"""
_TORCH_FAMILY: Final = ("torch", "torchvision", "torchaudio")
# What to install in their place where there is no GPU.
_CPU_BUILDS: Final = {
    "tensorflow": "tensorflow-cpu",
    "onnxruntime-gpu": "onnxruntime",
    "xgboost": "xgboost-cpu",
    "faiss-gpu-cu12": "faiss-cpu",
    "faiss-gpu-cu11": "faiss-cpu",
}
_FRAMEWORKS: Final = (*_TORCH_FAMILY, *_CPU_BUILDS, "jaxlib", "lightgbm")


@dataclass(frozen=True)
class DeclaredGpu:
    """The machine that a project says it runs on.

    Args:
        driver: of NVIDIA's; () where none is declared.
        capabilities: of its GPUs, such as (8, 0).
        wanted: whether anything of the project asks for a GPU.
    """

    driver: Version = ()
    capabilities: tuple[tuple[int, int], ...] = ()
    wanted: bool = False


def driver_findings(stack: GpuStack, driver: Version) -> Iterator[ImageFinding]:
    """Whether the declared driver is new enough for all CUDAs in the image."""
    if not driver:
        return
    named = [(str(each.package), each.cuda, each.source) for each in stack.users if each.cuda]
    if stack.base:
        named.append(("the base", stack.base, "CUDA_VERSION"))
    for name, cuda, source in named:
        needed = drivers.minimum_driver(cuda)
        own = drivers.own_driver(cuda)
        if needed is not None and not drivers.is_enough(driver, needed):
            yield ImageFinding(
                DRIVER_TOO_OLD,
                Severity.WARNING if stack.forward else Severity.ERROR,
                f"{name} is built for CUDA {dotted(cuda)}, which needs driver "
                f"{shown(needed)} or newer; declared is {shown(driver)}",
                why=f"no GPU is found, or the first call fails; the release stands in {source}"
                + (
                    "; the image has NVIDIA's forward compatibility package, with which GPUs of "
                    "data centers may run it"
                    if stack.forward
                    else ""
                ),
                mend=_older_build(name, driver),
                link=drivers.COMPATIBILITY_LINK,
            )
        elif own is not None and not drivers.is_enough(driver, own):
            yield ImageFinding(
                DRIVER_OLDER,
                Severity.INFO,
                f"{name} is built for CUDA {dotted(cuda)}, which came with driver {shown(own)}; "
                f"on the declared {shown(driver)} it runs by minor version compatibility",
                why="machine code runs; PTX of a newer CUDA than the driver's is not compiled, and "
                "what needs a newer driver says so when it is called",
                mend=f"a driver of {shown(own[:1])} or newer has all of it",
                link=drivers.COMPATIBILITY_LINK,
            )
    yield from _refused(stack.required, driver)


def _older_build(name: str, driver: Version) -> str:
    newest = drivers.newest_cuda(driver)
    if newest is None:
        return "install a newer driver"
    major = newest[0]
    if name.split(" ")[0] in _TORCH_FAMILY and major == 12:
        return (
            "pip install torch --index-url https://download.pytorch.org/whl/cu126, "
            "or a newer driver"
        )
    return f"install a build for CUDA {major}, or a newer driver"


def _refused(required: str, driver: Version) -> Iterator[ImageFinding]:
    """`NVIDIA_REQUIRE_CUDA`: clauses with "and" between commas and "or" between spaces."""
    newest = drivers.newest_cuda(driver)
    if not required.strip() or newest is None or drivers.is_past_table(driver):
        return
    results = [_clause(clause, driver, newest) for clause in required.split()]
    if any(result == "yes" for result in results):
        return
    some = any(result == "some" for result in results)
    cuda = re.search(r"cuda>=([\d.]+)", required)
    yield ImageFinding(
        DRIVER_REFUSED,
        Severity.WARNING if some else Severity.ERROR,
        f"NVIDIA's container runtime refuses to start the image on driver {shown(driver)}"
        + (", but for some brands of GPUs" if some else ""),
        why=f"the base sets NVIDIA_REQUIRE_CUDA, cuda>={cuda[1] if cuda else '?'}; that driver "
        f"came with CUDA {dotted(newest)}",
        mend="a base with an older CUDA, or none at all where wheels bring their own; or a newer "
        "driver; ENV NVIDIA_DISABLE_REQUIRE=1 turns the question off, and the risk stays",
    )


def _clause(clause: str, driver: Version, newest: Version) -> str:
    """Whether a driver satisfies all parts of one: yes, no, or for some brands."""
    some = False
    for part in clause.split(","):
        found = _CLAUSE.fullmatch(part)
        if found is None:
            return "some"  # nothing is said that is not known
        what, sign, value = found.groups()
        if what == "brand":
            some = True
            continue
        wanted = drivers.parse_version(value)
        actual = driver if what == "driver" else newest
        compared = wanted[: len(actual)]
        holds = {
            ">=": actual >= compared,
            "<=": actual[: len(wanted)] <= wanted,
            ">": actual > compared,
            "<": actual[: len(wanted)] < wanted,
            "=": actual[: len(wanted)] == wanted,
        }[sign]
        if not holds:
            return "no"
    return "some" if some else "yes"


def agreement_findings(
    stack: GpuStack, sizes: dict[Package, int], base_bytes: int
) -> Iterator[ImageFinding]:
    """Whether the parts are made for the same CUDA, and have it once.

    Args:
        sizes: bytes of each package.
        base_bytes: of CUDA's own libraries outside of Python packages.
    """
    yield from _several_majors(stack, sizes, base_bytes)
    wheels = _wheel_bytes(stack, sizes)
    if base_bytes > _WORTH_A_LINE and wheels > _WORTH_A_LINE:
        yield ImageFinding(
            CUDA_TWICE,
            Severity.INFO,
            f"CUDA is there twice: {shown_size(base_bytes)} from the base or system packages, and "
            f"{shown_size(wheels)} as wheels",
            why="frameworks load the wheels that they depend on; who needs the other, such as "
            "code that is compiled in the image, is not seen here",
            mend="where nothing else needs the base's CUDA, take python:3.x-slim: the driver comes "
            "from the machine, and libraries from the wheels",
            cost_bytes=base_bytes,
        )


def _several_majors(
    stack: GpuStack, sizes: dict[Package, int], base_bytes: int
) -> Iterator[ImageFinding]:
    majors: dict[int, list[CudaUser]] = defaultdict(list)
    for each in (*stack.users, *stack.nvidia):
        if each.cuda:
            majors[each.cuda[0]].append(each)
    names = {major: [str(user.package) for user in users] for major, users in majors.items()}
    base = stack.base[0] if stack.base and majors else None
    if base is not None:
        names[base] = ["the base", *names.get(base, [])]
    if len(names) < 2:
        return
    newest = max(names)
    older = {u.package for major, users in majors.items() if major != newest for u in users}
    compiled = (
        "; torch compiles nothing with a CUDA of another major version than its own"
        if base is not None and base not in majors
        else ""
    )
    yield ImageFinding(
        SEVERAL_CUDAS,
        Severity.WARNING,
        f"what is in the image is made for {len(names)} major versions of CUDA",
        why="; ".join(f"CUDA {major}: {first_of(names[major], 4)}" for major in sorted(names))
        + compiled,
        mend="install builds for one of them: what is not for the newest costs the bytes named",
        cost_bytes=sum(sizes.get(package, 0) for package in older)
        + (base_bytes if base is not None and base != newest else 0),
    )


def pin_findings(
    stack: GpuStack, texts: Mapping[str, str], *, wanted: bool
) -> Iterator[ImageFinding]:
    """Wheels of NVIDIA's in another version than a framework names as the one that it needs.

    Args:
        texts: visible files by path, metadata of frameworks among them.
        wanted: whether anything asks for a GPU.
    """
    there = {each.package.name: each.package.version for each in stack.nvidia}
    for path, text in sorted(texts.items()):
        framework = python_distribution(path.removesuffix("/METADATA"))
        for name, version in _PINNED.findall(text) if path.endswith("/METADATA") else ():
            has = there.get(name.lower())
            if framework is None or has is None or has == version:
                continue
            other_major = has.partition(".")[0] != version.partition(".")[0]
            yield ImageFinding(
                LIBRARY_MISSING,
                Severity.ERROR if wanted and other_major else Severity.WARNING,
                f"{framework} needs {name} {version}, the image has {has}",
                why="its libraries are looked for by their major version, and are not found"
                if other_major
                else "it was built and tested with that one; another may compute otherwise",
                mend=f"pip install {name}=={version}, after what has installed {has}; `pip check` "
                "tells of such",
            )


def cudnn_findings(stack: GpuStack, cudnn: Version, *, wanted: bool) -> Iterator[ImageFinding]:
    """Whether TensorFlow finds the cuDNN that it loads.

    Args:
        cudnn: that it was built with; () for none.
        wanted: whether anything asks for a GPU.
    """
    loadable = {version[0] for name, version, _path in stack.loadable if name == "cudnn"}
    if cudnn and loadable and cudnn[0] not in loadable:
        there = ", ".join(map(str, sorted(loadable)))
        yield ImageFinding(
            LIBRARY_MISSING,
            Severity.ERROR if wanted else Severity.WARNING,
            f"tensorflow is built for cuDNN {cudnn[0]}, the image has cuDNN {there}",
            why="it finds no GPU then, and computes on the CPU with no more than a warning",
            mend="pip install 'tensorflow[and-cuda]', or a base with that cuDNN",
        )


def cpu_findings(stack: GpuStack, sizes: dict[Package, int]) -> Iterator[ImageFinding]:
    """What an image has for GPUs while nothing of the project asks for one."""
    torch = [each for each in stack.users if each.package.name in _TORCH_FAMILY]
    wheels = {each.package for each in stack.nvidia}
    code = {each.package: each for each in stack.programs if each.package is not None}
    if torch:
        triton = [each for each in sizes if each.name in ("triton", "pytorch-triton")]
        own = sum(code[u.package].size_bytes for u in torch if u.package in code)
        cost = own + sum(sizes.get(each, 0) for each in (*wheels, *triton))
        yield ImageFinding(
            CUDA_IN_CPU_IMAGE,
            Severity.WARNING,
            f"{torch[0].package} is a build for {torch[0].release}, and nothing asks for a GPU",
            why=f"{shown_size(cost)} serve GPUs alone: NVIDIA's wheels "
            f"{shown_size(sum(sizes.get(each, 0) for each in wheels))}, GPU code of torch "
            f"{shown_size(own)}, triton {shown_size(sum(sizes[each] for each in triton))}",
            mend=f"pip install torch --index-url {_CPU_INDEX}; with uv, torch among the "
            f"dependencies of the project itself, and in pyproject.toml:\n{_UV_SOURCES}",
            cost_bytes=cost,
            link="https://docs.astral.sh/uv/guides/integration/pytorch/",
        )
    for each in stack.users:
        other = _CPU_BUILDS.get(each.package.name)
        if other is not None:
            alone = 0 if torch else sum(sizes.get(wheel, 0) for wheel in wheels)
            own = code[each.package].size_bytes if each.package in code else 0
            yield ImageFinding(
                CUDA_IN_CPU_IMAGE,
                Severity.WARNING,
                f"{each.package} is a build for {each.release}, and nothing asks for a GPU",
                why=f"{shown_size(own + alone)} serve GPUs alone",
                mend=f"install {other} instead; it is imported by the same name",
                cost_bytes=own + alone,
            )


def platform_findings(
    platform: str, stack: GpuStack, reference: str, other: GpuStack, sizes: dict[Package, int]
) -> Iterator[ImageFinding]:
    """A framework that is a CUDA build for one platform and none for the other."""
    here = {each.package.name: each for each in stack.users}
    there = {each.package.name: each for each in other.users}
    for name in sorted(here.keys() ^ there.keys()):
        if name not in _FRAMEWORKS:
            continue
        user, place, without = there.get(name), reference, platform
        if user is None:
            user, place, without = here[name], platform, reference
        yield ImageFinding(
            ONE_PLATFORM,
            Severity.WARNING,
            f"{user.package} is a build for {user.release} on {place}, and no CUDA build on "
            f"{without}",
            why="wheels for CUDA are published for some platforms only, and for other ones from "
            "some release on: what is computed, and how, is not the same"
            + (
                f"; the wheels of NVIDIA take {shown_size(_wheel_bytes(stack, sizes))} here"
                if name in here and stack.nvidia
                else ""
            ),
            mend=f"take the same build for both: pip install torch --index-url {_CPU_INDEX}"
            if name in _TORCH_FAMILY
            else "take builds without CUDA for both, or with it for both",
            cost_bytes=_wheel_bytes(stack, sizes) if name in here and stack.nvidia else None,
            link="https://github.com/pytorch/pytorch/issues/103608"
            if name in _TORCH_FAMILY
            else "",
        )


def _wheel_bytes(stack: GpuStack, sizes: dict[Package, int]) -> int:
    return sum(sizes.get(each, 0) for each in {user.package for user in stack.nvidia})


def capability_findings(
    stack: GpuStack, capabilities: tuple[tuple[int, int], ...]
) -> Iterator[ImageFinding]:
    """Whether GPU code is there for the declared GPUs."""
    for major, minor in capabilities:
        name = f"{major}.{minor}"
        for each in stack.programs:
            found = coverage((major, minor), each.targets)
            if found is Coverage.BINARY:
                continue
            framework = each.package is None or each.package.name in _FRAMEWORKS
            targets = first_of(list(each.targets), 12)
            if found is Coverage.NONE:
                yield ImageFinding(
                    NO_CODE,
                    Severity.ERROR if framework else Severity.WARNING,
                    f"{each.name} has no code for GPUs of capability {name}",
                    place=f"/{each.paths[0]}",
                    why=f"it is made for {targets}; calls end in `no kernel image is available`",
                    mend=f"install an older or a newer release whose builds have sm_{major}{minor}",
                    link="https://developer.nvidia.com/cuda-gpus",
                )
            else:
                yield ImageFinding(
                    ONLY_PTX,
                    Severity.INFO,
                    f"{each.name} has no machine code for GPUs of capability {name}, but PTX",
                    place=f"/{each.paths[0]}",
                    why=f"it is made for {targets}; the driver compiles it at the first use, which "
                    "takes a while, and needs a driver as new as the CUDA it was built with",
                    mend=f"install a release whose builds have sm_{major}{minor}",
                )


_WORTH_A_LINE: Final = 50_000_000
