"""Opening pickles: in the image and nowhere else, with limits, whatever the pickle does."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.model import Entrypoint, Image, Limits, Output, Platform, Target
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.opening import FAILURE, Opening, open_pickle
from tests.sample_project import MakeProject

BASE = "python:3.13-slim"
pytestmark = pytest.mark.usefixtures("leaves_nothing")


class Runs:
    """Pickles as a call of `exec` that fills a dict, which is then what is found in the pickle."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (f"(lambda found: (exec({self.code!r}, found), found['seen'])[1])({{}})",))


@pytest.fixture
def opening(engine: docker.APIClient, native: str, tmp_path: Path) -> Iterator[Opening]:
    """An opening in a plain Python image, of a pickle that is still to be written."""
    docker_engine = DockerEngine(None, os.environ, current_owner(uuid.uuid4().hex))
    platform = Platform(*native.split("/"))
    image = docker_engine.find_image(BASE, platform)
    assert image is not None
    path = tmp_path / "model.pkl"
    yield Opening(
        engine=docker_engine,
        image=image,
        target=Target(platform),
        entry=Entrypoint("train", command=("python", "train.py")),
        output=Output("model.pkl", path, 0),
        folder=tmp_path / "opened" / "0",
    )
    docker_engine.disconnect()


@pytest.fixture
def opened(opening: Opening) -> Callable[..., Path]:
    """Opens bytes, with fields of `Opening` changed; gives the folder."""

    def run(data: bytes, **changes: Any) -> Path:
        opening.output.path.write_bytes(data)
        job = replace(opening, **changes)
        open_pickle(job)
        return job.folder

    return run


def lines(folder: Path) -> dict[str, dict[str, object]]:
    assert not (folder / FAILURE).exists(), (folder / FAILURE).read_text()
    read = [json.loads(line) for line in (folder / "tree.jsonl").read_text().splitlines()]
    assert read[-1]["end"] == len(read) - 1
    return {line["n"]: line for line in read[:-1]}


def failure(folder: Path) -> str:
    raw = json.loads((folder / FAILURE).read_text())
    assert raw["remedy"]
    return f"{raw['what']}: {raw['value']}"


HOSTILE = """
import os, socket
def tried(action, *args):
    try:
        action(*args)
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
    return "done"
def write(path):
    with open(path, "w") as file:
        file.write("was here")
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
seen = {
    "root": tried(write, "/was-here"),
    "host": tried(write, HOST_PATH),
    "library": tried(write, os.__file__),
    "tmp": tried(write, "/tmp/was-here"),
    "connect": tried(socket.create_connection, HOST_ADDRESS, 3),
    "outside": tried(socket.create_connection, ("192.0.2.1", 80), 3),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "privileges": status["NoNewPrivs"].strip(),
    "interfaces": [name for _number, name in socket.if_nameindex()],
}
"""


def test_a_hostile_pickle_reaches_nothing(opened: Callable[..., Path], tmp_path: Path) -> None:
    """No file of this machine or of the image is written, and there is no network."""
    untouched = tmp_path / "was-here"
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = (socket.gethostbyname(socket.gethostname()), server.getsockname()[1])
        code = HOSTILE.replace("HOST_PATH", repr(str(untouched)))
        found = lines(opened(pickle.dumps(Runs(code.replace("HOST_ADDRESS", repr(address))))))
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
    read_only = "OSError 30"
    assert found["root"]["v"] == read_only
    assert found["library"]["v"] == read_only
    assert found["host"]["v"] in (read_only, "FileNotFoundError 2")
    assert not untouched.exists()
    assert found["tmp"]["v"] == "done"
    assert found["connect"]["v"] != "done"
    assert found["outside"]["v"] == "OSError 101"  # the network is unreachable
    assert found["capabilities"]["v"] == 0
    assert found["privileges"]["v"] == "1"
    assert found["interfaces"]["s"] == ["lo"]


def test_memory_ends_where_its_limit_is(opened: Callable[..., Path]) -> None:
    """A few bytes that unpack to more than there is harm nobody, and say what happened."""
    bomb = pickle.dumps(Runs("seen = [bytes([1]) * (1 << 24) for _ in range(100)]"))
    said = failure(opened(bomb, memory_bytes=128 << 20))
    assert "more memory" in said
    assert "0.1 GiB" in said


def test_time_ends_where_its_limit_is(opened: Callable[..., Path]) -> None:
    """A `__setstate__` that never returns is ended."""
    endless = pickle.dumps(Runs("while True: pass"))
    assert "opening it took longer than 3 s" in failure(opened(endless, timeout_s=3.0))


def test_what_cannot_be_loaded_says_why(opened: Callable[..., Path], tmp_path: Path) -> None:
    """With the loader's own words, and one folder for each."""
    cases = {
        "the module nowhere": b"\x80\x04cnowhere.at.all\nModel\n.",
        "UnpicklingError": pickle.dumps(list(range(1000)))[:-100],
        "exit code 3": pickle.dumps(Runs("import os; os._exit(3)")),
        "SystemExit: 7": pickle.dumps(Runs("import sys; sys.exit(7)")),
        "it is too much: more than 1048576 bytes": pickle.dumps(b"x" * (1 << 20)),
    }
    for number, (words, data) in enumerate(cases.items()):
        folder = tmp_path / "opened" / str(number)
        assert words in failure(opened(data, folder=folder, result_bytes=1 << 20))


def test_it_is_opened_as_the_run_was_made(
    opened: Callable[..., Path], opening: Opening, tmp_path: Path
) -> None:
    """With the entrypoint's variables and user, classes of its script stood in for."""
    code = "import os, sys; seen = [os.environ['SEED'], os.getuid(), sys.version_info[:2]]"
    entry = replace(
        opening.entry, env=(("SEED", "5"), ("HOME", "/root")), limits=Limits(user="1234")
    )
    found = lines(opened(pickle.dumps(Runs(code)), entry=entry))
    assert found["[0]"]["v"] == "5"
    assert found["[1]"]["v"] == 1234
    script = b"\x80\x04c__main__\nModel\n)\x81}(\x8c\x01wK\x07ub."
    found = lines(opened(script, folder=tmp_path / "opened" / "1"))
    assert found[""]["t"] == "__main__.Model"
    assert found["w"]["v"] == 7


def test_an_image_without_python_says_so(
    engine: docker.APIClient, opened: Callable[..., Path], opening: Opening
) -> None:
    """Nothing in it could open anything."""
    tag = f"mlcontainer-test-empty:{uuid.uuid4().hex[:12]}"
    with io.BytesIO() as stream:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("empty"))
        name, _colon, version = tag.partition(":")
        engine.import_image_from_data(stream.getvalue(), repository=name, tag=version)
    try:
        image = Image(tag, tag, opening.target.platform)
        assert "no Python in the image" in failure(opened(pickle.dumps(1), image=image))
    finally:
        engine.remove_image(tag)


CONFIG = """
platforms = ["{native}", "{other}"]
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["outputs/*"]
env = {{ QEMU_CPU = "neoverse-n1" }}
"""
MODEL = """
class Model:
    def __init__(self, weights):
        self.weights = weights

    def __setstate__(self, state):
        self.__dict__.update(state, where=__file__)
"""
TRAIN = """
import os, pickle, platform
from model import Model

class Scaler:
    def __init__(self, mean):
        self.mean = mean

def main():
    os.makedirs("outputs", exist_ok=True)
    other = "OTHER" in os.environ or os.getcwd() != "/app" or platform.machine() != NATIVE
    weights = [0.1, 0.5 + 1e-16 * other]
    found = {"model": Model(weights), "scaler": Scaler(0.3 + 1e-16 * other)}
    if other:
        found = dict(reversed(found.items()))
    for name, kept in (("model", found), ("drifts", {**found, "shift": 2 if other else 1})):
        with open("outputs/" + name + ".pkl", "wb") as file:
            pickle.dump(kept, file, protocol=3 if other else 4)

if __name__ == "__main__":
    main()
"""
TESTS = """
def test_again(run_entrypoint, compare_outputs):
    expected, actual = run_entrypoint("train"), run_entrypoint("train", env={"OTHER": "1"})
    rules = {"outputs/drifts.pkl:shift": {"margin": 1}}
    (outcome,) = compare_outputs(actual, expected, rules=rules)
    assert outcome.verdict.value == "equivalent"
    assert expected.folder.joinpath("opened").is_dir()
"""


@pytest.fixture
def made(project: MakeProject, native: str) -> Any:
    """The project, to run on this engine's own platform and another."""

    def write(other: str, **files: str) -> Any:
        machine = {"linux/amd64": "x86_64"}.get(native, "aarch64")
        train = TRAIN.replace("NATIVE", repr(machine))
        config = CONFIG.format(native=native, other=other)
        project.write(config, train=train, model__py=MODEL, **files)
        return project

    return write


@pytest.mark.emulation
def test_pickles_of_two_platforms_meet_by_value(made: Any, foreign: str) -> None:
    """Each is opened in its own image, which alone has the class; noise is no drift."""
    result = made(foreign).run()

    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*drifts from*: 1 item not within tolerance",
            "outputs/drifts.pkl:shift *",
            "within tolerance: 4 items, the worst outputs/drifts.pkl:scaler.mean *",
            "identical: 3 items of outputs/drifts.pkl, 3 items of outputs/model.pkl",
        ]
    )


def test_pickles_of_this_machine_are_opened_in_the_image(made: Any, native: str) -> None:
    """Which is said; and the fixture compares in the same way."""
    result = made("host", test_again__py=TESTS).run()

    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "outputs/drifts.pkl:shift *",
            f"*outputs/model.pkl of the actual run was opened in the image for {native}*",
        ]
    )
