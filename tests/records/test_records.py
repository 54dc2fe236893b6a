from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
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
    Freedom,
    MetricDirection,
    Output,
    Platform,
    ReadAs,
    Rule,
    Run,
    Target,
    Tolerance,
)
from pytest_mlcontainer.records import (
    FILE,
    MAX_RECORD_BYTES,
    SCHEMA,
    Conditions,
    find_records,
    keep_record,
    read_conditions,
    read_record,
    write_record,
)

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "records.md"
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


def rule_with(tolerance: dict[str, object]) -> dict[str, object]:
    return {"output": "*", "item": None, "tolerance": tolerance}


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
        notes=tuple(data.draw(st.lists(TEXT, max_size=2))),
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
    moved = Path(shutil.move(record, tmp_path / "elsewhere"))
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
    assert "run again" in caught.value.remedy


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1' + b"1" * 5000 + b"}"]
)
def test_a_file_that_is_no_json(record: Path, content: bytes) -> None:
    """Half a file, no UTF-8, and JSON made to break its reader."""
    (record / FILE).write_bytes(content)
    with pytest.raises(RecordError, match="there is no readable record"):
        read_record(record)


@pytest.mark.parametrize("content", ["[]", "null", "7"])
def test_json_that_is_no_object(record: Path, content: str) -> None:
    (record / FILE).write_text(content)
    with pytest.raises(RecordError, match=r"no readable record.*holds no JSON object"):
        read_record(record)


@pytest.mark.parametrize("content", ["{}", '{"schema": "1"}', '{"schema": true}', '{"schema": 0}'])
def test_what_is_no_record(record: Path, content: str) -> None:
    """Some other program's `record.json`."""
    (record / FILE).write_text(content)
    with pytest.raises(RecordError, match=r"this is no record.*no version of pytest-mlcontainer"):
        read_record(record)


@pytest.mark.parametrize(("version", "said"), [("9.8.7", " by pytest-mlcontainer 9.8.7"), (7, "")])
def test_a_newer_schema(record: Path, version: object, said: str) -> None:
    """It is not guessed at; the message says who wrote it and what to do."""
    (record / FILE).write_text(json.dumps({"schema": SCHEMA + 1, "version": version}))
    with pytest.raises(RecordError, match=f"schema {SCHEMA + 1}, written{said}; this is") as caught:
        read_record(record)
    assert caught.value.what == "the record was written by a newer version"
    assert caught.value.remedy == "pip install --upgrade pytest-mlcontainer"


def test_schema_1_is_read_as_ever(record: Path) -> None:
    """A record from before there were rules, digests and repeats in it."""
    raw = json.loads((record / FILE).read_text())
    for name in ("version", "repeat", "seed", "variant", "logs", "compare"):
        del raw[name]
    for output in raw["outputs"]:
        for name in ("sha256", "opened", "summary"):
            del output[name]
    (record / FILE).write_text(json.dumps({**raw, "schema": 1}))
    found = read_conditions(record, verify=True)
    assert found.run == run_in(record)
    assert (found.conditions, found.version) == (Conditions(), "")


TOLERANCES = st.builds(
    Tolerance,
    rtol=st.none() | st.floats(0, 1),
    ulp=st.none() | st.integers(0, 9),
    better=st.none() | st.sampled_from(MetricDirection),
    exact=st.booleans(),
    patterns=st.lists(st.sampled_from(["[0-9]+", "a|b"]), max_size=2).map(tuple),
    key=st.lists(TEXT, max_size=2).map(tuple),
    free=st.lists(st.sampled_from(Freedom), max_size=2).map(tuple),
    curve=st.none() | TEXT,
)
RULES = st.builds(Rule, output=TEXT, item=st.none() | TEXT, tolerance=TOLERANCES)


@settings(deadline=None)
@given(st.lists(RULES, max_size=3).map(tuple), st.integers(0, 9), st.none() | TEXT)
def test_conditions_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rules: tuple[Rule, ...], repeat: int, seed: str | None
) -> None:
    """So that records can be compared without the project."""
    conditions = Conditions(rules, (("[0-9]+", "N"),), ("out/*",), repeat, seed, "ab12")
    run = run_in(tmp_path_factory.mktemp("record"))
    write_record(run, conditions, digests=True)
    found = read_conditions(run.folder, verify=True)
    assert (found.run, found.conditions) == (run, conditions)
    assert found.version


def test_every_field_of_a_tolerance_can_be_noted(tmp_path: Path) -> None:
    """One that is added to the model needs no change here; a value for each proves it."""
    values: dict[str, Any] = {
        field.name: _other(getattr(Tolerance(), field.name), field.name)
        for field in dataclasses.fields(Tolerance)
    }
    rule = Rule("a", None, Tolerance(**values))
    write_record(run_in(tmp_path), Conditions((rule,)))
    assert read_conditions(tmp_path).conditions.rules == (rule,)


def _other(default: object, name: str) -> object:
    """A value that is not the default."""
    enums: dict[str, object] = {
        "better": MetricDirection.LOWER,
        "free": (Freedom.SIGN,),
        "curve": "x",
    }
    enums["read_as"] = ReadAs.TEXT
    if name in enums:
        return enums[name]
    if isinstance(default, bool):
        return not default
    return ("x",) if isinstance(default, tuple) else 3


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
        (("notes",), "x"),
        (("workdir",), None),
        (("folders",), [{"name": "a"}]),
        (("folders",), {"a": 1}),
        (("outputs",), None),
        (("outputs", 0, "mode"), "rw"),
        (("outputs", 0, "file"), None),
        (("outputs", 0), {}),
        (("outputs", 0), None),
        (("outputs", 0, "size_bytes"), -1),
        (("outputs", 0, "sha256"), 5),
        (("outputs", 0, "opened"), "outputs/model"),
        (("outputs", 0, "opened"), "../elsewhere"),
        (("outputs", 0, "summary"), "outputs/gone"),
        (("repeat",), -1),
        (("repeat",), "1"),
        (("seed",), 1),
        (("variant",), None),
        (("version",), None),
        (("logs",), "yes"),
        (("target", "platform"), ""),
        (("compare",), []),
        (("compare",), {"rules": []}),
        (("compare",), {"rules": {}, "names": [], "declared": []}),
        (("compare",), {"rules": [], "names": [], "declared": "a"}),
        (("compare",), {"rules": [], "names": [["(", ""]], "declared": []}),
        (("compare",), {"rules": [], "names": [["a"]], "declared": []}),
        (("compare",), {"rules": [None], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"rtol": "1"})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"rtol": -1})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"rtol": float("nan")})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"ulp": 1.5})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"exact": 1})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"better": "faster"})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"patterns": ["("]})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"patterns": "a"})], "names": [], "declared": []}),
        (("compare",), {"rules": [rule_with({"fuzzy": True})], "names": [], "declared": []}),
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
    with pytest.raises(RecordError, match=f"damaged.*the field '{field}' is missing"):
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
    with pytest.raises(RecordError, match=r"damaged.*'stdout\.log' is, or lies behind, a link"):
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


def test_a_record_json_of_a_gigabyte(record: Path) -> None:
    """It is refused before it is read."""
    with (record / FILE).open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(RecordError, match=f"more than {MAX_RECORD_BYTES:,} bytes"):
        read_record(record)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_record_json_that_is_no_file(record: Path, tmp_path: Path, kind: str) -> None:
    """A pipe would block for ever, and a link may lead anywhere."""
    file = record / FILE
    shutil.move(file, tmp_path / "elsewhere")
    if kind == "link":
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(RecordError, match="no readable record"):
        read_record(record)


def test_a_changed_output_is_named(tmp_path: Path) -> None:
    """Of the same size, so that only its digest tells; reading for the same machine skips that."""
    run = run_in(tmp_path / "record")
    write_record(run, digests=True)
    run.outputs[0].path.write_bytes(b"WEIGHTS")
    assert read_record(run.folder).id == "1234"
    with pytest.raises(RecordError, match="'outputs/model' is not what the run wrote"):
        read_conditions(run.folder, verify=True)


def test_an_output_listed_twice(record: Path) -> None:
    raw = json.loads((record / FILE).read_text())
    raw["outputs"] *= 2
    (record / FILE).write_text(json.dumps(raw))
    with pytest.raises(RecordError, match="is listed twice"):
        read_record(record)


def opened_run(folder: Path, tmp_path: Path) -> Run:
    """A run with a pickle that was opened, somewhere else than in its record."""
    run = run_in(folder)
    found = tmp_path / "found"
    (found / "deep").mkdir(parents=True, exist_ok=True)
    (found / "deep" / "array.npy").write_bytes(b"values")
    return dataclasses.replace(run, outputs=(dataclasses.replace(run.outputs[0], opened=found),))


def test_a_run_is_kept_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    run = opened_run(tmp_path / "cache" / "record", tmp_path)
    place = keep_record(run, Conditions(repeat=2, seed="7"), tmp_path / "kept")
    assert place == tmp_path / "kept" / "train" / "linux-amd64-seed-7-repeat-2"
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "found")
    found = read_conditions(place, verify=True)
    (output,) = found.run.outputs
    assert output.path.read_bytes() == b"weights"
    assert output.opened is not None
    assert (output.opened / "deep" / "array.npy").read_bytes() == b"values"
    assert found.run.stdout.read_bytes() == b"out"
    assert (found.conditions.repeat, found.conditions.seed) == (2, "7")


def test_a_link_in_what_was_opened(tmp_path: Path) -> None:
    run = opened_run(tmp_path / "record", tmp_path)
    place = keep_record(run, Conditions(), tmp_path / "kept")
    opened = read_record(place).outputs[0].opened
    assert opened is not None
    (opened / "deep" / "link").symlink_to("/etc/passwd")
    with pytest.raises(RecordError, match="holds 'link', which is no file"):
        read_record(place)


def test_an_earlier_runs_record_is_replaced_and_all_else_left_alone(tmp_path: Path) -> None:
    into = tmp_path / "kept"
    place = keep_record(run_in(tmp_path / "one"), Conditions(), into)
    (place / "outputs" / "stale").write_bytes(b"")
    (into / "train" / "notes.txt").write_text("mine")
    (into / "other").mkdir()
    again = keep_record(run_in(tmp_path / "two", id="5678"), Conditions(), into)
    assert again == place
    assert read_record(place).id == "5678"
    assert not (place / "outputs" / "stale").exists()
    assert sorted(each.name for each in (into / "train").iterdir()) == ["linux-amd64", "notes.txt"]
    assert (into / "other").is_dir()


def test_a_folder_of_somebody_elses_is_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "kept" / "train" / "linux-amd64"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(RecordError, match="something else") as caught:
        keep_record(run_in(tmp_path / "one"), Conditions(), tmp_path / "kept")
    assert caught.value.remedy == "move it away, or name another folder"
    assert (place / "thesis.txt").exists()


def test_many_keep_the_same_run_at_once(tmp_path: Path) -> None:
    """As workers do; each of them finds a whole record afterwards."""
    runs = [run_in(tmp_path / str(number), id=str(number)) for number in range(8)]
    problems: list[BaseException] = []

    def keep(run: Run) -> None:
        try:
            for _ in range(5):
                keep_record(run, Conditions(), tmp_path / "kept")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=keep, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [each.name for each in (tmp_path / "kept" / "train").iterdir()] == ["linux-amd64"]
    assert read_conditions(tmp_path / "kept" / "train" / "linux-amd64", verify=True)


@pytest.mark.parametrize("name", ["../out", "a/b", "..", "", "con:", "ü", "x" * 300, "a."])
def test_entrypoints_of_any_name_stay_below_the_folder(tmp_path: Path, name: str) -> None:
    place = keep_record(run_in(tmp_path / "one", entrypoint=name), Conditions(), tmp_path / "kept")
    assert place.parent.parent == tmp_path / "kept"
    assert read_record(place).entrypoint == name


def test_records_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """Those inside a record, and those half written, are none."""
    place = keep_record(run_in(tmp_path / "one"), Conditions(), tmp_path / "artifacts" / "kept")
    (place / "outputs" / "inner").mkdir()
    (place / "outputs" / "inner" / FILE).write_text("{}")
    shutil.copytree(place, place.with_name(".linux-arm64-half"))
    assert list(find_records(tmp_path / "artifacts")) == [place]
    assert list(find_records(place)) == [place]


# The documentation


def test_the_docs_have_every_field(record: Path) -> None:
    """The tables in docs/reference/records.md name what a record holds, and nothing else."""
    raw = json.loads((record / FILE).read_text())
    tables = re.findall(
        r"\| field \| type \| what it is \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)",
        DOCS.read_text(),
    )
    fields, outputs = ({*_first_cells(table)} for table in tables)
    assert fields == raw.keys()
    assert outputs == raw["outputs"][0].keys()


def _first_cells(table: str) -> Iterator[str]:
    for line in table.splitlines():
        yield from re.findall(r"`(\w+)`", line.split("|")[1])


def test_the_docs_show_the_example_as_it_is() -> None:
    """And its commands are ones that there are."""
    (block,) = re.findall(
        r"<!-- part of: (.*?) -->\n```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL
    )
    example = (DOCS.parents[2] / block[0]).read_text()
    assert block[1] in example
    commands = re.findall(r"run: (?:\w+ )?(mlcontainer|pytest) (.*)", example)
    for program, words in commands:
        helped = subprocess.run(
            [sys.executable, "-m", "pytest", "--help"]
            if program == "pytest"
            else [sys.executable, "-c", "from pytest_mlcontainer.cli import main; main()",
                  words.split()[0], "--help"],
            capture_output=True,
            text=True,
        ).stdout  # fmt: skip
        for option in re.findall(r"--[a-z-]+", words):
            assert option in helped
    assert len(commands) == 2
