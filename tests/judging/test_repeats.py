"""`--container-repeat` and `seeds`: several runs of the same, what they are held against, and how
what they disagree in is told from drift.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer import config, matrix
from pytest_mlcontainer.config.options import parse_options
from pytest_mlcontainer.errors import ConfigError, MlContainerError, RunError
from pytest_mlcontainer.judging.equivalence import power_of, seeds_needed
from pytest_mlcontainer.judging.evidence import Evidence, judge, judge_repeats
from pytest_mlcontainer.model import (
    NOT_LISTED,
    CheckJob,
    CompareJob,
    Entrypoint,
    Failure,
    Options,
    Outcome,
    Output,
    Platform,
    RepeatsJob,
    Rule,
    Run,
    RunJob,
    Settings,
    Target,
    Tolerance,
    Verdict,
)
from pytest_mlcontainer.pipeline.evidence import gather_repeats
from pytest_mlcontainer.variations import harmless
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

ONE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
TWO = 'platforms = ["linux/amd64", "host"]\n' + ONE
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")

# What each of these writes is its own business; where it runs, it can tell.
RANDOM = """
import json, os, random
os.makedirs("outputs", exist_ok=True)
json.dump({"loss": random.random(), "epochs": 3}, open("outputs/metrics.json", "w"))
"""
STEADY = """
import json, math, os
os.makedirs("outputs", exist_ok=True)
json.dump({"loss": math.fsum(1 / n for n in range(1, 99))}, open("outputs/metrics.json", "w"))
"""
# Noise of the twelfth digit from run to run, and another value in the ninth outside the container.
NOISY = """
import json, os, random
os.makedirs("outputs", exist_ok=True)
place = 0 if os.getcwd() == "/app" else 1e-9
loss = 1 + place + 1e-12 * random.randrange(1, 1000)
json.dump({"loss": loss}, open("outputs/metrics.json", "w"))
"""
SEEDED = """
import json, os, random
os.makedirs("outputs", exist_ok=True)
source = random.Random(os.environ["SEED"])
accuracy = 0.9 + source.gauss(0, 0.02)
if os.getcwd() != "/app":
    accuracy += %s + source.gauss(0, 0.0005)
json.dump({"accuracy": accuracy, "seed": os.environ["SEED"]}, open("outputs/metrics.json", "w"))
"""
SEEDS = (
    'platforms = ["linux/amd64", "host"]\n'
    + ONE
    + 'seeds = ["0", "1", "2", "3", "4"]\n'
    + "[tool.mlcontainer.entrypoints.train.compare]\n"
    + '"outputs/metrics.json:accuracy" = { equivalence = 0.01 }\n'
)


def settings_of(toml: str) -> Settings:
    file = Path("/project/pyproject.toml")
    return config.parse_settings(tomllib.loads(toml), file, "x86_64", "bikes")


def problem_of(toml: str) -> MlContainerError:
    """The only problem of an entrypoint's table."""
    with pytest.raises(ConfigError) as caught:
        settings_of(f"[entrypoints.train]\noutputs = ['o/*']\n{toml}")
    (problem,) = caught.value.problems
    return problem


def planned(toml: str, options: Options = Options()) -> tuple[Any, ...]:  # noqa: B008
    head = 'platforms = ["linux/amd64", "linux/arm64"]\n[entrypoints.train]\noutputs = ["o/*"]\n'
    return matrix.plan(settings_of(head + toml), options)


class TestPlan:
    def test_each_target_that_repeats_has_an_item_of_its_own(self) -> None:
        names = [str(job) for job in planned("repeat = 3") if not isinstance(job, CheckJob)]

        assert names == [
            "image[linux/amd64]",
            "image[linux/arm64]",
            "train[linux/amd64]",
            "train[linux/arm64]",
            "train::repeats[linux/amd64]",
            "train::repeats[linux/arm64]",
            "train::agrees[linux/arm64 vs linux/amd64]",
        ]

    def test_the_option_replaces_what_is_configured(self) -> None:
        (first, *_others) = (
            job for job in planned("repeat = 3", Options(repeat=2)) if isinstance(job, RepeatsJob)
        )

        assert [run.repeat for run in first.runs] == [0, 1]
        assert not any(
            isinstance(job, RepeatsJob) for job in planned("repeat = 3", Options(repeat=1))
        )

    def test_run_once_nothing_changes(self) -> None:
        (job,) = (job for job in planned("") if isinstance(job, CompareJob))

        assert job == CompareJob(job.actual, job.expected)
        assert job.runs == (job.actual, job.expected)

    def test_a_comparison_has_the_repeats_of_both_sides_the_references_first(self) -> None:
        (job,) = (job for job in planned("repeat = 2") if isinstance(job, CompareJob))

        assert [each.runs[0].target.platform for each in job.repeats] == [AMD64, ARM64]
        assert len(job.runs) == 4

    def test_what_writes_nothing_is_run_once(self) -> None:
        settings = settings_of("repeat = 2\n[entrypoints.check]\ncommand = ['check']")

        assert not any(isinstance(job, RepeatsJob) for job in matrix.plan(settings, Options()))

    def test_each_seed_is_a_pair_of_runs_and_the_first_is_the_usual_run(self) -> None:
        jobs = planned('seeds = ["7", 8]\nseed-env = "RUN_SEED"\nenv = { A = "b" }')

        (job,) = (job for job in jobs if isinstance(job, CompareJob))
        assert job.actual in jobs
        assert dict(job.actual.entrypoint.env) == {"A": "b", "RUN_SEED": "7"}
        ((actual, expected),) = job.seeds
        assert dict(actual.entrypoint.env) == dict(expected.entrypoint.env) == {
            "A": "b", "RUN_SEED": "8",
        }  # fmt: skip
        assert str(actual) == "train[linux/arm64, RUN_SEED=8]"


class TestConfiguration:
    def test_the_keys_reach_their_places(self) -> None:
        toml = "repeat = 4\n[entrypoints.a]\nrepeat = 2\n[entrypoints.b]\nseeds = [0, 1]"

        first, second = settings_of(toml).entrypoints

        assert (first.repeat, second.repeat) == (2, 4)
        assert (second.seeds, second.seed_env) == (("0", "1"), "SEED")

    @pytest.mark.parametrize("value", ["0", "-1", "51", "true", '"3"', "1.5"])
    def test_a_number_of_runs_is_whole_and_at_most_50(self, value: str) -> None:
        problem = problem_of(f"repeat = {value}")

        assert "repeat: not a number of runs" in problem.what
        assert problem.remedy == "write a whole number from 1 to 50"

    @pytest.mark.parametrize("text", ["0", "-1", "1000", "x", "", "2.0", "9" * 30])
    def test_so_is_that_of_the_option(self, text: str) -> None:
        with pytest.raises(ConfigError, match="--container-repeat: not a number of runs") as caught:
            parse_options("x86_64", repeat=text)

        assert "write a whole number from 1 to 50" in str(caught.value)

    @pytest.mark.parametrize(("text", "count"), [("1", 1), ("50", 50), (None, None)])
    def test_the_option_is_read(self, text: str | None, count: int | None) -> None:
        assert parse_options("x86_64", repeat=text).repeat == count

    @pytest.mark.parametrize(
        ("toml", "what", "remedy"),
        [
            ('seeds = ["0"]', "seeds: has fewer than 2 seeds", "give some more"),
            ("seeds = []", "seeds: has fewer than 2 seeds", "give some more"),
            ('seeds = "0"', "seeds: has to be a list of at least 2", "list them: seeds = ["),
            ('seeds = ["0", "1", "0"]', 'seeds: has "0" more than once', "give each once"),
            ('seeds = ["0", 0]', 'seeds: has "0" more than once', "give each once"),
            ('seeds = ["0", ""]', "seeds[1]: is empty", "give a value"),
            ('seeds = ["0", true]', "seeds[1]: has to be a string", "put it in quotes"),
            (
                'seeds = ["0", "1"]\nenv = { SEED = "5" }',
                "seeds: set SEED, and env does too",
                "name another variable: seed-env",
            ),
            ('seed-env = "S"', "seed-env: names the variable for seeds", "add seeds = ["),
            ('seeds = ["0", "1"]\nseed-env = "a b"', "seed-env: not a variable's name", "letters"),
            (
                'compare = { "o/m.json:loss" = { equivalence = 0.1 } }',
                'compare] "o/m.json:loss": equivalence is judged over seeds',
                "margin = 0.1",
            ),
            (
                'compare = { "o/w" = { tolerance = "calibrated", exact = true } }',
                "cannot be combined with",
                "keep",
            ),
            (
                'compare = { "o/w" = { tolerance = "calibrated", ignore = true } }',
                "cannot be combined with",
                "keep",
            ),
        ],
    )
    def test_what_cannot_be_says_what_to_do(self, toml: str, what: str, remedy: str) -> None:
        problem = problem_of(toml)

        assert what in problem.what
        assert remedy in problem.remedy

    def test_seeds_are_not_for_servers(self) -> None:
        with pytest.raises(ConfigError, match="seeds: a server writes nothing to compare"):
            settings_of("[entrypoints.api]\nport = 80\nseeds = [1, 2]")


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


def entry(tolerance: Tolerance = Tolerance(), item: str | None = None) -> Entrypoint:  # noqa: B008
    return Entrypoint("train", rules=(Rule("m.json", item, tolerance),))


def found(outcome: Outcome) -> dict[str, Verdict]:
    return {each.item: each.verdict for each in outcome.differences}


def test_a_repeat_that_fails_says_how_often_the_same_worked_before() -> None:
    job = next(job for job in planned("repeat = 4") if isinstance(job, RepeatsJob))

    def make(job: RunJob) -> Run:
        failure = Failure("train exited with code 1", "", "") if job.repeat == 2 else None
        return Run("1", "train", job.target, 0, 1.0, Path(), Path(), Path(), (), failure=failure)

    with pytest.raises(RunError, match=r"\(repeat 2, on linux/amd64; 2 times before, it worked\)"):
        gather_repeats(job, make)


class TestJudging:
    def test_repeats_that_disagree_are_named(self, runs: Runs) -> None:
        evidence = Evidence(repeats=((runs({"x": 1.0, "y": 2}), runs({"x": 1.5, "y": 2})),))

        outcome = judge_repeats(entry(), evidence)

        assert outcome.verdict is Verdict.NONDETERMINISTIC
        (x,) = [each for each in outcome.differences if each.item == "x"]
        assert (x.verdict, x.noise, x.max_abs) == (Verdict.NONDETERMINISTIC, 0.5, 0.5)
        assert "repeats: 2 runs on linux/amd64 wrote 2 different results" in outcome.notes

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("run {id} started", "ids of runs and processes; to leave them out: names = "),
            ("loss {loss} in {id}", ""),
        ],
    )
    def test_what_is_in_outputs_of_two_names_is_looked_at_before_names_are_all(
        self, runs: Runs, line: str, said: str
    ) -> None:
        """Equal bytes in one of two renamed outputs say nothing of the other."""
        ids = ("01M8KXG6FQSSS649ZEV6PJHPJE", "01M8KXG3XZJ3K0KBWQGJJWZQG0")
        repeats = []
        for number, id in enumerate(ids):
            run = runs({"x": 1})
            log = run.folder / "log.txt"
            log.write_text(line.format(id=id, loss=number) + "\n")
            written = [(f"runs/{id}/m.json", run.outputs[0].path), (f"runs/{id}/log.txt", log)]
            outputs = (Output(name, path, path.stat().st_size) for name, path in written)
            repeats.append(replace(run, outputs=tuple(outputs)))

        outcome = judge_repeats(entry(), Evidence(repeats=(tuple(repeats),)))

        notes = [each for each in outcome.notes if each.startswith("repeats differ in nothing but")]
        assert outcome.verdict is Verdict.NONDETERMINISTIC
        assert len(notes) == bool(said)
        for note in notes:
            assert said in note
            assert '"runs/ID/log.txt" = { ignore = ["id"] }' in note

    def test_items_that_are_only_counted_are_called_as_those_that_are_listed(
        self, runs: Runs
    ) -> None:
        """Of more items than are listed the rest is counted, by their verdict."""
        sides = ({f"x{n}": n + side / 3 for n in range(700)} for side in (1, 2))
        outcome = judge_repeats(entry(), Evidence(repeats=(tuple(map(runs, sides)),)))

        (counted,) = (each.partition(NOT_LISTED)[2] for each in outcome.notes if NOT_LISTED in each)
        assert re.fullmatch(r"\d+ nondeterministic", counted)

    def test_repeats_within_the_rules_are_equivalent(self, runs: Runs) -> None:
        evidence = Evidence(repeats=((runs({"x": 1.0}), runs({"x": 1.0 + 1e-12})),))

        assert judge_repeats(entry(), evidence).verdict is Verdict.EQUIVALENT

    def test_a_drift_is_shown_against_the_noise_of_the_reference(self, runs: Runs) -> None:
        expected = [runs({"x": value}) for value in (1.0, 1.0 + 1e-9)]
        actual = [runs({"x": value}, ARM64) for value in (2.0, 2.0)]
        evidence = Evidence((("", actual[0], expected[0]),), (tuple(expected), tuple(actual)))

        outcome = judge(entry(), evidence)

        (x,) = outcome.differences
        assert x.verdict is Verdict.DRIFT
        assert x.noise == pytest.approx(1e-9)
        assert "no more than" not in x.note

    def test_what_is_within_the_noise_says_so(self, runs: Runs) -> None:
        expected = [runs({"x": value}) for value in (1.0, 1.0 + 3e-9)]
        actual = [runs({"x": value}, ARM64) for value in (1.0 + 2e-9, 1.0)]
        evidence = Evidence((("", actual[0], expected[0]),), (tuple(expected), tuple(actual)))

        (x,) = judge(entry(), evidence).differences

        assert x.verdict is Verdict.EQUIVALENT
        assert x.note == "no more than repeats of the reference differ by"

    @pytest.mark.parametrize("unsteady", [AMD64, ARM64])
    def test_a_comparison_of_what_repeats_disagree_in_says_nothing(
        self, runs: Runs, unsteady: Platform
    ) -> None:
        """Also where the two runs compared happen to be the same."""

        def repeats(platform: Platform) -> tuple[Run, ...]:
            other = 7 if platform is unsteady else 1
            return runs({"x": 1, "y": 1}, platform), runs({"x": other, "y": 1}, platform)

        sides = repeats(AMD64), repeats(ARM64)
        outcome = judge(entry(), Evidence((("", sides[1][0], sides[0][0]),), sides))

        assert outcome.verdict is Verdict.NONDETERMINISTIC
        assert found(outcome)["x"] is Verdict.NONDETERMINISTIC
        assert Verdict.IDENTICAL not in {found(outcome)["x"], outcome.verdict}
        (x,) = [each for each in outcome.differences if each.item == "x"]
        assert str(unsteady) in x.note

    def test_nor_does_one_that_differs(self, runs: Runs) -> None:
        expected = runs({"x": 1, "y": 1}), runs({"x": 5, "y": 1})
        actual = runs({"x": 3, "y": 2}, ARM64), runs({"x": 3, "y": 2}, ARM64)

        outcome = judge(entry(), Evidence((("", actual[0], expected[0]),), (expected, actual)))

        assert found(outcome) == {"x": Verdict.NONDETERMINISTIC, "y": Verdict.DRIFT}
        assert outcome.verdict is Verdict.NONDETERMINISTIC

    def test_nan_in_every_repeat_is_no_disagreement_of_repeats(self, runs: Runs) -> None:
        """It is one of platforms, where a rule says that NaN never equals NaN."""
        nan = {"x": float("nan")}
        rules = entry(Tolerance(equal_nan=False))

        repeats = judge_repeats(rules, Evidence(repeats=((runs(nan), runs(nan)),)))
        assert repeats.verdict is Verdict.IDENTICAL
        assert judge(rules, Evidence((("", runs(nan, ARM64), runs(nan)),))).verdict is Verdict.DRIFT

    def test_what_a_run_printed_is_held_against_its_repeats_where_a_rule_says_so(
        self, runs: Runs
    ) -> None:
        rules = Entrypoint("train", rules=(Rule("stdout", None, Tolerance(exact=True)),))

        outcome = judge_repeats(rules, Evidence(repeats=((runs({"x": 1}), runs({"x": 2})),)))

        assert {each.output for each in outcome.differences} == {"m.json", "stdout"}

    def test_items_without_equivalence_are_shown_for_their_worst_seed(self, runs: Runs) -> None:
        pairs = tuple(
            (seed, runs({"x": 1.0 + error}, ARM64), runs({"x": 1.0}))
            for seed, error in (("a", 0.0), ("b", 0.25), ("c", 0.125))
        )

        (x,) = judge(entry(), Evidence(pairs)).differences

        assert (x.verdict, x.max_abs, x.note) == (Verdict.DRIFT, 0.25, "seed b")

    def test_a_metric_is_judged_over_the_seeds_and_other_items_for_each(self, runs: Runs) -> None:
        pairs = tuple(
            (seed, runs({"auc": auc + gain, "n": 4}, ARM64), runs({"auc": auc, "n": 4}))
            for seed, auc, gain in (("a", 0.9, 0.001), ("b", 0.8, 0.0), ("c", 0.7, -0.001))
        )
        rules = entry(Tolerance(equivalence=0.01), "auc")

        outcome = judge(rules, Evidence(pairs))

        assert outcome.verdict is Verdict.EQUIVALENT
        assert found(outcome) == {"auc": Verdict.EQUIVALENT}
        (auc,) = [each for each in outcome.differences if each.item == "auc"]
        assert "n = 3" in auc.note

    def test_values_count_where_both_platforms_wrote_the_same(self, runs: Runs) -> None:
        """NaN on both sides is the same file, and no mean."""
        pairs = tuple(
            (seed, runs({"auc": value}, ARM64), runs({"auc": value}))
            for seed, value in (("a", 0.9), ("b", float("nan")))
        )

        outcome = judge(entry(Tolerance(equivalence=0.01), "auc"), Evidence(pairs))

        assert outcome.verdict is Verdict.DRIFT

    def test_a_metric_that_is_missing_for_one_seed_on_one_side_is_drift(self, runs: Runs) -> None:
        sides = [({"auc": 0.9}, {"auc": 0.9}), ({"auc": 0.9}, {"auc": 0.9}), ({}, {"auc": 0.9})]
        pairs = tuple(
            (str(number), runs(mine, ARM64), runs(theirs))
            for number, (mine, theirs) in enumerate(sides)
        )

        outcome = judge(entry(Tolerance(equivalence=0.01), "auc"), Evidence(pairs))

        (auc,) = outcome.differences
        assert auc.verdict is Verdict.DRIFT
        assert "missing in the actual run" in auc.note

    def test_repeats_of_a_metric_have_to_be_within_its_margin(self, runs: Runs) -> None:
        rules = entry(Tolerance(equivalence=0.01), "auc")

        near = Evidence(repeats=((runs({"auc": 0.9}), runs({"auc": 0.905})),))
        far = Evidence(repeats=((runs({"auc": 0.9}), runs({"auc": 0.92})),))

        assert judge_repeats(rules, near).verdict is Verdict.EQUIVALENT
        assert judge_repeats(rules, far).verdict is Verdict.NONDETERMINISTIC


def test_random_results_are_told_from_drift(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(TWO, train=RANDOM)

    result = project.run("--container-repeat=3")

    result.assert_outcomes(passed=3, failed=3)
    text = failure_of(result, "train::repeats[linux/amd64]")
    assert "repeats of one target disagree" in text
    assert "outputs/metrics.json:loss" in text
    assert "3 runs on linux/amd64 wrote 3 different results" in text
    result.stdout.fnmatch_lines(["train  host vs linux/amd64 * nondeterministic *"])


def test_steady_results_have_no_noise_and_every_run_is_made(
    project: MakeProject, leaves_nothing: None
) -> None:
    root = project.write("repeat = 2\n" + TWO, train=STEADY)

    result = project.run("--container-report=report")

    result.assert_outcomes(passed=6)
    report = json.loads((root / "report" / "report.json").read_text())
    assert report["runs"] == 4
    assert {each["noise"] for got in report["results"] for each in got["differences"]} == {0}


def test_one_platform_alone_can_be_checked(project: MakeProject, leaves_nothing: None) -> None:
    project.write(ONE, train=RANDOM)

    result = project.run("--container-repeat=2", "-k", "repeats")

    result.assert_outcomes(failed=1)


def test_workers_make_each_repeat_once(project: MakeProject, leaves_nothing: None) -> None:
    root = project.write('platforms = ["host"]\n' + TWO.partition("\n")[2], train=NOISY)

    result = project.pytester.runpytest_subprocess(
        "--container", "-n", "2", "--container-repeat=3", "--container-report=report"
    )

    result.assert_outcomes(passed=2)
    report = json.loads((root / "report" / "report.json").read_text())
    assert report["runs"] == 3
    (got,) = report["results"]
    assert got["verdict"] == "equivalent"
    assert 0 < got["differences"][0]["noise"] < 1e-9


def test_repeats_of_what_is_not_compared_are_said_to_show_nothing(project: MakeProject) -> None:
    project.write(
        'platforms = ["host"]\n[tool.mlcontainer.entrypoints.train]\n'
        'command = ["python", "train.py"]\n'
    )

    result = project.run("--container-repeat=2")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["note: train: nothing of it is compared, as it declares no *"])


def test_repeats_of_what_is_printed_are_compared(
    project: MakeProject, failure_of: FailureOf
) -> None:
    project.write(
        'platforms = ["host"]\n[tool.mlcontainer.entrypoints.train]\n'
        'command = ["python", "train.py"]\ncompare = { stdout = {} }\n',
        train="import random\nprint(random.random())\n",
    )

    result = project.run("--container-repeat=2")

    assert "stdout" in failure_of(result, "train::repeats[host]")


def test_the_command_to_repeat_says_how_often(project: MakeProject) -> None:
    project.write('platforms = ["host"]\n' + ONE, train=RANDOM)

    result = project.run("--container-repeat=2")

    result.stdout.fnmatch_lines(["*--container-repeat=2 *train::repeats[[]host]*"])


def test_metrics_within_the_margin_pass_however_far_apart_seeds_are(
    project: MakeProject, leaves_nothing: None
) -> None:
    root = project.write(SEEDS, train=SEEDED % "0.001")

    result = project.run("--container-report=report")

    result.assert_outcomes(passed=4)
    report = json.loads((root / "report" / "report.json").read_text())
    assert report["runs"] == 10
    (got,) = report["results"]
    (accuracy,) = [each for each in got["differences"] if each["item"] == "accuracy"]
    assert accuracy["verdict"] == "equivalent"
    assert "n = 5" in accuracy["note"]


def test_metrics_beyond_the_margin_fail_and_say_by_how_much(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(SEEDS, train=SEEDED % "0.02")

    result = project.run()

    result.assert_outcomes(passed=3, failed=1)
    text = failure_of(result, "train::agrees[host vs linux/amd64]")
    assert "mean difference +0.02" in text
    assert "the means differ by more than 0.01" in text


def test_a_seed_that_fails_is_named(project: MakeProject, failure_of: FailureOf) -> None:
    fails = 'import os\nif os.environ["SEED"] == "3": raise SystemExit("diverged")\n'
    project.write(SEEDS, train=fails + SEEDED % "0.001")

    result = project.run()

    result.assert_outcomes(passed=3, failed=1)
    text = failure_of(result, "train::agrees[host vs linux/amd64]")
    assert "(with SEED=3, on " in text
    assert "diverged" in text


DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "statistics.md"


def blocks(language: str) -> list[str]:
    text = DOCS.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_what_the_docs_show_can_be_copied() -> None:
    configurations, programs = blocks("toml"), blocks("python")

    assert len(configurations) == 3
    for block in configurations:
        table = tomllib.loads(block)["tool"]["mlcontainer"]
        config.parse_settings(table, Path("/project/pyproject.toml"), "x86_64", "bikes")
    assert len(programs) == 1
    exec(programs[0], {})


def test_the_power_in_the_docs_is_computed() -> None:
    _, table = DOCS.read_text(encoding="utf-8").split("| s / margin | ")
    head, _rule, *rows = table.split("\n\n")[0].splitlines()
    seeds = [int(cell.split()[0]) for cell in head.split("|")[:-2]]

    assert len(rows) == 7
    for row in rows:
        deviation, *powers, needed = (cell.strip() for cell in row.strip("|").split("|"))
        computed = [f"{100 * power_of(n, float(deviation), 0, 1):.0f} %" for n in seeds]
        assert powers == computed
        assert int(needed) == seeds_needed(float(deviation), 0, 1)


def test_the_docs_name_every_variation() -> None:
    text = DOCS.read_text(encoding="utf-8")

    for platform in (AMD64, ARM64):
        for variation in harmless(platform):
            name = "blas-kernel=…" if variation.name == "blas-kernel" else str(variation)
            assert f"`{name}`" in text
            assert all(f"`{key}" in text for key, _value in variation.knobs.env)
    assert f"N = {len(harmless(AMD64)) + 1} runs" in text
