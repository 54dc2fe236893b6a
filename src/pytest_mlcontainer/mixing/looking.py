"""Looking into images, and at this machine: which packages, files and variables are there."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.engines import ContainerSpec, Engine, LogLine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.mixing.contents import (
    LARGEST_BYTES,
    MARKER,
    Contents,
    parse_contents,
    unpacked,
)
from pytest_mlcontainer.model import Entrypoint, Image, Limits
from pytest_mlcontainer.progress.events import Progress
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.temporary import temporary_folder

_TIMEOUT_S = 600.0
_PYTHONS = re.compile(r"(.*/)?python[\d.]*$")
_FIND_PYTHON = (
    'for python in {names}; do if command -v "$python" >/dev/null 2>&1; then '
    'exec "$python" -c "$@"; fi; done; exit 127'
)


@dataclass(frozen=True)
class HybridTools:
    """What looking into images and building hybrids takes of a pipeline.

    Args:
        engine: that has the images, and builds there.
        store: of what the session shares.
        environ: for Python on this machine.
        known: see `images.build`.
        log: told what is tried.
        building: a build goes on as long as its `with` block does; it is named.
    """

    engine: Engine
    store: Store
    processes: Processes
    environ: Mapping[str, str]
    known: Path
    log: LogLine
    building: Callable[[str], AbstractContextManager[Progress]]


def look(
    tools: HybridTools, image: Image, entry: Entrypoint, name: str, *, packages_alone: bool = False
) -> Contents:
    """What an image holds.

    Args:
        packages_alone: nothing of all other files, whose digests take minutes under emulation.

    Raises:
        RunError: there is no Python in it that could look.
    """
    words = ("list-packages",) if packages_alone else ("list",)
    printed, problem = ask(tools, image, entry, words)
    raw = unpacked(printed)
    if raw is None:
        raise RunError(
            f"no Python in the image {name}",
            problem or "neither its command's, nor python3 or python on its PATH, answers",
            "images are searched by their Python packages: name images that have Python 3 on PATH",
        )
    return replace(parse_contents(raw), env=image.env)


def look_here(tools: HybridTools, folder: Path) -> Contents:
    """What this machine's Python, the first on PATH, has.

    Raises:
        RunError: there is none.
    """
    done = run_here(tools, folder, ("list-packages",))
    raw = unpacked(done)
    if raw is None:
        raise RunError(
            "no Python on this machine",
            "none of python3 and python on PATH answers",
            "activate the environment that --image host stands for",
        )
    return parse_contents(raw)


def run_here(tools: HybridTools, folder: Path, words: tuple[str, ...]) -> str:
    """What the script prints on this machine; "" where there is no Python.

    Args:
        folder: the working directory.
        words: the script's arguments.
    """
    path = tools.environ.get("PATH")
    python = shutil.which("python3", path=path) or shutil.which("python", path=path)
    if python is None:
        return ""
    argv = [python, "-c", script(), *words]
    done = tools.processes.run(argv, cwd=folder, env=tools.environ, timeout_s=_TIMEOUT_S)
    return done.output


def script() -> str:
    """The text of `inside/transplant.py`, which runs in images."""
    return source("transplant.py")


def ask(
    tools: HybridTools, image: Image, entry: Entrypoint, words: tuple[str, ...]
) -> tuple[str, str]:
    """What the script prints in an image, and what went wrong where it prints nothing."""
    start = (*(entry.entrypoint or image.entrypoint), *(entry.command or image.command))
    own = [word for word in start[:2] if _PYTHONS.fullmatch(word)]
    names = " ".join(shlex.quote(name) for name in (*own, "python3", "python"))
    find = _FIND_PYTHON.format(names=names)
    problem = ""
    for argv in (
        ("/bin/sh", "-c", find, "contents", script(), *words),
        *((name, "-c", script(), *words) for name in (*own, "python3", "python")),
    ):
        spec = ContainerSpec(
            image=image.reference,
            platform=image.platform,
            entrypoint=argv[:1],
            command=argv[1:],
            env=entry.env,
            workdir=entry.workdir,
            limits=Limits(timeout_s=_TIMEOUT_S),
            passing=True,
        )
        printed, said = _printed(tools, spec)
        if MARKER in printed:
            return printed, ""
        problem = problem or said
    return "", problem


def _printed(tools: HybridTools, spec: ContainerSpec) -> tuple[str, str]:
    with temporary_folder() as folder:
        out, err = folder / "out", folder / "err"
        with tools.engine.container(spec) as container:
            container.failed = False
            try:
                container.start()
            except RunError:
                return "", ""
            if container.wait(spec.limits.timeout_s) is None:
                container.kill(0)
            container.write_logs(out, err)
        last = err.read_text(errors="replace").strip().splitlines()[-1:]
        text = out.read_text(errors="replace") if out.stat().st_size < LARGEST_BYTES else ""
        return text, last[0][:300] if last else ""
