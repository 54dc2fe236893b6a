"""What a pipeline is given of the world around it, the same in pytest and in the command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from pytest_mlcontainer.config import parse_kept
from pytest_mlcontainer.engines import Kinds
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Owner, Settings
from pytest_mlcontainer.progress.events import Tell

KEEP_VARIABLE: Final = "MLCONTAINER_KEEP_IMAGES"


@dataclass(frozen=True)
class PipelineSetup:
    """What a pipeline is given of the world around it.

    Args:
        owner: whose labels everything made on an engine carries.
        cache: folder on this machine for what workers share.
        environ: environment variables for the engine's command, host commands and host runs.
        tell: gets an event whenever something happens, from several threads.
        parallel: containers that may run at once in this process; 1 also means that nothing is
            started before it is asked for.
        processes: that do the same on this machine, with pytest-xdist: readers are divided among
            them.
        kinds: of engines, those that plugins add.
    """

    owner: Owner
    cache: Path
    environ: Mapping[str, str]
    tell: Tell
    parallel: int
    processes: int = 1
    kinds: Kinds = lambda: ()


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where workers share results: `MLCONTAINER_CACHE_DIR`, or the user's cache folder."""
    chosen = environ.get("MLCONTAINER_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("pytest-mlcontainer")


def kept_bytes(settings: Settings, environ: Mapping[str, str]) -> int:
    """How much disk images may take that stay for the next session: `keep-images`, unless
    `MLCONTAINER_KEEP_IMAGES` says something else for this machine.

    Raises:
        MlContainerError: the variable is no size.
    """
    chosen = environ.get(KEEP_VARIABLE)
    if not chosen:
        return settings.kept_bytes
    try:
        return parse_kept(chosen)
    except MlContainerError as error:
        what = f"{KEEP_VARIABLE} is {error.what}"
        raise MlContainerError(what, error.value, error.remedy) from error


def with_programs_beside(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the programs installed beside a Python first on PATH.

    What that Python has installed is what "this machine's Python" means to its user.

    Args:
        python: path of the interpreter.
    """
    path = os.pathsep.join((str(Path(python).parent), environ.get("PATH", "")))
    return {**environ, "PATH": path}
