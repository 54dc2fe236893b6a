"""What a search for causes is given to work with, and which of this machine's variables matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.model import (
    EVERYTHING,
    Capabilities,
    Facts,
    Image,
    ImageJob,
    Knobs,
    Pairs,
    Rule,
    Run,
    RunJob,
    Target,
)

_MENTIONED: Final = re.compile(
    r"""(?:environ(?:\.get\(|\.setdefault\(|\.pop\(|\[)|getenv\()\s*["']([A-Za-z_]\w*)["']"""
)
_SECRET: Final = re.compile("KEY|TOKEN|SECRET|PASS|CRED|AUTH|PRIVATE|SESSION|COOKIE", re.IGNORECASE)
# What engines, launchers and shells need themselves.
_OURS: Final = re.compile("PATH|HOME|DOCKER_|PYTEST_|MLCONTAINER_|LD_|VIRTUAL_ENV|PYTHON")
Advance = Callable[[int, str], None]


@dataclass(frozen=True)
class SearchTools:
    """What a search is given to work with.

    Args:
        run: gives a run, failed or not, made at most once.
        prefetch: starts runs that will be asked for soon, side by side.
        look: the facts of a run's environment under knobs, canaries included.
        image: the image that a run is of.
        open: both runs, with those pickles opened that cannot be compared otherwise.
        environ: this machine's variables.
        root: the project's folder.
        capabilities: of a target's engine.
        cures: whether what makes runs agree is looked for, where they drift.
        locates: whether the statement at which runs part is looked for, too; `packages` are the
            import names of the project's own installed packages.
        advance: told how many runs were made so far, and what is known by now.
    """

    run: Callable[[RunJob], Run]
    prefetch: Callable[[tuple[RunJob, ...]], None]
    look: Callable[[RunJob, Knobs], Facts]
    image: Callable[[ImageJob], Image]
    open: Callable[[Run, Run, tuple[Rule, ...]], tuple[Run, Run]]
    environ: Mapping[str, str]
    root: Path
    capabilities: Callable[[Target], Capabilities] = lambda _target: EVERYTHING
    locates: bool = False
    cures: bool = False
    packages: tuple[str, ...] = ()
    advance: Advance = lambda _done, _text: None


def leaked(sources: tuple[tuple[str, str], ...], environ: Mapping[str, str]) -> Pairs:
    """Variables of this machine that programs read, but for secrets and what places need."""
    names = {name for _file, text in sources for name in _MENTIONED.findall(text)}
    return tuple(
        (name, environ[name])
        for name in sorted(names)
        if name in environ and not _SECRET.search(name) and not _OURS.match(name)
    )
