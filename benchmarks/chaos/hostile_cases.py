"""What a hostile container may write, by name: tar streams as an engine sends them, and folders."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.hostile_tars import (
    END,
    base_256,
    file,
    header,
    long_name,
    padded,
    pax,
    raw_pax,
    zeros,
)

GOOD = "outputs/good"
_GOOD = file(GOOD.encode(), b"good")
_MANY = 1_000_000


@dataclass(frozen=True)
class Case:
    """One hostile output.

    Args:
        stream: a tar stream for the container path `/app/outputs`; `{secret}` in it is the path of
            a file on this machine that must not be read.
        make: or: fills a folder, which is the working directory of a run on this machine; it is
            also given the path of that secret file.
        keeps: names that are taken over all the same; None where it does not matter.
        refuses: whether something has to be refused, with a reason.
        error: part of the error that ends the collecting; "" where it must not end.
        heavy: whether trying it takes seconds.
    """

    name: str
    stream: Callable[[], Iterable[bytes]] | None = None
    make: Callable[[Path, Path], None] | None = None
    keeps: frozenset[str] | None = None
    refuses: bool = False
    error: str = ""
    heavy: bool = False


def cases() -> tuple[Case, ...]:
    """All of them."""
    return (
        *_climbing(), *_links(), *_special(), *_names(), *_collisions(), *_sparse(), *_lies(),
        *_large(), *_folders(),
    )  # fmt: skip


def _tar(
    name: str,
    *parts: bytes,
    keeps: Iterable[str] = (GOOD,),
    refuses: bool = False,
    error: str = "",
    good: bool = True,
) -> Case:
    """The parts, and then a good file, unless that cannot be reached."""
    data = b"".join((*parts, *((_GOOD, END) if good else ())))
    return Case(name, lambda: (data,), None, frozenset(keeps), refuses, error)


def _endless(name: str, stream: Callable[[], Iterator[bytes]], **more: object) -> Case:
    return Case(name, stream, heavy=True, **more)  # type: ignore[arg-type]


def _climbing() -> Iterator[Case]:
    for title, name in (
        ("climbs at once", b"../evil"),
        ("climbs from a folder", b"outputs/../../evil"),
        ("climbs and comes back", b"outputs/../outputs/evil"),
        ("climbs at its end", b"outputs/.."),
        ("is absolute", b"/etc/evil"),
        ("is absolute with two slashes", b"//etc/evil"),
        ("climbs through dots and slashes", b"outputs/.//.././/../evil"),
    ):
        yield _tar(f"a name that {title}", file(name), refuses=True)
    yield _tar("a pax path that climbs", pax((b"path", b"../../evil")), file(), refuses=True)
    yield _tar("a long name that climbs", long_name(b"a/../" * 60), file(), refuses=True)
    yield _tar("a prefix that climbs", file(b"evil", prefix=b"outputs/../.."), refuses=True)
    yield _tar("a name with backslashes", file(rb"outputs/..\..\evil"),
               keeps=(GOOD, r"outputs/..\..\evil"))  # fmt: skip
    yield _tar("a folder that climbs", header(b"outputs/../..", b"5"), refuses=True)
    yield _tar("dots and slashes that lead nowhere", file(b"outputs/.//./x"),
               keeps=(GOOD, "outputs/x"))  # fmt: skip


def _links() -> Iterator[Case]:
    secret = b"{secret}"
    link, hard = b"2", b"1"
    yield _tar("a link to a file of this machine", header(b"outputs/l", link, link=secret))
    yield _tar("a link that climbs", header(b"outputs/l", link, link=b"../" * 20 + b"etc/passwd"))
    yield _tar("a file written through a link to a folder",
               header(b"outputs/l", link, link=b"/tmp"), file(b"outputs/l/evil"),
               keeps=(GOOD, "outputs/l/evil"))  # fmt: skip
    yield _tar("a link that becomes a folder", header(b"outputs/l", link, link=b"/tmp"),
               header(b"outputs/l", b"5"), file(b"outputs/l/in"),
               keeps=(GOOD, "outputs/l/in"))  # fmt: skip
    yield _tar("a folder that becomes a link", header(b"outputs/l", b"5"),
               header(b"outputs/l", link, link=b"/tmp"), file(b"outputs/l/in"),
               keeps=(GOOD, "outputs/l/in"))  # fmt: skip
    yield _tar("a file that becomes a link", file(b"outputs/l"),
               header(b"outputs/l", link, link=secret), keeps=(GOOD, "outputs/l"))  # fmt: skip
    yield _tar("a hard link to a file of this machine", header(b"outputs/l", hard, link=secret))
    yield _tar("a hard link that climbs", header(b"outputs/l", hard, link=b"../../etc/passwd"))
    yield _tar("a hard link to nothing", header(b"outputs/l", hard, link=b"outputs/none"))
    yield _tar("a hard link to itself", header(b"outputs/l", hard, link=b"outputs/l"))
    yield _tar("links in a circle", header(b"outputs/a", link, link=b"b"),
               header(b"outputs/b", link, link=b"a"))  # fmt: skip
    yield _tar("links that grow as they are followed", header(b"outputs/a", link, link=b"b/x"),
               header(b"outputs/b", link, link=b"a/y"))  # fmt: skip
    yield _tar("a link to its own folder", header(b"outputs/l", link, link=b"."), refuses=True)
    yield _tar("a pax linkpath of a megabyte", pax((b"linkpath", b"a/" * 500_000)),
               header(b"outputs/l", link), refuses=True)  # fmt: skip
    yield _tar("a link to a name with a NUL", pax((b"linkpath", b"a\0b")),
               header(b"outputs/l", link), refuses=True)  # fmt: skip
    yield _endless("a chain of 100,000 links", _chain, error="too many files")
    yield _endless("links to folders of links", _tree_of_links, error="too many files")


def _chain() -> Iterator[bytes]:
    for number in range(100_001):
        yield header(b"outputs/%d" % number, b"2", link=b"%d" % (number + 1))
    yield _GOOD + END


def _tree_of_links() -> Iterator[bytes]:
    for number in range(1000):
        yield file(b"outputs/d/%d" % number)
        yield header(b"outputs/l%d" % number, b"2", link=b"d")
    yield END


def _special() -> Iterator[Case]:
    for title, kind in (
        ("character device", b"3"), ("block device", b"4"), ("fifo", b"6"),
        ("member of an unknown type", b"Z"), ("GNU volume", b"V"), ("GNU dump of a folder", b"D"),
        ("rest of another volume", b"M"),
    ):  # fmt: skip
        yield _tar(f"a {title}", header(b"outputs/odd", kind), refuses=True)
    yield _tar("a device with a content", header(b"outputs/odd", b"3", 4096), refuses=True)
    both = (GOOD, "outputs/x")
    yield _tar("setuid, setgid and sticky bits", file(mode=0o7777), keeps=both)
    yield _tar("a folder with all bits", header(b"outputs/x", b"5", mode=0o7777),
               file(b"outputs/x/y"), keeps=(GOOD, "outputs/x/y"))  # fmt: skip
    yield _tar("modes of 0", header(b"outputs/d", b"5", mode=0), file(b"outputs/d/f", mode=0),
               keeps=(GOOD, "outputs/d/f"))  # fmt: skip
    yield _tar("a mode beyond all modes", file(mode=b"7777777"), keeps=both)
    yield _tar("a time in the far future", file(mtime=b"77777777777"), keeps=both)
    yield _tar("a time before all times", file(mtime=base_256(-(10**15))), keeps=both)
    yield _tar("a time that is none", pax((b"mtime", b"1e999")), file(), keeps=both)
    yield _tar("an owner beyond all owners", file(uid=base_256(2**60, 8)), keeps=both)
    yield _tar("an owner in pax beyond all owners", pax((b"uid", b"9" * 29)), file(), keeps=both)


def _names() -> Iterator[Case]:
    for title, name in (
        ("a newline", b"a\nb"), ("escape sequences", b"\x1b[2J\x1b]0;title\x07"),
        ("an override of the direction", "\u202egpj.exe".encode()), ("no UTF-8", b"\xff\xfe\x80"),
        ("an encoded surrogate", b"\xed\xa0\x80"), ("255 bytes", b"n" * 255),
        ("256 bytes", b"n" * 256), ("3,000 bytes", b"n" * 3000), ("a name of Windows", b"con"),
        ("a leading dash", b"-rf"), ("a tilde", b"~root"), ("dollars", b"$(id)`id`"),
        ("three dots", b"..."), ("a space alone", b" "), ("a quote", b"'\"; drop"),
        ("our own %root", b"%root"), ("our own %other", b"%other/0123"),
        ("our own record.json", b"record.json"), ("our own stdout.log", b"stdout.log"),
        ("our own outputs", b"outputs/outputs"), ("a dot file of the shell", b".bashrc"),
    ):  # fmt: skip
        whole = b"outputs/" + name
        yield _tar(
            f"a name with {title}", file(whole),
            keeps=(GOOD, whole.decode("utf-8", "surrogateescape")),
        )  # fmt: skip
    yield _tar("a name with a NUL", pax((b"path", b"outputs/a\0b")), file(), refuses=True)
    yield _tar("a name of 5,000 bytes", file(b"outputs/" + b"n" * 5000), refuses=True)
    yield _tar("a trailing slash", file(b"outputs/x/"), keeps=(GOOD, "outputs/x"))
    yield _tar("an empty name", file(b""))
    yield _tar("an empty pax path", pax((b"path", b"")), file(), keeps=(GOOD, "outputs/x"))
    yield _tar("a name of 200 folders", file(b"outputs/" + b"d/" * 200 + b"f"),
               keeps=(GOOD, "outputs/" + "d/" * 200 + "f"))  # fmt: skip
    yield _endless("10,000 folders in one another", _deep, keeps=frozenset({GOOD}), refuses=True)


def _deep() -> Iterator[bytes]:
    for depth in range(0, 10_000, 50):
        yield long_name(b"outputs/" + b"d/" * depth) + header(kind=b"5")
    yield long_name(b"outputs/" + b"d/" * 10_000 + b"f") + file()
    yield _GOOD + END


def _collisions() -> Iterator[Case]:
    yield _tar("names that differ in case", file(b"outputs/A", b"1"), file(b"outputs/a", b"2"),
               keeps=(GOOD, "outputs/A", "outputs/a"))  # fmt: skip
    composed, apart = "outputs/\u00e9", "outputs/e\u0301"
    yield _tar("names that differ in composition", file(composed.encode()), file(apart.encode()),
               keeps=(GOOD, composed, apart))  # fmt: skip
    yield _tar("a name given 1,000 times", *(file() for _ in range(1000)),
               keeps=(GOOD, "outputs/x"))  # fmt: skip
    yield _tar("a file that becomes a folder", file(), file(b"outputs/x/y"),
               keeps=(GOOD, "outputs/x", "outputs/x/y"))  # fmt: skip
    yield _tar("a folder that becomes a file", file(b"outputs/x/y"), file(),
               keeps=(GOOD, "outputs/x", "outputs/x/y"))  # fmt: skip


def _sparse() -> Iterator[Case]:
    terabyte = b"1099511627776"
    more = {"keeps": (), "error": "more than is taken over", "good": False}
    yield _tar("a file of 1 TB", header(size=2**33 - 1, at=(124, base_256(2**40))), **more)  # type: ignore[arg-type]
    small = (b"GNU.sparse.size", b"4096")
    yield _tar("a sparse member of GNU 0.0", pax(small, (b"GNU.sparse.numblocks", b"0")), file(),
               refuses=True)  # fmt: skip
    for version, records in (
        ("0.0", ((b"GNU.sparse.size", terabyte), (b"GNU.sparse.numblocks", b"0"))),
        ("0.1", ((b"GNU.sparse.size", terabyte), (b"GNU.sparse.map", b"0,0"))),
        ("1.0", ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                 (b"GNU.sparse.name", b"outputs/x"), (b"GNU.sparse.realsize", terabyte))),
    ):  # fmt: skip
        yield _tar(
            f"a sparse 1 TB in the format GNU {version}", pax(*records), file(), refuses=True
        )
    old = header(kind=b"S", at=(483, base_256(2**40)), magic=b"ustar  ")
    yield _tar("a sparse 1 TB in the old GNU format", old, refuses=True)
    extended = header(kind=b"S", at=(482, b"\1" + b"0" * 12), magic=b"ustar  ")
    blocks = (bytes(504) + b"\1" + bytes(7)) * 1000 + bytes(512)
    yield _tar("a sparse map of 1,000 blocks", extended, blocks, refuses=True)


def _lies() -> Iterator[Case]:
    broken = {"keeps": (), "error": "cannot be read back", "good": False}
    yield _tar("a size that is too large", header(size=5000), b"x" * 512, END, **broken)  # type: ignore[arg-type]
    yield _tar("a size that is too small", header(size=1), b"x" * 1024, END, **broken)  # type: ignore[arg-type]
    yield _tar("a negative size", header(size=base_256(-5)), END, **broken)  # type: ignore[arg-type]
    yield _tar("a size that is no number", header(size=b"0x99"), END, **broken)  # type: ignore[arg-type]
    yield _tar("a size with blanks and signs", header(size=b" -12 "), END, **broken)  # type: ignore[arg-type]
    yield _tar("a wrong checksum", header(checksum=b"000000"), END, **broken)  # type: ignore[arg-type]
    yield _tar("a checksum that is no number", header(checksum=b"zz"), END, **broken)  # type: ignore[arg-type]
    yield _tar("a pax size that is negative", pax((b"size", b"-1")), file(), **broken)  # type: ignore[arg-type]
    yield _tar("a pax size of a million digits", pax((b"size", b"9" * 10**6)), file(), **broken)  # type: ignore[arg-type]
    yield _tar("a pax size of 1 EB", pax((b"size", b"9" * 18)), header(), keeps=(),
               error="more than is taken over", good=False)  # fmt: skip
    yield _tar("a pax record that ends behind its header", raw_pax(b"999 path=a\n"), **broken)  # type: ignore[arg-type]
    yield _tar("a pax record of digits alone", raw_pax(b"1" * 60_000), file(), **broken)  # type: ignore[arg-type]
    yield _tar("a pax record of length 0", raw_pax(b"0 path=a\n"), file(), **broken)  # type: ignore[arg-type]
    yield _tar("a pax header for all that climbs", pax((b"path", b"../evil"), kind=b"g"), file(),
               keeps=(GOOD, "outputs/x"))  # fmt: skip
    yield _tar("5,000 headers for one file", pax((b"path", b"outputs/x")) * 5000, file(),
               keeps=(GOOD, "outputs/x"))  # fmt: skip
    yield _tar("no end mark", _GOOD, keeps=(GOOD,), error="cannot be read back", good=False)
    yield _tar("nothing at all", **broken)  # type: ignore[arg-type]
    yield _tar("a gzip file", gzip.compress(b"x" * 5000, mtime=0), bytes(512), **broken)  # type: ignore[arg-type]
    yield _tar("a zip file as its content", file(b"outputs/x", b"PK\x03\x04" + b"\xff" * 600),
               keeps=(GOOD, "outputs/x"))  # fmt: skip
    yield _tar("a tar file as its content", file(b"outputs/x", file(b"../../evil") + END),
               keeps=(GOOD, "outputs/x"))  # fmt: skip
    yield _tar("bytes after the end mark", _GOOD, END, padded(b"\xff" * 600), good=False)


def _large() -> Iterator[Case]:
    def with_header(kind: bytes) -> Callable[[], Iterator[bytes]]:
        def stream() -> Iterator[bytes]:
            yield header(b"large", kind, 2**30)
            yield from zeros(2**30)
            yield _GOOD + END

        return stream

    yield _endless("a long name of 1 GB", with_header(b"L"), error="cannot be read back")
    yield _endless("a pax header of 1 GB", with_header(b"x"), error="cannot be read back")
    yield _endless("a pax header of 1 GB for all", with_header(b"g"), keeps=frozenset({GOOD}))
    yield _endless("a million files", _million(b"0"), error="too many files")
    yield _endless("a million devices", _million(b"3"), error="too many files")
    yield _endless("a million folders", _million(b"5"), error="too long for a record")
    yield _endless("100,000 names of 4,000 bytes", _long_names, error="too long for a record")


def _million(kind: bytes) -> Callable[[], Iterator[bytes]]:
    def stream() -> Iterator[bytes]:
        for number in range(_MANY):
            yield header(b"outputs/%d" % number, kind)
        yield END

    return stream


def _long_names() -> Iterator[bytes]:
    for number in range(100_000):
        yield pax((b"path", b"outputs/" + b"\xe2\x98\x83" * 1300 + b"%d" % number)) + header()
    yield END


def _folders() -> Iterator[Case]:
    def case(name: str, make: Callable[[Path, Path], None], **more: object) -> Case:
        def fill(folder: Path, secret: Path) -> None:
            (folder / "outputs").mkdir()
            (folder / GOOD).write_text("good")
            make(folder / "outputs", secret)

        return Case(name, None, fill, **{"keeps": frozenset({GOOD}), **more})  # type: ignore[arg-type]

    yield case("a folder with a fifo", lambda o, _: os.mkfifo(o / "p"), refuses=True)
    yield case("a folder with a socket", lambda o, _: _socket(o / "s"), refuses=True)
    yield case("a folder with a link out", lambda o, s: (o / "l").symlink_to(s))
    yield case("a folder with a link to a folder out", lambda o, s: (o / "l").symlink_to(s.parent))
    yield case("a folder with links in a circle", lambda o, _: (o / "l").symlink_to("l"))
    yield case("a folder of 1,500 folders in one another", lambda o, _: _nest(o), refuses=True)
    yield case("a folder with a sparse 1 TB", lambda o, _: _truncate(o / "zz"),
               error="more than is taken over")  # fmt: skip
    yield case("a folder with setuid and no reading", lambda o, _: _closed(o))
    yield case("a folder with a name of bytes", lambda o, _: _write(o / "\udcff\n\x1b[2J"))


def _write(path: Path) -> None:
    path.write_text("x")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def _nest(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=number)
        inner = os.open("d", os.O_RDONLY, dir_fd=number)
        os.close(number)
        number = inner
    os.close(number)


def _truncate(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2**40)


def _odd_name(folder: Path) -> None:
    (folder / "\udcff\n\x1b[2J").write_text("x")


def _closed(folder: Path) -> None:
    (folder / "closed").mkdir()
    (folder / "program").write_text("x")
    (folder / "program").chmod(0o6755)
    (folder / "closed").chmod(0)
