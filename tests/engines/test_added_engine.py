"""A project on an engine that a plugin adds: all of the product but Docker's part works with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.cleanup import clean_session
from pytest_mlcontainer.engines import EngineKind, EngineRequest
from pytest_mlcontainer.model import Image, KeepPolicy, Platform
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.inputs import folders_tar
from tests.fixture_types import FailureOf
from tests.folder_engine import FolderEngine
from tests.sample_project import MakeProject

IMAGE = Image("one:1", "folder:1", Platform("linux", "amd64"))
CONFIG = """\
platforms = ["native", "host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
inputs = { "data" = "data" }
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["answers/*"]
[tool.mlcontainer.entrypoints.serve]
command = ["python", "-m", "http.server", "{port}"]
port = {port}
"""
TRAIN = """\
import json, os
os.makedirs("outputs", exist_ok=True)
total = sum(map(float, open("data/numbers.txt")))
print("trained on", total)
json.dump({"total": total}, open("outputs/model.json", "w"))
"""
PICKLES = """\
import os, pickle
class Touching:
    def __reduce__(self):
        return os.system, ("touch ROOT/loaded # " + os.getcwd(),)
os.makedirs("outputs", exist_ok=True)
pickle.dump(Touching(), open("outputs/model.pkl", "wb"))
"""
INFER = """\
import json, os
os.makedirs("answers", exist_ok=True)
total = json.load(open("outputs/model.json"))["total"]
json.dump({"half": total / 2}, open("answers/half.json", "w"))
"""
DOCKERFILE = "FROM this-machine\nWORKDIR /app\nCOPY . .\n"
CONFTEST = """\
import sys
from pytest_mlcontainer.hooks import EngineKind, hookimpl
sys.path.append({tests!r})
from folder_engine import FolderEngine

@hookimpl
def mlcontainer_engines():
    return [EngineKind("folder", ("folder",), FolderEngine)]
"""
USES = """\
import urllib.request

def test_a_server_answers(inference_server):
    with urllib.request.urlopen(inference_server.url + "/train.py") as answer:
        assert b"trained on" in answer.read()
"""


@pytest.fixture
def place(tmp_path: Path, project: MakeProject, free_port: int) -> Path:
    """The engine's folder, for a project that is written."""
    project.write(
        CONFIG.replace("{port}", str(free_port)),
        dockerfile=DOCKERFILE,
        train=TRAIN,
        infer__py=INFER,
        conftest__py=CONFTEST.format(tests=str(Path(__file__).parents[1])),
        test_server__py=USES,
    )
    (project.root / "data").mkdir()
    (project.root / "data" / "numbers.txt").write_text("1\n2.5\n")
    return tmp_path / "engine"


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_project_is_built_run_served_and_compared_there(
    place: Path, project: MakeProject
) -> None:
    """And at the end nothing is left there."""
    result = project.run(f"--container-engine=folder://{place}", "--container-report=report")

    assert result.ret == 0, result.stdout.str()
    report = json.loads((project.root / "report" / "report.json").read_text())
    verdicts = [each["verdict"] for each in report["results"] if "verdict" in each]
    assert verdicts == ["identical", "identical"], "train and infer, against the host"
    assert [file for folder in place.iterdir() for file in folder.iterdir()] == []


def test_a_run_that_fails_says_why(
    place: Path, project: MakeProject, failure_of: FailureOf
) -> None:
    (project.root / "train.py").write_text("import sys\nprint('no data')\nsys.exit(3)\n")

    result = project.run(
        f"--container-engine=folder://{place}", "-k", "train and linux and not agrees"
    )

    text = failure_of(result, "train")
    assert "exited with code 3" in text
    assert "no data" in text


def test_what_it_cannot_hold_is_refused(
    place: Path, project: MakeProject, failure_of: FailureOf
) -> None:
    """Before anything runs: a limit that nobody holds is none."""
    file = project.root / "pyproject.toml"
    limited = 'outputs = ["outputs/*"]\nmemory = "1g"\ncapabilities = ["CHOWN"]\n'
    file.write_text(file.read_text().replace('outputs = ["outputs/*"]\n', limited))

    result = project.run(f"--container-engine=folder://{place}", "-k", "train and linux and not ag")

    text = failure_of(result, "train")
    assert "the engine cannot do what train asks for" in text
    assert f"folder://{place}: memory, capabilities" in text
    assert "--container-engine=URL" in text


def test_pickles_are_not_opened_where_nothing_confines_them(
    place: Path, project: MakeProject
) -> None:
    """Loading one runs it."""
    (project.root / "train.py").write_text(PICKLES.replace("ROOT", str(project.root)))

    result = project.run(f"--container-engine=folder://{place}", "-k", "train and agrees")

    result.assert_outcomes(failed=1)
    assert "only ever opened inside the project's image, and was not" in result.stdout.str()
    assert not (project.root / "loaded").exists()


def test_variations_beyond_it_are_not_exercised(place: Path, project: MakeProject) -> None:
    project.run(
        f"--container-engine=folder://{place}", "--container-platform=native",
        "--container-vary=hash-seed,hostname", "--container-report=report",
    )  # fmt: skip

    text = (project.root / "report" / "report.json").read_text()
    assert "the engine cannot change: hostname" in text
    assert "the engine cannot change: env" not in text


def test_what_a_killed_session_left_there_is_removed_where_its_kind_is_known(
    tmp_path: Path,
) -> None:
    """By its watcher and by the next session; elsewhere the engine counts as out of reach."""
    endpoint, owner = f"folder://{tmp_path}", current_owner("a-session")
    engine = FolderEngine(EngineRequest(endpoint, {}, owner))
    engine.volume("left", IMAGE, folders_tar(("x",)))
    ledger = ({"endpoint": endpoint},)
    kinds = (EngineKind("folder", ("folder",), FolderEngine),)

    assert not clean_session(ledger, owner, {}, KeepPolicy.NONE).reached
    cleaned = clean_session(ledger, owner, {}, KeepPolicy.NONE, kinds=lambda: kinds)
    assert (cleaned.reached, cleaned.found) == (True, True)
    assert list((tmp_path / "volumes").iterdir()) == []


def test_without_its_plugin_its_scheme_is_refused(place: Path, project: MakeProject) -> None:
    """Where it is written, with what there is."""
    (project.root / "conftest.py").unlink()

    result = project.run(f"--container-engine=folder://{place}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--container-engine: an engine's URL cannot begin like this*"])
