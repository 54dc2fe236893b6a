"""What one test contributes to the session's report, and its form for another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pytest_mlcontainer.model import (
    Cause,
    CheckReport,
    ClusterSettings,
    Difference,
    Element,
    EmulatedCpu,
    Explanation,
    Failure,
    MovedItem,
    Outcome,
    Platform,
    Run,
    SearchFinding,
    SearchTrial,
    Target,
    Verdict,
    check_report_from_json,
    check_report_to_json,
)
from pytest_mlcontainer.report.checks import severity_counts
from pytest_mlcontainer.report.cure import cure_from_json, cure_to_json
from pytest_mlcontainer.report.plots_json import plots_from_json
from pytest_mlcontainer.report.tree import Counts, cut
from pytest_mlcontainer.report.where import location_from_json


@dataclass(frozen=True)
class RunResult:
    """A run that was made or reused.

    Args:
        id: the run's own; several tests may report the same run.
        notes: what has to be known of a run that did its job all the same.
    """

    id: str
    entrypoint: str
    target: Target
    exit_code: int | None
    duration_s: float
    failure: Failure | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """A run, a comparison, a check of the image, or a remark worth a line; one of them is set.

    Args:
        unlisted: items of the comparison that are only counted, because there are very many.
        repeat: the command that repeats just this; "" where none is known.
    """

    run: RunResult | None = None
    outcome: Outcome | None = None
    check: CheckReport | None = None
    note: str = ""
    unlisted: Counts = ()
    repeat: str = ""

    @classmethod
    def of_run(cls, run: Run) -> Result:
        return cls(
            run=RunResult(
                id=run.id,
                entrypoint=run.entrypoint,
                target=run.target,
                exit_code=run.exit_code,
                duration_s=run.duration_s,
                failure=run.failure,
                notes=run.notes,
            )
        )

    @property
    def in_a_line(self) -> str:
        """What it is and what came of it, in a few words."""
        if self.run is not None:
            run = self.run
            ended = "killed" if run.exit_code is None else f"exit code {run.exit_code}"
            failed = "" if run.failure is None else f"; failed: {run.failure.what}"
            return f"{run.entrypoint} on {run.target}: {ended} after {run.duration_s:.1f} s{failed}"
        if self.outcome is not None:
            found = self.outcome
            against = found.against or found.reference
            return f"{found.entrypoint} on {found.target} vs {against}: {found.verdict.value}"
        if self.check is not None:
            return f"{self.check.name}: {severity_counts(self.check.findings)}"
        return self.note

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> Result:
        listed, unlisted = cut(outcome)
        return cls(outcome=listed, unlisted=unlisted)


def result_to_json(result: Result) -> dict[str, Any]:
    """The result as mappings, lists and scalars, for a worker to send to its controller."""
    raw: dict[str, Any] = _plain(asdict(replace(result, check=None)))
    for each in _targets(raw):
        del each["cluster"]  # how it was run, which results do not tell
    if result.outcome is not None:
        raw["outcome"]["cure"] = cure_to_json(result.outcome.cure)
    raw["check"] = None if result.check is None else check_report_to_json(result.check)
    return raw


def result_from_json(raw: Mapping[str, Any]) -> Result:
    """The result that `result_to_json` was given."""
    run, outcome, check = raw["run"], raw["outcome"], raw["check"]
    return Result(
        run=None if run is None else _run(run),
        outcome=None if outcome is None else _outcome(outcome),
        check=None if check is None else check_report_from_json(check),
        note=str(raw["note"]),
        unlisted=tuple((Verdict(verdict), count) for verdict, count in raw["unlisted"]),
        repeat=str(raw["repeat"]),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, Verdict) else value


def _run(raw: Mapping[str, Any]) -> RunResult:
    failure = raw["failure"]
    return RunResult(
        **{
            **raw,
            "target": _target(raw["target"]),
            "failure": None if failure is None else Failure(**failure),
            "notes": tuple(raw["notes"]),
        }
    )


def _outcome(raw: Mapping[str, Any]) -> Outcome:
    explanation = raw["explanation"]
    return Outcome(
        **{
            **raw,
            "target": _target(raw["target"]),
            "reference": _target(raw["reference"]),
            "verdict": Verdict(raw["verdict"]),
            "differences": tuple(_difference(each) for each in raw["differences"]),
            "causes": tuple(_cause(each) for each in raw["causes"]),
            "facts": tuple((name, left, right) for name, left, right in raw["facts"]),
            "notes": tuple(raw["notes"]),
            "explanation": None if explanation is None else _explanation(explanation),
            "location": location_from_json(raw["location"]),
            "cure": cure_from_json(raw["cure"]),
        }
    )


def _cause(raw: Mapping[str, Any]) -> Cause:
    moves = tuple(MovedItem(**each) for each in raw["moves"])
    return Cause(**{**raw, "names": tuple(raw["names"]), "moves": moves})


def _explanation(raw: Mapping[str, Any]) -> Explanation:
    return Explanation(
        **{
            **raw,
            "tried": tuple(raw["tried"]),
            "not_exercised": tuple((name, why) for name, why in raw["not_exercised"]),
            "findings": tuple(
                SearchFinding(**{**each, "names": tuple(each["names"])}) for each in raw["findings"]
            ),
            "open": tuple(raw["open"]),
            "suspects": tuple(raw["suspects"]),
            "trials": tuple(
                SearchTrial(**{**each, "names": tuple(each["names"])}) for each in raw["trials"]
            ),
        }
    )


def _difference(raw: Mapping[str, Any]) -> Difference:
    index = raw["worst_index"]
    return Difference(
        **{
            **raw,
            "verdict": Verdict(raw["verdict"]),
            "worst_index": None if index is None else tuple(index),
            "excuses": tuple(raw["excuses"]),
            "plots": plots_from_json(raw["plots"]),
            "renames": tuple((pattern, text) for pattern, text in raw["renames"]),
            "quantiles": tuple((share, error) for share, error in raw["quantiles"]),
            "histogram": tuple((low, high, count) for low, high, count in raw["histogram"]),
            "elements": tuple(
                Element(**{**each, "index": tuple(each["index"])}) for each in raw["elements"]
            ),
        }
    )


def _targets(raw: Any) -> Iterator[dict[str, Any]]:
    """Every target in plain values, at any depth."""
    if isinstance(raw, list):
        for each in raw:
            yield from _targets(each)
    elif isinstance(raw, dict):
        if raw.keys() >= {"platform", "engine", "cluster"}:
            yield raw
        for each in raw.values():
            yield from _targets(each)


def _target(raw: Mapping[str, Any]) -> Target:
    return Target(
        **{
            **raw,
            "platform": Platform(**raw["platform"]),
            "variations": tuple(raw["variations"]),
            "cpu": None if raw["cpu"] is None else EmulatedCpu(**raw["cpu"]),
            "cluster": ClusterSettings(),
        }
    )
