"""What the command is given of the world around it."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.hooks import load_engines
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.pipeline import PipelineSetup
from pytest_mlcontainer.pipeline.setup import cache_folder, with_programs_beside
from pytest_mlcontainer.progress.events import Tell

_MOST_PARALLEL = 4


@dataclass(frozen=True)
class CommandSetup:
    """What a command is given of where it is started; the plugin has the same.

    Args:
        folder: the working directory.
        cache: what sessions share.
        environ: environment variables; PATH begins with the programs beside this Python.
    """

    folder: Path
    cache: Path
    environ: Mapping[str, str]


def here(environ: Mapping[str, str]) -> CommandSetup:
    """Read it from the environment variables and the working directory."""
    return CommandSetup(
        Path.cwd(), cache_folder(environ), with_programs_beside(sys.executable, environ)
    )


def pipeline_setup(environ: Mapping[str, str], tell: Tell) -> PipelineSetup:
    """What a pipeline of the command is given.

    Args:
        tell: gets what goes on.
    """
    place = here(environ)
    return PipelineSetup(
        owner=current_owner(uuid.uuid4().hex),
        cache=place.cache,
        environ=place.environ,
        tell=tell,
        parallel=min(os.cpu_count() or 1, _MOST_PARALLEL),
        kinds=load_engines,
    )
