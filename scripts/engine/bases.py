"""Stand-ins for the official Python images, for machines that cannot reach a public registry."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import emulation, packages, python_layer, registry, rootfs, tools
from .folders import write_whole
from .layout import Layout
from .machine import acquire_settings, debian_sources, pip_settings, split_certificates
from .problems import say

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
LOCAL_CERTIFICATES = "usr/local/share/ca-certificates"
# Variables by which Python's tools find the machine's certificates, as a company's image sets.
CERTIFICATES = {
    "SSL_CERT_FILE": str(BUNDLE),
    "PIP_CERT": str(BUNDLE),
    "REQUESTS_CA_BUNDLE": str(BUNDLE),
    "UV_NATIVE_TLS": "1",
    "UV_SYSTEM_CERTS": "1",
}
BASE_PACKAGES = (
    *("?essential", "apt", "ca-certificates", "netbase", "tzdata", "adduser", "passwd"),
    *("libstdc++6", "libgomp1"),
)


@dataclass(frozen=True)
class Base:
    """One stand-in: a release of Debian and the Python that it has."""

    release: str
    version: str
    extra: tuple[str, ...] = ()
    split_off: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ("pip",)

    @property
    def tags(self) -> tuple[str, ...]:
        return (f"{self.version}-slim", f"{self.version}-slim-{self.release}")

    @property
    def packages(self) -> tuple[str, ...]:
        python = f"python{self.version}"
        return (*BASE_PACKAGES, *self.extra, python, f"{python}-venv", f"lib{python}")

    @property
    def beside(self) -> tuple[str, ...]:
        """Fetched without what they depend on: headers, and parts that Debian splits off."""
        return (f"libpython{self.version}-dev", *self.split_off)


BASES = (
    Base("trixie", "3.13"),
    # usr-is-merged keeps usrmerge out, which would convert what is right from the start.
    # The official images have setuptools and wheel up to Python 3.11.
    Base(
        "bookworm",
        "3.11",
        ("usr-is-merged",),
        ("python3-distutils", "python3-lib2to3", "python3-wheel-whl"),
        ("pip", "setuptools", "wheel"),
    ),
)


def ensure(layout: Layout, port: int, codename: str) -> None:
    """Push the stand-ins unless they are there or the public registry is in reach."""
    marker = layout.base / "bases.json"
    key = recipe_key()
    try:
        known = json.loads(marker.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("key") == key:
        return
    if _public_images_in_reach(layout):
        say("the public registry is in reach: no stand-in base images are needed")
        write_whole(marker, json.dumps({"key": key, "images": []}))
        return
    say("making stand-ins for python:3.11-slim and python:3.13-slim, amd64 and arm64")
    work = packages.empty(layout.base / "bases.work")
    wheel = _current_pip(work, codename)
    jobs = [(base, arch) for base in BASES for arch in emulation.ARCHITECTURES]
    with ThreadPoolExecutor(4) as pool:
        futures = [
            (job, pool.submit(_build, _Job(work, *job, codename, wheel, port))) for job in jobs
        ]
        entries = [(job, future.result()) for job, future in futures]
    repository = registry.Repository(port, "library/python")
    for base in BASES:
        chosen = [entry for (b, _), entry in entries if b == base]
        registry.push_index(repository, chosen, base.tags)
    shutil.rmtree(work)
    tags = [tag for base in BASES for tag in base.tags]
    write_whole(marker, json.dumps({"key": key, "images": tags}))


def describe(layout: Layout) -> str:
    """The stand-ins that are there, for `status`."""
    try:
        tags = json.loads((layout.base / "bases.json").read_text())["images"]
    except (OSError, ValueError, KeyError):
        return "none"
    return f"stand-ins python:{', '.join(tags)}" if tags else "from the public registry"


def recipe_key() -> str:
    """Changes when these scripts or the machine's certificates do: then images are made anew."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (*sorted(here.glob("*.py")), BUNDLE):
        if path.name in RECIPE and path.exists():
            digest.update(path.read_bytes())
    digest.update(pip_settings(os.environ).encode())
    return digest.hexdigest()


RECIPE = ("bases.py", "rootfs.py", "python_layer.py", "registry.py", "machine.py", BUNDLE.name)


def _public_images_in_reach(layout: Layout) -> bool:
    """Ask for one of the images; buildx asks its registry itself, not the engine's mirror."""
    command = ("docker", "buildx", "imagetools", "inspect", "python:3.13-slim")
    try:
        done = subprocess.run(command, env=tools.environ(layout), capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@dataclass(frozen=True)
class _Job:
    """One stand-in for one architecture."""

    work: Path
    base: Base
    architecture: emulation.Architecture
    codename: str
    pip: Path | None
    port: int

    @property
    def name(self) -> str:
        return f"{self.base.release}-{self.architecture.debian}"


def _build(job: _Job) -> dict[str, Any]:
    """Fetch, unpack, complete, pack and push; the image's entry for the index."""
    home = job.work / job.name
    sources = debian_sources(job.codename, job.base.release, os.environ)
    apt = packages.Apt(home / "apt", job.architecture.debian)
    apt.configure(sources, {})
    apt.run("apt-get", "update", "-q")
    debs = apt.download_closure(job.base.packages)
    beside = apt.download(job.base.beside, home / "beside")
    root = home / "root"
    root.mkdir()
    _fill(root, home / "python", (*debs, *beside), job)
    _settle(root, sources, apt)
    layer = registry.pack(root, home / "layer.tar.gz")
    entry = registry.push_image(
        registry.Repository(job.port, "library/python"),
        layer,
        platform(job.architecture),
        image_config(python_layer.patch_version(root, job.base.version), BUNDLE.exists()),
    )
    size = layer.descriptor.size >> 20
    say(f"python:{job.base.version}-slim for linux/{job.architecture.debian}: {size} MiB")
    shutil.rmtree(home)
    return entry


def _fill(root: Path, python: Path, debs: tuple[Path, ...], job: _Job) -> None:
    """Unpack all packages: Python's own to be moved, the others as installed packages."""
    python.mkdir()
    rootfs.prepare(root)
    database = rootfs.PackageDatabase(root)
    # base-files first: it brings the folders that the others put their files into.
    for deb in sorted(debs, key=lambda path: (not path.name.startswith("base-files_"), path.name)):
        if python_layer.is_python_package(deb.name.partition("_")[0], job.base.version):
            rootfs.unpack(deb, python)
        else:
            database.add(deb, rootfs.unpack(deb, root))
    database.write()
    rootfs.finish(root)
    version = job.base.version
    python_layer.move(python, root, version, job.architecture.triplet)
    for name in job.base.wheels:
        bundled = python_layer.newest(root / "usr/share/python-wheels", f"{name}-*.whl")
        wheel = job.pip if name == "pip" and job.pip else bundled
        if wheel is not None:
            python_layer.install_wheel(wheel, root, version)
    _cache_libraries(root, job.architecture)


def _cache_libraries(root: Path, architecture: emulation.Architecture) -> None:
    """Write ld.so.cache with the image's own ldconfig: /usr/local/lib is found only by it."""
    rootfs.run(("chroot", root, "/sbin/ldconfig"), f"ldconfig for {architecture.debian}")
    # Holds inode numbers, by which the same packages would make another digest each time.
    (root / "var/cache/ldconfig/aux-cache").unlink(missing_ok=True)


def _settle(root: Path, sources: tuple[packages.Source, ...], apt: packages.Apt) -> None:
    """Give the image this machine's mirrors, certificates and pip index."""
    text = "\n".join(source.as_text() for source in sources)
    dump = apt.run("apt-config", "dump")
    rootfs.write_files(
        root,
        {
            "etc/apt/sources.list.d/debian.sources": text,
            "etc/apt/apt.conf.d/90machine": acquire_settings(dump),
        },
    )
    for word in text.split():
        if word.startswith("/") and Path(word).is_file() and not (root / word[1:]).exists():
            (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(word, root / word[1:])
    if BUNDLE.exists():
        _trust(root, BUNDLE.read_text())
    settings = pip_settings(os.environ)
    if settings:
        rootfs.write_files(root, {"etc/pip.conf": settings})


def _trust(root: Path, bundle: str) -> None:
    """Trust what this machine trusts, also after update-ca-certificates has run in the image."""
    usual = set()
    for path in (root / "usr/share/ca-certificates").rglob("*.crt"):
        usual |= set(split_certificates(path.read_text()))
    own = [c for c in split_certificates(bundle) if c not in usual]
    files = {f"{LOCAL_CERTIFICATES}/machine-{i}.crt": text for i, text in enumerate(own)}
    rootfs.write_files(root, {str(BUNDLE)[1:]: bundle, **files})


def _current_pip(work: Path, codename: str) -> Path | None:
    """The newest pip as a wheel, fetched by Debian's pip, or Debian's if that does not work."""
    apt = packages.Apt(work / "pip", emulation.native().debian)
    apt.configure(debian_sources(codename, BASES[0].release, os.environ), {})
    apt.run("apt-get", "update", "-q")
    (deb,) = apt.download(("python3-pip-whl",), work / "pip" / "deb")
    rootfs.unpack(deb, work / "pip")
    old = python_layer.newest(work / "pip/usr/share/python-wheels", "pip-*.whl")
    into = work / "pip" / "new"
    command = (sys.executable, f"{old}/pip", "download", "--no-deps", "--only-binary=:all:",
               "--quiet", "--dest", str(into), "pip")  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        say("the newest pip could not be fetched; Debian's is used instead")
        return old
    return python_layer.newest(into, "pip-*.whl")


def platform(architecture: emulation.Architecture) -> dict[str, str]:
    """The platform as an image index writes it."""
    variant = {"variant": "v8"} if architecture.debian == "arm64" else {}
    return {"architecture": architecture.debian, "os": "linux", **variant}


def image_config(python_version: str, certificates: bool) -> dict[str, Any]:
    """Environment and command of the official images, and the certificates' variables."""
    environ = {
        "PATH": "/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHON_VERSION": python_version,
        **(CERTIFICATES if certificates else {}),
    }
    return {"Env": [f"{k}={v}" for k, v in environ.items()], "Cmd": ["python3"]}
