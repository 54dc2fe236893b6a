"""`train::baseline[linux/amd64]`: one run held against what the project keeps of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import BaselineJob, Outcome, Settings
from pytest_mlcontainer.plugin.session import ContainerSession
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.updates import update_lines


def hold(
    session: ContainerSession, settings: Settings, job: BaselineJob, nodeid: str
) -> Outcome | None:
    """Compare, or with `--container-update` write; None where something was written.

    Raises:
        MlContainerError: the run failed, or there is no record, or it cannot be read or written.
    """
    baselines = session.pipeline.baselines
    if session.options.update:
        for change in baselines.update(settings, job, session.comparators):
            session.results.record_update(update_lines(change, _shown(change.place)))
        return None
    held = baselines.compare(settings, job, session.comparators)
    for note in baselines.stale(settings):
        session.results.record(Result(note=note))
    if held is None:
        assert session.options.baseline is not None
        entry, platform = job.actual.entrypoint.name, job.actual.target.platform
        raise RecordError(
            f"the baseline has no record of {entry} on {platform}, nor on another platform",
            _shown(session.options.baseline),
            f"look at what the run wrote; if that is right, keep it:\n"
            f"{session.wording.repeat(nodeid)} --container-update",
        )
    outcome = session.pipeline.searches.of_baseline(*held)
    step = () if outcome.verdict.passes else ("if this run is right, --container-update keeps it",)
    return replace(outcome, notes=(*step, *outcome.notes))


def _shown(path: Path) -> str:
    """As the reader would name it: from here, unless that leads far away."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
