"""`tolerance = "calibrated"`: bounds from runs of the reference under variations that must not
matter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer import matrix
from pytest_mlcontainer.judging.evidence import Evidence, judge, judge_repeats
from pytest_mlcontainer.model import (
    HOST,
    BuildSettings,
    CompareJob,
    Entrypoint,
    Options,
    Output,
    Platform,
    RepeatsJob,
    Rule,
    Run,
    Settings,
    Target,
    Tolerance,
    Verdict,
)
from pytest_mlcontainer.variations import changes, harmless
from tests.sample_project import MakeProject

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
CALIBRATED = (Rule("m.json", None, Tolerance(calibrated=True)),)

# Sums in single precision, cut into as many parts as there are threads: a library's way, and its
# noise. Outside the container a "machine" with another number of threads.
SUMS = """
import array, json, os

def total(values):
    sum = array.array("f", [0])
    for value in values:
        sum[0] += value
    return sum[0]

parts = int(os.environ.get("OMP_NUM_THREADS") or (4 if os.getcwd() == "/app" else 7))
values = array.array("f", (1.1 for _ in range(20000)))
loss = total(total(values[part::parts]) for part in range(parts))
if os.getcwd() != "/app":
    loss += %s
os.makedirs("outputs", exist_ok=True)
json.dump({"loss": loss, "steps": 20000}, open("outputs/metrics.json", "w"))
"""
PROJECT = """
platforms = ["linux/amd64", "host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
RULE = """
[tool.mlcontainer.entrypoints.train.compare]
"outputs/metrics.json:loss" = { tolerance = "calibrated" }
"""


def planned(entry: Entrypoint, platforms: tuple[Platform, ...] = (AMD64, ARM64)) -> CompareJob:
    settings = Settings(
        file=Path("/project/pyproject.toml"),
        name="bikes",
        build=BuildSettings(Path("/project"), Path("/project/Dockerfile")),
        platforms=platforms,
        reference=platforms[0],
        entrypoints=(entry,),
    )
    (job,) = (job for job in matrix.plan(settings, Options()) if isinstance(job, CompareJob))
    return job


class TestPlan:
    def test_only_the_reference_runs_under_variations(self) -> None:
        job = planned(Entrypoint("train", outputs=("*",), rules=CALIBRATED))

        assert job.varied[0] == job.expected
        assert {run.target.platform for run in job.varied} == {AMD64}
        assert [", ".join(run.target.variations) for run in job.varied] == [
            "",
            "threads=1",
            "threads=2",
            "blas-kernel=Nehalem",
            "blas-kernel=Haswell",
            "simd=least",
            "hash-seed=0",
            "hash-seed=1",
        ]
        assert dict(job.varied[1].entrypoint.env)["OMP_NUM_THREADS"] == "1"
        assert len(job.runs) == 9

    def test_without_such_a_rule_nothing_more_is_run(self) -> None:
        job = planned(Entrypoint("train", outputs=("*",), rules=(Rule("*", None, Tolerance()),)))

        assert job.runs == (job.actual, job.expected)

    def test_what_the_project_sets_itself_is_left_alone(self) -> None:
        """It is the same on every platform, so it is no source of drift."""
        env = (("PYTHONHASHSEED", "7"), ("OMP_NUM_THREADS", "1"))
        job = planned(Entrypoint("train", outputs=("*",), rules=CALIBRATED, env=env))

        names = {run.target.variations for run in job.varied}
        assert ("hash-seed=0",) not in names
        (threads,) = (run for run in job.varied if run.target.variations == ("threads=2",))
        assert dict(threads.entrypoint.env)["OMP_NUM_THREADS"] == "1"
        assert dict(threads.entrypoint.env)["OPENBLAS_NUM_THREADS"] == "2"

    def test_repeats_are_judged_by_the_same_bound(self) -> None:
        entry = Entrypoint("train", outputs=("*",), rules=CALIBRATED, repeat=2)
        settings = Settings(
            Path("/p/pyproject.toml"),
            "bikes",
            BuildSettings(Path("/p"), Path("/p/Dockerfile")),
            (AMD64, ARM64),
            AMD64,
            entrypoints=(entry,),
        )

        repeats = [job for job in matrix.plan(settings, Options()) if isinstance(job, RepeatsJob)]

        assert [job.varied[0].target.platform for job in repeats] == [AMD64, AMD64]

    @pytest.mark.parametrize("platform", [AMD64, ARM64, Platform("linux", "riscv64"), HOST])
    def test_each_platform_has_enough_variations_to_calibrate_by(self, platform: Platform) -> None:
        found = harmless(platform)

        assert len({str(each) for each in found}) == len(found) >= 4
        assert len({each.knobs for each in found}) == len(found)
        assert all(changes(each, ()) == each.knobs.env for each in found)


class Runs:
    """Runs that wrote JSON, without an engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __call__(self, value: object, platform: Platform = AMD64) -> Run:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        path = folder / "m.json"
        path.write_text(json.dumps(value))
        output = Output("m.json", path, path.stat().st_size)
        return Run(
            str(self._count), "train", Target(platform), 0, 1.0, folder, path, path, (output,)
        )


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


ENTRY = Entrypoint("train", rules=CALIBRATED)
NAMES = ("", "threads=1", "threads=2", "simd=least", "hash-seed=0")


class TestJudging:
    @pytest.mark.parametrize(
        ("actual", "verdict"), [(1.0015, Verdict.EQUIVALENT), (1.02, Verdict.DRIFT)]
    )
    def test_drift_is_judged_against_the_spread_of_the_reference(
        self, runs: Runs, actual: float, verdict: Verdict
    ) -> None:
        values = (1.0, 1.001, 0.9995, 1.0, 1.0)
        varied = tuple(
            (name, runs({"loss": value})) for name, value in zip(NAMES, values, strict=True)
        )
        evidence = Evidence((("", runs({"loss": actual}, ARM64), varied[0][1]),), (), varied)

        outcome = judge(ENTRY, evidence)

        (loss,) = outcome.differences
        assert loss.verdict is verdict
        assert loss.rule.startswith("calibrated 0.0036 from 5 runs or rtol ")
        assert outcome.notes == (
            "calibrated by 5 runs on linux/amd64: as it is, threads=1, threads=2, simd=least, "
            "hash-seed=0",
            "variations that changed no file: simd=least, hash-seed=0",
        )

    def test_where_nothing_varies_the_default_holds_and_says_so(self, runs: Runs) -> None:
        varied = tuple((name, runs({"loss": 1.0})) for name in NAMES)
        evidence = Evidence((("", runs({"loss": 1.001}, ARM64), varied[0][1]),), (), varied)

        (loss,) = judge(ENTRY, evidence).differences

        assert loss.verdict is Verdict.DRIFT
        assert "not calibrated: 5 runs are identical" in loss.rule

    @pytest.mark.parametrize("value", ["cat", float("nan"), None, [1.0, 2.0]])
    def test_what_differs_without_a_distance_is_not_let_pass(
        self, runs: Runs, value: object
    ) -> None:
        results: tuple[dict[str, object], ...] = (
            {"loss": 1.0},
            {"loss": value},
            {"loss": 1.0},
            {"loss": 1.0},
            {},
        )
        varied = tuple((name, runs(result)) for name, result in zip(NAMES, results, strict=True))
        evidence = Evidence((("", runs({"loss": 1.5}, ARM64), varied[0][1]),), (), varied)

        (loss,) = judge(ENTRY, evidence).differences

        assert loss.verdict is Verdict.DRIFT
        assert "not calibrated: 5 runs differ without a distance" in loss.rule

    def test_few_runs_give_no_bound(self, runs: Runs) -> None:
        varied = tuple(
            (name, runs({"loss": value}))
            for name, value in zip(NAMES, (1.0, 1.5, 1.2), strict=False)
        )
        evidence = Evidence((("", runs({"loss": 1.3}, ARM64), varied[0][1]),), (), varied)

        outcome = judge(ENTRY, evidence)

        assert outcome.verdict is Verdict.DRIFT
        assert outcome.notes[0].startswith("not calibrated, so the default tolerance holds: 3 runs")

    def test_noise_within_the_bound_is_no_disagreement_of_repeats(self, runs: Runs) -> None:
        values = (1.0, 1.001, 0.9995, 1.0, 1.0)
        varied = tuple(
            (name, runs({"loss": value})) for name, value in zip(NAMES, values, strict=True)
        )
        repeats = (runs({"loss": 1.0}, ARM64), runs({"loss": 1.0005}, ARM64))

        assert judge_repeats(ENTRY, Evidence(repeats=(repeats,), varied=varied)).verdict.passes
        assert not judge_repeats(ENTRY, Evidence(repeats=(repeats,))).verdict.passes


def verdict_of(project: MakeProject, rule: str, gap: str) -> dict[str, Any]:
    """The comparison of a run outside the container, whose loss is off by `gap` more."""
    root = project.write(PROJECT + rule, train=SUMS % gap)
    project.run("--container-report=report", "-k", "agrees")
    (result,) = json.loads((root / "report" / "report.json").read_text())["results"]
    return dict(result)


def test_the_noise_of_summing_in_parts_is_measured_not_guessed(
    project: MakeProject, leaves_nothing: None
) -> None:
    result = verdict_of(project, RULE, "0")

    assert result["verdict"] == "equivalent"
    (loss,) = [each for each in result["differences"] if each["item"] == "loss"]
    assert loss["max_rel"] > 1.3e-6, "this is beyond the default, or it proves nothing"
    assert loss["rule"].startswith("calibrated ")
    assert " from 8 runs or " in loss["rule"]
    (note,) = [note for note in result["notes"] if note.startswith("calibrated by 8 runs on ")]
    assert "as it is, threads=1, threads=2, blas-kernel=" in note
    (same,) = [note for note in result["notes"] if note.startswith("variations that changed no")]
    assert "blas-kernel=" in same
    assert "threads=1" not in same


def test_without_the_rule_the_same_noise_is_drift(
    project: MakeProject, leaves_nothing: None
) -> None:
    assert verdict_of(project, "", "0")["verdict"] == "drift"


def test_drift_beyond_the_noise_is_found(project: MakeProject, leaves_nothing: None) -> None:
    result = verdict_of(project, RULE, "30")

    assert result["verdict"] == "drift"


def test_a_variation_that_breaks_the_program_is_left_out_and_said(
    project: MakeProject, leaves_nothing: None
) -> None:
    breaks = 'import os\nif os.environ.get("OPENBLAS_CORETYPE"): raise SystemExit("no kernel")\n'
    project.write(PROJECT + RULE, train=breaks + SUMS % "0")

    result = project.run("--container-report=report", "-k", "agrees")

    result.assert_outcomes(passed=1)
    report = json.loads((project.root / "report" / "report.json").read_text())
    (outcome,) = report["results"]
    left_out = [note for note in outcome["notes"] if note.startswith("not part of the calibration")]
    assert len(left_out) == 2
    assert "blas-kernel=" in left_out[0]
    assert any(note.startswith("calibrated by 6 runs") for note in outcome["notes"])
