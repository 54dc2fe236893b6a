"""What is said to people whose run failed, against what programs really print when they fail.

`data/failed_runs.jsonl` holds the last lines of failed runs as they stand in public issue trackers,
with every name replaced, and the kind of remedy that is right for each; "none" where only the
program's author can know more.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.model import HOST, Entrypoint, Facts, Limits, Platform, Run, Target
from pytest_mlcontainer.model.results import Failure
from pytest_mlcontainer.runs.failures import Ending, explain, explain_unstarted

RUNS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "failed_runs.jsonl").read_text().splitlines()
]
# What the right remedy has to say, by kind; `{}` stands for what follows the kind's colon.
KINDS = {
    "network": r'network = "bridge"',
    "unreachable": r"declare it as inputs",
    "service": r"start that service",
    "tls": r"CA of its own",
    "auth": r"secrets = ",
    "rate": r"fetch it once",
    "capability": r'capabilities = \[.*"{}"',
    "writable": r'writable = \["(/app/)?outputs(/\w+)*"\]',
    "inputs": r"inputs = ",
    "read-only": r"inputs are read-only",
    "memory": r"`?memory",
    "shm": r"shm-size",
    "gpus": r"gpus = |CUDA build",
    "gpu-memory": r"smaller batch",
    "driver": r"driver|compute capability",
    "library": r"{}",
    "cuda-library": r"CUDA libraries",
    "cuda-compiler": r"-devel-",
    "libc": r"glibc|newer base image",
    "architecture": r"platform|architecture",
    "instructions": r"baseline",
    "crash": r"native",
    "module": r"install it in the image|PYTHONPATH|setuptools",
    "python": r"Python",
    "python-home": r"PYTHONHOME",
    "conda": r'"conda", "run"',
    "abi": r"versions that fit|lock file",
    "versions": r"version that wrote the file",
    "main-pickle": r"module that both programs import",
    "weights-only": r"weights_only=False",
    "lfs": r"git lfs pull",
    "damaged": r"fetch it again",
    "interpreter": r"interpreter|line ends|lines end|first line",
    "executable": r"executable bit",
    "program": r"install it in the Dockerfile",
    "json": r"double quotes",
    "port": r"same port",
    "env": r"env = ",
    "user": r"HOME = ",
    "passwd": r"useradd --uid",
    "cache": r"_CACHE_DIR|MPLCONFIGDIR",
    "disk": r"docker system df",
    "processes": r"processes",
    "descriptors": r"fewer workers",
    "tls-block": r"LD_PRELOAD",
    "display": r"MPLBACKEND",
    "terminal": r"arguments or variables",
    "encoding": r"PYTHONUTF8",
    "tzdata": r"tzdata",
    "locale": r"C\.UTF-8",
    "git": r"GIT_COMMIT",
    "arguments": r"correct `command`",
}
LINUX = Platform("linux", "amd64")
_NOTHING_KNOWN = re.compile(
    r"the program's own words are above(; if this code is a success for it, declare .*)?"
)


def remedy_for(run: dict[str, Any], platform: Platform = LINUX) -> str:
    """The remedy for a run with these last words."""
    return failure_of(run, platform).remedy


def failure_of(run: dict[str, Any], platform: Platform) -> Failure:
    """What is said of a run with these last words."""
    limits = Limits(network=run.get("network", "none"), gpus=run.get("gpus"))
    entry = Entrypoint(
        name="train",
        command=("python", "train.py"),
        outputs=("outputs/*",),
        inputs=(("data", "/data"),),
        limits=limits,
    )
    target = Target(platform, emulated=run.get("emulated", False), gpus=run.get("gpus"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "out").touch()
        (folder / "err").write_text("\n".join(run["stderr"]) + "\n")
        made = Run(
            "1", "train", target, run["exit_code"], 1.0, folder, folder / "out", folder / "err",
            workdir="/app", facts=Facts((("user.id", 0),)),
        )  # fmt: skip
        ending = Ending(run["exit_code"], 1.0, oom_killed=run.get("oom", False))
        logs = made.stdout, made.stderr
        unstarted = explain_unstarted(made.exit_code, logs, target.platform, works=True)
        failure = unstarted or explain(made, ending, entry, ())
    assert failure is not None
    return failure


def verdict(run: dict[str, Any], said: str) -> str:
    """`right`, `missed` where nothing is said that could mislead, or `wrong`."""
    kind, _colon, name = run["kind"].partition(":")
    nothing = _NOTHING_KNOWN.fullmatch(said) is not None
    if kind == "none":
        return "right" if nothing else "wrong"
    if nothing:
        return "missed"
    return "right" if re.search(KINDS[kind].replace("{}", name), said) else "wrong"


def test_the_remedy_of_most_failures_arrives_and_none_misleads() -> None:
    """Of more than 300 real failures, nine of ten are known by their words; the rest are left to
    the program's own, and no remedy is another failure's."""
    found = {run["id"]: verdict(run, remedy_for(run)) for run in RUNS}
    counted = Counter(found.values())

    assert len(RUNS) >= 300
    assert [id for id, verdict in found.items() if verdict == "wrong"] == []
    assert counted["right"] >= 0.9 * len(RUNS), [id for id in found if found[id] == "missed"]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["id"])
def test_a_run_on_this_machine_itself_is_told_of_no_image(run: dict[str, Any]) -> None:
    """There is none there, nor a Dockerfile in which anything could be installed."""
    if run["exit_code"] > 125:
        return  # as engines and emulators end what they could not start
    failure = failure_of({**run, "gpus": None, "emulated": False}, HOST)

    assert not re.search(r"\bimage|Dockerfile|\bcontainer|`RUN ", failure.remedy), failure.remedy
    assert not re.search(r"\(.*\b(image|container)\b.*\):", str(failure).splitlines()[0])


def test_each_kind_of_failure_is_known_at_least_once() -> None:
    kinds = {run["kind"].partition(":")[0] for run in RUNS}

    assert kinds == {*KINDS, "none"}


@pytest.mark.parametrize("run", RUNS[::10], ids=lambda run: run["id"])
def test_what_is_said_does_not_depend_on_how_long_a_line_is(run: dict[str, Any]) -> None:
    """Lines are cut where they are shown, not where they are read."""
    if run["kind"] in ("none", "library:libodd") or run["exit_code"] > 128:
        return
    lines = [line.replace("example.org", "example.org/" + "a" * 400) for line in run["stderr"]]

    assert verdict(run, remedy_for({**run, "stderr": lines})) == verdict(run, remedy_for(run))


def test_the_words_of_a_remedy_do_not_come_from_the_program() -> None:
    """Braces in what is printed are text."""
    said = remedy_for(
        {"stderr": ["ModuleNotFoundError: No module named 'a{table}'"], "exit_code": 1}
    )

    assert "install it in the image" in said


def test_what_joblib_says_of_a_pointer_of_git_lfs_is_no_riddle() -> None:
    """Its reader is the one in Python, which names the first byte that it does not know."""
    pointer = io.BytesIO(b"version https://git-lfs.github.com/spec/v1\n")
    try:
        pickle._Unpickler(pointer).load()
    except KeyError:
        said = traceback.format_exc().splitlines()
    run = {"exit_code": 1, "stderr": said}
    assert said[-1] == "KeyError: 118"
    assert re.search(KINDS["lfs"], remedy_for(run))
    assert remedy_for({"exit_code": 1, "stderr": said[-1:]}) != remedy_for(run)


def test_the_working_folder_itself_is_no_folder_to_be_made() -> None:
    """It is there, and another user's: a folder beside it helps only who writes there."""
    said = remedy_for(
        {
            "exit_code": 1,
            "stderr": ["PermissionError: [Errno 13] Permission denied: '/app/rows.csv'"],
        }
    )
    assert ("give /app to its user in the Dockerfile (RUN chown, before USER)") in said
    assert 'writable = ["outputs"] in [tool.mlcontainer.entrypoints.train]' in said


def test_a_file_that_is_not_in_the_working_folder_is_no_folder_that_lacks() -> None:
    """It looks like something that it reads."""
    line = "FileNotFoundError: [Errno 2] No such file or directory: 'rows.csv'"
    printed = ["    frame.to_csv(name)", line]
    failure = failure_of({"exit_code": 1, "stderr": printed}, LINUX)
    assert "the folder" not in failure.what
    assert "rows.csv is not in the image" in failure.what
