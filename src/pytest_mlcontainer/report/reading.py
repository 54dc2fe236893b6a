"""`report.json` back into the values that reports are drawn from."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Element,
    EmulatedCpu,
    Explanation,
    Failure,
    MovedItem,
    Outcome,
    Platform,
    SearchFinding,
    SearchTrial,
    Target,
    TimelineSpan,
    Verdict,
    check_report_from_json,
    publication_from_json,
)
from pytest_mlcontainer.report.cure import cure_from_json
from pytest_mlcontainer.report.json import PACKAGE, SCHEMA
from pytest_mlcontainer.report.plots_json import plots_from_json
from pytest_mlcontainer.report.results import Result, RunResult
from pytest_mlcontainer.report.session import Session, gather
from pytest_mlcontainer.report.where import location_from_json

_VERSIONS = "the reports were made by different versions of pytest-mlcontainer"
_CHOSEN = ", chosen by "
_NUMBERS = ("max_abs", "max_rel", "scale_error", "noise", "typical")


def read_report(text: str, name: str) -> Session:
    """The session of a report.

    Args:
        name: of the report, which tells its failed runs from those of others.

    Raises:
        ValueError: it is no report, or one of a newer schema; the message says which.
    """
    try:
        raw = json.loads(text)
        schema = raw["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("it is not a report.json of pytest-mlcontainer") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ValueError(f"it has schema {schema}, and this version knows {SCHEMA}")
    try:
        results = [_result(each) for each in raw["results"]]
        results += [_failed(each, f"{name}:{at}") for at, each in enumerate(raw["failures"])]
        results += [Result(note=str(note)) for note in raw["notes"]]
        results += [Result(check=check_report_from_json(each)) for each in raw.get("checks", ())]
        found = gather(results, float(raw["duration_s"]))
        timeline = tuple(_span(each) for each in raw.get("timeline", ()))
        version = str(raw.get("version", ""))
        unfinished = str(raw.get("unfinished", ""))
        return replace(
            found,
            runs=int(raw["runs"]),
            version=version,
            timeline=timeline,
            unfinished=unfinished,
            publication=None
            if raw.get("published") is None
            else publication_from_json(raw["published"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"({type(error).__name__}: {error!s:.80})"
        theirs, ours = raw.get("version"), importlib.metadata.version(PACKAGE)
        if theirs in (None, ours):
            raise ValueError(f"it is damaged {said}") from error
        raise ValueError(
            f"version {theirs!s:.40} wrote it, which {ours} cannot read whole {said}"
        ) from error


def merge_sessions(sessions: tuple[Session, ...]) -> Session:
    """All of them as one: runs and durations are sums."""
    results = [
        Result(outcome=each.tree.outcome, unlisted=each.tree.unlisted, repeat=each.repeat)
        for session in sessions
        for each in session.comparisons
    ]
    results += [Result(run=run) for session in sessions for run in session.failures]
    results += [Result(note=note) for session in sessions for note in session.notes]
    results += [Result(check=check) for session in sessions for check in session.checks]
    results += [Result(note=note) for note in (versions_note(sessions),) if note]
    merged = gather(results, sum(session.duration_s for session in sessions))
    timeline = tuple(
        replace(span, worker=f"report {number} {span.worker}".rstrip())
        if len(sessions) > 1
        else span
        for number, session in enumerate(sessions, 1)
        for span in session.timeline
    )
    return replace(
        merged,
        runs=sum(session.runs for session in sessions),
        timeline=timeline,
        publication=next((each.publication for each in sessions if each.publication), None),
        unfinished=" ".join(dict.fromkeys(each.unfinished for each in sessions if each.unfinished)),
    )


def versions_note(sessions: tuple[Session, ...]) -> str:
    """That several versions made them; "" where one did."""
    versions = sorted({session.version or "an unknown one" for session in sessions})
    return f"{_VERSIONS}: {', '.join(versions)}" if len(versions) > 1 else ""


def _span(raw: Mapping[str, Any]) -> TimelineSpan:
    return TimelineSpan(
        str(raw["activity"]),
        str(raw["title"]),
        float(raw["start_s"]),
        float(raw["duration_s"]),
        str(raw["worker"]),
        bool(raw["worked"]),
    )


def _result(raw: Mapping[str, Any]) -> Result:
    explained = raw["explanation"]
    outcome = Outcome(
        entrypoint=str(raw["entrypoint"]),
        target=_target(raw["target"]),
        reference=_target(raw["reference"]),
        verdict=Verdict(raw["verdict"]),
        differences=tuple(_difference(each) for each in raw["differences"]),
        causes=tuple(_cause(each) for each in raw["causes"]),
        facts=tuple((each["name"], each["expected"], each["actual"]) for each in raw["facts"]),
        notes=tuple(raw["notes"]),
        against=str(raw["against"]),
        explanation=None if explained is None else _explanation(explained),
        location=location_from_json(raw.get("location")),
        cure=cure_from_json(raw.get("cure")),
    )
    unlisted = tuple((Verdict(verdict), int(count)) for verdict, count in raw["unlisted"].items())
    return Result(outcome=outcome, unlisted=unlisted, repeat=raw["repeat"] or "")


def _failed(raw: Mapping[str, Any], id: str) -> Result:
    failure = Failure(str(raw["what"]), str(raw["value"]), str(raw["remedy"]))
    target = _target(raw["target"])
    return Result(run=RunResult(id, str(raw["entrypoint"]), target, raw["exit_code"], 0.0, failure))


def _target(raw: Mapping[str, Any]) -> Target:
    cpu = None
    if raw["cpu"] is not None:
        name, _chosen, by = str(raw["cpu"]).partition(_CHOSEN)
        cpu = EmulatedCpu(name, by)
    return Target(
        Platform(*str(raw["platform"]).split("/", 2)),
        gpus=raw["gpus"],
        emulated=raw["emulated"],
        variations=tuple(raw["variations"]),
        cpu=cpu,
    )


def _cause(raw: Mapping[str, Any]) -> Cause:
    moves = tuple(
        MovedItem(each["where"], _float(each["max_abs"]), _float(each["max_rel"]), each["note"])
        for each in raw.get("moves", ())
    )
    return Cause(
        tuple(raw["names"]), raw["runs"], raw["evidence"], moves, int(raw.get("moves_more", 0))
    )


def _float(raw: Any) -> float | None:
    return None if raw is None else float(raw)


def _difference(raw: Mapping[str, Any]) -> Difference:
    known = {each.name for each in fields(Difference)}
    index = raw["worst_index"]
    values = {name: value for name, value in raw.items() if name in known}
    return Difference(
        **{
            **values,
            **{name: None if raw[name] is None else float(raw[name]) for name in _NUMBERS},
            "verdict": Verdict(raw["verdict"]),
            "worst_index": None if index is None else tuple(index),
            "quantiles": tuple((float(share), float(error)) for share, error in raw["quantiles"]),
            "histogram": tuple(
                (float(low), float(high), int(count)) for low, high, count in raw["histogram"]
            ),
            "elements": tuple(_element(each) for each in raw["elements"]),
            "excuses": tuple(str(each) for each in raw.get("excuses", ())),
            "renames": tuple((str(old), str(new)) for old, new in raw.get("renames", ())),
            "plots": plots_from_json(raw.get("plots")),
        }
    )


def _element(raw: Mapping[str, Any]) -> Element:
    error = raw["error"]
    off = None if error is None else float(error)
    excess = raw.get("excess")
    beside = None if excess is None else float(excess)
    return Element(tuple(raw["index"]), str(raw["actual"]), str(raw["expected"]), off, beside)


def _explanation(raw: Mapping[str, Any]) -> Explanation:
    return Explanation(
        runs=raw["runs"],
        tried=tuple(raw["tried"]),
        not_exercised=tuple((each["name"], each["why"]) for each in raw["not_exercised"]),
        findings=tuple(
            SearchFinding(
                each["kind"], tuple(each["names"]), each["text"], each["advice"], each["source"]
            )
            for each in raw["findings"]
        ),
        materiality=raw["materiality"],
        open=tuple(raw["open"]),
        suspects=tuple(raw["suspects"]),
        trials=tuple(
            SearchTrial(
                tuple(each["names"]),
                int(each["agreed"]),
                int(each["drifted"]),
                int(each["failed"]),
            )
            for each in raw.get("trials", ())
        ),
    )
