"""What is left when nobody is there any more to clean up: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.cleanup import sweep
from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.engines.process import kill_marked
from pytest_mlcontainer.model import LABEL, Owner
from pytest_mlcontainer.owners import (
    MAKER_VARIABLE,
    current_owner,
    host_name,
    marked_processes,
    start_time,
    this_maker,
)
from pytest_mlcontainer.sharing.ledger import Ledger
from pytest_mlcontainer.temporary import left_folders, remove_left_folders, temporary_folder
from pytest_mlcontainer.watcher import CleanupWatch
from tests.sample_project import MakeProject

BASE = "python:3.13-slim"
DEAD_S = 5  # from the death to nothing left, as SECURITY.md promises
SLOW = "import time; print('up', flush=True); time.sleep(120)"
PAUSE = "import time; print('up', flush=True); time.sleep(4)"
CONFIG = """
platforms = ["native", "host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
inputs = { "data" = "data" }
"""


def until(holds: Callable[[], Any], limit_s: float, what: str) -> Any:
    """What `holds` returns, once that is true."""
    deadline = time.monotonic() + limit_s
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def labelled(engine: docker.APIClient, label: str) -> list[str]:
    """Names of everything on the engine with the label."""
    ours = {"label": [label]}
    return [
        *(container["Id"] for container in engine.containers(all=True, filters=ours)),
        *(volume["Name"] for volume in engine.volumes(filters=ours)["Volumes"] or ()),
        *(network["Id"] for network in engine.networks(filters=ours)),
    ]


def running(engine: docker.APIClient, label: str) -> list[dict[str, Any]]:
    return list(engine.containers(filters={"label": [label]}))


def images(engine: docker.APIClient, name: str) -> list[str]:
    tags = (tag for image in list_images(engine) for tag in image.get("RepoTags") or ())
    return [tag for tag in tags if f"/{name}" in tag]


def watcher_of(pid: int) -> int | None:
    """The watcher that a process has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"pytest_mlcontainer.watcher" in command and int(parent) == pid:
            return int(folder.name)
    return None


class Session:
    """A pytest that is started and may be killed."""

    def __init__(self, root: Path, *args: str) -> None:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--container", *args]
        self.process = subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.label = f"{LABEL}.pid={self.process.pid}"

    def kill(self) -> float:
        """SIGKILL; returns the time of the death."""
        self.process.kill()
        self.process.wait()
        return time.monotonic()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def start(root: Path, *args: str) -> Session:
        sessions.append(Session(root, *args))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


@pytest.fixture
def bystander(engine: docker.APIClient) -> Iterator[str]:
    """A running container that is none of ours."""
    host = engine.create_host_config(network_mode="none")
    made = engine.create_container(BASE, ["sleep", "300"], host_config=host)
    engine.start(made["Id"])
    yield made["Id"]
    engine.remove_container(made["Id"], force=True)


@pytest.fixture
def named(project: MakeProject) -> tuple[Path, str]:
    """A slow project with a name of its own."""
    name = f"killed-{uuid.uuid4().hex[:8]}"
    root = project.write(CONFIG, train=SLOW)
    (root / "data").mkdir()
    (root / "data/rows.csv").write_text("1\n")
    file = root / "pyproject.toml"
    file.write_text(file.read_text().replace('"sample"', f'"{name}"'))
    return root, name


def test_killed_while_it_runs(
    named: tuple[Path, str], start: Any, engine: docker.APIClient, bystander: str
) -> None:
    """Containers, volumes, images and host processes go; what others have stays."""
    root, name = named
    session = start(root)
    until(lambda: running(engine, session.label), 60, "nothing runs")
    until(lambda: labelled(engine, session.label) and images(engine, name), 10, "nothing is built")
    owned = current_owner_of(session.process.pid)

    died = session.kill()

    until(
        lambda: not labelled(engine, session.label) and not images(engine, name),
        DEAD_S - (time.monotonic() - died),
        "something is left",
    )
    until(lambda: not marked_processes(owned), DEAD_S, "a process is left")
    assert engine.inspect_container(bystander)["State"]["Running"]
    cache = Path(os.environ["MLCONTAINER_CACHE_DIR"])
    until(lambda: not list(cache.glob("session-*")), 30, "its notes are left")


@pytest.mark.parametrize("args", [("-k", "lint"), ("-n", "1")], ids=["a check", "workers"])
def test_killed_before_anything_is_on_an_engine(
    project: MakeProject, start: Any, tmp_path: Path, monkeypatch: Any, args: tuple[str, ...]
) -> None:
    """Its temporary folder, which comes first, goes too."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    session = start(project.write("[tool.mlcontainer.image]\nlint = true\n"), *args)
    ours = f"temporary/mlcontainer-*-{session.process.pid}-*"
    until(lambda: list(tmp_path.glob(ours)), 60, "it makes none")
    session.kill()
    until(lambda: not list(tmp_path.glob(ours)), DEAD_S, "it is left")


def current_owner_of(pid: int) -> str:
    """A process as `this_maker` would name it."""
    return f"{pid}:{start_time(pid)}"


def test_killed_while_it_builds(
    project: MakeProject, start: Any, engine: docker.APIClient, leaves_nothing: None
) -> None:
    """The builder's client goes with it, and with the client the build."""
    name = f"built-{uuid.uuid4().hex[:8]}"
    root = project.write(dockerfile=f"FROM {BASE}\nRUN echo {name} && sleep 60\n")
    file = root / "pyproject.toml"
    file.write_text(file.read_text().replace('"sample"', f'"{name}"'))
    session = start(root)
    maker = current_owner_of(session.process.pid)
    until(lambda: marked_processes(maker), 60, "no build")
    time.sleep(1)

    session.kill()

    until(lambda: not marked_processes(maker), DEAD_S, "the build goes on")
    assert not images(engine, name)


def test_a_killed_worker_leaves_nothing_and_the_session_goes_on(
    project: MakeProject, start: Any, engine: docker.APIClient, leaves_nothing: None
) -> None:
    """What it ran is removed at once; the image that it built is everybody's."""
    project.write(train=PAUSE + "\nimport os; os.mkdir('outputs'); open('outputs/a', 'w')")
    (project.root / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('seed', range(3))\n"
        "def test_it(run_entrypoint, seed):\n"
        "    run_entrypoint('train', env={'SEED': str(seed)})\n"
    )
    session = start(project.root, "-n", "2", "test_it.py")
    (container, *_others) = until(lambda: running(engine, session.label), 60, "nothing runs")
    maker = container["Labels"][f"{LABEL}.maker"]
    assert maker != current_owner_of(session.process.pid), "a worker made it"

    os.kill(int(maker.partition(":")[0]), signal.SIGKILL)

    until(lambda: not labelled(engine, f"{LABEL}.maker={maker}"), DEAD_S, "the worker's are left")
    printed, _ = session.process.communicate(timeout=120)
    assert "2 passed" in printed, printed
    assert "1 failed" in printed, "the test whose worker was killed"
    assert not labelled(engine, session.label)


def test_an_end_leaves_no_watcher(project: MakeProject, start: Any) -> None:
    project.write()
    session = start(project.root, "-k", "image")
    watcher = until(lambda: watcher_of(session.process.pid), 60, "none was started")
    started = start_time(watcher)
    printed, _ = session.process.communicate(timeout=60)
    assert session.process.returncode == 0, printed
    assert start_time(watcher) != started


def test_a_watcher_that_was_killed_is_started_again(tmp_path: Path) -> None:
    watch = CleanupWatch(tmp_path, current_owner("x"), os.environ)
    watch.ensure()
    first = watch.pid
    assert first is not None
    watch.ensure()
    assert watch.pid == first
    os.kill(first, signal.SIGKILL)
    until(lambda: not start_time(first), 5, "it lives")
    watch.ensure()
    assert watch.pid != first
    watch.end()
    assert watch.pid is None
    watch.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_watcher_ends_with_its_owner_alone(tmp_path: Path, number: int) -> None:
    """A whole process group is told to end: the watcher is the one that cleans up after it."""
    watch = CleanupWatch(tmp_path, current_owner("x"), os.environ)
    watch.ensure()
    assert watch.pid is not None
    until(lambda: _ignores(watch.pid, number), 10, "it is not ready")
    os.kill(watch.pid, number)
    time.sleep(0.3)
    assert start_time(watch.pid)
    watch.end()


def _ignores(pid: int | None, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_what_an_engine_keeps_that_is_away_at_the_end_goes_when_it_is_back(
    tmp_path: Path, engine: docker.APIClient
) -> None:
    """The session could not clean up, so its watcher does, with patience."""
    socket = tmp_path / "engine.sock"
    code = f"""
import os, sys
from pathlib import Path
from pytest_mlcontainer.cleanup import clean_up
from pytest_mlcontainer.model import KeepPolicy
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.sharing.ledger import Ledger
from pytest_mlcontainer.watcher import CleanupWatch
cache = Path({str(tmp_path)!r})
owner = current_owner({tmp_path.name!r})
ledger = Ledger(cache, owner.session)
ledger.enter(owner)
ledger.add(endpoint="unix://{socket}")
watch = CleanupWatch(cache, owner, os.environ)
watch.ensure()
print(__import__("json").dumps(owner.labels()), flush=True)
sys.stdin.readline()
assert not clean_up(cache, owner, os.environ, KeepPolicy.NONE, last=True).reached
watch.leave()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    labels = json.loads(process.stdout.readline())
    volume = f"mlcontainer-test-{uuid.uuid4().hex}"
    engine.create_volume(volume, labels=labels)
    process.communicate("end\n", timeout=120)
    assert process.returncode == 0
    assert labelled(engine, f"{LABEL}.session={tmp_path.name}") == [volume]
    assert list(tmp_path.glob("session-*"))

    socket.symlink_to(os.environ["DOCKER_HOST"].removeprefix("unix://"))

    until(lambda: not labelled(engine, f"{LABEL}.session={tmp_path.name}"), 60, "it is left")
    until(lambda: not list(tmp_path.glob("session-*")), 30, "its notes are left")


def test_the_next_start_sweeps_what_a_killed_watcher_left(
    tmp_path: Path, engine: docker.APIClient
) -> None:
    """Images and notes of a dead session; a living one's stay, and another machine's."""
    project = uuid.uuid4().hex[:8]
    tags = {}
    for name, owner in {
        "dead": Owner(uuid.uuid4().hex, host_name(), os.getpid(), "1@long-ago"),
        "living": current_owner(uuid.uuid4().hex),
        "away": Owner(uuid.uuid4().hex, "ci-7/pid:[1]", 1, "1@x"),
    }.items():
        repository = f"{LABEL}/{name}-{project}"
        tags[name] = f"{repository}:1"
        engine.tag(BASE, repository, "1")
        ledger = Ledger(tmp_path, owner.session)
        ledger.enter(owner)
        ledger.add(endpoint="")
        store = str(tmp_path / f"store-{name}")
        ledger.add(repository=repository, endpoint="", store=store)
        ledger.add(store=store)
    try:
        (forgotten,) = sweep(tmp_path, None, os.environ)
        left = {name for name, tag in tags.items() if images(engine, tag.partition("/")[2])}
        assert left == {"living", "away"}
        assert not (tmp_path / f"session-{forgotten}.jsonl").exists()
        assert len(list(tmp_path.glob("session-*.jsonl"))) == 2
    finally:
        for name in tags:
            if images(engine, tags[name].partition("/")[2]):
                engine.remove_image(tags[name])


def test_children_of_a_dead_process_are_known_by_their_environment() -> None:
    """Grandchildren too, whose parents are gone; nobody else's."""
    maker = f"1:{uuid.uuid4().hex}"
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    env = {**os.environ, MAKER_VARIABLE: maker}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, MAKER_VARIABLE: f"{maker}0"})
    try:
        # Between fork and exec a process's environment is nowhere to be read.
        (pid,) = until(lambda: marked_processes(maker), 5, "it is not seen")
        assert kill_marked(maker)
        until(lambda: not start_time(pid), 5, "it lives")
        assert not kill_marked(maker)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_temporary_folders_of_killed_processes_go(tmp_path: Path) -> None:
    """One that lives keeps its own."""
    code = (
        "from pytest_mlcontainer.temporary import temporary_folder\n"
        "import time\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'a').write_text('1'); print(folder, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    with temporary_folder() as mine:
        assert left not in left_folders()
        process.kill()
        process.communicate()
        assert left in left_folders()
        assert left in remove_left_folders()
        assert not left.exists()
        assert mine.exists()
    assert not mine.exists()


def test_a_ledger_says_whose_it_is(tmp_path: Path) -> None:
    owner = current_owner("abc")
    ledger = Ledger(tmp_path, "abc")
    assert ledger.owner() is None
    ledger.enter(owner)
    ledger.enter(owner)
    assert ledger.owner() == owner
    assert len(ledger.entries()) == 1
    assert this_maker().startswith(f"{os.getpid()}:")
