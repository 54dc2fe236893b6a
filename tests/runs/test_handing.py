"""What a run gets of the runs that it needs is as those left it, wherever both of them run."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mlcontainer.model import Folder, Link, Output, Platform, Run, Target
from pytest_mlcontainer.outputs.tar import moment_ns
from pytest_mlcontainer.records import read_record, write_record
from pytest_mlcontainer.runs.handing import HandedFile, plan_handed, put_on_host
from pytest_mlcontainer.runs.host import _copy_project
from pytest_mlcontainer.runs.inputs import copy_folder
from tests.sample_project import MakeProject

NS = 1_000_000_000

# Writes files whose order by time is not that of their names, some within a second; a script, an
# empty folder, and links to a file, to a folder with a link in it, and to another link.
TRAIN = """\
import os, time
for folder in ("ckpts/run_1", "ckpts/empty/deep"):
    os.makedirs(folder)
for number in (3, 1, 4, 2):
    with open(f"ckpts/run_1/{number}.pt", "w") as file:
        file.write(str(number))
    time.sleep(0.02)
with open("ckpts/use.sh", "w") as file:
    file.write("#!/bin/sh\\necho used\\n")
os.chmod("ckpts/use.sh", 0o755)
os.symlink("2.pt", "ckpts/run_1/best.pt")
os.symlink("run_1", "ckpts/latest")
os.symlink("latest", "ckpts/current")
"""
# Says what it finds; nothing here depends on who runs it.
INFER = """\
import json, os, subprocess
found = {}
for folder, folders, files in os.walk("ckpts"):
    for name in sorted(folders + files):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        found[path] = os.readlink(path) if os.path.islink(path) else oct(status.st_mode & 0o111)
numbers = sorted(
    (os.stat(f"ckpts/latest/{n}.pt").st_mtime_ns, n) for n in (1, 2, 3, 4)
)
os.makedirs("outputs", exist_ok=True)
with open("outputs/found.json", "w") as file:
    json.dump(
        {
            "found": found,
            "order": [number for _time, number in numbers],
            "best": open("ckpts/current/best.pt").read(),
            "script": subprocess.run(["ckpts/use.sh"], capture_output=True, text=True).stdout,
        },
        file,
        sort_keys=True,
    )
"""
CONFIG = """\
platforms = [PLATFORMS]
[tool.mlcontainer.entrypoints.train]
command = ["python3", "train.py"]
outputs = ["ckpts/*"]
[tool.mlcontainer.entrypoints.infer]
command = ["python3", "infer.py"]
needs = ["train"]
needs-from = "NEEDS_FROM"
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.both]
command = ["sh", "-c", "python3 train.py && python3 infer.py"]
outputs = ["outputs/*"]
"""


@pytest.mark.parametrize("needs_from", ["same", "reference"])
@pytest.mark.parametrize("first", ["native", "host"])
def test_a_run_finds_what_it_would_find_on_one_volume(
    project: MakeProject, native: str, needs_from: str, first: str
) -> None:
    """Two runs, one after the other, find what one finds that does the work of both."""
    platforms = [native, "host"] if first == "native" else ["host", native]
    config = CONFIG.removeprefix("[tool.mlcontainer]\n").replace(
        "PLATFORMS", ", ".join(f'"{each}"' for each in platforms)
    )
    project.write(config.replace("NEEDS_FROM", needs_from), train=TRAIN, infer__py=INFER)
    result = project.run("--container-records=records")

    result.assert_outcomes(passed=10)
    found = [
        json.loads(file.read_text())
        for file in (project.root / "records").glob("*/*/outputs/outputs/found.json")
    ]
    assert len(found) == 4
    assert found == [found[0]] * 4
    assert found[0]["order"] == [3, 1, 4, 2]
    assert found[0]["best"] == "2"
    assert found[0]["script"] == "used\n"
    assert found[0]["found"]["ckpts/current"] == "latest"
    assert found[0]["found"]["ckpts/latest"] == "run_1"
    assert found[0]["found"]["ckpts/run_1/best.pt"] == "2.pt"
    assert "ckpts/empty/deep" in found[0]["found"]


def run_of(folder: Path, *names: str, workdir: str = "/app") -> Run:
    outputs = []
    for number, name in enumerate(names):
        path = folder / f"{number}"
        path.write_text(name)
        outputs.append(Output(name, path, len(name), 0o640, 5, 6, mtime_ns=number * NS + 1))
    target = Target(Platform("linux", "amd64"))
    return Run(
        "1", "train", target, 0, 1.0, folder, folder / "out", folder / "err",
        outputs=tuple(outputs), workdir=workdir,
    )  # fmt: skip


def test_files_come_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    handed = plan_handed(run_of(tmp_path, "o/b", "o/c", "o/a"), "/")

    assert [file.path for file in handed.files] == ["/app/o/b", "/app/o/c", "/app/o/a"]


def test_a_link_stays_one_only_where_what_it_leads_to_comes_along(tmp_path: Path) -> None:
    run = run_of(tmp_path, "o/run/w", "o/latest/w", "o/away/x", "o/again/w", "o/round/w")
    links = (
        Link("/app/o/latest", "/app/o/run"),
        Link("/app/o/again", "/app/o/latest"),
        Link("/app/o/away", "/data/kept"),
        Link("/app/o/round", "/app/o/round/again"),
    )
    handed = plan_handed(replace(run, links=links), "/")

    assert dict(handed.links) == {"/app/o/latest": "run", "/app/o/again": "latest"}
    assert {file.path for file in handed.files} == {
        "/app/o/run/w",
        "/app/o/away/x",
        "/app/o/round/w",
    }
    assert all(isinstance(file, HandedFile) for file in handed.files)


def test_nothing_is_written_where_a_link_of_the_project_leads(tmp_path: Path) -> None:
    """A checkout may keep its outputs elsewhere; that place is the user's."""
    elsewhere, workdir = tmp_path / "elsewhere", tmp_path / "copy"
    elsewhere.mkdir()
    workdir.mkdir()
    (elsewhere / "w").write_text("mine")
    (workdir / "o").symlink_to(elsewhere)
    (workdir / "w").symlink_to(elsewhere / "w")
    (tmp_path / "record").mkdir()

    put_on_host([run_of(tmp_path / "record", "o/w", "w")], workdir)

    assert (elsewhere / "w").read_text() == "mine"
    assert (workdir / "o" / "w").read_text() == "o/w"
    assert (workdir / "w").read_text() == "w"


def test_modes_and_times_arrive_on_the_host(tmp_path: Path) -> None:
    record, workdir = tmp_path / "record", tmp_path / "copy"
    record.mkdir()
    workdir.mkdir()
    run = run_of(record, "o/tool", "/data/x")
    tool = replace(run.outputs[0], mode=0o555, mtime_ns=1_600_000_000 * NS + 123_456_789)
    folder = Folder("/app/o/empty", 0o555, mtime_ns=1_500_000_000 * NS)
    put_on_host([replace(run, outputs=(tool, run.outputs[1]), folders=(folder,))], workdir)

    status = (workdir / "o" / "tool").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o755, tool.mtime_ns)
    empty = (workdir / "o" / "empty").stat()
    assert (empty.st_mode & 0o777, empty.st_mtime_ns) == (0o755, folder.mtime_ns)
    assert (workdir / "data" / "x").read_text() == "/data/x"


def test_a_record_keeps_times_and_links(tmp_path: Path) -> None:
    """So that what is resumed, kept or moved to another machine is handed over the same way."""
    for log in ("stdout.log", "stderr.log"):
        (tmp_path / log).touch()
    run = replace(
        run_of(tmp_path, "o/a"),
        folders=(Folder("/app/o", 0o755, mtime_ns=7),),
        links=(Link("/app/o/latest", "/app/o/a"),),
    )
    write_record(run)
    again = read_record(tmp_path)

    assert again.outputs[0].mtime_ns == run.outputs[0].mtime_ns
    assert (again.folders, again.links) == (run.folders, run.links)


def test_inputs_on_the_host_are_as_they_are_in_containers(tmp_path: Path) -> None:
    """Links to its own folders stay links, a circle ends, and times and modes are kept."""
    source = tmp_path / "data"
    (source / "v2" / "empty").mkdir(parents=True)
    (source / "v2" / "run").write_text("x")
    (source / "v2" / "run").chmod(0o755)
    (source / "latest").symlink_to("v2")
    (source / "v2" / "up").symlink_to(source)
    (source / "broken").symlink_to("nowhere")
    os.utime(source / "v2" / "run", ns=(5, 1_600_000_000 * NS + 5))
    os.utime(source / "v2", ns=(5, 1_500_000_000 * NS + 5))

    copy_folder(source, tmp_path / "copy")

    copy = tmp_path / "copy"
    assert (copy / "latest").readlink() == Path("v2")
    assert (copy / "v2" / "empty").is_dir()
    assert (copy / "latest" / "run").stat().st_mode & 0o777 == 0o755
    assert (copy / "v2" / "run").stat().st_mtime_ns == 1_600_000_000 * NS + 5
    assert (copy / "v2").stat().st_mtime_ns == 1_500_000_000 * NS + 5
    assert not (copy / "broken").exists()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"14000000000\0", 0o14000000000 * NS),
        (b"1700000000.5", 1_700_000_000 * NS + NS // 2),
        (b"1700000000.123456789123", 1_700_000_000 * NS + 123_456_789),
        (b"-1.5", -1_500_000_000),
        (b"", None),
        (b"\xff\xff", None),
        (b"99999999999999999999", None),
        (b"1e9", None),
    ],
)
def test_the_time_of_a_header_in_any_form(text: bytes, moment: int | None) -> None:
    assert moment_ns(text) == moment


def test_a_project_whose_files_come_and_go_is_copied(tmp_path: Path) -> None:
    """Records that the session itself writes into it are half there while a run begins."""
    project, ended = tmp_path / "project", threading.Event()
    (project / "sub").mkdir(parents=True)
    (project / "sub" / "kept").write_text("kept")

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(300):
                (project / f"a{number}").write_text("x")
            for number in range(300):
                (project / f"a{number}").unlink()

    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for number in range(20):
            _copy_project(project, tmp_path / f"copy{number}")
            assert (tmp_path / f"copy{number}" / "sub" / "kept").read_text() == "kept"
    finally:
        ended.set()
        writer.join()
