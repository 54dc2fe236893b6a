"""`report.json`, schema 1: the machine's view of a session."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from pytest_mlcontainer.model import Difference, Outcome, Target
from pytest_mlcontainer.report.results import Result, RunResult

SCHEMA = 1


def report_json(results: Iterable[Result], duration_s: float) -> str:
    """The report as text.

    JSON has no infinity and no NaN, so such a number is the string "inf", "-inf" or "nan". A run
    that several tests used counts once. Beside what every reader needs, a difference carries
    `beyond`, `worst_actual`, `worst_expected`, `rule`, `note` and `unit`, a result `facts` and
    `notes`, and the report the runs that failed
    and notes.

    Args:
        duration_s: wall clock of the session.
    """
    found = list(results)
    runs = {result.run.id: result.run for result in found if result.run is not None}
    report = {
        "schema": SCHEMA,
        "results": [_outcome(result.outcome) for result in found if result.outcome is not None],
        "failures": [_failure(run) for run in runs.values() if run.failure is not None],
        "notes": list(dict.fromkeys(result.note for result in found if result.note)),
        "runs": len(runs),
        "duration_s": round(duration_s, 3),
    }
    # Escaped to ASCII, because names may hold surrogates, which no encoding of a file takes.
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "entrypoint": outcome.entrypoint,
        "target": _target(outcome.target),
        "reference": _target(outcome.reference),
        "verdict": outcome.verdict.value,
        "differences": [_difference(each) for each in outcome.differences],
        "causes": [
            {"names": list(cause.names), "runs": cause.runs, "evidence": cause.evidence}
            for cause in outcome.causes
        ],
        "facts": [
            {"name": name, "expected": _number(expected), "actual": _number(actual)}
            for name, expected, actual in outcome.facts
        ],
        "notes": list(outcome.notes),
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "platform": str(target.platform),
        "emulated": target.emulated,
        "gpus": target.gpus,
        "variations": list(target.variations),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    index = difference.worst_index
    return {
        "output": difference.output,
        "item": difference.item,
        "verdict": difference.verdict.value,
        "max_abs": _number(difference.max_abs),
        "max_rel": _number(difference.max_rel),
        "max_ulp": difference.max_ulp,
        "scale_error": _number(difference.scale_error),
        "worst_index": None if index is None else list(index),
        "worst_actual": difference.worst_actual,
        "worst_expected": difference.worst_expected,
        "differing": difference.differing,
        "beyond": difference.beyond,
        "size": difference.size,
        "rule": difference.rule,
        "note": difference.note,
        "unit": difference.unit,
    }


def _failure(run: RunResult) -> dict[str, Any]:
    assert run.failure is not None
    return {
        "entrypoint": run.entrypoint,
        "target": _target(run.target),
        "exit_code": run.exit_code,
        "what": run.failure.what,
        "value": run.failure.value,
        "remedy": run.failure.remedy,
    }


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
