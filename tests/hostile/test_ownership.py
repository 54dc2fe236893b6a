from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.outputs import remove_tree
from pytest_mlcontainer.records import read_record

NOBODY = 65534
DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
RUN mkdir -p outputs/closed && echo theirs >outputs/closed/file && chown -R 1234:4321 outputs \
 && chmod 0 outputs/closed/file && chmod 0700 outputs/closed && chmod 0777 outputs
COPY write.py ./
{user}
"""
WRITE = """\
import os
os.umask(0)
open("outputs/open", "w").write("x")
os.chmod("outputs/open", 0o4777)
open("outputs/mine", "w").write("x")
os.chmod("outputs/mine", 0)
os.mkdir("outputs/folder", 0o700)
open("outputs/folder/file", "w").write("x")
os.chmod("outputs/folder", 0)
"""
CONFIG = """\
[project]
name = "owners"
version = "1"

[tool.mlcontainer.entrypoints.write]
command = ["python", "write.py"]
outputs = ["outputs/*"]
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that another user can reach, as pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="mlcontainer-owners-"))
    yield folder
    remove_tree(folder)


def socket_group() -> int:
    """The group that may use the engine's socket."""
    socket = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    return Path(socket).stat().st_gid


def as_user(uid: int, argv: list[str], place: Path, umask: int) -> subprocess.CompletedProcess[str]:
    """Run as another user, in the group of the engine's socket."""
    env = {
        **os.environ,
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "MLCONTAINER_CACHE_DIR": str(place / "cache"),
    }
    return subprocess.run(
        [*(switch(uid) if os.geteuid() != uid else ()), *argv],
        cwd=place / "project",
        env=env,
        umask=umask,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def switch(uid: int) -> tuple[str, ...]:
    """A command's start that makes it another user's.

    That user may read everything, as this Python may lie in the home of root, but writes, owns and
    removes only what is its own.
    """
    only = "-all,+dac_read_search"
    groups = f"--groups={socket_group()}"
    caps = (f"--{which}={only}" for which in ("inh-caps", "ambient-caps", "bounding-set"))
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", groups, *caps)


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="setpriv changes the user"
)
@pytest.mark.parametrize(
    ("user", "umask"), [("", 0o077), ("USER 1000", 0)], ids=["root-077", "user-000"]
)
def test_outputs_belong_to_the_user_who_runs_pytest(
    engine: docker.APIClient, place: Path, user: str, umask: int
) -> None:
    """Whoever wrote them, in whatever folders and with whatever modes; that user removes them."""
    assert engine.ping()
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    for name in ("project", "home", "tmp", "cache"):
        (place / name).mkdir()
    (place / "project" / "pyproject.toml").write_text(CONFIG)
    (place / "project" / "Dockerfile").write_text(DOCKERFILE.format(user=user))
    (place / "project" / "write.py").write_text(WRITE)
    for path in (place, *place.rglob("*")):
        os.chown(path, uid, -1)
    records = place / "project" / "records"
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly"]
    options = ["--container", f"--container-records={records}"]
    done = as_user(uid, [*argv, *options], place, umask)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = records.glob("write/*")
    names = {output.name for output in read_record(found).outputs}
    assert {"outputs/closed/file", "outputs/open", "outputs/mine", "outputs/folder/file"} <= names
    for path in (records, *records.rglob("*")):
        status = path.lstat()
        assert status.st_uid == uid
        assert status.st_mode & 0o7000 == 0
        assert stat.S_ISDIR(status.st_mode) or status.st_mode & 0o111 == 0
        assert status.st_mode & stat.S_IRUSR
    code = f"import shutil; shutil.rmtree({str(records)!r})"
    removed = as_user(uid, [sys.executable, "-c", code], place, umask)
    assert removed.returncode == 0, removed.stderr
    assert not records.exists()
