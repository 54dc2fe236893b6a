"""What a user may have expected of a session that it did not do, with what would do it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import pytest

from pytest_mlcontainer.config import has_table
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.matrix import plan
from pytest_mlcontainer.plugin.session import ContainerSession
from pytest_mlcontainer.report import Result

_OF_A_TABLE: Final = re.compile(r"\.toml::[^:\[]+\[")  # `pyproject.toml::train[linux/amd64]`
_MOST_NAMED = 6


def overlooked(session: ContainerSession, terminal: pytest.TerminalReporter) -> Iterator[str]:
    """Lines for the end of a session; none where all is as it was asked for."""
    reports = [each for kind in terminal.stats.values() for each in kind]
    unread = any(isinstance(each, pytest.CollectReport) for each in terminal.stats.get("error", ()))
    ran = any(terminal.stats.get(kind) for kind in ("passed", "failed", "skipped", "xfailed"))
    if unread and not ran and session.selected:
        yield (
            "no container ran, because of errors in the project's tests: `mlcontainer test` "
            "runs [tool.mlcontainer] alone"
        )
    option = session.config.option
    if terminal.stats.get("deselected") or option.keyword or option.markexpr:
        return
    yield from _unknown_items(session)
    # In workers of pytest-xdist, what is selected is not known here, but what has run is.
    ours = any("container" in getattr(each, "keywords", ()) for each in reports)
    if not (ours or session.selected):
        yield from _without_table(session.config.rootpath, unread)
    names = (getattr(each, "nodeid", "") for each in reports)
    later = option.collectonly or session.options.records is not None  # `mlcontainer compare`
    if not later and any(map(_OF_A_TABLE.search, names)):
        yield from _nothing_compared(session.results.found)


def _without_table(root: Path, unread: bool) -> Iterator[str]:
    """Why no container ran, where nothing of the project asks for one.

    Args:
        unread: whether some of its tests could not be read.
    """
    file = root / "pyproject.toml"
    if file.is_file() and has_table(file):
        return
    which, then = "no test", "writes a first table"
    if unread:
        which = "no test that could be read"
        then += ", which `mlcontainer test` then runs without the project's own tests"
    yield (
        f"no container ran: {file} has no [tool.mlcontainer] table, and {which} uses a fixture of "
        f"this plugin; `mlcontainer init` {then}"
    )


def _nothing_compared(found: Sequence[Result]) -> Iterator[str]:
    """That entrypoints ran well and were held against nothing, and what would do that."""
    runs = [each.run for each in found if each.run is not None]
    compared = any(each.outcome is not None for each in found)
    if not runs or compared or any(run.failure is not None for run in runs):
        return
    names = ", ".join(dict.fromkeys(run.entrypoint for run in runs))
    where = ", ".join(dict.fromkeys(str(run.target) for run in runs))
    yield (
        f"note: nothing was compared: {names} ran on {where} alone; a second platform, "
        "--container-repeat=2 or --container-vary gives it something to agree with"
    )


def _unknown_items(session: ContainerSession) -> Iterator[str]:
    """Items of a table that were asked for by a name that it does not have."""
    for argument in session.config.args:
        place, _, wanted = str(argument).partition("::")
        file = Path(session.config.invocation_params.dir, place)
        if not wanted or file.suffix != ".toml" or not file.is_file():
            continue
        try:
            settings = session.load(file)
        except MlContainerError:
            continue
        known = [] if settings is None else [str(job) for job in plan(settings, session.options)]
        if known and not any(_is_in(each, wanted) for each in known):
            near = get_close_matches(wanted, (*known, *_short(known)), 1)
            meant = f"did you mean {near[0]}? " if near else ""
            shown = ", ".join(known[:_MOST_NAMED]) + (", …" if len(known) > _MOST_NAMED else "")
            yield f"{place} has no item {wanted}: {meant}it has {shown}"


def _is_in(item: str, wanted: str) -> bool:
    return item == wanted or item.startswith((f"{wanted}[", f"{wanted}::"))


def _short(items: Iterable[str]) -> dict[str, None]:
    """Names without what stands in brackets: `train`, `image::lint`."""
    return dict.fromkeys(item.partition("[")[0] for item in items)
