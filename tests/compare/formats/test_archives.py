"""Zip, tar and compressed files: what is in them counts, how they were packed does not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.formats import archives, unpacking
from pytest_mlcontainer.compare.formats.unpacking import UnpackingLimits
from pytest_mlcontainer.compare.formats.zips import crc32
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict
from tests.fixture_types import Compare, CompareHere, Only

PROPERTY = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = st.text(st.characters(exclude_characters="\0/\\", exclude_categories=["Cs"]), min_size=1)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=5)


Members = Mapping[str, bytes | tarfile.TarInfo]


def zipped(
    members: dict[str, bytes],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    date: tuple[int, int, int, int, int, int] = (2024, 1, 2, 3, 4, 6),
    folders: Sequence[str] = (),
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in folders:
            file.writestr(zipfile.ZipInfo(name, date), b"")
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name, date), data, method)
    return stream.getvalue()


def tarred(
    members: Members,
    *,
    mode: Any = "w",
    time: int = 0,
    user: str = "",
    rights: int = 0o644,
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as file:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size, info.mtime, info.uname, info.mode = len(data), time, user, rights
            file.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return stream.getvalue()


def linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def turned(members: dict[str, bytes]) -> dict[str, bytes]:
    return dict(reversed(members.items()))


def verdicts(differences: tuple[Difference, ...]) -> set[Verdict]:
    return {each.verdict for each in differences}


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@pytest.fixture(autouse=True)
def _leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is unpacked is gone afterwards; a reader that was started here keeps its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    left = [path for folder in tmp_path.glob("mlcontainer-*") for path in folder.iterdir()]
    assert [path for path in left if path.name != "stderr"] == []


@PROPERTY
@given(CONTENTS)
def test_a_zip_packed_again_in_another_way_is_identical(
    compare: Compare, members: dict[str, bytes]
) -> None:
    other = zipped(turned(members), method=zipfile.ZIP_STORED, date=(2025, 5, 5, 5, 5, 6))
    differences, notes = compare("a.zip", other, zipped(members))
    assert verdicts(differences) == {Verdict.IDENTICAL}
    assert notes == ()


@PROPERTY
@given(CONTENTS)
def test_a_tar_packed_again_in_another_way_is_identical(
    compare: Compare, members: dict[str, bytes]
) -> None:
    other = tarred(turned(members), time=1_700_000_000, user="root", rights=0o600)
    differences, _notes = compare("a.tar", other, tarred(members))
    assert verdicts(differences) == {Verdict.IDENTICAL}


@PROPERTY
@given(CONTENTS, st.randoms(use_true_random=False))
def test_a_changed_byte_is_found_and_its_member_named(
    compare: Compare, members: dict[str, bytes], rng: random.Random
) -> None:
    name = rng.choice(sorted(members))
    changed = {**members, name: members[name] + b"\xff"}
    for pack in (zipped, tarred):
        found = drifting(compare("a.bin", pack(changed), pack(members))[0])
        assert list(found) == [archives.shown_name(name)]


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_compressed_tar_packed_again_is_identical(compare: Compare, mode: str) -> None:
    members = {"a.txt": b"one\n", "b/c.bin": bytes(range(256))}
    sides = tarred(turned(members), mode=f"w:{mode}", time=9), tarred(members, mode=f"w:{mode}")
    differences, _notes = compare(f"a.tar.{mode}", *sides)
    assert verdicts(differences) == {Verdict.IDENTICAL}
    assert sum(each.size for each in differences) == 2


def test_one_value_in_a_tar_in_gzip_in_a_zip_is_found_and_named(compare: Compare) -> None:
    def pack(value: float, time: int) -> bytes:
        metrics = json.dumps({"history": [{"loss": 0.5}, {"loss": value}], "acc": 0.9}).encode()
        inner = tarred({"run/metrics.json": metrics, "run/b.txt": b"b"}, mode="w:gz", time=time)
        return zipped({"model.tar.gz": inner, "readme.txt": b"hello"})

    assert verdicts(compare("m.zip", pack(0.25, 1), pack(0.25, 2))[0]) == {Verdict.IDENTICAL}
    found = drifting(compare("m.zip", pack(0.26, 1), pack(0.25, 2))[0])
    (difference,) = found.values()
    assert difference.item == "model.tar.gz/run/metrics.json/history[1].loss"
    assert (difference.worst_actual, difference.worst_expected) == ("0.26", "0.25")


def test_members_are_compared_by_their_own_formats(compare: Compare) -> None:
    weights = np.linspace(0, 1, 50, dtype=np.float32)

    def pack(array: np.ndarray, text: bytes) -> bytes:
        stream = io.BytesIO()
        np.save(stream, array)
        return zipped({"weights.npy": stream.getvalue(), "log.txt": text})

    sides = pack(np.nextafter(weights, np.float32(2)), b"done\n"), pack(weights, b"done\n")
    found = {each.item: each for each in compare("m.zip", *sides)[0]}
    assert found["weights.npy"].verdict is Verdict.EQUIVALENT
    assert found["weights.npy"].max_ulp == 1


def test_rules_reach_into_members(compare: Compare) -> None:
    def pack(loss: float, seconds: int) -> bytes:
        return zipped({"m/metrics.json": json.dumps({"loss": loss, "time": seconds}).encode()})

    sides = pack(0.501, 7), pack(0.5, 3)
    assert set(drifting(compare("m.zip", *sides)[0])) == {
        "m/metrics.json/loss",
        "m/metrics.json/time",
    }
    rules = (
        Rule("m.zip", "*/time", Tolerance(ignore=True)),
        Rule("m.zip", "m/metrics.json", Tolerance(rtol=0.01)),
    )
    differences, notes = compare("m.zip", *sides, rules=rules)
    assert [(each.item, each.verdict) for each in differences] == [
        ("m/metrics.json/loss", Verdict.EQUIVALENT)
    ]
    assert notes == ("not compared: 1 item by rule m.zip:*/time (ignore)",)


def test_an_ignored_member_is_not_even_read(compare: Compare) -> None:
    whole = zipped({"a": b"a" * 100, "b": b"b"}, method=zipfile.ZIP_STORED)
    damaged = whole.replace(b"a" * 100, b"x" * 100)
    rules = (Rule("m.zip", "a", Tolerance(ignore=True)),)
    assert verdicts(compare("m.zip", damaged, whole, rules=rules)[0]) == {Verdict.IDENTICAL}
    assert set(drifting(compare("m.zip", damaged, whole)[0])) == {"a"}


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_missing_and_additional_members_are_drift(
    compare: Compare, pack: Callable[..., bytes]
) -> None:
    found = drifting(compare("a.bin", pack({"a": b"1", "x": b""}), pack({"a": b"1", "y": b""}))[0])
    assert {item: each.note for item, each in found.items()} == {
        "y": "missing in the actual run",
        "x": "only in the actual run",
    }


def test_only_an_empty_folder_counts(compare: Compare) -> None:
    members = {"a/b.txt": b"1"}
    assert verdicts(compare("a.zip", zipped(members, folders=["a/"]), zipped(members))[0]) == {
        Verdict.IDENTICAL
    }
    found = drifting(compare("a.zip", zipped(members, folders=["c/"]), zipped(members))[0])
    assert set(found) == {"c/"}


def test_links_and_devices_are_compared_as_what_they_say(compare: Compare) -> None:
    secret: Members = {"file": b"x", "link": linked("link", "/etc/passwd")}
    assert verdicts(compare("a.tar", tarred(secret, time=1), tarred(secret))[0]) == {
        Verdict.IDENTICAL
    }
    others: tuple[Members, ...] = (
        {"file": b"x", "link": linked("link", "/etc/group")},
        {"file": b"x", "link": b"root"},
        {"file": b"x", "link": linked("link", "file", tarfile.LNKTYPE)},
        {"file": b"x", "link": linked("link", "", tarfile.CHRTYPE)},
    )
    for other in others:
        (found,) = drifting(compare("a.tar", tarred(other), tarred(secret))[0]).values()
        assert found.item == "link"
        assert "expected a link to '/etc/passwd'" in found.note


def test_a_link_in_a_zip_is_no_file(compare: Compare) -> None:
    def pack(content: bytes, is_link: bool) -> bytes:
        info = zipfile.ZipInfo("a")
        info.create_system = 3
        info.external_attr = (0o120777 if is_link else 0o100644) << 16
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(info, content)
        return stream.getvalue()

    (found,) = drifting(compare("a.zip", pack(b"b", False), pack(b"b", True))[0]).values()
    assert found.note == "a file, expected a link to b'b'"
    (found,) = drifting(compare("a.zip", pack(b"c", True), pack(b"b", True))[0]).values()
    assert found.note == "a link to b'c', expected a link to b'b'"


@pytest.mark.parametrize(
    "name", ["../../up", "/etc/absolute", "a\nb", "a\x1b[31m", "\udcff", "x" * 3000]
)
def test_names_lead_nowhere_and_are_shown_printable(compare: Compare, name: str) -> None:
    found = drifting(compare("a.tar", tarred({name: b"1"}), tarred({name: b"2"}))[0])
    (item,) = found
    assert item.isprintable()
    assert len(item) <= 501


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.85])
def test_a_truncated_archive_fails_and_names_the_side(
    compare: Compare, pack: Callable[..., bytes], keep: float
) -> None:
    random.seed(3)
    members = {f"m{number}": random.randbytes(3000) for number in range(10)}
    whole = pack(members)
    name = "a.zip" if pack is zipped else "a.tar"
    differences, _notes = compare(name, whole[: int(len(whole) * keep)], whole)
    assert Verdict.FAILED in verdicts(differences)
    assert all("actual run" in each.note for each in differences if each.verdict is Verdict.FAILED)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_compressed_file_fails_and_names_the_side(
    compare: Compare, pack: Callable[..., bytes]
) -> None:
    random.seed(3)
    whole = pack(random.randbytes(5000))
    for sides in ((whole[:-40], whole), (whole, whole[:-40])):
        (found,) = compare("a.bin", *sides)[0]
        assert found.verdict is Verdict.FAILED
        assert ("actual run" in found.note) is (sides[1] is whole)
        assert ("reference" in found.note) is (sides[0] is whole)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_is_compared_by_what_is_in_it(
    compare: Compare, pack: Callable[..., bytes]
) -> None:
    table = "a,b\n" + "".join(f"{number},{number / 7}\n" for number in range(50))
    for name in ("t.csv.gz", "t.csv.bz2", "t.csv.xz"):
        sides = pack(table.replace("3,", "4,", 1).encode()), pack(table.encode())
        (found,) = drifting(compare(name, *sides)[0]).values()
        assert found.item == "a"


def test_another_level_of_compression_is_identical(only: Only) -> None:
    data = b"value\n" * 1000
    found = only("a.txt.gz", gzip.compress(data, 1, mtime=5), gzip.compress(data, 9, mtime=6))
    assert (found.verdict, found.size) == (Verdict.IDENTICAL, 6000)


def test_xz_in_several_streams_is_read_to_its_end(only: Only) -> None:
    parts = lzma.compress(b"a" * 5000) + bytes(8) + lzma.compress(b"b" * 5000)
    whole = lzma.compress(b"a" * 5000 + b"b" * 5000)
    assert only("a.xz", parts, whole).verdict is Verdict.IDENTICAL
    changed = lzma.compress(b"a" * 5000) + lzma.compress(b"b" * 4999 + b"c")
    assert only("a.xz", changed, whole).verdict is Verdict.DRIFT


def test_an_encrypted_member_fails_and_the_others_are_compared(compare: Compare) -> None:
    whole = bytearray(zipped({"a": b"1", "b": b"2"}))
    for magic, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        whole[whole.find(magic) + offset] |= 1
    differences, _notes = compare("a.zip", bytes(whole), zipped({"a": b"1", "b": b"3"}))
    found = drifting(differences)
    assert found["a"].verdict is Verdict.FAILED
    assert "actual run: a.zip member 'a' is encrypted" in found["a"].note
    assert found["b"].verdict is Verdict.DRIFT


def test_a_member_without_a_name_is_a_file(compare: Compare) -> None:
    """As a damaged directory has it."""
    sides = [zipped({"": data, "b": b"2"}) for data in (b"1", b"3")]
    differences, _notes = compare("a.zip", *sides)
    assert {each.verdict for each in differences} == {Verdict.DRIFT, Verdict.IDENTICAL}


def test_a_member_twice_is_ambiguous_and_fails(only: Only) -> None:
    twice = zipped({"a": b"1", "b": b"2"}).replace(b"b", b"a")
    found = only("a.zip", twice, zipped({"a": b"2"}))
    assert (found.verdict, "'a' more than once" in found.note) == (Verdict.FAILED, True)
    first, second = tarred({"a": b"1"}), tarred({"a": b"2"})
    found = only("a.tar", first[:1024] + second, second)
    assert (found.verdict, "'a' more than once" in found.note) == (Verdict.FAILED, True)


def test_a_bomb_is_refused_by_what_it_promises(only: Only) -> None:
    bomb = bytearray(zipped({"zeros": bytes(10_000)}))
    at = bomb.find(b"PK\1\2")
    bomb[at + 24 : at + 28] = struct.pack("<L", 2**31)
    found = only("a.zip", bytes(bomb), zipped({"zeros": b"0"}))
    assert found.verdict is Verdict.FAILED
    assert "promises to unpack to 2147483648" in found.note
    assert "ignore it by a rule" in found.note
    sparse = bytearray(tarred({"a": b"1"}))
    sparse[124:136] = b"\x80" + (100 << 30).to_bytes(11, "big")
    sparse[148:156] = b"%06o\0 " % sum((*sparse[:148], *b" " * 8, *sparse[156:512]))
    assert only("a.tar", bytes(sparse), tarred({"a": b"2"})).verdict is Verdict.FAILED


def test_an_npz_bomb_is_refused_too(only: Only) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, zeros=np.zeros(3_000_000))
    bomb = bytearray(stream.getvalue())
    at = bomb.find(b"PK\1\2")
    bomb[at + 24 : at + 28] = struct.pack("<L", 2**32 - 2)
    found = only("a.npz", bytes(bomb), {"zeros": np.ones(3)})
    assert (found.verdict, "promises to unpack" in found.note) == (Verdict.FAILED, True)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_that_never_ends_is_given_up(
    compare_here: CompareHere, pack: Callable[..., bytes]
) -> None:
    sides = pack(bytes(3_000_000)), pack(bytes(3_000_001))
    (found,), _notes = compare_here("a.bin", *sides, limits=UnpackingLimits(total_bytes=100_000))
    assert found.verdict is Verdict.FAILED
    assert "unpacks to more than 100000 bytes" in found.note


def test_archives_inside_share_one_allowance(compare_here: CompareHere) -> None:
    limits = UnpackingLimits(total_bytes=100_000)

    def pack(last: bytes, count: int) -> bytes:
        return zipped({f"{n}.zip": zipped({"z": bytes(20_000) + last}) for n in range(count)})

    found = drifting(compare_here("a.zip", pack(b"1", 2), pack(b"2", 2), limits=limits)[0])
    assert {each.verdict for each in found.values()} == {Verdict.DRIFT}
    found = drifting(compare_here("a.zip", pack(b"1", 40), pack(b"2", 40), limits=limits)[0])
    assert Verdict.FAILED in {each.verdict for each in found.values()}


def test_overlapping_members_are_refused(only: Only) -> None:
    """As in David Fifield's zip bomb: many entries of the directory share one body."""
    whole = zipped({"a": bytes(1000), "b": bytes(1000)})
    at = whole.find(b"PK\1\2", whole.find(b"PK\1\2") + 4)
    quoted = whole[: at + 42] + struct.pack("<L", 3) + whole[at + 46 :]
    found = only("a.zip", quoted, whole)
    assert (found.verdict, "inside one another" in found.note) == (Verdict.FAILED, True)


def test_too_many_members_are_refused_before_they_are_listed(compare_here: CompareHere) -> None:
    limits = UnpackingLimits(members=50)
    members = {str(number): b"" for number in range(51)}
    for name, pack in (("a.zip", zipped), ("a.tar", tarred)):
        (found,), _notes = compare_here(name, pack(members), pack({}), limits=limits)
        assert found.verdict is Verdict.FAILED
        assert "more than" in found.note
        assert "write fewer files" in found.note


@pytest.mark.parametrize("at", [0, 100, 124, 136, 148, 156, 257, 345, 500])
@pytest.mark.parametrize("lie", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0"])
def test_a_tar_that_lies_ends_with_a_word(compare: Compare, at: int, lie: bytes) -> None:
    whole = bytearray(tarred({"a": b"1" * 600, "b": b"2" * 600}))
    for header in (0, 1536):
        lied = bytearray(whole)
        lied[header + at : header + at + 12] = lie[: 512 - at]
        lied[header + 148 : header + 156] = b"        "
        lied[header + 148 : header + 156] = b"%06o\0 " % sum(lied[header : header + 512])
        differences, _notes = compare("a.tar", bytes(lied), bytes(whole))
        assert differences


def test_a_damaged_header_in_the_middle_is_no_end(only: Only) -> None:
    whole = tarred({"a": b"1" * 600, "b": b"2" * 600, "c": b"3"})
    damaged = whole[:1536] + b"junk" + whole[1540:]
    found = only("a.tar", damaged, damaged[:600] + b"x" + damaged[601:])
    assert found.verdict is Verdict.FAILED
    assert "at byte 1536 a member should begin" in found.note


def test_what_lies_too_deep_fails(compare: Compare) -> None:
    def nest(content: bytes) -> bytes:
        data = content
        for number in range(unpacking.DEEPEST + 2):
            data = zipped({f"{number}.zip": data})
        return data

    assert verdicts(compare("a.zip", nest(b"1") + b"", nest(b"1"))[0]) == {Verdict.IDENTICAL}
    (found,) = compare("a.zip", nest(b"1"), nest(b"2"))[0]
    assert found.verdict is Verdict.FAILED
    assert f"more than {unpacking.DEEPEST} archives deep" in found.note


def test_a_zip64_is_read(compare: Compare) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file, file.open("a", "w", force_zip64=True) as member:
        member.write(b"1" * 100)
    assert verdicts(compare("a.zip", stream.getvalue(), zipped({"a": b"1" * 100}))[0]) == {
        Verdict.IDENTICAL
    }


def test_nan_differs_inside_archives_where_a_rule_says_so(only: Only) -> None:
    packed = zipped({"m.json": b'{"a": NaN}'})
    assert only("m.zip", packed, packed).verdict is Verdict.IDENTICAL
    rules = (Rule("m.zip", None, Tolerance(equal_nan=False)),)
    assert only("m.zip", packed, packed, rules=rules).verdict is Verdict.DRIFT


def test_a_full_disk_is_no_crash(compare_here: CompareHere) -> None:
    limits = UnpackingLimits(left_free_bytes=1 << 60)
    sides = zipped({"a": b"1"}), zipped({"a": b"2"})
    (found,), _notes = compare_here("a.zip", *sides, limits=limits)
    assert (found.verdict, "bytes are free" in found.note) == (Verdict.FAILED, True)


@PROPERTY
@given(st.binary(max_size=400), st.integers(0, 10_000), st.sampled_from([zipped, tarred]))
def test_any_damage_ends_in_a_difference(
    compare: Compare, noise: bytes, place: int, pack: Callable[..., bytes]
) -> None:
    whole = pack({"a.json": b'{"a": 1}', "b": bytes(700)})
    at = place % len(whole)
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    differences, _notes = compare("a.bin", damaged, whole)
    assert differences


def test_members_of_a_wheel_are_items(compare: Compare, tmp_path: Path) -> None:
    """A zip under another name, written to disk as real ones are."""
    sides = []
    for side, version in (("actual", b"2"), ("expected", b"1")):
        path = Path(tmp_path, f"{side}.whl")
        path.write_bytes(zipped({"pkg/__init__.py": b"version = " + version}))
        sides.append((Output("p.whl", path, os.path.getsize(path)),))  # noqa: PTH202
    (found,) = compare_outputs(sides[0], sides[1], ())[0]
    assert (found.item, found.unit) == ("pkg/__init__.py", "lines")


def test_checksums_are_the_same_where_isa_l_is_not_to_be_had() -> None:
    """It has wheels for amd64 and arm64 alone; elsewhere zlib sums up, more slowly."""
    code = (
        "import sys, zlib\n"
        "sys.modules['isal'] = None\n"
        "from pytest_mlcontainer.compare.formats.zips import crc32\n"
        "assert crc32 is zlib.crc32\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    data = bytes(range(256)) * 1000
    assert crc32(data[7:], crc32(data[:7])) == zlib.crc32(data)


def in_tar(format: int, *members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["outputs.tar", "outputs.bin"])
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_that_begins_with_an_hdf5_file_is_an_archive(
    compare: Compare, name: str, format: int
) -> None:
    """Its signature then stands at byte 512, as behind a user block; what follows counts, too."""
    h5py = pytest.importorskip("h5py")
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["x"] = [1.0, 2.0]
    model = ("model.h5", stream.getvalue())
    actual, expected = (
        in_tar(format, model, ("metrics.json", f'{{"loss": {loss}}}'.encode())) for loss in (1, 2)
    )
    assert list(drifting(compare(name, actual, expected)[0])) == ["metrics.json/loss"]


def test_an_aligned_zip_that_begins_with_an_hdf5_file_is_an_archive(compare: Compare) -> None:
    h5py = pytest.importorskip("h5py")
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["x"] = [1.0, 2.0]

    def packed(loss: int) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            info = zipfile.ZipInfo("model.h5")
            info.extra = struct.pack("<HH", 0xD935, 470) + bytes(470)  # as zipalign pads it
            archive.writestr(info, stream.getvalue())
            archive.writestr("metrics.json", f'{{"loss": {loss}}}')
        assert target.getvalue()[512:516] == b"\x89HDF"
        return target.getvalue()

    assert list(drifting(compare("o.bin", packed(1), packed(2))[0])) == ["metrics.json/loss"]


@pytest.mark.parametrize(
    "first", ["BM", "GIF89a", "PAR1", "ARROW1\0", "P5 \n", "tree\n", "{", "\x89PNG", "PK"]
)
def test_the_name_of_a_first_member_makes_no_other_file_of_a_tar(
    compare: Compare, first: str
) -> None:
    name = first.replace("\0", "") + "x"
    actual, expected = (
        in_tar(tarfile.GNU_FORMAT, (name, b"1"), ("m.json", f'{{"loss": {loss}}}'.encode()))
        for loss in (1, 2)
    )
    assert list(drifting(compare("o.bin", actual, expected)[0])) == ["m.json/loss"]
