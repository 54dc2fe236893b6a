"""`docs/reference/report.schema.json` describes what is written: all of it, and nothing else."""

from __future__ import annotations

import json
import math
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pytest_mlcontainer.model import (
    Cause,
    CheckReport,
    CheckRow,
    CheckTable,
    Confusion,
    Cure,
    CureChange,
    CureKind,
    CurePrice,
    CureSetting,
    Difference,
    Element,
    Explanation,
    Failure,
    ImageFinding,
    Location,
    MovedItem,
    Outcome,
    Pictures,
    Platform,
    PlotGrid,
    Plots,
    PlottedSeries,
    Publication,
    PublishedImage,
    SearchFinding,
    SearchTrial,
    Severity,
    SourceLine,
    Target,
    TextLine,
    TextLines,
    TimelineSpan,
    Verdict,
)
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.json import report_json
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import gather

DOCS = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text())
AMD64 = Target(Platform("linux", "amd64"), emulated=False)
ARM64 = Target(Platform("linux", "arm64"), emulated=True, gpus="all", variations=("threads=1",))
DRIFT = Difference(
    "w.npz",
    "coef",
    Verdict.DRIFT,
    max_abs=math.inf,
    max_rel=0.3,
    max_ulp=9,
    scale_error=math.nan,
    worst_index=(0, 3),
    worst_actual="1",
    worst_expected="2",
    differing=2,
    beyond=1,
    size=4,
    rule="rtol 1e-05",
    quantiles=((0.5, 0.1), (1.0, math.inf)),
    histogram=((0.1, 1.0, 2),),
    elements=(Element((0, 3), "1", "2", 0.1, 12.5), Element((1,), "nan", "2", math.nan)),
    noise=0.1,
    excuses=("time",),
    renames=(("run-*", "run"),),
    plots=Plots(
        2,
        ((0.1, 1.0, 2),),
        PlotGrid(("09",), 0.1, math.inf, (0, 1), (0, 0)),
        PlotGrid(("09",), 1.0, 2.0, (0.5, 1.5), (1.5, 0.5)),
        PlottedSeries((0, 3), (1.0, None), (1.0, 2.0), 4),
        Confusion(("a", "b"), ((1, 2), (0, 3)), True),
        Pictures("aGk=", "aGk=", "aGk=", 3, 4),
        TextLines((TextLine("same", 1, "a"), TextLine("gap", 0, "")), True),
    ),
    clock=True,
)
EXPLAINED = Explanation(
    runs=7,
    tried=("threads=1",),
    not_exercised=(("simd", "the image sets it"),),
    findings=(SearchFinding("crash", ("user",), "it fails"),),
    materiality="one label of 20 flips",
    open=("what the network does",),
    suspects=("libm",),
    trials=(SearchTrial((), 2), SearchTrial(("libm", "threads"), 1, 2, 1)),
)
LINE = SourceLine("train.py", 3, 3, "", "x = f()", ("f",))
CURE = Cure(
    CureKind.CHANGE,
    (CureSetting("TZ", "UTC", "timezone", "POSIX", ("linux/arm64",)),),
    (CureChange("seed", "seed it", "seeded"),),
    LINE,
    agreeing=3,
    broken=(("TZ", "exit code 1"),),
    prices=(CurePrice("linux/arm64", (1.0, 2.5), (1.5,)),),
    runs=12,
    notes=("n",),
)
WHOLE = Outcome(
    "train",
    ARM64,
    AMD64,
    Verdict.DRIFT,
    (DRIFT, Difference("m.json", "", Verdict.IDENTICAL, size=7, unit="items")),
    notes=("a note",),
    facts=(("cpu.flags", "avx2", None), ("load", 1.5, True)),
    causes=(Cause(("threads",), 5, "2 → 1", (MovedItem("w.npz:coef", math.inf),), 2),),
    explanation=EXPLAINED,
    location=Location(origins=(LINE,)),
    cure=CURE,
)
BARE = Outcome("train", AMD64, AMD64, Verdict.IDENTICAL, ())
SPAN = TimelineSpan("running", "train[host]", 1.0, 2.5, "gw0", worked=False)
FAILED = RunResult("r1", "infer", ARM64, None, 1.5, Failure("it failed", "x", "y"))


CHECKED = CheckReport(
    "size",
    Platform("linux", "arm64"),
    (
        ImageFinding("ML001", Severity.ERROR, "x", "Dockerfile", 3, "y", "z", 5, 0.1, "https://a"),
        ImageFinding("SC2086", Severity.INFO, "x"),
    ),
    notes=("not looked at",),
    figures=(("total_bytes", 7), ("share", math.inf), ("largest", "a")),
    headline="7 bytes",
    tables=(CheckTable("layers", (CheckRow("one", 7, "RUN"), CheckRow("two"))),),
    tables_shown=True,
)


PUBLISHED = Publication(
    "r.example/a:1",
    "r.example/a@sha256:1",
    (PublishedImage(Platform("linux", "arm64"), "sha256:2", "sha256:3", ("sha256:4",), 7, ("x",)),),
    failure=Failure("it was damaged", "x", "y"),
    notes=("n",),
)


def written() -> dict[str, Any]:
    results = [Result(outcome=WHOLE), Result(outcome=BARE), Result(run=FAILED), Result(note="n")]
    results += [Result(check=CHECKED), Result(check=CheckReport("lint"))]
    session = replace(gather(results, 31.5), timeline=(SPAN,), publication=PUBLISHED)
    report: dict[str, Any] = json.loads(report_json(session))
    return report


def closed(schema: Any) -> Any:
    """The same schema, which refuses what it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **made} if "required" in made else made


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_all_that_is_written_is_described() -> None:
    Draft202012Validator(closed(SCHEMA)).validate(written())


def test_the_documented_example_is_one() -> None:
    text = (DOCS / "reports.md").read_text()
    (example,) = re.findall(r"## report\.json\n\n[^\n]+\n\n```json\n(.*?)\n```", text, re.DOTALL)
    Draft202012Validator(closed(SCHEMA)).validate(json.loads(example))


def test_readers_of_schema_1_may_be_given_more() -> None:
    Draft202012Validator(SCHEMA).validate({**written(), "later": True})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("results", 0, "verdict"), "fine"),
        (("results", 0, "differences", 0, "max_abs"), "huge"),
        (("results", 0, "differences", 0, "histogram", 0), [0.1, 1.0]),
        (("results", 0, "explanation", "runs"), -1),
        (("failures", 0, "target", "platform"), None),
        (("verdicts",), {"fine": 1}),
    ],
)
def test_what_is_no_report_is_refused(path: tuple[Any, ...], value: object) -> None:
    report = deepcopy(written())
    place: Any = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(report)
