"""Which platforms run, and whose outputs they get."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.sample_project import MakeProject

TRAIN_TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
"""
WRITES_PLACE = """
import os
os.makedirs("outputs", exist_ok=True)
open("outputs/place", "w").write("container" if os.getcwd() == "/app" else "host")
"""
INFER_TABLE = """
[tool.mlcontainer.entrypoints.infer]
command = ["python3", "infer.py"]
needs = ["train"]
needs-from = "{whose}"
outputs = ["seen"]
"""


def test_emulated_platforms_are_skipped_where_the_configuration_says_so(
    project: MakeProject, foreign: str, leaves_nothing: None
) -> None:
    project.write(f'platforms = ["native", "{foreign}"]\nemulation = "skip"\n' + TRAIN_TABLE)

    result = project.run("-rs")

    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines([f"*{foreign} is only emulated on this engine*"])


def test_emulated_platforms_fail_where_the_configuration_says_so(
    project: MakeProject, foreign: str, leaves_nothing: None
) -> None:
    project.write(f'platforms = ["{foreign}"]\nemulation = "fail"\n' + TRAIN_TABLE)

    result = project.run()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            f"{foreign} is only emulated on this engine: *emulation = 'fail'*",
            f'*engines = {{ "{foreign}" = "ssh://user@machine" }}*',
        ]
    )


@pytest.mark.parametrize(("whose", "verdict"), [("reference", "identical"), ("same", "drift")])
def test_needs_are_the_references_or_the_same_platforms(
    project: MakeProject, native: str, whose: str, verdict: str, leaves_nothing: None
) -> None:
    tables = TRAIN_TABLE + INFER_TABLE.format(whose=whose)
    infer = "open('seen', 'w').write(open('outputs/place').read())"
    project.write(
        f'platforms = ["{native}", "host"]\n' + tables, train=WRITES_PLACE, infer__py=infer
    )

    result = project.run("-k", "infer")

    # What the trainings wrote differs; whether inference sees that is what is configured.
    result.stdout.fnmatch_lines([f"infer*host vs {native}*{verdict}*"])


def test_the_host_s_facts_are_seen_with_the_entrypoint_s_environment(project: MakeProject) -> None:
    """As in a container; else a report lays drift to a variable that was the same everywhere."""
    root = project.write(
        'platforms = "host"\n'
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
        'outputs = ["outputs/*"]\nenv = { OMP_NUM_THREADS = "3" }\n'
        '[tool.mlcontainer.entrypoints.plain]\ncommand = ["python", "train.py"]\n'
        'outputs = ["outputs/*"]\n',
        train="import os\nos.makedirs('outputs', exist_ok=True)\nopen('outputs/x', 'w')",
    )

    project.run("--container-records=records").assert_outcomes(passed=2)

    def facts(name: str) -> dict[str, Any]:
        record = root / "records" / name / "host" / "record.json"
        found: dict[str, Any] = json.loads(record.read_text())["facts"]
        return found

    assert facts("train")["env.OMP_NUM_THREADS"] == "3"
    assert facts("plain").get("env.OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS")
