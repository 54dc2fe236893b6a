"""Origin files differ between two builds, by their bytes; and what is added to a Dockerfile."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import pytest

from pytest_mlcontainer.dockerfile import parse_instructions
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.image_checks.rebuild.comparing import DifferenceKind, FileChange
from pytest_mlcontainer.image_checks.rebuild.findings import findings_of, layer_instructions
from pytest_mlcontainer.image_checks.rebuild.interventions import changed_text
from pytest_mlcontainer.image_checks.rebuild.reasons import (
    BuildTimes,
    ExplainedFile,
    Origin,
    explain,
)

NOW = 1_795_965_000
TIMES = BuildTimes(NOW, NOW + 60)


def changed(path: str, before: bytes, after: bytes) -> ExplainedFile:
    change = FileChange(path, DifferenceKind.CONTENT, before, after)
    (found,) = explain((change,), TIMES)
    return found


def zipped(second: int, content: str = "a") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", (2026, 1, 1, 1, 1, second)), content)
    return made.getvalue()


def pyc(time: int, code: bytes = b"code") -> bytes:
    return b"\xf3\r\r\n" + struct.pack("<III", 0, time, 99) + code


@pytest.mark.parametrize(
    ("path", "before", "after", "reason", "evidence"),
    [
        ("a.pyc", pyc(5), pyc(9), Origin.BYTECODE, "in the header differs: 5 and 9"),
        ("a.pyc", pyc(5), pyc(5, b"edoc"), Origin.BYTECODE, "their code differs"),
        (
            "a",
            b"built 2026-01-02\n",
            b"built 2026-01-03\n",
            Origin.TIME,
            "'built 2026-01-02'",
        ),
        ("a", b"Nov 29 15:08:22 2026", b"Nov 30 01:02:03 2026", Origin.TIME, "Nov 29"),
        ("a", b"took 1.5 s", b"took 2.5 s", Origin.TIME, "took 1.5 s"),
        ("a", b"port 8000", b"port 8001", Origin.UNKNOWN, "'port 8000' and 'port 8001'"),
        ("a", b"x\ny\n", b"y\nx\n", Origin.ORDER, "the same lines"),
        ("a", b'["x", "y"]', b'["y", "x"]', Origin.ORDER, "the same words"),
        ("a", b"in /tmp/pip-abc/x", b"in /tmp/pip-xyz/x", Origin.PLACE, "/tmp/pip-abc"),
        ("a", b"id " + b"1f" * 16, b"id " + b"2e" * 16, Origin.RANDOM, "1f1f"),
        ("a.zip", zipped(2), zipped(4), Origin.TIME, "times of members in the archive"),
        ("a.zip", zipped(2, "a"), zipped(2, "b"), Origin.UNKNOWN, "from byte"),
        (
            "a.gz",
            gzip.compress(b"a", mtime=1),
            gzip.compress(b"a", mtime=2),
            Origin.TIME,
            "header of gzip",
        ),
        (
            "a.so",
            bytes(9) + struct.pack(">I", NOW + 1),
            bytes(9) + struct.pack(">I", NOW + 30),
            Origin.TIME,
            "the moments of the two builds",
        ),
        (
            "a.so",
            bytes(9) + struct.pack(">I", NOW + 100_000),
            bytes(9) + struct.pack(">I", NOW + 100_030),
            Origin.UNKNOWN,
            "from byte",
        ),
        (
            "a.so",
            b"\0at 15:08:22\0",
            b"\0at 15:09:07\0",
            Origin.TIME,
            "15:08:22 and 15:09:07",
        ),
        ("a.bin", b"\0\1", b"\0\1\2", Origin.UNKNOWN, "2 and 3 bytes; the shorter begins"),
        ("var/log/apt/history.log", b"a", b"b", Origin.LOG, "has other bytes"),
        ("var/cache/ldconfig/aux-cache", b"a", b"b", Origin.CACHE, "has other bytes"),
        ("usr/lib/locale/locale-archive", b"a", b"b", Origin.LOCALE, "has other bytes"),
        ("x-1.dist-info/RECORD", b"a,1,\n", b"a,2,\n", Origin.RECORD, "'a,1,' and 'a,2,'"),
        (
            "var/lib/dpkg/status",
            b"Package: a\nVersion: 1\n\nPackage: b\nArch: x\nVersion: 1\n",
            b"Package: a\nVersion: 1\n\nPackage: b\nArch: x\nVersion: 2\n",
            Origin.VERSION,
            "b is 1 and 2",
        ),
    ],
)
def test_the_reason_is_what_the_bytes_show(
    path: str, before: bytes, after: bytes, reason: Origin, evidence: str
) -> None:
    found = changed(path, before, after)
    assert found.reason is reason, found.evidence
    assert evidence in found.evidence


def test_files_of_a_package_with_another_version_have_that_reason() -> None:
    first, second = DifferenceKind.FIRST_ONLY, DifferenceKind.SECOND_ONLY
    site = "usr/lib/python3/site-packages"
    changes = (
        FileChange(f"{site}/foo-1.0.dist-info/RECORD", first),
        FileChange(f"{site}/foo-1.1.dist-info/RECORD", second),
        FileChange(f"{site}/foo/a.py", DifferenceKind.CONTENT, b"1", b"2"),
        FileChange(f"{site}/other.py", DifferenceKind.CONTENT, b"1", b"2"),
        FileChange("tmp/tmpab12cd34", first),
        FileChange("opt/a", first),
        FileChange("opt/b", DifferenceKind.ATTRIBUTES, attributes="mode 644 and 600"),
        FileChange("opt", DifferenceKind.ATTRIBUTES, attributes="time 1.000 and 2.000"),
        FileChange("opt/c", DifferenceKind.ORDER),
    )
    found = [each.reason for each in explain(changes, TIMES)]
    assert found == [
        *(
            Origin.VERSION,
            Origin.VERSION,
            Origin.VERSION,
            Origin.UNKNOWN,
            Origin.RANDOM,
        ),
        *(Origin.UNKNOWN, Origin.ATTRIBUTES, Origin.TIME, Origin.ORDER),
    ]


def test_lines_come_behind_each_from() -> None:
    text = (
        "# syntax=docker/dockerfile:1\nARG V=1\nFROM a:$V \\\n  AS one\n# first\nRUN <<END\n"
        "FROM no\nEND\nFROM one\nFROM b\nCOPY x y\n"
    )
    assert changed_text(text, ("ARG S", "ENV A=1")) == (
        "# syntax=docker/dockerfile:1\nARG V=1\nFROM a:$V \\\n  AS one\n# first\nARG S\nENV A=1\n"
        "RUN <<END\nFROM no\nEND\nFROM one\nFROM b\nARG S\nENV A=1\nCOPY x y\n"
    )


def test_layers_have_the_instructions_that_the_history_ends_with() -> None:
    text = "FROM a AS x\nRUN one\nENV A=b\nFROM x\nWORKDIR /a\nCOPY . .\n"
    recipe = parse_recipe(tuple(parse_instructions(text)), None, {})
    history = ("base", "RUN /bin/sh -c one # buildkit", "WORKDIR /a", "COPY . . # buildkit")
    lines = [each.line if each else None for each in layer_instructions(recipe, history)]
    assert lines == [None, 2, 5, 6]
    other = ("base", "RUN /bin/sh -c one", "RUN two", "COPY . .")
    assert set(layer_instructions(recipe, other)) == {None}


def test_a_finding_says_what_was_tried_and_came_of_it() -> None:
    files = tuple(
        ExplainedFile(FileChange(name, DifferenceKind.CONTENT), Origin.BYTECODE, "x")
        for name in ("a.pyc", "b.pyc")
    )
    text = "FROM a AS one\nRUN x\nFROM b\nCOPY --from=one /a /a\n"
    recipe = parse_recipe(tuple(parse_instructions(text)), None, {})
    found = findings_of(2, None, "x", files, {"a.pyc": "X", "b.pyc": "X"}, "Dockerfile", recipe)
    (both,) = found
    assert both.why.endswith("built twice more with X, they differ no more")
    assert both.where == "layer 3"
    copy = recipe.instructions[-1]
    (one,) = findings_of(2, copy, "COPY /a /a", files, {"a.pyc": "X"}, "Dockerfile", recipe)
    assert one.where == "Dockerfile:4"
    assert "copied from the stage that begins at line 1, which made them" in one.why
    assert one.why.endswith("built twice more with X, 1 of them differ no more")


def test_the_same_version_in_a_cache_of_random_names_is_no_other_version() -> None:
    """As uv's cache has it: each build unpacks into a folder with another name."""
    cache = "root/.cache/uv/archive-v0"
    changes = (
        FileChange(f"{cache}/abc/foo-1.0.dist-info/RECORD", DifferenceKind.FIRST_ONLY),
        FileChange(f"{cache}/xyz/foo-1.0.dist-info/RECORD", DifferenceKind.SECOND_ONLY),
        FileChange("venv/foo/a.py", DifferenceKind.CONTENT, b"1", b"2"),
    )
    found = explain(changes, TIMES)
    assert [each.reason for each in found] == [Origin.CACHE, Origin.CACHE, Origin.UNKNOWN]
    recipe = parse_recipe(tuple(parse_instructions("FROM a")), None, {})
    cached, _other = findings_of(0, None, "RUN x", found, {}, "Dockerfile", recipe)
    assert "target=/root/.cache …" in cached.mend
    system = (changed("var/cache/apt/pkgcache.bin", b"1", b"2"),)
    (cached,) = findings_of(0, None, "RUN x", system, {}, "Dockerfile", recipe)
    assert cached.mend == "delete it in the same RUN: … && rm -rf /var/cache/apt/*"
