"""When an image is read, and what is said where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mlcontainer.config import parse_settings
from pytest_mlcontainer.engines import EngineRequest, Stream
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError, MlContainerError, NothingChecked
from pytest_mlcontainer.image_checks.contents import RecentContents
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.reading import contents_of
from pytest_mlcontainer.model import CheckSettings, Facts, Image, Platform, Target
from pytest_mlcontainer.owners import current_owner
from tests.folder_engine import FolderEngine
from tests.image_checks.saved_images import SavedImage, in_pieces, oci_layout, tar_of

AMD64 = Platform("linux", "amd64")
IMAGE = Image("project:1", "sha256:1", AMD64, size_bytes=5000)
SAVED = oci_layout(SavedImage((("RUN", tar_of({"a": b"1" * 5000})),)))


class SendingEngine(FolderEngine):
    """An engine of folders that also hands out images, always the same, and counts them."""

    def __init__(self, folder: Path, data: bytes = SAVED) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(EngineRequest(f"folder://{folder}", os.environ, current_owner("contents")))
        self._data = data
        self.sent = 0

    def save(self, reference: str, platform: Platform) -> Stream | None:
        assert (reference, platform) == (IMAGE.reference, AMD64)
        self.sent += 1
        return (piece for piece in in_pieces(self._data))


def inputs(
    tmp_path: Path, engine: FolderEngine, image: Image = IMAGE, asked: bool = True
) -> CheckInputs:
    def facts(platform: Platform) -> Facts:
        raise AssertionError(f"nobody asks for facts of {platform}")

    return CheckInputs(
        settings=parse_settings({}, tmp_path / "pyproject.toml", "x86_64", "p"),
        check=CheckSettings("size", asked),
        platform=AMD64,
        platforms=(AMD64,),
        endpoint=None,
        environ=os.environ,
        processes=Processes(),
        cache=tmp_path / "checks",
        report_folder=None,
        recent=RecentContents(),
        engine=lambda _platform: engine,
        image=lambda _platform: image,
        facts=facts,
        target=Target,
        log=lambda _line: None,
    )


def test_an_image_is_sent_once(tmp_path: Path) -> None:
    engine = SendingEngine(tmp_path / "engine")
    first = contents_of(inputs(tmp_path, engine), AMD64)
    again = contents_of(inputs(tmp_path, engine), AMD64)
    assert engine.sent == 1
    assert again.inventory == first.inventory
    contents_of(inputs(tmp_path, engine, replace(IMAGE, digest="sha256:2")), AMD64)
    assert engine.sent == 2


def test_checks_of_one_session_share_the_contents_of_two_images(tmp_path: Path) -> None:
    """Which take megabytes each, so that the one not asked for longest makes room for a third."""
    engine = SendingEngine(tmp_path / "engine")
    asked = inputs(tmp_path, engine)
    images = [replace(IMAGE, digest=f"sha256:{number}") for number in range(3)]
    ways = [replace(asked, image={AMD64: image}.__getitem__) for image in images]
    reference, second, third = (contents_of(way, AMD64) for way in ways)
    assert contents_of(ways[1], AMD64) is second
    assert contents_of(ways[2], AMD64) is third
    assert contents_of(ways[0], AMD64) is not reference
    assert engine.sent == 3


def test_a_large_image_is_read_where_somebody_asks(tmp_path: Path) -> None:
    engine, large = SendingEngine(tmp_path / "engine"), replace(IMAGE, size_bytes=2_000_000_000)
    with pytest.raises(NothingChecked, match=r"the image is large \(2\.0 GB\)") as raised:
        contents_of(inputs(tmp_path, engine, large, asked=False), AMD64)
    assert raised.value.remedy == "size = true in [tool.mlcontainer.image] reads it"
    assert engine.sent == 0
    contents_of(inputs(tmp_path, engine, large), AMD64)
    assert engine.sent == 1
    contents_of(inputs(tmp_path, engine, large, asked=False), AMD64)  # which is known by now


def test_an_engine_that_hands_out_no_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    owner = current_owner("contents")
    engine = FolderEngine(EngineRequest(f"folder://{tmp_path}/engine", os.environ, owner))
    with pytest.raises(NothingChecked, match="the engine hands out no images") as raised:
        contents_of(inputs(tmp_path, engine), AMD64)
    assert "size = false" in raised.value.remedy


def test_what_is_cut_off_is_an_error_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        contents_of(inputs(tmp_path, SendingEngine(tmp_path / "engine", SAVED[:3000])), AMD64)
    engine = SendingEngine(tmp_path / "engine")
    contents_of(inputs(tmp_path, engine), AMD64)
    assert engine.sent == 1


def test_a_cache_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "checks").write_text("a file")
    with pytest.raises(MlContainerError, match="the cache folder cannot be used") as raised:
        contents_of(inputs(tmp_path, SendingEngine(tmp_path / "engine")), AMD64)
    assert "MLCONTAINER_CACHE_DIR" in raised.value.remedy


def test_without_the_library_for_zstd_it_says_what_to_install() -> None:
    """In a Python that has none."""
    program = (
        "import sys\n"
        "sys.modules['backports.zstd'] = sys.modules['compression.zstd'] = None\n"
        "from pytest_mlcontainer.image_checks.inventory.unpacking import ZSTD, unpacked\n"
        "list(unpacked(ZSTD + bytes(100), []))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "compressed with zstd, which nothing installed here reads" in done.stderr
    assert "pip install 'pytest-mlcontainer[zstd]'" in done.stderr
