"""The fixtures, in test suites that use them."""

from __future__ import annotations

from typing import Any

CONFIG = """
platforms = ["linux/amd64", "host"]
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.infer]
command = ["python3", "infer.py"]
needs = ["train"]
outputs = ["result.txt"]
[tool.mlcontainer.entrypoints.web]
command = ["python3", "-m", "http.server", "8000"]
port = 8000
"""
TRAIN = """
import json, os, sys
os.makedirs("outputs", exist_ok=True)
print("seed", os.environ.get("SEED"))
if os.environ.get("FAIL"): sys.exit(3)
json.dump({"seed": os.environ.get("SEED"), "loss": 0.5}, open("outputs/metrics.json", "w"))
"""
INFER = "open('result.txt', 'w').write(open('outputs/metrics.json').read())"

TESTS = """
import json
from urllib.request import urlopen

import pytest


def test_image(project_image):
    assert str(project_image.platform) == "linux/amd64"
    assert project_image.workdir == "/app"


def test_training(training_run):
    assert json.loads(training_run.output("outputs/metrics.json").read_text())["loss"] == 0.5
    assert training_run.exit_code == 0
    assert training_run.facts.get("machine") == "x86_64"


def test_inference_gets_what_training_wrote(inference_run, training_run):
    trained = training_run.output("outputs/metrics.json").read_text()
    assert inference_run.output("result.txt").read_text() == trained


def test_environment_of_one_run(run_entrypoint, training_run):
    run = run_entrypoint("train", env={"SEED": "7"})
    assert run.stdout.read_text() == "seed 7\\n"
    assert run.id != training_run.id
    assert run_entrypoint("train", env={"SEED": "7"}).id == run.id
    assert run_entrypoint("train", env={"SEED": "7"}, repeat=1).id != run.id


def test_failed_run_can_be_looked_at(run_entrypoint):
    run = run_entrypoint("train", env={"FAIL": "1"}, check=False)
    assert run.exit_code == 3
    assert "exited with code 3" in run.failure.what


def test_failed_run_fails_the_test(run_entrypoint):
    run_entrypoint("train", env={"FAIL": "1"})


def test_matrix(platform_matrix, compare_outputs):
    assert [str(platform) for platform in platform_matrix] == ["linux/amd64", "host"]
    (outcome,) = compare_outputs(platform_matrix.run("train"))
    assert outcome.verdict.value == "identical"


def test_drift_fails(run_entrypoint, training_run, compare_outputs):
    compare_outputs(run_entrypoint("train", env={"SEED": "7"}), training_run)


def test_drift_can_be_looked_at(run_entrypoint, training_run, compare_outputs):
    other = run_entrypoint("train", env={"SEED": "7"})
    (outcome,) = compare_outputs(other, training_run, check=False)
    assert [each.item for each in outcome.differences if not each.verdict.passes] == ["seed"]
    compare_outputs(other, training_run, rules={"**:seed": {"ignore": True}})


def test_unknown_entrypoint(run_entrypoint):
    run_entrypoint("trian")


def test_server(inference_server):
    with urlopen(inference_server.url + "/") as answer:
        assert b"train.py" in answer.read()
"""


def test_fixtures_do_what_they_say(project: Any, leaves_nothing: None) -> None:
    project.write(CONFIG, train=TRAIN, infer__py=INFER, test_model__py=TESTS)

    result = project.run("test_model.py", "-v")

    result.assert_outcomes(passed=8, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "*test_failed_run_fails_the_test FAILED*",
            "*test_drift_fails FAILED*",
            "*test_unknown_entrypoint FAILED*",
            "*train on linux/amd64 exited with code 3*",
            "*train on linux/amd64 drifts from linux/amd64*",
            'test_model.py:*: run_entrypoint("trian")',
            "*did you mean train?*",
        ]
    )


def test_fixtures_are_skipped_without_the_option(project: Any) -> None:
    project.write(CONFIG, test_model__py=TESTS)

    result = project.pytester.runpytest_inprocess("test_model.py", "-rs")

    result.assert_outcomes(skipped=11)
    result.stdout.fnmatch_lines(["*needs --container*"])


def test_a_test_outside_any_project_is_told_so(project: Any) -> None:
    project.write(test_model__py="def test_it(training_run): pass")
    (project.root / "pyproject.toml").write_text("")

    result = project.run("test_model.py")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no [[]tool.mlcontainer] table*", "*mlcontainer init*"])


def test_documented_fixture_examples_pass(project: Any, leaves_nothing: None) -> None:
    import re
    from pathlib import Path

    docs = Path(__file__).resolve().parent.parent / "docs" / "fixtures.md"
    examples = re.findall(r"^```python\n(.*?)^```", docs.read_text(), re.MULTILINE | re.DOTALL)
    train = "import os\n" + TRAIN.replace('"seed": os.environ.get("SEED"), ', "")
    project.write(CONFIG, train=train, infer__py=INFER, test_docs__py="\n\n".join(examples))

    result = project.run("test_docs.py")

    assert len(examples) == 5
    result.assert_outcomes(passed=5)
