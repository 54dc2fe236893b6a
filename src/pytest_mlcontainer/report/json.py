"""`report.json`, schema 1: the machine's view of a session."""

from __future__ import annotations

import importlib.metadata
import json
import math
from dataclasses import asdict, replace
from typing import Any

from pytest_mlcontainer.model import (
    Cause,
    CheckReport,
    Element,
    Explanation,
    Outcome,
    Target,
    TimelineSpan,
    check_report_to_json,
    publication_to_json,
)
from pytest_mlcontainer.report.acceptance import acceptance
from pytest_mlcontainer.report.cure import cure_to_json
from pytest_mlcontainer.report.html_pictures import choose_pictures
from pytest_mlcontainer.report.plots_json import plots_to_json
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import Comparison, Session, longest
from pytest_mlcontainer.report.shared_causes import shared_json
from pytest_mlcontainer.report.tree import FEW_ELEMENTS, LISTED, Counts, ReportLeaf
from pytest_mlcontainer.report.where import location_to_json

SCHEMA = 1
PACKAGE = "pytest-mlcontainer"
_PLOTS = 100
_SPANS = 2000
_TRIALS = 500
_PICTURES = 1_000_000  # characters


def report_json(session: Session) -> str:
    """The report as text.

    JSON has no infinity and no NaN, so such a number is the string "inf", "-inf" or "nan".

    The report: `schema`, `version` (of this package), `results`, `shared_causes` (located drifts,
    those of one reason and one line together: `causes`, `origin`, `proven`, `results` (their places
    in `results`, from 0), `outputs`), `failures` (runs that failed),
    `notes`, `checks` (of images), `published` (null where nothing was to be), `runs` (one that
    several tests used counts once), `verdicts`
    (comparisons by verdict), `duration_s`, `unfinished` (why this is not all of a session; ""
    where it is), `timeline` (the longest 2,000 tasks, in the order in which they were begun:
    `activity`, `title`, `start_s`, `duration_s`, `worker`, `worked`).

    What was published: `asked` (the name), `reference` (of the index, with its digest; "" where
    nothing was published), `images` (`platform`, `manifest`, `config`, `layers`, `size_bytes`,
    `attested`), `held_back`, `failure` (`what`, `value`, `remedy`, or null), `notes`.
    `model.Publication` says what each means.

    A result: `entrypoint`, `target`, `reference`, `verdict`, `differences` (the worst first),
    `counts` (items by verdict, all of them), `unlisted` (those of them that are only counted,
    because there are more than 500), `outputs` (each with its verdict and its counts of what is
    listed), `causes` (`names`, `runs`, `evidence`; of several what each alone `moves`, and how many
    more: `moves_more`), `explanation` (null where no cause was looked for), `location` (as of
    `where`; null where that was not asked for), `cure` (as of `cure`, with the lines for a
    `dockerfile`; null where that was not asked for), `facts` that differ, `notes`, `repeat` (a
    command, or null).

    An explanation: `runs`, `tried`, `not_exercised` (`name` and `why`), `findings` (`kind`,
    `names`, `text`, `advice`, `source`), `materiality`, `open`, `suspects`,
    `trials` (`names`, and of how many runs each: `agreed`, `drifted`, `failed`).
    `model.Explanation` says what each means.

    A difference: `output`, `item`, `path` (the output, then the item in parts: joined they are its
    name), `verdict`, `max_abs`, `max_rel`, `max_ulp`, `scale_error`, `worst_index`,
    `worst_actual`, `worst_expected`, `differing`, `beyond`, `size`, `unit`, `rule`, `note`,
    `quantiles` ([share, error] pairs), `histogram` ([low, high, count]), `elements` (the worst
    five, of what has `plots` up to twenty: `index`, `actual`, `expected`, `error`, and `excess`
    where there is a bound: the error ÷ what that allows), `noise` (between repeats of the
    reference; null where it was not measured), `typical`, `accept` (`line` of configuration that
    would let it pass, and what that `hides`; or null), and where there are any `excuses`,
    `renames`, `plots`, `clock` and `free`.
    `model.Difference` says what each means.
    """
    plotted = _plotted(session)
    pictured = choose_pictures((each.tree for each in session.comparisons), LISTED, _PICTURES)
    report = {
        "schema": SCHEMA,
        "version": session.version or importlib.metadata.version(PACKAGE),
        "results": [_comparison(each, plotted, pictured) for each in session.comparisons],
        "shared_causes": shared_json(session.shared),
        "failures": [_failure(run) for run in session.failures],
        "notes": list(session.notes),
        "checks": [_check(each) for each in session.checks],
        "verdicts": _counts(session.counts),
        "published": None
        if session.publication is None
        else publication_to_json(session.publication),
        "runs": session.runs,
        "duration_s": round(session.duration_s, 3),
        "unfinished": session.unfinished,
        "timeline": [_span(span) for span in longest(session.timeline, _SPANS)],
    }
    # Escaped to ASCII, because names may hold surrogates, which no encoding of a file takes.
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def _span(span: TimelineSpan) -> dict[str, Any]:
    return {
        **asdict(span),
        "start_s": round(span.start_s, 3),
        "duration_s": round(span.duration_s, 3),
    }


def _plotted(session: Session) -> frozenset[int]:
    """Identities of the leaves that are written in full: as many of each comparison, the worst."""
    with_plots = [
        [id(leaf) for leaf in comparison.tree.leaves if leaf.has_more]
        for comparison in sorted(
            session.comparisons, key=lambda each: -each.tree.outcome.verdict.severity
        )
    ]
    drawn = [leaves for leaves in with_plots if leaves][:_PLOTS]
    each = _PLOTS // max(1, len(drawn))
    return frozenset(leaf for leaves in drawn for leaf in leaves[:each])


def _comparison(
    comparison: Comparison, plotted: frozenset[int], pictured: frozenset[int]
) -> dict[str, Any]:
    tree, outcome = comparison.tree, comparison.tree.outcome
    return {
        "entrypoint": outcome.entrypoint,
        "target": _target(outcome.target),
        "reference": _target(outcome.reference),
        "against": outcome.against,
        "verdict": outcome.verdict.value,
        "differences": [
            _difference(leaf, id(leaf) in plotted, id(leaf) in pictured) for leaf in tree.leaves
        ],
        "counts": _counts(tree.counts),
        "unlisted": _counts(tree.unlisted),
        "outputs": [
            {
                "output": node.output,
                "verdict": node.verdict.value,
                "counts": _counts(node.counts),
            }
            for node in tree.outputs
        ],
        **_context(outcome),
        "repeat": comparison.repeat or None,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    moves = [
        {
            "where": each.where,
            "max_abs": _number(each.max_abs),
            "max_rel": _number(each.max_rel),
            "note": each.note,
        }
        for each in cause.moves
    ]
    return {
        "names": list(cause.names),
        "runs": cause.runs,
        "evidence": cause.evidence,
        **({"moves": moves, "moves_more": cause.moves_more} if moves else {}),
    }


def _context(outcome: Outcome) -> dict[str, Any]:
    return {
        "causes": [_cause(cause) for cause in outcome.causes],
        "explanation": _explanation(outcome.explanation),
        "facts": [
            {"name": name, "expected": _number(expected), "actual": _number(actual)}
            for name, expected, actual in outcome.facts
        ],
        "location": location_to_json(outcome.location),
        "cure": cure_to_json(outcome.cure),
        "notes": list(outcome.notes),
    }


def _explanation(explanation: Explanation | None) -> dict[str, Any] | None:
    if explanation is None:
        return None
    return {
        "runs": explanation.runs,
        "tried": list(explanation.tried),
        "not_exercised": [{"name": name, "why": why} for name, why in explanation.not_exercised],
        "findings": [
            {
                "kind": each.kind,
                "names": list(each.names),
                "text": each.text,
                "advice": each.advice,
                "source": each.source,
            }
            for each in explanation.findings
        ],
        "materiality": explanation.materiality,
        "open": list(explanation.open),
        "suspects": list(explanation.suspects),
        "trials": [
            {**asdict(trial), "names": list(trial.names)} for trial in explanation.trials[:_TRIALS]
        ],
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "platform": str(target.platform),
        "emulated": target.emulated,
        "gpus": target.gpus,
        "variations": list(target.variations),
        "cpu": None if target.cpu is None else str(target.cpu),
    }


def _difference(leaf: ReportLeaf, is_plotted: bool, is_pictured: bool) -> dict[str, Any]:
    difference = leaf.difference
    plots = difference.plots if is_plotted else None
    if plots is not None and not is_pictured:
        plots = replace(plots, pictures=None)
    index = difference.worst_index
    proposal = acceptance(difference)
    return {
        "output": difference.output,
        "item": difference.item,
        "path": list(leaf.path),
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
        "quantiles": [[_number(share), _number(error)] for share, error in difference.quantiles],
        "histogram": [
            [_number(low), _number(high), count] for low, high, count in difference.histogram
        ],
        "elements": [
            _element(each) for each in leaf.elements[: None if is_plotted else FEW_ELEMENTS]
        ],
        "noise": _number(difference.noise),
        "typical": _number(difference.typical),
        "accept": None if proposal is None else {"line": proposal.line, "hides": proposal.hides},
        **({"excuses": list(difference.excuses)} if difference.excuses else {}),
        **({"renames": [list(pair) for pair in difference.renames]} if difference.renames else {}),
        **({} if plots is None else {"plots": plots_to_json(plots)}),
        **({} if difference.clock is None else {"clock": difference.clock}),
        **({"free": difference.free} if difference.free else {}),
    }


def _element(element: Element) -> dict[str, Any]:
    return {
        "index": list(element.index),
        "actual": element.actual,
        "expected": element.expected,
        "error": _number(element.error),
        **({} if element.excess is None else {"excess": element.excess}),
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


def _check(report: CheckReport) -> dict[str, Any]:
    raw = check_report_to_json(report)
    del raw["tables_shown"]  # of a terminal alone
    figures = {name: _number(value) for name, value in report.figures}
    return {**raw, "passes": not report.failing, "figures": figures}


def _counts(counts: Counts) -> dict[str, int]:
    return {verdict.value: count for verdict, count in counts}


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
