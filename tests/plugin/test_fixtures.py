"""The fixtures, in test suites that use them."""

from __future__ import annotations

import re

from tests.sample_project import MakeProject

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


def test_fixtures_do_what_they_say(project: MakeProject, leaves_nothing: None) -> None:
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


def test_fixtures_are_skipped_without_the_option(project: MakeProject) -> None:
    project.write(CONFIG, test_model__py=TESTS)

    result = project.pytester.runpytest_inprocess("test_model.py", "-rs")

    result.assert_outcomes(skipped=11)
    result.stdout.fnmatch_lines(["*needs --container*"])


def test_a_test_outside_any_project_is_told_so(project: MakeProject) -> None:
    project.write(test_model__py="def test_it(training_run): pass")
    (project.root / "pyproject.toml").write_text("")

    result = project.run("test_model.py")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no [[]tool.mlcontainer] table*", "*mlcontainer init*"])


def test_documented_fixture_examples_pass(project: MakeProject, leaves_nothing: None) -> None:
    import re
    from pathlib import Path

    docs = Path(__file__).resolve().parents[2] / "docs" / "reference" / "fixtures.md"
    examples = re.findall(r"^```python\n(.*?)^```", docs.read_text(), re.MULTILINE | re.DOTALL)
    train = "import os\n" + TRAIN.replace('"seed": os.environ.get("SEED"), ', "")
    project.write(CONFIG, train=train, infer__py=INFER, test_docs__py="\n\n".join(examples))

    result = project.run("test_docs.py")

    assert len(examples) == 5
    result.assert_outcomes(passed=5)


MISUSES = {
    # test → what is said: what failed, the value, the next step
    "run_entrypoint()": ("run_entrypoint was called with other", "name", 'run_entrypoint("train"'),
    'run_entrypoint("trian")': ("no entrypoint", "trian", "did you mean train?"),
    'run_entrypoint(["train"])': ("name has to be text", "['train'] (list)", "write run_entry"),
    'run_entrypoint("train", "host")': ("other arguments", "too many", "write run_entrypoint("),
    'run_entrypoint("train", platfrom="host")': (
        "takes no argument of this name", "platfrom='host'", "did you mean platform?",
    ),
    'run_entrypoint("train", platform=5)': ("platform has to be", "5 (int)", "linux/arm64"),
    'run_entrypoint("train", platform="linux")': ("platform", "linux", "→"),
    'run_entrypoint("train", env={"SEED": 7})': ("env has to be", "{'SEED': 7}", 'env={"SEED"'),
    'run_entrypoint("train", env=["SEED=7"])': ("env has to be", "['SEED=7'] (list)", "env={"),
    'run_entrypoint("train", timeout="1m")': ("timeout has to be", "'1m' (str)", "timeout=60"),
    'run_entrypoint("train", timeout=-1)': ("timeout has to be", "-1 (int)", "timeout=60"),
    'run_entrypoint("train", repeat=-1)': ("repeat has to be", "-1 (int)", "repeat=1"),
    'run_entrypoint("train", repeat="2")': ("repeat has to be", "'2' (str)", "repeat=1"),
    'run_entrypoint("train", vary=5)': ("vary has to be", "5 (int)", 'vary=["threads"]'),
    'run_entrypoint("train", vary=["thread"])': ("variation", "thread", "did you mean threads?"),
    'run_entrypoint("train", check="no")': ("check has to be", "'no' (str)", "check=False"),
    "run_entrypoint[0]": ("run_entrypoint cannot be used", "not subscriptable", "write run_entry"),
    "run_entrypoint.imag()": ("nothing of this name", "imag", "did you mean image?"),
    'run_entrypoint.image(plat="host")': ("no argument of this name", "plat='host'", "platform"),
    "project_image()": ("project_image, an image, cannot", "not callable", "read project_image."),
    "project_image.workdri": ("nothing of this name", "workdri", "did you mean workdir?"),
    "training_run()": ("a run cannot be used like this", "not callable", "read run.output("),
    'training_run["outputs/x"]': ("a run cannot be used", "not subscriptable", "read run.output("),
    "training_run.ouputs": ("nothing of this name", "ouputs", "did you mean outputs?"),
    "inference_run.std_out": ("nothing of this name", "std_out", "did you mean stdout?"),
    'training_run.output("outputs/metric.json")': (
        "wrote no output of this name", "outputs/metric.json", "did you mean outputs/metrics.json?",
    ),
    'platform_matrix("train")': ("platform_matrix cannot", "not callable", "platform_matrix.run("),
    'platform_matrix["host"]': ("platform_matrix cannot", "subscriptable", "platform_matrix.run("),
    "platform_matrix.run()": ("platform_matrix.run was called", "name", "platform_matrix.run("),
    "platform_matrix.run(5)": ("name has to be text", "5 (int)", "platform_matrix.run("),
    'platform_matrix.run(nam="train")': ("no argument", "nam='train'", "did you mean name?"),
    'platform_matrix.run("trani")': ("no entrypoint", "trani", "did you mean train?"),
    "platform_matrix.platform": ("nothing of this name", "platform", "did you mean platforms?"),
    "compare_outputs()": ("compare_outputs was called with other", "actual", "compare_outputs(run"),
    "compare_outputs(training_run)": ("the run to compare with is missing", "train", "(run, ref"),
    "compare_outputs([training_run, inference_run])": (
        "takes a run, and the run to compare it with", "list of Run", "compare_outputs(run, ref",
    ),
    'compare_outputs("a", "b")': ("the reference has to be a run", "'b' (str)", "compare_outputs("),
    "compare_outputs({})": ("takes runs by platform", "{} (dict)", "platform_matrix.run("),
    'compare_outputs({"host": "a"})': ("takes runs by platform", "dict of str", "platform_matrix"),
    'compare_outputs({"host": training_run})': ("no run of the reference", "host", "platform_mat"),
    "compare_outputs(training_run, training_run, rules=[])": (
        "rules have to be a mapping", "[] (list)", "→",
    ),
    'compare_outputs(training_run, training_run, rules={"a": 5})': ("rule", "5", "{ rtol = 5 }"),
    "compare_outputs(training_run, training_run, rule={})": (
        "no argument of this name", "rule={}", "did you mean rules?",
    ),
    "compare_outputs(training_run, training_run, check=0)": ("check has to", "0 (int)", "check=F"),
    "inference_server.uri": ("nothing of this name", "uri", "did you mean url?"),
    "inference_server()": ("inference_server cannot", "not callable", "inference_server.url"),
}  # fmt: skip


def test_misuse_of_every_fixture_is_an_error_in_three_parts(
    project: MakeProject, leaves_nothing: None
) -> None:
    """What failed, the value, and how it is meant; never a bare error from inside."""
    names = ("project_image", "run_entrypoint", "training_run", "inference_run", "platform_matrix",
             "compare_outputs", "inference_server")  # fmt: skip
    tests = [
        f"def test_{number}({', '.join(name for name in names if name in code)}):\n    {code}\n"
        for number, code in enumerate(MISUSES)
    ]
    project.write(CONFIG, train=TRAIN, infer__py=INFER, test_it__py="\n\n".join(tests))

    result = project.run("test_it.py", "--tb=short")

    result.assert_outcomes(failed=len(MISUSES))
    sections = re.split(r"^_{5,} test_(\d+) _{5,}$", result.stdout.str(), flags=re.MULTILINE)
    said = dict(zip(map(int, sections[1::2]), sections[2::2], strict=True))
    for number, (code, (what, value, step)) in enumerate(MISUSES.items()):
        text = said[number].partition("\n====")[0]
        assert f": {code}\n" in text, text
        assert "Traceback" not in text
        assert " in __call__" not in text, text
        first, rest = re.split(r"\n +→ ", text, maxsplit=1)
        assert what in first, (code, text)
        assert value in first, (code, text)
        assert step in rest or step == "→", (code, text)


def test_a_misuse_is_still_the_error_that_python_calls_it(project: MakeProject) -> None:
    """A test that expects it goes on."""
    test = """
import pytest
def test_it(compare_outputs, run_entrypoint):
    with pytest.raises(TypeError):
        compare_outputs([1, 2])
    with pytest.raises(TypeError):
        run_entrypoint("train", platfrom="host")
    with pytest.raises(AttributeError):
        run_entrypoint.nothing
"""
    project.write(CONFIG, train=TRAIN, infer__py=INFER, test_it__py=test)
    project.run("test_it.py").assert_outcomes(passed=1)
