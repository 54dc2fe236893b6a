"""Which files a path leads to, what may be left out, and the Dockerfile that does so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.environment.installed import InstalledPackage, InstalledSet
from pytest_mlcontainer.image_checks.inventory import (
    Entry,
    EntryKind,
    Inventory,
    Layer,
    LayerContent,
)
from pytest_mlcontainer.image_checks.slim.dockerfile import slim_dockerfile
from pytest_mlcontainer.image_checks.slim.opened import OpenedInImage
from pytest_mlcontainer.image_checks.slim.unneeded import Unneeded, unneeded
from pytest_mlcontainer.model import BuildSettings, Image, Platform
from pytest_mlcontainer.runs.opened_files import OPENED, read_opened_files

AMD64 = Platform("linux", "amd64")
BIG = 2_000_000
SITE = "usr/lib/python3/site-packages"


def contents(*entries: Entry, **texts: str) -> ImageContents:
    """An image of one layer; `__` in the name of a text stands for `/`."""
    kept = tuple((name.replace("__", "/"), text) for name, text in texts.items())
    files = (*entries, *(Entry(path, EntryKind.FILE, 1) for path, _text in kept))
    size = sum(each.size_bytes for each in files)
    layer = Layer("sha256:l", "l", size, "RUN", LayerContent(size, files, texts=kept))
    return ImageContents("sha256:i", Inventory(AMD64, "sha256:i", (layer,)))


def file(path: str, size: int = BIG) -> Entry:
    return Entry(path, EntryKind.FILE, size)


def link(path: str, target: str) -> Entry:
    return Entry(path, EntryKind.LINK, target=target)


LINKED = contents(
    link("bin", "usr/bin"),
    file("usr/bin/python3.13"),
    link("usr/bin/python3", "python3.13"),
    link("opt/env/bin/python", "/bin/python3"),
    link("round", "about"),
    link("about", "round"),
    link("up", "../../.."),
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/usr/bin/python3.13", {"usr/bin/python3.13"}),
        ("/usr//bin/./python3.13", {"usr/bin/python3.13"}),
        ("/opt/../usr/bin/python3.13", {"usr/bin/python3.13"}),
        (
            "/opt/env/bin/python",
            {"opt/env/bin/python", "bin", "usr/bin/python3", "usr/bin/python3.13"},
        ),
        ("/up/bin/python3", {"up", "bin", "usr/bin/python3", "usr/bin/python3.13"}),
        ("/round/x", {"round", "about"}),
        ("/usr", set()),
        ("/proc/1/maps", set()),
    ],
)
def test_links_on_the_way_to_a_file_are_opened_too(path: str, found: set[str]) -> None:
    assert OpenedInImage(LINKED.files, [path]).files == found


def stanza(name: str, depends: str = "", section: str = "utils", **fields: str) -> str:
    lines = [f"Package: {name}", "Status: install ok installed", f"Section: {section}"]
    lines += [f"Depends: {depends}"] if depends else []
    return "\n".join((*lines, *(f"{key}: {value}" for key, value in fields.items()))) + "\n"


def debian(*stanzas: str, opened: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the packages that may go, of those of these stanzas."""
    names = [each.split("\n")[0].removeprefix("Package: ") for each in stanzas]
    texts = {f"var__lib__dpkg__info__{name}.list": f"/usr/bin/{name}\n" for name in names}
    image = contents(
        *(file(f"usr/bin/{name}") for name in names),
        var__lib__dpkg__status="\n".join(stanzas),
        **texts,
    )
    paths = [f"/usr/bin/{name}" for name in opened]
    groups = unneeded(image, OpenedInImage(image.files, paths), None, ())
    return groups[0].packages if groups else ()


def test_debian_packages_go_with_the_libraries_that_they_alone_brought() -> None:
    compiler = stanza("gcc", "libisl (>= 1), libc6 | libc")
    library, libc = stanza("libisl", section="libs"), stanza("libc6", section="libs")
    assert debian(compiler, library, libc) == ("gcc", "libc6", "libisl")
    user = stanza("tool", "libc6:any")
    assert debian(compiler, library, libc, user, opened=("tool",)) == ("gcc", "libisl")
    # No package says that it needs libgomp: a wheel may.
    assert debian(stanza("libgomp1", section="libs")) == ()
    assert debian(compiler, library, libc, opened=("gcc",)) == ()


def test_debian_packages_of_the_system_and_for_the_network_stay() -> None:
    assert debian(stanza("bash", Essential="yes"), stanza("apt", Priority="important")) == ()
    assert debian(stanza("ca-certificates", "openssl-provider"),
                  stanza("openssl4", Provides="openssl-provider")) == ()  # fmt: skip
    assert debian(stanza("vim"), stanza("nano")) == ("nano", "vim")


def test_python_packages_are_told_apart_by_whether_anything_used_requires_them() -> None:
    names = ("used", "needed", "loose", "plugin")
    kinds = (".py", ".bin", "-1.dist-info/RECORD")
    records = {
        f"{SITE}/{name}-1.dist-info/RECORD".replace("/", "__"): "".join(
            f"{name}{kind},,\n" for kind in kinds
        )
        for name in names
    }
    about = f"{SITE}/plugin-1.dist-info/RECORD"
    image = contents(*(file(f"{SITE}/{name}.{kind}") for name in names for kind in ("py", "bin")),
                     **records)  # fmt: skip
    opened = OpenedInImage(image.files, [f"/{SITE}/used.py", f"/{about}"])
    requires = InstalledPackage("used", "1", ("Needed[extra]>=1; os_name == 'posix'",))
    installed = InstalledSet((requires,), ())
    loose, needed = unneeded(image, opened, installed, ())
    assert (loose.names, loose.size_bytes) == (("loose 1",), 2 * BIG + 1)
    assert needed.names == ("needed 1", "plugin 1")
    (left,) = unneeded(image, opened, installed, ("Loose", f"/{SITE}/plugin.*"))
    assert left.names == ("needed 1",)


def test_the_dockerfile_removes_folders_where_they_are_whole(tmp_path: Path) -> None:
    original = "ARG A=b\nFROM x AS first\nRUN true\nFROM --platform=linux/amd64 first\nRUN false\n"
    build = BuildSettings(tmp_path, tmp_path / "Dockerfile")
    image = Image(
        "i", "sha256:i", AMD64, entrypoint=("a b",), workdir="/w", user="7",
        env=(("A", 'x"$\\'),), health=("CMD", "ok"), ports=("80/tcp",), stop_signal="SIGINT",
    )  # fmt: skip
    gone = Unneeded("some", ("some",), 1, frozenset(("a/b/c", "a/b/d", "a e/f")))
    deb = Unneeded("deb", ("gcc",), 1, packages=("gcc",))
    files = ("a/b/c", "a/b/d", "a/g", "a e/f", "z")
    made = slim_dockerfile(original, image, build, (gone, deb), files)
    assert (made.stage, made.renamed) == ("full", 4)
    assert made.text.splitlines()[3] == "FROM --platform=linux/amd64 first AS full"
    assert made.added == (
        "FROM full AS trimmed\nUSER root\nRUN dpkg --purge \\\n        gcc\n"
        "RUN rm -rf \\\n        '/a e' \\\n        /a/b\n\nFROM scratch\n"
        'COPY --from=trimmed / /\nENV A="x\\"\\$\\\\"\nEXPOSE 80/tcp\nSTOPSIGNAL SIGINT\n'
        'HEALTHCHECK CMD ["ok"]\nWORKDIR /w\nUSER 7\nENTRYPOINT ["a b"]\n'
    )


@pytest.mark.parametrize(
    ("told", "paths", "unseen"),
    [
        (b"o/a\0x/b\0", {"/a", "/b"}, ""),
        (b"o/a\0!unread\0", {"/a"}, "as another user"),
        (b"!errno 22\0", set(), "error 22 of seccomp"),
        (b"o/a\0o/cut", set(), "ended before all was told"),
        (b"", set(), "ended before all was told"),
        (None, set(), "has told nothing"),
    ],
)
def test_what_was_told_is_read_with_what_was_not_seen(
    tmp_path: Path, told: bytes | None, paths: set[str], unseen: str
) -> None:
    if told is not None:
        (tmp_path / OPENED).write_bytes(told)
    found = read_opened_files(tmp_path)
    assert found.paths == paths
    assert unseen in found.unseen
    assert bool(found.unseen) is bool(unseen)
