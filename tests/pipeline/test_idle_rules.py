"""Rules that match nothing, in whole sessions: where they fail a test, and where they must not."""

from __future__ import annotations

import pytest

from tests.sample_project import MakeProject

ENTRY = """
platforms = ["host"]
{top}
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
repeat = 2
{entry}
[tool.mlcontainer.entrypoints.train.compare]
{rules}
"""
OTHER = """
[tool.mlcontainer.entrypoints.other]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
"""
TRAIN = """
import os, time
os.makedirs("outputs", exist_ok=True)
open("outputs/metrics.json", "w").write('{"loss": 0.5, "time": %f}' % time.time())
"""
TIME = '"metrics.json:time" = { ignore = true }'


def config(rules: str, *, top: str = "", entry: str = "") -> str:
    return ENTRY.format(rules=f"{rules}\n{TIME}", top=top, entry=entry)


@pytest.mark.parametrize(
    ("rules", "entry", "said"),
    [
        ('"outputs/metric.json" = { rtol = 1 }', "", "did you mean outputs/metrics.json?"),
        ('"outputs/metrics.json:los" = { rtol = 1 }', "", "did you mean loss?"),
        ('"*.log" = { ignore = true }', "", "outputs there: outputs/metrics.json"),
        ("", "names = { 'run-[0-9]+' = 'run' }", "outputs there: outputs/metrics.json"),
    ],
)
def test_a_rule_that_matches_nothing_fails_the_test(
    project: MakeProject, rules: str, entry: str, said: str
) -> None:
    """Whoever wrote it believes that something is held by it."""
    project.write(config(rules, entry=entry), dockerfile=None, train=TRAIN)

    result = project.run()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*matched nothing; {said}*"])
    result.stdout.no_fnmatch_line("*cannot be compared*")


def test_names_for_all_entrypoints_need_not_match_in_each(project: MakeProject) -> None:
    """They may be meant for another one."""
    project.write(
        config("", top="names = { 'run-[0-9]+' = 'run' }") + OTHER, dockerfile=None, train=TRAIN
    )
    project.run().assert_outcomes(passed=3)


def test_what_another_platform_may_write_can_be_ignored_on_this_one(project: MakeProject) -> None:
    """Here only one of the project's platforms is looked at."""
    text = config('"*.cuda.log" = { ignore = true }')
    text = text.replace('["host"]', '["host", "linux/amd64"]')
    project.write(text, dockerfile=None, train=TRAIN)
    project.run("--container-platform=host").assert_outcomes(passed=2)


def test_compare_outputs_takes_a_typo_for_one(project: MakeProject) -> None:
    """Rules that a test gives are for these very runs."""
    test = """
def test_it(run_entrypoint, compare_outputs):
    first, second = (run_entrypoint("train", repeat=number) for number in range(2))
    rules = {"*.json:time": {"ignore": True}}
    compare_outputs(first, second, rules=rules)
    compare_outputs(first, second, rules={**rules, "metrics.jsn": {"rtol": 1.0}})
"""
    project.write(config(""), dockerfile=None, train=TRAIN, test_it__py=test)
    result = project.run("test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*matched nothing; did you mean outputs/metrics.json?*"])
