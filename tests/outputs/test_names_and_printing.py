"""A project whose outputs are called after the run, and that prints its predictions."""

from __future__ import annotations

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

TABLES = """
names = {{ 'run-[0-9a-f]{{32}}' = "run-ID" }}

[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["runs/**", "stdout"]

[tool.mlcontainer.entrypoints.train.compare]
"runs/*/weights.json" = {{ rtol = 1e-3 }}
stdout = {{ ignore = [{patterns}] }}
"""
TRAIN = """
import json, os, time, uuid
folder = f"runs/run-{uuid.uuid4().hex}"
os.makedirs(folder)
noise = 1e-6 if os.getcwd() == "/app" else 0
json.dump({"w": [1.0 + noise, 2.0]}, open(folder + "/weights.json", "w"))
print("größte Klasse: 3, after", time.monotonic(), "s")
"""


def test_names_and_times_of_a_run_are_no_drift(
    project: MakeProject, native: str, leaves_nothing: None
) -> None:
    """The folder's id is renamed, what was printed is compared without its times."""
    config = f'platforms = ["{native}", "host"]\n' + TABLES.format(patterns='"duration"')
    project.write(config, train=TRAIN)

    result = project.run()

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"train*host vs {native}*equivalent*"])


def test_what_was_printed_is_compared(
    project: MakeProject, native: str, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """Without a pattern for them the times count, and the line is shown."""
    config = f'platforms = ["{native}", "host"]\n' + TABLES.format(patterns='"uuid"')
    project.write(config, train=TRAIN)

    result = project.run()

    result.assert_outcomes(passed=3, failed=1)
    failure = failure_of(result, "train::agrees")
    assert "stdout" in failure
    assert "größte Klasse" in failure
    assert "within tolerance: 1 item" in failure
