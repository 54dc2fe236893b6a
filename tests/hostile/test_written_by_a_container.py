from __future__ import annotations

from pathlib import Path

import docker

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, OutputLimits, collect_tar

SCRIPT = r"""
import os, socket
for name in ("outputs", "large"):
    os.makedirs(f"/app/{name}")
os.truncate(os.open("/app/large/sparse", os.O_CREAT | os.O_WRONLY), 2**40)
os.chdir("/app/outputs")
for name in ("good", "new\nline", "\x1b[2J", "n" * 255, "\udcff\udcfe", "\u202egpj", "-rf",
             "%root", "A", "a", "\u00e9", "e\u0301", "record.json"):
    open(name, "w").write("x")
os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
os.chmod("good", 0o6755)
os.mkdir("closed")
open("closed/file", "w").write("x")
os.chmod("closed/file", 0)
os.chmod("closed", 0)
os.symlink("/etc/shadow", "link")
os.symlink("circle", "circle")
os.symlink("..", "up")
os.utime("a", (-(2**31), -(2**31)))
for _ in range(600):
    os.mkdir("d")
    os.chdir("d")
open("bottom", "w").write("x")
"""


def take(engine: docker.APIClient, made: str, folder: str, into: Path, collected: Collected) -> str:
    """Why not everything was taken over. The stream ends with this function, or the engine, which
    has more to send, would keep the container."""
    root, declared = f"/app/{folder}", DeclaredOutputs((f"{folder}/**",), "/app")
    try:
        collect_tar(engine.get_archive(made, root)[0], root, declared, into, collected)
    except OutputError as error:
        return str(error)
    return ""


def test_what_a_hostile_container_really_writes(engine: docker.APIClient, tmp_path: Path) -> None:
    """As the engine sends it: all harmless things are there, the rest is refused or a limit."""
    made = engine.create_container(
        "python:3.13-slim",
        ["python", "-c", SCRIPT],
        host_config=engine.create_host_config(network_mode="none"),
    )["Id"]
    collected, large = Collected(), Collected(allowance=OutputLimits(size_bytes=2**30))
    try:
        engine.start(made)
        assert engine.wait(made)["StatusCode"] == 0, engine.logs(made)
        assert take(engine, made, "outputs", tmp_path, collected) == ""
        assert "has 1,099,511,627,776 bytes" in take(engine, made, "large", tmp_path, large)
    finally:
        engine.remove_container(made, force=True, v=True)
    names = ["good", "new\nline", "\x1b[2J", "n" * 255, "\udcff\udcfe", "\u202egpj", "-rf"]
    names += ["%root", "A", "a", "\u00e9", "e\u0301", "record.json", "closed/file"]
    assert set(collected.outputs) == {f"outputs/{name}" for name in names}
    assert all(output.path.read_bytes() == b"x" for output in collected.outputs.values())
    refused = "\n".join(collected.refused)
    for part in ("fifo", "lies in more than 256 folders", "/app/outputs/up: a link to /app"):
        assert part in refused
    assert len(collected.refused) == 4  # with what lies at the bottom; sockets are never sent
    assert large.outputs == {}
    files = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert len(files) == len(names)
    assert not any(path.is_symlink() or path.stat().st_mode & 0o7111 for path in files)
