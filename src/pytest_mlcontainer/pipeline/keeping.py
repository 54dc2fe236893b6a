"""What a record says of a run beside the run itself."""

from __future__ import annotations

from dataclasses import asdict, replace

from pytest_mlcontainer.model import Entrypoint, RunJob, Settings
from pytest_mlcontainer.records import Conditions
from pytest_mlcontainer.storage import digest

_DIGITS = 8


def conditions_of(settings: Settings, job: RunJob) -> Conditions:
    """The rules now in force, and which of several runs this is.

    A run that a test asked for with another environment or time limit is one of its own; the same
    change has the same name on every machine.
    """
    entry = job.entrypoint
    configured = settings.entrypoint(entry.name)
    asked = _what_runs(entry, configured)
    # A variation changes the environment, and the target names it.
    plain = configured is not None and not job.target.variations
    changed = plain and asked != _what_runs(configured or entry, configured)
    variant = digest([repr(sorted(asked.items()))])[:_DIGITS] if changed else ""
    return Conditions(
        rules=entry.rules,
        names=entry.names,
        declared=entry.outputs,
        repeat=job.repeat,
        seed=job.seed,
        variant=variant,
    )


def _what_runs(entry: Entrypoint, configured: Entrypoint | None) -> dict[str, object]:
    """All of the entrypoint that can change what it writes, but for its seed."""
    seeded = () if configured is None or not configured.seeds else (configured.seed_env,)
    env = tuple(sorted(pair for pair in entry.env if pair[0] not in seeded))
    same = replace(entry, env=env, secrets=(), rules=(), names=(), repeat=1, seeds=())
    return asdict(same)
