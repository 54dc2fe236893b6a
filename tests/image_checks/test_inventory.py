"""What an image holds, read from the stream that an engine sends."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Iterator

import pytest

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.image_checks.inventory import (
    Entry,
    EntryKind,
    Inventory,
    Layer,
    LayerContent,
    read_image,
    resolve,
)
from pytest_mlcontainer.image_checks.inventory.layers import InventoryLimits
from pytest_mlcontainer.model import Platform
from tests.growth import times_longer
from tests.image_checks.saved_images import (
    PACKED,
    SavedImage,
    docker_layout,
    in_pieces,
    oci_layout,
    special,
    tar_of,
)

AMD64 = Platform("linux", "amd64")
BIG = b"x" * 5000
TWO = SavedImage(
    (
        ("base", tar_of({"etc/": special(tarfile.DIRTYPE), "etc/os-release": b"ID=debian\n"})),
        ("RUN /bin/sh -c fill # buildkit", tar_of({"app/model.pt": BIG, "app/a.py": b"1"})),
    ),
    env=("CUDA_VERSION=12.4.1", "EMPTY=", "PLAIN"),
)


def read(data: bytes, platform: Platform = AMD64, piece: int = 1 << 16) -> Inventory:
    return read_image(in_pieces(data, piece), platform)


def one_layer(data: bytes) -> Inventory:
    return read(oci_layout(SavedImage((("RUN", data),))))


def paths(inventory: Inventory) -> list[str]:
    return [each.entry.path for each in resolve(inventory.layers).files]


def hidden(inventory: Inventory) -> list[tuple[str, int]]:
    return [(each.entry.path, each.by) for each in resolve(inventory.layers).hidden]


LAYOUTS = {
    **{name: oci_layout(TWO, compression=name) for name in PACKED},
    "without manifest.json": oci_layout(TWO, manifest=False),
    "before Docker 25": docker_layout(TWO),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("piece", [1 << 20, 700, 1])
def test_every_layout_says_the_same(layout: str, piece: int) -> None:
    """Layers in the order of the image, whatever the order of the stream is."""
    inventory = read(LAYOUTS[layout], piece=piece)
    assert [layer.instruction for layer in inventory.layers] == [made for made, _ in TWO.layers]
    assert [layer.size_bytes for layer in inventory.layers] == [10, 5001]
    assert paths(inventory) == ["app/a.py", "app/model.pt", "etc/os-release"]
    assert dict(inventory.env) == {"CUDA_VERSION": "12.4.1", "EMPTY": "", "PLAIN": ""}
    assert inventory.layers[0].content.texts == (("etc/os-release", "ID=debian\n"),)
    assert inventory.digest.startswith("sha256:")
    (model,) = (e for e in inventory.layers[1].content.entries if e.path == "app/model.pt")
    assert len(model.digest) == 64


def test_a_layer_that_is_there_twice_is_read_twice() -> None:
    twice = SavedImage((("COPY a", TWO.layers[1][1]), ("COPY b", TWO.layers[1][1])))
    for data in (oci_layout(twice), docker_layout(twice)):
        assert [layer.size_bytes for layer in read(data).layers] == [5001, 5001]


def test_of_several_platforms_the_one_asked_for_is_read() -> None:
    arm = SavedImage((("COPY", tar_of({"arm": b"1"})),), platform=("linux", "arm64"))
    data = oci_layout(TWO, arm)
    assert paths(read(data, Platform("linux", "arm64", "v8"))) == ["arm"]
    assert "arm" not in paths(read(data))
    with pytest.raises(EngineError, match="nothing for linux/s390x") as raised:
        read(data, Platform("linux", "s390x"))
    assert raised.value.value == "there is: linux/amd64, linux/arm64"


def test_members_of_gzip_files_follow_one_another() -> None:
    """As eStargz writes layers: one for each file."""
    tar = tar_of({f"{n}": bytes([n]) * 3000 for n in range(20)})
    packed = b"".join(gzip.compress(tar[at : at + 3000]) for at in range(0, len(tar), 3000))
    image = SavedImage((("RUN", tar),))
    data = oci_layout(image, compression="plain").replace(tar, packed.ljust(len(tar), b"\0"))
    assert len(packed) < len(tar), "the rest is padding"
    assert len(paths(read(data))) == 20


def test_a_layer_hides_what_lies_below_it() -> None:
    lower = tar_of({"a/one": BIG, "a/two": BIG, "b/three": BIG, "keep": BIG, "c": BIG})
    upper = tar_of(
        {"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/four": b"4", "c": BIG, ".wh..wh.plnk": b""}
    )
    inventory = read(oci_layout(SavedImage((("lower", lower), ("upper", upper)))))
    assert paths(inventory) == ["a/two", "b/four", "c", "keep"]
    assert hidden(inventory) == [("a/one", 1), ("b/three", 1), ("c", 1)]
    members = {each.path for each in inventory.layers[1].content.entries}
    assert members == {"a/one", "b", "b/four", "c"}, "what is about the layer itself is no member"
    gone = {each.entry.path: each.replacement for each in resolve(inventory.layers).hidden}
    assert gone["a/one"] is None
    assert gone["c"] is not None
    assert gone["c"].digest, "the same content: only owner, mode or time are others"


def test_whiteouts_act_on_lower_layers_alone() -> None:
    """Also where they come before what the same layer puts there."""
    layer = tar_of({".wh.a": b"", "a": BIG, "b/new": BIG, "b/.wh..wh..opq": b""})
    inventory = one_layer(layer)
    assert paths(inventory) == ["a", "b/new"]
    assert hidden(inventory) == []


def test_a_file_stays_as_long_as_one_of_its_names_does() -> None:
    lower = tar_of({"a": BIG, "b": special(tarfile.LNKTYPE, "a"), "c": BIG})
    once = SavedImage((("lower", lower), ("upper", tar_of({".wh.a": b""}))))
    assert hidden(read(oci_layout(once))) == []
    both = SavedImage((("lower", lower), ("upper", tar_of({".wh.a": b"", ".wh.b": b""}))))
    assert hidden(read(oci_layout(both))) == [("a", 1)]


def test_a_file_where_a_folder_was_hides_all_that_was_in_it() -> None:
    image = SavedImage((("lower", tar_of({"a/b/c": BIG})), ("upper", tar_of({"a": b"1"}))))
    inventory = read(oci_layout(image))
    assert paths(inventory) == ["a"]
    assert hidden(inventory) == [("a/b/c", 1)]


def test_many_whiteouts_cost_no_more_than_many_files() -> None:
    """A folder's content is not looked through for each of them."""

    def layers(count: int) -> tuple[Layer, ...]:
        lower = tuple(Entry(f"d/{n}", EntryKind.FILE) for n in range(count))
        upper = tuple(Entry(f"d/{n}", EntryKind.WHITEOUT) for n in range(count))
        return tuple(Layer("", "", 0, "", LayerContent(0, entries)) for entries in (lower, upper))

    assert resolve(layers(1000)).files == ()
    assert times_longer(resolve, layers(1000), layers(20_000)) < 4 * 20


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("./a//b/./c", "a/b/c"),
        ("a/../../b", "b"),
        ("n" * 5000, "n" * 5000),
        ("line\nbreak\x1b[31m", "line\nbreak\x1b[31m"),
    ],
)
def test_names_lead_nowhere(name: str, path: str) -> None:
    assert paths(one_layer(tar_of({name: BIG}))) == [path]


def test_special_members_are_listed_and_no_more() -> None:
    kinds = {
        "pipe": special(tarfile.FIFOTYPE),
        "null": special(tarfile.CHRTYPE),
        "away": special(tarfile.SYMTYPE, "../../../etc/shadow"),
        "self": special(tarfile.LNKTYPE, "self"),
    }
    (layer,) = one_layer(tar_of(kinds)).layers
    assert {each.path: each.kind for each in layer.content.entries} == {
        "pipe": EntryKind.OTHER,
        "null": EntryKind.OTHER,
        "away": EntryKind.LINK,
        "self": EntryKind.HARDLINK,
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stream_that_is_cut_off_is_an_error(layout: str) -> None:
    """Wherever that happens: what is left would be a smaller image."""
    data = LAYOUTS[layout]
    whole = len(data.rstrip(b"\0"))
    for end in range(0, whole, 511):
        with pytest.raises(EngineError, match=r"cannot be read|nothing for linux/amd64"):
            read(data[:end])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_layer_that_is_cut_off_is_an_error(compression: str) -> None:
    tar = tar_of({"a": bytes(range(256)) * 100})
    packed = PACKED[compression](tar)
    data = oci_layout(SavedImage((("RUN", tar),)), compression=compression)
    for kept in (len(packed) - 6, len(packed) // 2, 20):
        short = data.replace(packed, packed[:kept].ljust(len(packed), b"\0"))
        with pytest.raises(EngineError, match="cannot be read") as raised:
            read(short)
        assert "try `docker save" in raised.value.remedy


def test_damage_is_an_error_and_no_crash() -> None:
    """Any byte of it, one at a time."""
    data = oci_layout(TWO, compression="plain")
    want = read(data)
    for at in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        try:
            got = read(bytes(damaged))
        except EngineError:
            continue
        assert len(got.layers) == len(want.layers)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_large_image_costs_no_memory(compression: str) -> None:
    """120 MB of zeros are some kilobytes as a layer; they are never in memory at once."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo("big")
        info.size = 120 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    data = oci_layout(SavedImage((("RUN", made.getvalue()),)), compression=compression)
    del made
    tracemalloc.start()
    inventory = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert inventory.size_bytes == 120 << 20
    assert peak < 40 << 20


def test_json_without_end_is_refused() -> None:
    def many() -> Iterator[tuple[str, bytes]]:
        text = b"[" + b" " * (10 << 20) + b"]"
        yield from ((f"blobs/sha256/{n}", text) for n in range(8))

    with pytest.raises(EngineError, match="more JSON in it than any image has"):
        read(tar_of(dict(many())))


def test_nested_json_is_no_crash() -> None:
    deep = b"[" * 200_000
    with pytest.raises(EngineError, match="no manifest"):
        read(tar_of({"manifest.json": deep, "index.json": deep}))


def test_an_index_that_names_itself_ends() -> None:
    index = json.dumps({"manifests": [{"digest": "sha256:0"}]}).encode()
    with pytest.raises(EngineError, match="no manifest"):
        read(tar_of({"index.json": index, "blobs/sha256/0": index}))


def test_a_layer_that_does_not_come_is_an_error() -> None:
    """Its manifest names it; what is left would be a smaller image."""
    missing = oci_layout(TWO, compression="plain").replace(TWO.layers[1][1], b"x" * 10_240)
    with pytest.raises(EngineError, match="nothing for linux/amd64"):
        read(missing)


def test_more_files_than_an_image_has_are_refused() -> None:
    data = oci_layout(SavedImage((("RUN", tar_of({str(n): b"" for n in range(100)})),)))
    with pytest.raises(EngineError, match="more files than an image has") as raised:
        read_image([data], AMD64, InventoryLimits(entries=50))
    assert "size = false" in raised.value.remedy
    with pytest.raises(EngineError, match="more files than an image has"):
        read_image([data], AMD64, InventoryLimits(name_bytes=100))


def test_lists_beyond_the_allowance_are_left_out_and_said() -> None:
    record = "usr/lib/python3/site-packages/a-1.0.dist-info/RECORD"
    data = oci_layout(SavedImage((("RUN", tar_of({record: BIG})),)))
    inventory = read_image([data], AMD64, InventoryLimits(text_bytes=4000))
    assert inventory.layers[0].content.texts == ()
    assert paths(inventory) == [record]
    (note,) = inventory.notes
    assert note.startswith("1 lists of installed files")


def test_a_history_that_does_not_fit_says_nothing() -> None:
    """Rather than naming an instruction that made another layer."""
    data = oci_layout(TWO, compression="plain", manifest=False)
    wrong = data.replace(b'"created_by": "base"', b'"empty_layer": "yes"')
    assert wrong != data
    assert {layer.instruction for layer in read(wrong).layers} == {""}
