from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.fuzz_inputs import record_seeds
from pytest_mlcontainer.cli import main
from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.records import FILE, open_records, read_conditions

SECRET = "the-secret-of-this-machine"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The folder of a good record."""
    folder = tmp_path / "record"
    folder.mkdir()
    record_seeds(folder)
    return folder


def change(folder: Path, **values: Any) -> None:
    raw = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**raw, **values}))


def first_output(folder: Path, **values: Any) -> None:
    (output,) = json.loads((folder / FILE).read_text())["outputs"]
    change(folder, outputs=[{**output, **values}])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "no readable record"),
        ("[" + "[]," * 3_000_000 + "0]", "more than 2,000,000 values"),
        ('{"a": ' + "9" * 5000 + "}", "no readable record"),
        ('{"a": "' + "\u2603" * 3_000_000 + '"}', "not all ASCII"),
        ('{"schema": 2, "schema": 9}', "newer version"),
        ('{"schema": NaN}', "this is no record"),
        ('{"schema": 1e999}', "this is no record"),
        ('"' + "x" * 1000, "no readable record"),
    ],
    ids=["deep", "wide", "digits", "text", "twice", "nan", "infinite", "cut"],
)
def test_json_made_to_break_its_reader(record: Path, text: str, said: str) -> None:
    """It ends in an error of ours, before it takes much memory."""
    (record / FILE).write_text(text)
    with pytest.raises(RecordError, match=said):
        read_conditions(record)


@pytest.mark.parametrize(
    "values",
    [
        {"mode": 10**30}, {"mode": -1}, {"uid": 2**40}, {"gid": -7}, {"file": "a/" * 5000},
        {"file": "\ud800"}, {"size_bytes": 10**400}, {"file": "outputs/../../secret"},
    ],
    ids=["mode", "negative", "uid", "gid", "long", "surrogate", "size", "climbs"],
)  # fmt: skip
def test_an_output_with_impossible_values(record: Path, values: dict[str, Any]) -> None:
    first_output(record, **values)
    with pytest.raises(RecordError, match="the record is damaged"):
        read_conditions(record)


@pytest.mark.parametrize("duration", [10**400, float("nan"), float("inf")])
def test_a_duration_that_is_no_number(record: Path, duration: float) -> None:
    change(record, duration_s=duration)
    with pytest.raises(RecordError, match="the record is damaged"):
        read_conditions(record)


def test_one_file_for_many_outputs(record: Path) -> None:
    """Else a small record would have the reader read one large file a hundred thousand times."""
    (output,) = json.loads((record / FILE).read_text())["outputs"]
    change(record, outputs=[{**output, "name": f"outputs/{number}"} for number in range(5000)])
    with pytest.raises(RecordError, match="is listed twice"):
        read_conditions(record, verify=True)


def test_an_output_of_a_terabyte_of_nothing(record: Path) -> None:
    """Reading it would take an hour."""
    with (record / "outputs" / "model").open("r+b") as stream:
        stream.truncate(2**40)
    first_output(record, size_bytes=2**40)
    with pytest.raises(RecordError, match="of which hardly any are there"):
        read_conditions(record, verify=True)


def test_what_was_opened_lies_too_deep_or_behind_a_link(record: Path, tmp_path: Path) -> None:
    inner = record / "opened" / "0"
    inner.mkdir(parents=True)
    (inner / "link").symlink_to(tmp_path)
    first_output(record, opened="opened/0")
    with pytest.raises(RecordError, match="holds 'link', which is no file"):
        read_conditions(record)
    (inner / "link").unlink()
    for _ in range(300):
        inner = inner / "d"
        inner.mkdir()
    with pytest.raises(RecordError, match="holds what cannot be read"):
        read_conditions(record)


def archive_of(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def tar_of(name: str, content: bytes = b"", kind: bytes = b"0", link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.type, entry.linkname = len(content), kind, link
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        tar_of("../evil"), tar_of("record/../../evil"),
        tar_of("record/l", kind=b"2", link="/etc/passwd"),
        tar_of("record/l", kind=b"1", link="/etc/passwd"),
        tar_of("record/p", kind=b"6"), tar_of("record/d", kind=b"3"),
        tar_of("d/" * 200 + "f"), tar_of("x")[:300], tar_of("x", b"x" * 600)[:700],
    ],
    ids=["climbs", "later", "link", "hardlink", "fifo", "device", "deep", "header", "cut"],
)  # fmt: skip
def test_a_hostile_tar_of_records(tmp_path: Path, content: bytes) -> None:
    """Plain or packed; nothing is left of it."""
    for name, data in (("a.tar", content), ("a.tar.gz", gzip.compress(content, mtime=0))):
        with (
            pytest.raises(RecordError, match=r"archive|neither a folder nor"),
            open_records(archive_of(tmp_path, name, data)),
        ):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "a.tar.gz"}


def test_a_gzip_bomb(tmp_path: Path) -> None:
    """A few megabytes that become gigabytes are refused long before they are all there."""
    path = tmp_path / "bomb.tar.gz"
    entry = tarfile.TarInfo("record/zeros")
    entry.size = 2 << 30  # a disk has that much room
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(entry.tobuf())
    piece = gzip.compress(bytes(16 << 20), compresslevel=9, mtime=0)
    with path.open("ab") as stream:
        for _ in range(70):
            stream.write(piece)
    with pytest.raises(RecordError, match="more than 200 times as many"), open_records(path):
        pass


def test_a_gzip_header_without_an_end(tmp_path: Path) -> None:
    """The name in it has no last byte."""
    path = archive_of(tmp_path, "a.tar.gz", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 5_000_000)
    with pytest.raises(RecordError, match="the stream is cut off"), open_records(path):
        pass


def test_a_zip_that_lies(record: Path, tmp_path: Path) -> None:
    """About sizes, and with a directory for more files than it may have."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("record/a", b"content")
    data = path.read_bytes()
    size = (7).to_bytes(4, "little")
    lying = archive_of(tmp_path, "b.zip", data.replace(size, (7000).to_bytes(4, "little")))
    with pytest.raises(RecordError, match="archive cannot be read"), open_records(lying):
        pass
    end = bytearray(data[-22:])
    end[12:16] = (30 << 20).to_bytes(4, "little")
    large = archive_of(tmp_path, "c.zip", data[:-22] + bytes(30 << 20) + bytes(end))
    with pytest.raises(RecordError, match="directory has more than"), open_records(large):
        pass


def test_compare_ends_with_one_clear_error(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever lies in the second place: exit code 2, what is wrong, and no secret."""
    (tmp_path / "secret").write_text(SECRET)
    other = tmp_path / "other"
    spoilers: tuple[Callable[[Path], object], ...] = (
        os.mkfifo,
        lambda file: file.symlink_to(tmp_path / "secret"),
        lambda file: file.mkdir(),
        lambda file: file.write_text("{" * 5000),
        lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 10 * 2**30),
    )
    for number, make in enumerate(spoilers):
        place = other / str(number)
        place.mkdir(parents=True)
        make(place / FILE)
        assert main(["compare", str(record), str(place)]) == 2
        said = capsys.readouterr()
        assert "there is no readable record" in said.err + said.out
        assert SECRET not in said.err + said.out
