"""What a shared result depends on, as a digest: equal keys mean that one result serves both."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from pytest_mlcontainer.model import Image, Pairs, Run, RunJob, Settings, Target
from pytest_mlcontainer.runs.inputs import Input, fingerprint
from pytest_mlcontainer.storage import digest


def run_key(
    job: RunJob,
    target: Target,
    needs: tuple[Run, ...],
    inputs: tuple[Input, ...],
    program: str,
    place: str,
) -> str:
    """Key of a run. Comparison rules are not part of it: they come later.

    Args:
        program: digest of the image or, on this machine, of the sources.
        place: identity of the engine or the machine.
    """
    entry = asdict(replace(job.entrypoint, rules=(), names=()))
    return digest(
        [
            json.dumps(entry, sort_keys=True, default=str),
            repr(target),
            repr(job.variations),
            [need.id for need in needs],
            fingerprint(item.source for item in inputs),
            program,
            place,
            job.repeat,
        ]
    )


def facts_key(engine: str, image: Image, target: Target, env: Pairs, *more: object) -> str:
    """Key of the facts of an image on a target.

    Args:
        engine: identity of the engine.
        more: what else the facts depend on.
    """
    parts = [engine, image.digest, str(target.platform), target.gpus, repr(target.cpu), env]
    return digest([*parts, *map(repr, more)])


def common_env(settings: Settings) -> Pairs:
    """Variables that every entrypoint gets."""
    each = [set(entry.env) for entry in settings.entrypoints]
    return tuple(sorted(set.intersection(*each))) if each else ()
