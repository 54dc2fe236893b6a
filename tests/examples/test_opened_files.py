"""What the program that watches tells of examples' runs, held against strace in the same run."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.inside import file_watcher

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMMANDS = {
    "drifting": ("python", "train.py"),
    "gradient-boosting": ("python", "diabetes.py", "train"),
}
_OPENED = re.compile(
    r'(?:open|creat|openat|openat2)\((?:(?:AT_FDCWD|\d+)<(?P<base>[^>]*)>, )?"(?P<path>[^"]*)"'
    r".*\) = \d+<"
)
_EXECUTED = re.compile(r'execve\("(?P<path>[^"]*)".*\) = 0$')


@pytest.fixture
def with_strace(tmp_path: Path, request: pytest.FixtureRequest, native: str) -> Iterator[str]:
    """The image of an example, with strace in it."""
    folder, tag = tmp_path / "project", f"opened-{uuid.uuid4().hex[:12]}"
    shutil.copytree(EXAMPLES / request.param, folder)
    with (folder / "Dockerfile").open("a") as file:
        file.write("USER root\nRUN apt-get update -q && apt-get install -qy strace\n")
    command = ["docker", "buildx", "build", "--platform", native, "--load", "-q", "-t", tag, "."]
    built = subprocess.run(command, cwd=folder, timeout=900, capture_output=True, text=True)
    if "apt-get" in built.stderr and built.returncode:
        pytest.skip("strace is not to be had in the image: no archive of packages answers")
    assert built.returncode == 0, built.stderr
    yield tag
    subprocess.run(["docker", "image", "rm", "-f", tag], check=True, timeout=60)


def unpacked(engine: docker.APIClient, container: str, folder: str) -> dict[str, bytes]:
    """The files of a container's folder, by their names."""
    stream, _about = engine.get_archive(container, folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        files = {each.name: tar.extractfile(each) for each in tar}
        return {Path(name).name: file.read() for name, file in files.items() if file is not None}


def traced(text: str) -> Iterator[str]:
    """What a process opened or executed, as it asked for it."""
    for line in text.splitlines():
        found = _OPENED.match(line)
        if found is None:
            executed = _EXECUTED.match(line)
            if executed is not None:
                yield executed["path"]
        elif found["path"].startswith("/"):
            yield found["path"]
        else:
            yield f"{found['base']}/{found['path']}"


@pytest.mark.parametrize(
    ("with_strace", "name"), [(name, name) for name in COMMANDS], indirect=["with_strace"]
)
def test_no_file_that_strace_sees_is_missed(
    engine: docker.APIClient, with_strace: str, name: str, native: str
) -> None:
    program = file_watcher(native.partition("/")[2])
    assert program is not None
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("watch/watcher")
        member.size, member.mode = len(program), 0o755
        tar.addfile(member, io.BytesIO(program))
        for folder in ("told", "traced"):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(made)
    strace = ("strace", "-ff", "-y", "-s", "4096", "-o", "/traced/t")
    command = ["/told/paths", *strace, *COMMANDS[name]]
    container = engine.create_container(
        with_strace, command, entrypoint=["/watch/watcher"], user="0"
    )["Id"]
    try:
        engine.put_archive(container, "/", packed.getvalue())
        engine.start(container)
        code = engine.wait(container, timeout=600)["StatusCode"]
        assert code == 0, engine.logs(container).decode()
        told = unpacked(engine, container, "/told")["paths"].decode().split("\0")
        files = unpacked(engine, container, "/traced")
    finally:
        engine.remove_container(container, force=True)
    opened = {path for text in files.values() for path in traced(text.decode())}
    watched = {each[1:] for each in told if each[:1] in ("o", "x")}
    assert not [each for each in told if each.startswith("!")]
    assert len(opened) > 50, "strace has seen next to nothing"
    assert opened <= watched, sorted(opened - watched)
