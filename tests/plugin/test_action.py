"""The composite GitHub Action: its steps, executed as a runner would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sample_project import MakeProject

ACTION = Path(__file__).parents[2] / "action.yml"


class ActionRunner:
    """Executes the scripts of the action's steps; `temp` is the runner's own folder."""

    def __init__(self, temp: Path) -> None:
        self.temp = temp
        action: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        self._steps = {step["name"]: step for step in action["runs"]["steps"] if "name" in step}
        self._defaults = {name: str(each["default"]) for name, each in action["inputs"].items()}

    def run(self, name: str, cwd: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the step of this name with these inputs."""
        env = dict(os.environ)
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        env["GITHUB_STEP_SUMMARY"] = str(self.temp / "summary.md")
        for variable, text in self._steps[name]["env"].items():
            value = str(text).replace("${{ runner.temp }}", str(self.temp))
            for key, each in {**self._defaults, **inputs}.items():
                value = value.replace(f"${{{{ inputs.{key} }}}}", each)
            assert "${{" not in value
            env[variable] = value
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
        script = self._steps[name]["run"]
        return subprocess.run(
            [*shell, script], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )


@pytest.fixture
def runner(tmp_path_factory: pytest.TempPathFactory) -> ActionRunner:
    return ActionRunner(tmp_path_factory.mktemp("runner"))


def test_records_of_two_machines_are_held_against_each_other(
    project: MakeProject, runner: ActionRunner, leaves_nothing: None
) -> None:
    temp = runner.temp
    for machine, accuracy in (("Linux-ARM64", "0.9"), ("Linux-X64", "0.9"), ("other", "0.8")):
        train = (
            "import json, os\n"
            'os.makedirs("outputs", exist_ok=True)\n'
            f'json.dump({{"accuracy": {accuracy}}}, open("outputs/metrics.json", "w"))\n'
        )
        root = project.write(train=train)
        ran = runner.run("run", root, arguments="-p no:randomly -q")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        kept = temp / "mlcontainer-machines" / f"mlcontainer-{machine}"
        kept.parent.mkdir(exist_ok=True)
        shutil.move(temp / "mlcontainer-records", kept)
    compared = runner.run("compare", project.root, mode="compare")

    assert compared.returncode == 1, compared.stdout + compared.stderr
    agreeing, drifting = compared.stdout.split("mlcontainer-Linux-ARM64 against mlcontainer-other")
    assert "mlcontainer-Linux-ARM64 against mlcontainer-Linux-X64" in agreeing
    assert "drift" not in agreeing
    assert "accuracy" in drifting
    summary = (temp / "summary.md").read_text()
    assert "accuracy" in summary
    assert (temp / "mlcontainer-reports" / "mlcontainer-other" / "report.json").exists()


def test_one_machine_alone_cannot_be_compared(runner: ActionRunner, tmp_path: Path) -> None:
    temp = runner.temp
    (temp / "mlcontainer-machines" / "mlcontainer-Linux-X64").mkdir(parents=True)
    compared = runner.run("compare", tmp_path, mode="compare")
    assert compared.returncode == 2
    assert "::error::there are records of 1 machine(s): two are needed" in compared.stdout


def test_a_mode_that_there_is_not_ends_before_anything_is_installed(
    runner: ActionRunner, tmp_path: Path
) -> None:
    ended = runner.run("install", tmp_path, mode="comparison", package="no-such-package-anywhere")
    assert ended.returncode == 2
    assert "::error::mode is 'comparison': it is run or compare" in ended.stdout
