"""Which CUDA the parts of an image are made for, as they say themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.image_checks.gpu.drivers import Version, dotted, parse_version
from pytest_mlcontainer.image_checks.inventory import Inventory, VisibleFiles
from pytest_mlcontainer.image_checks.inventory.fatbin import by_number
from pytest_mlcontainer.image_checks.size.packages import Package, PackageFiles

_LOCAL: Final = re.compile(r"\+.*?\bcu(\d{2,3})\b")
_CUDA_IN_NAME: Final = re.compile(r"-(?:cu|cuda)(1[0-9])x?(?:-|$)")
_NVIDIA: Final = re.compile(r"nvidia-(.+?)(?:-cu(\d+))?$")
_SHARED: Final = re.compile(r"/lib(cudart|cudnn|nccl)\.so\.(\d+(?:\.\d+)*)$")
_BUILD_INFO: Final = "tensorflow/python/platform/build_info.py"
_FORWARD: Final = re.compile(r"cuda[^/]*/compat/libcuda\.so")
_ASSIGNED: Final = r"(?m)^%s\s*(?::[^=\n]*)?=\s*['\"]([\d.]+)['\"]"
_IN_TABLE: Final = r"""['"]%s['"]\s*[:,]\s*r?['"]([\d.]+)['"]"""
# Of these the major version of CUDA is that of the wheel: `nvidia-cublas` 13.1.
_TOOLKIT_PARTS: Final = frozenset(
    {"cuda-runtime", "cuda-nvrtc", "cuda-cupti", "cublas", "nvjitlink", "nvtx"}
)


@dataclass(frozen=True)
class CudaUser:
    """An installed package that is built for CUDA.

    Args:
        cuda: the release it was built with; one number where only the major version is known,
            none where nothing says it.
        source: where that stands.
    """

    package: Package
    cuda: Version
    source: str

    @property
    def release(self) -> str:
        """`CUDA 12.6`."""
        return f"CUDA {dotted(self.cuda)}" if self.cuda else "some CUDA"


@dataclass(frozen=True)
class GpuPrograms:
    """GPU code of one package, or of files that belong to none.

    Args:
        package: None for files of no package.
        targets: of all its files together: `sm_80`, `compute_90`.
        paths: the files.
        size_bytes: of those files.
    """

    package: Package | None
    targets: tuple[str, ...]
    paths: tuple[str, ...]
    size_bytes: int

    @property
    def name(self) -> str:
        return self.paths[0] if self.package is None else str(self.package)


@dataclass(frozen=True)
class GpuStack:
    """What an image has for GPUs.

    Args:
        base: the CUDA that the variables of its base name; () for none.
        required: `NVIDIA_REQUIRE_CUDA`, which the container runtime holds a driver against.
        users: frameworks and libraries in Python, but for NVIDIA's own.
        nvidia: NVIDIA's own wheels.
        loadable: versions of `cudart`, `cudnn` and `nccl` that programs can load, each with a path.
        programs: GPU code, those with the most bytes first.
        forward: NVIDIA's package for forward compatibility is there: a newer driver's user part.
    """

    base: Version
    required: str
    users: tuple[CudaUser, ...]
    nvidia: tuple[CudaUser, ...]
    loadable: tuple[tuple[str, Version, str], ...]
    programs: tuple[GpuPrograms, ...]
    forward: bool = False

    @property
    def is_there(self) -> bool:
        """Whether there is anything of CUDA in the image."""
        return bool(self.base or self.users or self.nvidia or self.loadable or self.programs)


def read_stack(
    inventory: Inventory, files: VisibleFiles, texts: Mapping[str, str], owners: PackageFiles
) -> GpuStack:
    """What an image has for GPUs.

    Args:
        texts: visible files that say what is installed, by path.
    """
    env = dict(inventory.env)
    programs = _programs(inventory, files, owners)
    coded = {each.package for each in programs}
    users: list[CudaUser] = []
    nvidia: list[CudaUser] = []
    for package in owners.packages:
        if package.manager != "python":
            continue
        if package.name.startswith("nvidia-"):
            nvidia += _nvidia(package)
        elif (user := _user(package, texts, package in coded)) is not None:
            users.append(user)
    base = parse_version(env.get("CUDA_VERSION", ""))
    return GpuStack(
        base=base,
        required=env.get("NVIDIA_REQUIRE_CUDA", ""),
        users=tuple(users),
        nvidia=tuple(nvidia),
        loadable=tuple(_loadable(files)),
        programs=programs,
        forward=any(_FORWARD.search(each.entry.path) for each in files.files),
    )


def _user(package: Package, texts: Mapping[str, str], has_code: bool) -> CudaUser | None:
    """What a package says of its CUDA; None for one that has nothing to do with it."""
    if (local := _LOCAL.search(package.version)) is not None:
        digits = local[1]
        return CudaUser(package, (int(digits[:-1]), int(digits[-1])), "its version")
    for name, path, pattern in _SAYS:
        if package.name in name:
            text = next((texts[each] for each in texts if each.endswith(path)), None)
            found = re.search(pattern, text) if text is not None else None
            if found is not None:
                return CudaUser(package, parse_version(found[1])[:2], path)
    if (named := _CUDA_IN_NAME.search(package.name)) is not None:
        return CudaUser(package, (int(named[1]),), "its name")
    if package.name == "tensorflow" and _is_cuda_tensorflow(texts):
        return CudaUser(package, (), "its build_info.py")
    return CudaUser(package, (), "GPU code in its files") if has_code else None


_SAYS: Final = (
    (("torch",), "torch/version.py", _ASSIGNED % "cuda"),
    (
        ("tensorflow", "tf-nightly"),
        _BUILD_INFO,
        _IN_TABLE % "cuda_version",
    ),
    (
        ("onnxruntime-gpu", "onnxruntime-training"),
        "onnxruntime/capi/build_and_package_info.py",
        _ASSIGNED % "cuda_version",
    ),
)


def _is_cuda_tensorflow(texts: Mapping[str, str]) -> bool:
    """From 2.22 on it says no more than that it is built for CUDA."""
    files = (text for path, text in texts.items() if path.endswith(_BUILD_INFO))
    return any(re.search(r"""['"]is_cuda_build['"]\s*[:,]\s*True""", text) for text in files)


def tensorflow_cudnn(texts: Mapping[str, str]) -> Version:
    """The cuDNN that TensorFlow was built with; () where it does not say so."""
    for path, text in texts.items():
        if path.endswith(_BUILD_INFO):
            found = re.search(_IN_TABLE % "cudnn_version", text)
            return parse_version(found[1]) if found is not None else ()
    return ()


def _nvidia(package: Package) -> Iterator[CudaUser]:
    found = _NVIDIA.match(package.name)
    assert found is not None
    part, suffix = found[1], found[2]
    version = parse_version(package.version)
    if suffix:
        cuda: Version = (int(suffix),)
        if part == "cuda-runtime":
            cuda = version[:2]
        yield CudaUser(package, cuda, "its name")
    elif part in _TOOLKIT_PARTS:
        yield CudaUser(
            package, version[:2] if part == "cuda-runtime" else version[:1], "its version"
        )


def _loadable(files: VisibleFiles) -> Iterator[tuple[str, Version, str]]:
    """One for each library and version; the most exact path of each."""
    found: dict[tuple[str, int], tuple[Version, str]] = {}
    for each in files.files:
        shared = _SHARED.search("/" + each.entry.path)
        if shared is not None:
            version = parse_version(shared[2])
            key = (shared[1], version[0])
            if key not in found or len(version) > len(found[key][0]):
                found[key] = version, each.entry.path
    for (name, _major), (version, path) in sorted(found.items()):
        yield name, version, path


def _programs(
    inventory: Inventory, files: VisibleFiles, owners: PackageFiles
) -> tuple[GpuPrograms, ...]:
    sizes = {(each.layer, each.entry.path): each.entry.size_bytes for each in files.files}
    held: dict[Package | None, list[tuple[str, int, tuple[str, ...]]]] = defaultdict(list)
    for number, layer in enumerate(inventory.layers):
        for code in layer.content.gpu_code:
            size = sizes.get((number, code.path))
            if size is not None:
                held[owners.owner(code.path)].append((code.path, size, code.targets))
    made = []
    for package, found in held.items():
        parts = [found] if package is not None else [[each] for each in found]
        for part in parts:
            targets = {target for _path, _size, all_targets in part for target in all_targets}
            made.append(
                GpuPrograms(
                    package,
                    tuple(sorted(targets, key=by_number)),
                    tuple(path for path, _size, _targets in part),
                    sum(size for _path, size, _targets in part),
                )
            )
    return tuple(sorted(made, key=lambda each: (-each.size_bytes, each.paths)))
