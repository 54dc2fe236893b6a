"""What goes into a pod, as busybox reads it; and the Role of the example."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("kubernetes")

from pytest_mlcontainer.engines.kubernetes.rights import smallest_role
from pytest_mlcontainer.engines.kubernetes.transfers import TarPieces, as_gnu

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LONG = "/".join("x" * 60 for _ in range(4))


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def test_long_names_and_exact_times_become_gnus() -> None:
    source = io.BytesIO()
    with tarfile.open(fileobj=source, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in ((LONG, tarfile.REGTYPE), ("ünï", tarfile.DIRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, 0o750, 1.5
            entry.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(b"abc") if entry.size else None)
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, LONG
        tar.addfile(link)
    written = io.BytesIO()
    as_gnu(pieces(source.getvalue(), 700), written)
    assert b"PaxHeader" not in written.getvalue()
    written.seek(0)
    with tarfile.open(fileobj=written) as tar:
        found = {entry.name: entry for entry in tar}
        content = tar.extractfile(LONG)
        assert content is not None
        assert content.read() == b"abc"
    assert set(found) == {LONG, "ünï", "link"}
    assert found[LONG].mode == 0o750
    assert found[LONG].mtime == 1
    assert found["ünï"].isdir()
    assert found["link"].linkname == LONG


@given(st.lists(st.binary(max_size=50)), st.integers(min_value=1, max_value=40))
def test_pieces_are_read_in_any_portions(given: list[bytes], size: int) -> None:
    file, read = TarPieces(given), b""
    while portion := file.read(size):
        assert len(portion) == size or file.read(1) == b""
        read += portion
    assert read == b"".join(given)


def test_the_examples_role_is_the_smallest() -> None:
    role, binding = yaml.safe_load_all((EXAMPLES / "kubernetes/role.yaml").read_text())
    assert role == yaml.safe_load(smallest_role("ml"))
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
