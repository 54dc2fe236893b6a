from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import (
    HOST,
    Facts,
    Failure,
    Folder,
    Output,
    Platform,
    Run,
    Target,
)
from pytest_mlcontainer.records import FILE, SCHEMA, read_record, write_record

TEXT = st.text(max_size=8) | st.sampled_from(["\udcff", "\n", "\x00", "ü"])
NUMBERS = st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none()
FACTS = st.dictionaries(TEXT, TEXT | NUMBERS, max_size=4).map(
    lambda facts: Facts(tuple(sorted(facts.items())))
)
PLATFORMS = st.sampled_from([HOST, Platform("linux", "amd64"), Platform("linux", "arm", "v7")])
TARGETS = st.builds(
    Target,
    platform=PLATFORMS,
    engine=st.none() | TEXT,
    gpus=st.none() | TEXT,
    emulated=st.none() | st.booleans(),
    variations=st.lists(TEXT, max_size=2).map(tuple),
)
MODES = st.integers(0, 0o7777)
FOLDERS = st.builds(Folder, name=TEXT, mode=MODES, uid=MODES, gid=MODES)


def run_in(folder: Path, **changes: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stdout.log").write_bytes(b"out")
    (folder / "stderr.log").write_bytes(b"")
    (folder / "outputs").mkdir(exist_ok=True)
    (folder / "outputs" / "model").write_bytes(b"weights")
    values: dict[str, Any] = {
        "id": "1234",
        "entrypoint": "train",
        "target": Target(Platform("linux", "amd64"), emulated=False),
        "exit_code": 0,
        "duration_s": 1.5,
        "folder": folder,
        "stdout": folder / "stdout.log",
        "stderr": folder / "stderr.log",
        "outputs": (Output("outputs/mödel\n", folder / "outputs" / "model", 7, 0o600, 999, 998),),
    }
    return Run(**{**values, **changes})


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The folder of a good record."""
    folder = tmp_path / "record"
    write_record(run_in(folder))
    return folder


def change(folder: Path, *place: str | int, value: Any) -> None:
    raw = json.loads((folder / FILE).read_text())
    inner = raw
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (folder / FILE).write_text(json.dumps(raw))


@settings(deadline=None)
@given(st.data())
def test_a_run_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Every field, whatever text a container put into it."""
    failure = data.draw(st.none() | st.builds(Failure, TEXT, TEXT, TEXT))
    run = run_in(
        tmp_path_factory.mktemp("record"),
        id=data.draw(TEXT),
        entrypoint=data.draw(TEXT),
        target=data.draw(TARGETS),
        exit_code=data.draw(st.none() | st.integers(-64, 255)),
        folders=tuple(data.draw(st.lists(FOLDERS, max_size=2))),
        refused=tuple(data.draw(st.lists(TEXT, max_size=2))),
        image=data.draw(st.none() | TEXT),
        workdir=data.draw(TEXT),
        facts=data.draw(FACTS),
        failure=failure,
    )
    write_record(run)
    assert read_record(run.folder) == run


def test_a_record_can_be_moved(record: Path, tmp_path: Path) -> None:
    """Nothing in it says where it was written."""
    assert str(tmp_path) not in (record / FILE).read_text()
    moved = shutil.move(record, tmp_path / "elsewhere")
    run = read_record(moved)
    assert run.output("outputs/mödel\n").read_bytes() == b"weights"
    assert run.stdout == moved / "stdout.log"


def test_facts_may_be_any_number(tmp_path: Path) -> None:
    """NaN and infinity too, which JSON does not know and Python's json does."""
    facts = Facts((("a", float("inf")), ("b", 10**30), ("c", 1e-300)))
    write_record(run_in(tmp_path, facts=facts))
    assert read_record(tmp_path).facts == facts


def test_no_record(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(RecordError, match="there is no readable record") as caught:
        read_record(tmp_path)
    assert str(tmp_path / FILE) in caught.value.value
    assert caught.value.remedy == "run again"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1' + b"1" * 5000 + b"}"]
)
def test_a_file_that_is_no_json(record: Path, content: bytes) -> None:
    """Half a file, no UTF-8, and JSON made to break its reader."""
    (record / FILE).write_bytes(content)
    with pytest.raises(RecordError, match="there is no readable record"):
        read_record(record)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"schema": 2}', '{"schema": "1"}'])
def test_another_schema(record: Path, content: str) -> None:
    """A newer version's record is not guessed at; the message says which version reads it."""
    (record / FILE).write_text(content)
    with pytest.raises(RecordError, match=r"of another schema.*this version reads 1") as caught:
        read_record(record)
    assert "the version of pytest-mlcontainer that wrote it" in caught.value.remedy
    assert SCHEMA == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("id",), None),
        (("entrypoint",), 3),
        (("target",), []),
        (("target", "platform"), "a/b/c/d"),
        (("target", "platform"), None),
        (("target", "emulated"), "yes"),
        (("target", "variations"), "threads"),
        (("exit_code",), "0"),
        (("exit_code",), True),
        (("duration_s",), None),
        (("facts",), []),
        (("facts",), {"a": [1]}),
        (("failure",), {"what": "x"}),
        (("failure",), "x"),
        (("refused",), [1]),
        (("workdir",), None),
        (("folders",), [{"name": "a"}]),
        (("folders",), {"a": 1}),
        (("outputs",), None),
        (("outputs", 0, "mode"), "rw"),
        (("outputs", 0, "file"), None),
        (("outputs", 0), {}),
    ],
)
def test_a_damaged_record(record: Path, place: tuple[str | int, ...], value: object) -> None:
    """A field that is missing or of the wrong type is found here, not where it is used."""
    change(record, *place, value=value)
    with pytest.raises(RecordError, match="the record is damaged") as caught:
        read_record(record)
    assert str(record / FILE) in caught.value.value


@pytest.mark.parametrize("field", ["id", "target", "outputs", "facts", "workdir", "failure"])
def test_a_missing_field(record: Path, field: str) -> None:
    """It is named."""
    raw = json.loads((record / FILE).read_text())
    del raw[field]
    (record / FILE).write_text(json.dumps(raw))
    with pytest.raises(RecordError, match=f"damaged.*KeyError.*{field}"):
        read_record(record)


@pytest.mark.parametrize(
    "file", ["../secret", "/etc/passwd", "outputs/../../secret", "outputs/link", "outputs/a\0b",
             "outputs/circle", "outputs/gone", "outputs", "", "outputs/model/x"]
)  # fmt: skip
def test_nothing_outside_a_record_is_named(record: Path, tmp_path: Path, file: str) -> None:
    """A record from elsewhere reaches only its own files, by path or by link."""
    (tmp_path / "secret").write_text("1234567")
    (record / "outputs" / "link").symlink_to(tmp_path / "secret")
    (record / "outputs" / "circle").symlink_to("circle")
    change(record, "outputs", 0, "file", value=file)
    with pytest.raises(RecordError, match="the record is damaged"):
        read_record(record)


def test_logs_lie_inside_too(record: Path, tmp_path: Path) -> None:
    """They are shown to whoever compares, so they must not be links to a file of that machine."""
    (tmp_path / "secret").write_text("secret")
    (record / "stdout.log").unlink()
    (record / "stdout.log").symlink_to(tmp_path / "secret")
    with pytest.raises(RecordError, match=r"damaged.*'stdout\.log' lies outside"):
        read_record(record)


def test_an_output_cut_short(record: Path) -> None:
    """A copy that is not complete is found before it is compared."""
    (record / "outputs" / "model").write_bytes(b"weig")
    with pytest.raises(RecordError, match="has 4 bytes, not 7"):
        read_record(record)


def test_a_record_whose_folder_is_reached_by_a_link(record: Path, tmp_path: Path) -> None:
    """Where a record lies is its user's business."""
    (tmp_path / "latest").symlink_to(record)
    assert read_record(tmp_path / "latest").id == "1234"
