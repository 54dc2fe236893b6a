"""Where the bytes of an image are."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_mlcontainer.image_checks.inventory import Inventory, read_image
from pytest_mlcontainer.image_checks.size.base import (
    count_base_layers,
    count_common_layers,
    external_base,
    instruction_word,
)
from pytest_mlcontainer.image_checks.size.measure import SizeFigures, measure
from pytest_mlcontainer.image_checks.size.packages import Package, PackageFiles
from pytest_mlcontainer.image_checks.size.recorded import (
    RecordedBuild,
    RecordedSizes,
    change_between,
    parts_of,
)
from pytest_mlcontainer.model import Platform
from tests.image_checks.saved_images import SavedImage, in_pieces, oci_layout, special, tar_of

MB = 1_000_000
SITE = "usr/local/lib/python3.13/site-packages"
Files = Mapping[str, bytes | tarfile.TarInfo]


def some(size: int, seed: str) -> bytes:
    """Bytes that no other file has."""
    return (seed.encode() * (size // len(seed) + 1))[:size]


def image(*layers: Files, made_by: str = "RUN /bin/sh -c make # buildkit") -> Inventory:
    saved = SavedImage(tuple((made_by, tar_of(files)) for files in layers))
    return read_image(in_pieces(oci_layout(saved)), Platform("linux", "amd64"))


def distribution(name: str, version: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """As pip installs one, with its RECORD."""
    info = f"{name}-{version}.dist-info"
    rows = [f"{path},sha256=x,{len(data)}" for path, data in files.items()]
    record = "\n".join([*rows, f"{info}/RECORD,,"]).encode()
    placed = {f"{SITE}/{path}": data for path, data in files.items()}
    return {**placed, f"{SITE}/{info}/RECORD": record}


def by_name(figures: SizeFigures) -> dict[str, int]:
    return {str(package): size for package, size in figures.packages}


def test_files_belong_to_what_installed_them() -> None:
    """Python, dpkg with merged and unmerged paths, conda; the rest by its folders."""
    conda = b'{"name": "mkl", "version": "2024.1", "files": ["lib/libmkl.so"]}'
    figures = measure(
        image(
            {
                **distribution("Scikit_Learn", "1.5.0+local", {"sklearn/a.so": some(5000, "a")}),
                "lib": special(tarfile.SYMTYPE, "usr/lib"),
                "usr/lib/libc.so": some(3000, "c"),
                "usr/bin/perl": some(2000, "p"),
                "var/lib/dpkg/status": b"Package: libc6\nVersion: 2.41\n\nPackage: perl\n",
                "var/lib/dpkg/info/libc6:amd64.list": b"/.\n/lib\n/lib/libc.so\n",
                "var/lib/dpkg/info/perl.list": b"/usr/bin/perl\n",
                "opt/conda/conda-meta/mkl-2024.1.json": conda,
                "opt/conda/lib/libmkl.so": some(7000, "m"),
                "app/models/big/model.pt": some(9000, "w"),
                "start.sh": b"1",
            }
        )
    )
    sizes = by_name(figures)
    assert sizes.pop("scikit-learn 1.5.0+local") > 5000
    assert sizes == {"mkl 2024.1": 7000, "libc6 2.41": 3000, "perl": 2000}
    folders = {each.folder: each for each in figures.folders}
    assert folders["app/models"].size_bytes == 9000
    assert folders["start.sh"].size_bytes == 1


def test_a_file_that_makes_up_most_of_a_folder_is_named() -> None:
    """Not one of several that share it, and not one that is the folder's own name."""
    files = {"app/big/w.pt": some(9000, "w"), "app/big/r.py": some(10, "r"), "one": b"1"}
    files |= {f"data/part{number}": some(100, str(number)) for number in range(3)}
    told = {each.folder: each.told for each in measure(image(files)).folders}
    assert told == {"app/big": "w.pt", "data": "", "one": ""}


def test_all_that_a_container_sees_is_somewhere_and_nowhere_twice() -> None:
    figures = measure(
        image(
            {
                **distribution("a", "1", {"a.py": some(4000, "a"), "tests/test_a.py": b"1" * 50}),
                "root/.cache/pip/http/x": some(3000, "p"),
                "gone": some(2000, "g"),
            },
            {".wh.gone": b"", "left": some(1000, "l")},
        )
    )
    parts = parts_of(figures)
    assert sum(parts.values()) == figures.total_bytes
    assert figures.visible_bytes == figures.total_bytes - 2000
    assert parts["deleted or overwritten by later layers"] == 2000
    assert parts["pip's cache in /root/.cache/pip"] == 3000


def test_apk_and_distroless_say_what_they_have() -> None:
    texts = {
        "lib/apk/db/installed": "P:musl\nV:1.2.5\nF:lib\nR:libc.musl.so\nZ:x\n\nP:zlib\nV:1\n"
        "F:usr/lib\nR:libz.so\n",
        "var/lib/dpkg/status.d/libssl3": "Package: libssl3\nVersion: 3.0\n",
        "var/lib/dpkg/status.d/libssl3.md5sums": "0123  usr/lib/libssl.so.3\n",
    }
    owners = PackageFiles(texts)
    assert owners.owner("lib/libc.musl.so") == Package("apk", "musl", "1.2.5")
    assert owners.owner("usr/lib/libz.so") == Package("apk", "zlib", "1")
    assert owners.owner("usr/lib/libssl.so.3") == Package("deb", "libssl3", "3.0")
    assert owners.owner("etc/passwd") is None


@pytest.mark.parametrize(
    "text", ["", "\0", 'a"b\n"', "../../../../../x,,\n", "{", "[]", "null", "P:\n", "," * 99]
)
def test_damaged_lists_are_read_as_far_as_they_go(text: str) -> None:
    texts = {
        f"{SITE}/a-1.dist-info/RECORD": text,
        f"{SITE}/nodash.dist-info/RECORD": text,
        "var/lib/dpkg/status": text,
        "var/lib/dpkg/info/a.list": text,
        "lib/apk/db/installed": text,
        "opt/conda-meta/a.json": text,
    }
    assert PackageFiles(texts).owner("usr/lib/x") is None


def test_bytecode_belongs_to_its_source_whoever_compiled_it() -> None:
    """pip lists it, uv does not."""
    pyc = f"{SITE}/a/__pycache__/m.cpython-313.pyc"
    files = {**distribution("a", "1", {"a/m.py": b"1"}), pyc: some(6000, "c")}
    figures = measure(image(files))
    assert by_name(figures)["a 1"] > 6000
    assert figures.bytecode_bytes == 6000


def test_a_cache_costs_what_nothing_else_shares_with_it() -> None:
    """uv links from its cache: the file is the same, whichever name the layer tells first."""
    link = special(tarfile.LNKTYPE, "root/.cache/uv/archive/x/torch.so")
    files = distribution("torch", "2.0", {"torch.so": b""})
    files.pop(f"{SITE}/torch.so")
    figures = measure(
        image(
            {
                "root/.cache/uv/archive/x/torch.so": some(50_000, "t"),
                "root/.cache/uv/wheels/x.whl": some(4000, "w"),
                **files,
                f"{SITE}/torch.so": link,
            }
        )
    )
    (cache,) = figures.caches
    assert (cache.kind.name, cache.folder, cache.size_bytes) == (
        "uv's cache",
        "root/.cache/uv",
        4000,
    )
    assert by_name(figures)["torch 2.0"] > 50_000
    assert figures.duplicates == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("root/.cache/pip/http-v2/a", "pip's cache"),
        ("home/me/.cache/pip/x", "pip's cache"),
        ("var/lib/apt/lists/deb_main_Packages", "apt's lists"),
        ("var/cache/apt/archives/a.deb", "apt's packages"),
        ("opt/conda/pkgs/mkl/lib/a.so", "conda's packages"),
        ("root/miniconda3/pkgs/a", "conda's packages"),
        ("root/.cache/huggingface/hub/models--a/blobs/b", "Hugging Face's downloads"),
        ("root/.cache/pypoetry/cache/a", "poetry's cache"),
        ("root/.cache/pypoetry/virtualenvs/a", None),
        ("app/.cache/pipeline/a", None),
        ("opt/tools/pkgs/a", None),
        ("var/lib/aptitude/a", None),
    ],
)
def test_caches_are_known_by_their_place(path: str, name: str | None) -> None:
    figures = measure(image({path: b"1"}))
    assert [cache.kind.name for cache in figures.caches] == ([] if name is None else [name])


def test_equal_files_are_found_and_links_are_not() -> None:
    same = some(5000, "s")
    figures = measure(
        image(
            {
                "a": same,
                "b": same,
                "hard": special(tarfile.LNKTYPE, "a"),
                "soft": special(tarfile.SYMTYPE, "a"),
                "small": b"1" * 100,
                "small too": b"1" * 100,
            },
            {"c": same},
        )
    )
    (found,) = figures.duplicates
    assert (found.paths, found.wasted_bytes, found.owned) == (("a", "b", "c"), 10_000, False)


def test_test_suites_are_those_with_tests_in_them() -> None:
    figures = measure(
        image(
            distribution(
                "numpy",
                "2",
                {
                    "numpy/linalg/tests/test_a.py": some(2000, "a"),
                    "numpy/linalg/tests/data/b.npy": some(3000, "b"),
                    "numpy/test/helper.py": some(4000, "c"),
                    "numpy/mytests/test_x.py": some(5000, "d"),
                },
            )
        )
    )
    assert [(str(package), size) for package, size in figures.tests] == [("numpy 2", 5000)]


def test_hidden_bytes_say_what_happened_to_them() -> None:
    big = some(4000, "m")
    figures = measure(
        image(
            {"app/model": big, "tmp/a": some(3000, "t"), "lib": some(2000, "old")},
            {"app/model": big, "tmp/.wh.a": b"", "lib": some(1500, "new")},
        )
    )
    (found,) = figures.hidden
    assert (found.same_bytes, found.deleted_bytes, found.replaced_bytes) == (4000, 3000, 2000)
    assert found.examples == ("app/model", "tmp/a", "lib")


# Layers of the base


HISTORY = (
    "unpacked from Debian packages",
    "RUN |1 A=b /bin/sh -c apt-get update # buildkit",
    "WORKDIR /app",
    "COPY . . # buildkit",
    "/bin/sh -c pip install x",
)


@pytest.mark.parametrize(
    ("dockerfile", "target", "layers"),
    [
        ("FROM python\nARG A\nRUN apt-get\nWORKDIR /app\nCOPY . .\nENV A=b\nRUN pip", "", 1),
        ("FROM base\nCOPY . .\nRUN pip", "", 3),
        ("FROM base AS one\nWORKDIR /a\nFROM one\nCOPY . .\nRUN pip", "", 2),
        ("FROM base AS One\nCOPY a b\nRUN pip\nFROM x\nRUN y", "one", 3),
        ("FROM base\nRUN pip\nRUN pip", "", None),
        ("FROM base\n" + "RUN x\n" * 9, "", None),
        ("FROM base", "", 5),
        ("", "", None),
        ("FROM a AS a\nRUN pip", "", 4),
    ],
)
def test_layers_of_the_base_are_those_before_the_dockerfiles_own(
    dockerfile: str, target: str, layers: int | None
) -> None:
    assert count_base_layers(HISTORY, dockerfile, target) == layers


@pytest.mark.parametrize(
    ("dockerfile", "target", "base"),
    [
        ("FROM Registry.example/Base:1 AS a\nFROM a\nRUN x", "", "Registry.example/Base:1"),
        ("FROM one AS a\nFROM two", "a", "one"),
        ("ARG B=x\nFROM $B", "", ""),
        ("FROM scratch", "", ""),
        ("", "", ""),
        ("FROM a AS a", "", "a"),
    ],
)
def test_the_base_is_what_the_first_stage_is_from(dockerfile: str, target: str, base: str) -> None:
    assert external_base(dockerfile, target) == base


def test_a_base_that_is_there_tells_its_own_layers() -> None:
    assert count_common_layers(("1", "2", "3"), ("1", "2")) == 2
    assert count_common_layers(("1", "3"), ("1", "2")) is None
    assert count_common_layers(("1",), ()) is None


def test_instructions_of_old_builders_are_known() -> None:
    assert instruction_word("/bin/sh -c #(nop) COPY file:ab in /app ") == "COPY"
    assert instruction_word("|1 A=b /bin/bash -o pipefail -c pip") == "RUN"
    assert instruction_word("bazel build ...") == ""


# What changed


def test_a_build_is_held_against_the_last_other_one(tmp_path: Path) -> None:
    recorded = RecordedSizes(tmp_path / "new" / "sizes.json")
    assert recorded.before("sha256:1") is None
    for number in range(1, 30):
        recorded.note(RecordedBuild(f"sha256:{number}", number, (("a", number),)))
    again = RecordedSizes(tmp_path / "new" / "sizes.json")
    before = again.before("sha256:29")
    assert before is not None
    assert (before.image, before.total_bytes, before.parts) == ("sha256:28", 28, (("a", 28),))
    assert again.before("sha256:30") == RecordedBuild("sha256:29", 29, (("a", 29),))


@pytest.mark.parametrize("text", ["", "{", '{"version": 1}', '{"version": 1, "builds": [1]}', "7"])
def test_damaged_records_read_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "sizes.json").write_text(text)
    recorded = RecordedSizes(tmp_path / "sizes.json")
    assert recorded.before("sha256:1") is None
    recorded.note(RecordedBuild("sha256:1", 1, ()))
    assert recorded.before("sha256:2") is not None


def test_changes_are_told_by_part_the_largest_first() -> None:
    change = change_between({"a": 10, "b": 5, "c": 1}, {"a": 4, "c": 1, "d": 30})
    assert change.parts == (("d", 30), ("a", -6), ("b", -5))
    assert (change.grown_bytes, round(change.growth, 3)) == (19, 1.188)


def test_growth_from_nothing_is_no_division_by_zero() -> None:
    assert change_between({}, {"a": 1}).growth == float("inf")
    assert change_between({}, {}).growth == 0.0
