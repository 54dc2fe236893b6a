"""Shared libraries that an image lacks: from a loader's words to the package that has them."""

from __future__ import annotations

import re
from typing import Final

_GONE: Final = (
    re.compile(r"error while loading shared libraries: (?P<name>\S+?): (?P<why>.*)"),
    re.compile(r"(?P<name>[^\s:'\"]+\.so[\w.]*): (?P<why>cannot open shared object file.*)"),
    re.compile(r"Error loading shared library (?P<name>\S+?): (?P<why>.*)"),
    re.compile(r"[Cc]ould not load (?:dynamic )?library '?(?P<name>[^\s':]+\.so[\w.]*)(?P<why>.*)"),
    re.compile(r"(?P<name>\S+): (?P<why>wrong ELF class.*)"),
)
_OLD: Final = re.compile(r"version [`'](?P<what>(?P<kind>GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found")
_RELOCATING: Final = re.compile(r"Error relocating (?P<name>\S+?): .*symbol not found")
_NO_SNDFILE: Final = re.compile(r"sndfile library not found|cannot load library 'libsndfile")
_CUDA: Final = re.compile(
    r"lib(cudart|cublas|cudnn|cufft|curand|cusolver|cusparse|cupti|nccl|nvrtc|nvJitLink|nvinfer|"
    r"nvToolsExt)"
)
_LOADERS: Final = re.compile(r"ld-linux|lib(c|m|pthread|dl)\.so\.\d|ld-musl|libc\.musl")

# A library, with its major version where that matters, and the package of Debian and Ubuntu,
# without the `t64` that newer ones append and also answer to.
_LISTED: Final = """
    libGL=libgl1 libEGL=libegl1 libGLU=libglu1-mesa libOpenGL=libopengl0 libgomp=libgomp1
    libomp=libomp5 libglib-2.0=libglib2.0-0 libgthread-2.0=libglib2.0-0
    libgobject-2.0=libglib2.0-0 libsndfile=libsndfile1 libportaudio=libportaudio2 libSM=libsm6
    libICE=libice6 libX11=libx11-6 libXext=libxext6 libXrender=libxrender1 libXi=libxi6
    libxcb=libxcb1 libxcb-shm=libxcb-shm0 libxcb-render=libxcb-render0 libstdc++=libstdc++6
    libgcc_s=libgcc-s1 libatomic=libatomic1 libgfortran=libgfortran5 libquadmath=libquadmath0
    libopenblas=libopenblas0 libblas=libblas3 liblapack=liblapack3 libtbb=libtbb12
    libnuma=libnuma1 libmpi=libopenmpi3 libsqlite3=libsqlite3-0 libpq=libpq5 libssl.3=libssl3
    libcrypto.3=libssl3 libffi.8=libffi8 libz=zlib1g libbz2=libbz2-1.0 libxml2=libxml2
    libjpeg.62=libjpeg62-turbo libpng16=libpng16-16 libcairo=libcairo2
    libpango-1.0=libpango-1.0-0 libpangocairo-1.0=libpangocairo-1.0-0 libusb-1.0=libusb-1.0-0
    libzbar=libzbar0 libavcodec=ffmpeg libavformat=ffmpeg libavutil=ffmpeg
"""
_PACKAGES: Final = dict(re.findall(r"(\S+)=(\S+)", _LISTED))


def missing_library(line: str) -> tuple[str, str] | None:
    """What a line says of a library that cannot be loaded, and what to do; None for other lines."""
    old = _OLD.search(line)
    if old is not None:
        newer = "glibc" if old["kind"] == "GLIBC" else "libstdc++"
        return (
            f"a program in the image needs a newer {newer}, with {old['what']}",
            "use a newer base image, or install a build (a manylinux wheel) for the older one",
        )
    relocating = _RELOCATING.search(line)
    if relocating is not None:
        return _musl(relocating["name"])
    if _NO_SNDFILE.search(line):
        return _missing("libsndfile.so.1", musl=False)
    for pattern in _GONE:
        found = pattern.search(line)
        if found is not None:
            name = found["name"].rpartition("/")[2].rstrip(".")
            if "wrong ELF class" in found["why"] or "invalid ELF header" in found["why"]:
                return _other_platform(name)
            return _missing(name, musl=line.lstrip().startswith("Error loading shared library"))
    return None


def _missing(name: str, *, musl: bool) -> tuple[str, str]:
    if musl and _LOADERS.match(name):
        return _musl(name)
    cause = f"the shared library {name} is missing"
    if _CUDA.match(name):
        return cause, (
            "the image has no CUDA libraries, or of another version: begin it with a base that has "
            "them (nvidia/cuda:…-cudnn-runtime-…), or install the package's CPU build"
        )
    if musl:
        return cause, f"install its package in the Dockerfile: `apk add`; {_search(name)}"
    stem, _so, version = name.partition(".so")
    major = "".join(version.split(".")[1:2])
    package = _PACKAGES.get(f"{stem}.{major}") or _PACKAGES.get(stem)
    if package is None:
        return cause, f"install the package that has it in the Dockerfile; {_search(name)}"
    return cause, (
        f"install it in the Dockerfile: `RUN apt-get update && apt-get install -y "
        f"--no-install-recommends {package}` (Debian, Ubuntu)"
        + ("; or use opencv-python-headless, which needs none" if package == "libgl1" else "")
    )


def _search(name: str) -> str:
    return f"`apt-file search {name}` or https://packages.debian.org finds it"


def _musl(name: str) -> tuple[str, str]:
    return (
        f"a program was built for another C library ({name})",
        "Alpine's musl and glibc do not run each other's programs: use a base with glibc "
        "(python:3.13-slim), or install a build for the one that the image has",
    )


def _other_platform(name: str) -> tuple[str, str]:
    return (
        f"{name} is for another platform",
        "look for copied binaries, or wheels of another architecture, in the Dockerfile",
    )
