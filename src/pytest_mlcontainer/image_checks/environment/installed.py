"""What is installed in an image, as its own Python tells it."""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.engines import ContainerSpec, Engine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.inside.installed import MARKER
from pytest_mlcontainer.model import Entrypoint, Image, Limits
from pytest_mlcontainer.storage import digest, read_object, write_json
from pytest_mlcontainer.temporary import temporary_folder

_LIMITS: Final = Limits(timeout_s=300.0)
_PYTHON: Final = re.compile(r"(.*/)?python[\d.]*$")
_LARGEST_BYTES: Final = 1 << 26
# They run what is asked for in an environment of the project, which is where they choose.
_RUNNERS: Final = ("poetry", "pdm", "pipenv")


@dataclass(frozen=True)
class InstalledPackage:
    """One distribution.

    Args:
        name: normalised.
        requires: its `Requires-Dist`.
        origin: URL where it is from no index, with the commit: `git+https://…@abc`; else "".
        installer: `pip`, `uv`, …; "" where nobody says so.
        licences: SPDX expression, or what its metadata says.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    origin: str = ""
    installer: str = ""
    licences: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstalledSet:
    """What is installed.

    Args:
        environment: what markers of requirements mean there, as pairs.
        conda: builds of conda's packages, `numpy-1.26.4-py312h8753938_0`.
        prefix: of that Python.
    """

    packages: tuple[InstalledPackage, ...]
    environment: tuple[tuple[str, str], ...]
    conda: tuple[str, ...] = ()
    prefix: str = ""

    def get(self, name: str) -> InstalledPackage | None:
        return {each.name: each for each in self.packages}.get(name)


def conda_set(installed: InstalledSet) -> InstalledSet:
    """conda's packages in place of Python's; a version is one of a build, `1.26.4-py312h…_0`."""
    builds = [each.rsplit("-", 2) for each in installed.conda]
    packages = [InstalledPackage(one[0], f"{one[1]}-{one[2]}") for one in builds if len(one) == 3]
    return replace(installed, packages=tuple(packages))


def normalised(name: str) -> str:
    """As PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def look_inside(
    engine: Engine, image: Image, entries: tuple[Entrypoint, ...], cache: Path
) -> InstalledSet | None:
    """What is installed in an image; None where no Python in it answers.

    Args:
        entries: whose commands may name a Python.
        cache: folder that keeps what is known of an image, by its digest.

    Raises:
        EngineError, PlatformError: a container cannot be started.
    """
    program, pythons = source("installed.py"), tuple(dict.fromkeys(_pythons(image, entries)))
    file = cache / f"{digest([image.digest, program, *map(' '.join, pythons)])[:40]}.json"
    with suppress(OSError, ValueError):
        known = read_object(file)
        if known is not None:
            return parse_installed(known)
    for python in pythons:
        raw = _ask(engine, image, python, program)
        if raw is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, dict(raw))
            return parse_installed(raw)
    return None


def look_at_host(
    processes: Processes, environ: Mapping[str, str], folder: Path
) -> InstalledSet | None:
    """What this machine's Python has, the first on PATH, as runs on `host` use it; None for none.

    Args:
        folder: that it is asked in.
    """
    path = environ.get("PATH")
    python = shutil.which("python3", path=path) or shutil.which("python", path=path)
    if python is None:
        return None
    argv = [python, "-c", source("installed.py")]
    done = processes.run(argv, cwd=folder, env=environ, timeout_s=_LIMITS.timeout_s)
    raw = _told(done.output)
    return None if raw is None else parse_installed(raw)


def parse_installed(raw: Mapping[str, Any]) -> InstalledSet:
    """What the program told; whatever has another form counts as not said."""
    packages = (_package(each) for each in _list(raw.get("distributions")))
    environment = raw.get("environment")
    return InstalledSet(
        tuple(sorted(packages, key=lambda each: each.name)),
        tuple((str(name), str(value)) for name, value in environment.items())
        if isinstance(environment, dict)
        else (),
        tuple(str(each) for each in _list(raw.get("conda"))),
        str(raw.get("prefix") or ""),
    )


def _package(raw: Any) -> InstalledPackage:
    told = raw if isinstance(raw, dict) else {}
    named = [str(each).rpartition("::")[2].strip() for each in _list(told.get("classifiers"))]
    single = told.get("License-Expression") or ("" if named else told.get("License"))
    licences = [str(single)] if single else named
    return InstalledPackage(
        normalised(str(told.get("Name", ""))),
        str(told.get("Version", "")),
        tuple(str(each) for each in _list(told.get("requires"))),
        _origin(told.get("origin")),
        str(told.get("installer") or ""),
        tuple(licences),
    )


def _origin(raw: Any) -> str:
    """Without what could be a password."""
    if not isinstance(raw, dict) or not raw.get("url"):
        return ""
    url = re.sub(r"^([^:/?#]+://)[^/?#]*@", r"\1", str(raw["url"]))
    vcs = raw.get("vcs_info")
    if isinstance(vcs, dict):
        return f"{vcs.get('vcs')}+{url}@{vcs.get('commit_id')}"
    return url


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pythons(image: Image, entries: tuple[Entrypoint, ...]) -> Iterator[tuple[str, ...]]:
    """Commands of the Pythons that a run may use, the likeliest first."""
    for entry in entries:
        start = (*(entry.entrypoint or image.entrypoint), *(entry.command or image.command))
        yield from ((word,) for word in start[:2] if _PYTHON.fullmatch(word))
        runner = posixpath.basename(start[0]) if start else ""
        if runner in ("uv", *_RUNNERS):
            yield (posixpath.join(image.workdir or "/", ".venv/bin/python"),)
        if runner in _RUNNERS:
            yield (start[0], "run", "python")
    environment = dict(image.env).get("VIRTUAL_ENV")
    yield from ([(posixpath.join(environment, "bin/python"),)] if environment else [])
    yield from (("python3",), ("python",))


def _ask(
    engine: Engine, image: Image, python: tuple[str, ...], program: str
) -> Mapping[str, Any] | None:
    spec = ContainerSpec(
        image=image.reference,
        platform=image.platform,
        entrypoint=python,
        command=("-c", program),
        limits=_LIMITS,
        passing=True,
    )
    with temporary_folder() as folder, engine.container(spec) as container:
        out, err = folder / "out", folder / "err"
        container.failed = False
        try:
            container.start()
        except RunError:
            return None
        if container.wait(spec.limits.timeout_s) is None:
            container.kill(0)
        container.write_logs(out, err)
        if out.stat().st_size > _LARGEST_BYTES:
            return None
        return _told(out.read_text(encoding="utf-8", errors="replace"))


def _told(printed: str) -> Mapping[str, Any] | None:
    for line in printed.splitlines():
        if line.startswith(MARKER):
            with suppress(ValueError, RecursionError):
                raw = json.loads(line[len(MARKER) :])
                return raw if isinstance(raw, dict) else None
    return None
