"""Runs that go wrong in a container: what is said, what is kept, and that nothing stays behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

TRAIN_TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""

INFER_TABLE = """
[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["predictions.json"]
"""

SCRIPTS_DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY *.py *.txt ./
RUN printf 'echo hello\\n' > noexec.sh \\
 && printf 'echo hello\\n' > noshebang && chmod +x noshebang \\
 && printf '#!/nowhere/bash\\necho hello\\n' > nointerpreter && chmod +x nointerpreter
"""


def test_a_run_that_fails_shows_its_last_words_and_no_wall(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    project.write(
        train="""\
import sys
for number in range(1000):
    print(f"step {number}", file=sys.stderr)
sys.exit("ValueError: the learning rate is négative")
"""
    )
    result = project.run("-k", "train")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "train[")
    assert f"train on {native} exited with code 1" in said
    assert "outputs written: none" in said
    assert "missing: outputs/*; in /app there is: train.py" in said
    assert "step 999" in said
    assert "step 900" not in said
    assert "ValueError: the learning rate is négative" in said
    assert "the program's own words are above" in said
    assert "exit-codes" not in said
    assert len(said.splitlines()) <= 30


def test_a_command_that_cannot_be_started_is_told_apart_by_its_reason(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    names = ("trian", "/app/noexec.sh", "/app/noshebang", "/app/nointerpreter", "/app")
    tables = "".join(
        f'[tool.mlcontainer.entrypoints.e{number}]\ncommand = ["{name}", "--fast"]\n'
        for number, name in enumerate(names)
    )
    project.write(tables, dockerfile=SCRIPTS_DOCKERFILE, notes__txt="")
    result = project.run("-k", "not image")
    result.assert_outcomes(failed=5)
    misspelt, no_bit, no_shebang, no_interpreter, folder = (
        failure_of(result, f"e{number}[") for number in range(5)
    )
    assert "the command was not found in the image" in misspelt
    assert "'trian'" in misspelt
    assert "check its spelling and PATH inside the image" in misspelt
    assert "the command cannot be executed: '/app/noexec.sh': permission denied" in no_bit
    assert "COPY --chmod=755" in no_bit
    assert "the command cannot be executed: '/app/noshebang': exec format error" in no_shebang
    assert "#!/bin/sh" in no_shebang
    assert "emulation" not in no_shebang
    assert "the script's interpreter is not in the image: /app/nointerpreter" in no_interpreter
    assert "in its first line" in no_interpreter
    assert "the command cannot be executed: '/app'" in folder


def test_an_entrypoint_without_any_command_says_where_to_declare_one(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        "[tool.mlcontainer.entrypoints.train]\noutputs = ['m.json']\n",
        dockerfile="FROM scratch\nCOPY train.py /\n",
    )
    said = failure_of(project.run("-k", "train"), "train[")
    assert "there is no command to run" in said
    assert 'command = ["python", "train.py"]' in said


def test_success_without_the_declared_model_shows_what_is_there_instead(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/model.npz", "outputs/log.txt", "models/best/*.onnx", "plots/*"]
""",
        train="""\
import os
os.makedirs("outputs/checkpoints")
os.makedirs("plots")
open("outputs/log.txt", "w").close()
open("outputs/checkpoints/step_500.npz", "w").close()
print("500 steps done, next checkpoint at 501")
""",
    )
    result = project.run("-k", "train")
    said = failure_of(result, "train[")
    assert f"train on {native} exited with code 0 but did not write what it declares" in said
    assert "missing: outputs/model.npz; in /app/outputs there is: checkpoints/, " in said
    assert "log.txt" in said
    assert "missing: models/best/*.onnx; in /app there is: " in said
    assert "missing: plots/*; in /app/plots there is: nothing" in said
    assert "500 steps done, next checkpoint at 501" in said
    assert "working directory /app" in said


def test_outputs_written_before_a_failure_are_reported_beside_the_exit_code(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        train="""\
import os, sys
os.makedirs("outputs")
open("outputs/model.bin", "w").write("weights")
sys.exit("cannot show the desktop notification")
"""
    )
    said = failure_of(project.run("-k", "train"), "train[")
    assert "exited with code 1" in said
    assert "outputs written all the same: outputs/model.bin" in said
    assert "missing" not in said
    assert "cannot show the desktop notification" in said
    assert "exit-codes = [0, 1] in [tool.mlcontainer.entrypoints.train]" in said


def test_a_declared_exit_code_counts_as_success(project: MakeProject, leaves_nothing: None) -> None:
    project.write(
        TRAIN_TABLE + "exit-codes = [0, 3]\n",
        train="import os; os.mkdir('outputs'); open('outputs/m', 'w').close(); os._exit(3)\n",
    )
    project.run().assert_outcomes(passed=2)


def test_past_its_timeout_a_run_is_called_hanging_or_working_and_its_outputs_are_kept(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    # A shell, because it uses next to no CPU as it starts, however busy the machine is.
    begins = "trap 'exit 1' TERM; mkdir outputs; echo 1 > outputs/part.bin;"
    project.write(
        f"""
timeout = 3
[tool.mlcontainer.entrypoints.sleeping]
command = ["sh", "-c", "{begins} echo waiting for a lock; sleep 600 & wait"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.spinning]
command = ["sh", "-c", "{begins} echo epoch 1 of 9000; while :; do :; done"]
outputs = ["outputs/*"]
"""
    )
    result = project.run("-k", "not image")
    result.assert_outcomes(failed=2)
    sleeping, spinning = (failure_of(result, name) for name in ("sleeping[", "spinning["))
    assert f"sleeping on {native} ran past its timeout and was killed" in sleeping
    assert "3 s of wall clock" in sleeping
    assert "it waits rather than computes" in sleeping
    assert "outputs written all the same: outputs/part.bin" in sleeping
    assert "waiting for a lock" in sleeping
    log = re.search(r"last lines of stdout \((/.+)\):", sleeping)
    assert log is not None
    assert Path(log[1]).read_text() == "waiting for a lock\n"
    assert "find out what it waits for" in sleeping
    assert 'network = "none"' in sleeping
    assert "emulat" not in sleeping
    assert "it had used" in spinning
    assert "s of CPU and was working" in spinning
    assert "raise `timeout` in [tool.mlcontainer.entrypoints.spinning]" in spinning
    assert "epoch 1 of 9000" in spinning


def test_a_default_that_never_ends_and_ignores_sigterm_is_killed_all_the_same(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        TRAIN_TABLE + "timeout = 2\n",
        train="import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(900)\n",
    )
    result = project.run("-k", "train")
    assert "ran past its timeout and was killed" in failure_of(result, "train[")
    assert result.duration < 30


def test_what_needs_a_failed_run_says_so_and_does_not_repeat_its_wall(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    project.write(
        TRAIN_TABLE + INFER_TABLE,
        train="raise SystemExit('the data has no column called target')\n",
        infer__py="print('never')\n",
    )
    result = project.run()
    result.assert_outcomes(passed=1, failed=2)
    assert result.stdout.str().count("the data has no column called target") == 1
    infer = failure_of(result, "infer[")
    assert "not run" in infer
    assert f"train on {native} exited with code 1" in infer
    assert f"pyproject.toml::train[{native}]" in infer
    assert len(infer.splitlines()) <= 3


def test_an_input_that_does_not_exist_is_named_before_anything_runs(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(TRAIN_TABLE + 'inputs = { "data/raw" = "/data" }\n')
    said = failure_of(project.run("-k", "train"), "train[")
    assert "an input of train does not exist: 'data/raw'" in said
    assert str(project.root) in said
    assert "relative to the pyproject.toml that declares them" in said


def test_a_gpu_that_the_engine_has_not_is_an_error_and_no_silent_run_on_the_cpu(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write()
    result = project.run("--container-gpus=all")
    result.assert_outcomes(passed=1, failed=1)
    said = failure_of(result, "train[")
    assert "the engine has no GPU to give: --gpus all: could not select device driver" in said
    assert "NVIDIA Container Toolkit" in said
    assert "or run without --gpus" in said


def test_memory_that_runs_out_is_named_and_not_only_a_killed_process(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        TRAIN_TABLE + 'memory = "64m"\n',
        train="blocks = [bytearray(b'x') * (1 << 24) for _ in range(200)]\n",
    )
    said = failure_of(project.run("-k", "train"), "train[")
    assert "exited with code 137 (it ran out of memory)" in said
    assert "raise `memory` (64 MiB now) in [tool.mlcontainer.entrypoints.train]" in said


@pytest.mark.parametrize(
    ("signal", "code", "reason"),
    [
        (11, 139, "a segmentation fault"),
        (4, 132, "an instruction that this CPU does not have"),
        (9, 137, "it was killed"),
    ],
)
def test_a_run_that_a_signal_ends_is_explained_by_the_signal(
    project: MakeProject,
    failure_of: FailureOf,
    leaves_nothing: None,
    signal: int,
    code: int,
    reason: str,
    native: str,
) -> None:
    # A process with id 1 is immune to signals it sends to itself, so a child of a shell does it.
    project.write(
        f"""
[tool.mlcontainer.entrypoints.train]
command = ["sh", "-c", "python -c 'import os; os.kill(os.getpid(), {signal})'; exit $?"]
"""
    )
    said = failure_of(project.run("-k", "train"), "train[")
    assert f"train on {native} exited with code {code} ({reason})" in said
    assert "emulat" not in said


def test_outputs_that_cannot_be_read_fail_their_comparison_and_not_the_others(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    # A run on this machine is the other side: it takes a quarter of a second.
    project.write(
        f'platforms = ["{native}", "host"]\n' + TRAIN_TABLE,
        train="""\
import json, os
os.mkdir("outputs")
in_container = os.getcwd() == "/app"
with open("outputs/weights.npz", "wb") as file:
    file.write(b"PK\\x03\\x04 cut short" if in_container else b"no zip at all")
with open("outputs/metrics.json", "w") as file:
    file.write('{"accuracy": 0.9' if in_container else '{"accuracy": 0.9}')
with open("outputs/good.json", "w") as file:
    file.write('{"loss": 0.25}')
""",
    )
    result = project.run()
    result.assert_outcomes(passed=3, failed=1)
    said = failure_of(result, "train::agrees[")
    assert "train on host cannot be compared with" in said
    assert "reference: outputs/metrics.json is broken JSON" in said
    assert "the file ends at line 1, column 17" in said
    assert "outputs/weights.npz cannot be read as npz" in said
    assert "identical: outputs/good.json" in said
