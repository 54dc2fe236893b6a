"""What was read of images stays for the next session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mlcontainer.image_checks.inventory import Inventory, StoredLayers, read_image
from pytest_mlcontainer.image_checks.inventory.layers import InventoryLimits
from pytest_mlcontainer.image_checks.inventory.stored import trim
from pytest_mlcontainer.model import Platform
from tests.image_checks.saved_images import (
    SavedImage,
    docker_layout,
    in_pieces,
    oci_layout,
    special,
    tar_of,
)
from tests.image_checks.test_fatbin import TWO as FATBIN

AMD64 = Platform("linux", "amd64")
BASE = (
    "base",
    tar_of(
        {
            "etc/": special(b"5"),
            "etc/os-release": b"ID=debian",
            "lib/gpu.so": b"\x7fELF" + FATBIN + bytes(2000),
            "lib/link": special(b"2", "gpu.so"),
            "lib/hard": special(b"1", "lib/gpu.so"),
            "odd \udce4\n": b"1",
            "top": b"x" * 3000,
        }
    ),
)
IMAGE = SavedImage((BASE, ("COPY", tar_of({"app": b"1", "etc/.wh.os-release": b""}))), env=["A=b"])


def read(image: SavedImage, layers: StoredLayers | None = None) -> Inventory:
    return read_image(in_pieces(oci_layout(image)), AMD64, known=layers)


@pytest.mark.parametrize("layout", [oci_layout, docker_layout])
def test_an_image_is_known_again(tmp_path: Path, layout: object) -> None:
    """All of it: links, targets of GPU code, texts, and names that are no text."""
    assert callable(layout)
    inventory = read_image(in_pieces(layout(IMAGE)), AMD64)
    assert inventory.layers[0].content.gpu_code[0].targets == ("sm_80", "compute_90", "sm_90")
    stored = StoredLayers(tmp_path / "new")
    assert stored.find_image("sha256:1", AMD64) is None
    stored.keep_image("sha256:1", inventory)
    again = StoredLayers(tmp_path / "new")
    assert again.find_image("sha256:1", AMD64) == inventory
    assert again.find_image("sha256:1", Platform("linux", "arm64")) is None
    assert again.find_image("sha256:2", AMD64) is None


def test_a_layer_that_another_image_had_is_not_read_again(tmp_path: Path) -> None:
    """It is not even unpacked: here it could not be."""
    stored = StoredLayers(tmp_path)
    first = read(IMAGE, stored)
    data = oci_layout(IMAGE)
    start = data.index(b"\x1f\x8b\x08")
    damaged = data[: start + 12] + b"\xff" * 40 + data[start + 52 :]
    assert read_image([damaged], AMD64, known=stored) == first


def test_what_was_not_read_whole_is_not_kept(tmp_path: Path) -> None:
    record = tar_of({"a-1.0.dist-info/RECORD": b"x" * 5000})
    image, stored = SavedImage((("RUN", record),)), StoredLayers(tmp_path)
    data = oci_layout(image)
    short = read_image([data], AMD64, InventoryLimits(text_bytes=10), stored)
    stored.keep_image("sha256:1", short)
    assert stored.find_image("sha256:1", AMD64) is None
    assert read_image([data], AMD64, known=stored).layers[0].content.texts


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 1}', '{"version": 0, "layers": []}']
)
def test_damage_reads_as_missing(tmp_path: Path, damage: str) -> None:
    stored = StoredLayers(tmp_path)
    inventory = read(IMAGE, stored)
    stored.keep_image("sha256:1", inventory)
    for file in tuple(tmp_path.iterdir()):
        text = file.read_text()
        file.write_text(damage)
        assert stored.find_image("sha256:1", AMD64) is None
        file.write_text(text)
    assert stored.find_image("sha256:1", AMD64) == inventory


def test_what_was_asked_for_longest_ago_goes_first(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / f"{number}"
        file.write_bytes(bytes(100))
        os.utime(file, (number, number))
    trim(tmp_path, 250)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3", "4"]


def test_a_known_image_counts_as_asked_for(tmp_path: Path) -> None:
    stored = StoredLayers(tmp_path)
    stored.keep_image("sha256:1", read(IMAGE, stored))
    layers = list(tmp_path.glob("layer-*"))
    for file in layers:
        os.utime(file, (1, 1))
    stored.find_image("sha256:1", AMD64)
    assert all(file.stat().st_mtime > 1000 for file in layers)
