from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docker
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    OutputLimits,
    collect_tar,
    collect_tree,
    names_in_tar,
)
from pytest_mlcontainer.outputs.intake import Attributes, Intake
from pytest_mlcontainer.secrets import Redactor, Value

needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


def directory(name: str, mode: int = 0o755, uid: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid = tarfile.DIRTYPE, mode, uid
    return entry, b""


def regular(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, content


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry, b""


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.SYMTYPE, target)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.LNKTYPE, target)


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in members:
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def chunks(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def contents(collected: Collected) -> dict[str, bytes]:
    return {name: output.path.read_bytes() for name, output in collected.outputs.items()}


def everything_in(folder: Path) -> list[Path]:
    return [Path(top, name) for top, dirs, files in os.walk(folder) for name in dirs + files]


class Take:
    """Collects one tar stream, or a folder, into an empty folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.into = tmp_path / "record" / "outputs"
        self.into.mkdir(parents=True)

    def tar(
        self,
        data: bytes | Iterable[bytes],
        *patterns: str,
        workdir: str = "/app",
        root: str = "/app/outputs",
        collected: Collected | None = None,
    ) -> Collected:
        collected = Collected() if collected is None else collected
        stream = chunks(data) if isinstance(data, bytes) else data
        collect_tar(stream, root, DeclaredOutputs(patterns, workdir), self.into, collected)
        return collected

    def tree(self, folder: Path, *patterns: str) -> Collected:
        collected = Collected()
        collect_tree(folder, DeclaredOutputs(patterns, str(folder)), self.into, collected)
        return collected


@pytest.fixture
def take(tmp_path: Path) -> Take:
    return Take(tmp_path)


class TestDeclared:
    @pytest.mark.parametrize(
        ("patterns", "workdir", "roots"),
        [
            (("outputs/*",), "/app", ("/app/outputs",)),
            (
                ("outputs/a.npz", "outputs/b.npz"),
                "/app",
                ("/app/outputs/a.npz", "/app/outputs/b.npz"),
            ),
            (
                ("outputs/*", "outputs/a/*", "outputs-2/*"),
                "/app",
                ("/app/outputs", "/app/outputs-2"),
            ),
            (("*.npz", "outputs/*"), "/app", ("/app",)),
            (("**",), "/app", ("/app",)),
            (("/data/*", "outputs/*"), "/app", ("/app/outputs", "/data")),
            (("/app/outputs/*", "outputs/a"), "/app", ("/app/outputs",)),
            (("*",), "/", ("/",)),
            (("/*", "outputs/*"), "/app", ("/",)),
            (("./outputs//*",), "/app", ("/app/outputs",)),
            (("a[12]/x",), "/app", ("/app",)),
            ((), "/app", ()),
        ],
    )
    def test_roots_are_the_fewest_paths_that_hold_everything(
        self, patterns: tuple[str, ...], workdir: str, roots: tuple[str, ...]
    ) -> None:
        """Each byte is asked for once: no root lies in another."""
        assert DeclaredOutputs(patterns, workdir).roots() == roots

    @pytest.mark.parametrize(
        ("pattern", "workdir", "path", "name"),
        [
            ("outputs/*", "/app", "/app/outputs/a", "outputs/a"),
            ("outputs/*", "/app", "/app/outputs/a/b", "outputs/a/b"),
            ("outputs/*", "/app", "/app/outputs", None),
            ("outputs/*", "/app", "/application/outputs/a", None),
            ("*", "/", "/etc", "etc"),
            ("**", "/", "/a/b", "a/b"),
            ("/app/outputs/*", "/app", "/app/outputs/a", "/app/outputs/a"),
            ("/data/*", "/app", "/app/data/a", None),
            ("./outputs/*", "/app", "/app/outputs/a", "outputs/a"),
            ("a\nb*", "/app", "/app/a\nb\nc", "a\nb\nc"),
        ],
    )
    def test_a_name_is_as_the_pattern_has_it(
        self, pattern: str, workdir: str, path: str, name: str | None
    ) -> None:
        """Relative for relative patterns, absolute for absolute ones, none for the undeclared."""
        assert DeclaredOutputs((pattern,), workdir).name_of(path) == name

    def test_missing_are_the_patterns_without_a_file(self, take: Take) -> None:
        """An empty folder is no output; a folder with a file in it is."""
        data = tar(directory("outputs"), directory("outputs/empty"), regular("outputs/model/w"))
        collected = take.tar(data, "outputs/empty", "outputs/model", "outputs/*.npz")
        patterns = ("outputs/empty", "outputs/model", "outputs/*.npz")
        assert collected.missing(patterns) == ("outputs/empty", "outputs/*.npz")


class TestTar:
    def test_declared_files_are_taken_with_mode_and_owner(self, take: Take) -> None:
        """To put them back the same way for the run that needs them; setuid is not taken."""
        data = tar(
            directory("outputs", 0o2775, uid=999),
            regular("outputs/a.npz", b"abc", 0o4755),
            regular("outputs/a.log"),
        )
        collected = take.tar(data, "outputs/*.npz")
        assert contents(collected) == {"outputs/a.npz": b"abc"}
        output = collected.outputs["outputs/a.npz"]
        assert (output.size_bytes, output.mode) == (3, 0o755)
        assert output.path == take.into / "outputs" / "a.npz"
        folder = collected.folders["/app/outputs"]
        assert (folder.mode, folder.uid) == (0o2775, 999)

    def test_the_top_may_be_called_anything(self, take: Take) -> None:
        """Engines name the top of a stream after the last part of what it leads to."""
        data = tar(directory("..v1"), regular("..v1/a"))
        assert list(take.tar(data, "outputs/*").outputs) == ["outputs/a"]

    def test_the_root_folder_as_working_directory(self, take: Take) -> None:
        """An image without a WORKDIR; its stream has names with a leading slash, and no top."""
        data = tar(
            directory("/"), directory("/..data"), regular("/..data/q"), regular("/a.npz"),
            hardlink("/b.npz", "/a.npz"), regular("/usr/lib/x"), symlink("/c.npz", "a.npz"),
        )  # fmt: skip
        for spelled in (data, tar(directory("."), regular("./a.npz"), regular("..data/q"))):
            collected = take.tar(spelled, "*.npz", "..data/*", workdir="/", root="/")
            assert {"a.npz", "..data/q"} <= set(collected.outputs)
        collected = take.tar(data, "*.npz", workdir="/", root="/")
        assert contents(collected) == {"a.npz": b"x", "b.npz": b"x", "c.npz": b"x"}
        assert collected.links == {}

    @pytest.mark.parametrize(
        "name", ["../evil", "outputs/../../evil", "outputs/../evil", "/etc/evil", "..", "a/.."]
    )
    def test_names_that_climb_are_refused(self, take: Take, tmp_path: Path, name: str) -> None:
        """Whatever a member is called, it ends up below the folder given, or nowhere."""
        collected = take.tar(tar(regular(name), regular("outputs/good")), "**")
        assert list(collected.outputs) == ["outputs/good"]
        assert len(collected.refused) == 1
        assert name in collected.refused[0]
        assert all(path.is_relative_to(take.into.parent) for path in everything_in(tmp_path))

    @pytest.mark.parametrize(
        "name",
        [
            "new\nline", "\udcff\udcfe", "ünï", "語" * 60, "a" * 255, " ", "-rf", "con", "%root",
            "a%b", "\x1b[2Jx", "x" * 100 + "/" + "y" * 200, "/".join(["d" * 100] * 12), "a\\b",
            "..a", "...", ".hidden", "*", "\u202eevil",
        ],
    )  # fmt: skip
    def test_every_name_is_taken(self, take: Take, name: str) -> None:
        """The output keeps its name; its file has one that every file system takes."""
        collected = take.tar(tar(regular(f"outputs/{name}", b"content")), "outputs/**")
        assert contents(collected) == {f"outputs/{name}": b"content"}
        path = collected.outputs[f"outputs/{name}"].path
        assert path.resolve().is_relative_to(take.into)
        assert all(len(os.fsencode(part)) <= 255 for part in path.parts)
        assert "\n" not in str(path)
        assert "\x1b" not in str(path)

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.text(st.sampled_from("aA%/.\n ~\udcff\u00e9e\u0301"), min_size=1, max_size=6),
            min_size=1,
            max_size=8,
        )
    )
    def test_no_two_outputs_share_a_file(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[str]
    ) -> None:
        """Whatever the names: also a file where another needs a folder, and names given twice."""
        take = Take(tmp_path_factory.mktemp("take"))
        members = [
            regular(f"outputs/{name}", str(number).encode()) for number, name in enumerate(names)
        ]
        collected = take.tar(tar(*members), "**")
        last = {}
        for number, name in enumerate(names):
            parts = [part for part in name.split("/") if part not in ("", ".")]
            if ".." not in parts:
                last["/".join(("outputs", *parts))] = str(number).encode()
        assert contents(collected) == last
        assert all(output.path.is_relative_to(take.into) for output in collected.outputs.values())

    @pytest.mark.parametrize(
        "kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE], ids=["fifo", "char", "block"]
    )
    def test_devices_and_pipes_are_refused(self, take: Take, kind: bytes) -> None:
        """They are never made on this machine, and the reason is kept."""
        collected = take.tar(tar(special("outputs/odd", kind)), "outputs/*")
        assert collected.outputs == {}
        assert [line.startswith("outputs/odd: not a regular file") for line in collected.refused]
        assert list(take.into.iterdir()) == []

    def test_no_link_is_made(self, take: Take) -> None:
        """A link gets its target's content, or is left for the engine to be asked."""
        data = tar(
            regular("outputs/v1/w", b"weights"), symlink("outputs/relative", "v1/w"),
            symlink("outputs/absolute", "/app/outputs/v1/w"),
            symlink("outputs/passwd", "/etc/passwd"),
            symlink("outputs/climbs", "../../../../../etc/passwd"),
            symlink("outputs/dangling", "none"),
        )  # fmt: skip
        collected = take.tar(data, "outputs/*")
        assert contents(collected) == {
            "outputs/v1/w": b"weights",
            "outputs/relative": b"weights",
            "outputs/absolute": b"weights",
        }
        assert collected.links == {
            "/app/outputs/passwd": "/etc/passwd",
            "/app/outputs/climbs": "/etc/passwd",
            "/app/outputs/dangling": "/app/outputs/none",
        }
        assert not any(path.is_symlink() for path in everything_in(take.into))

    def test_chains_of_links_and_links_to_folders(self, take: Take) -> None:
        """`best → latest → step-20` is how training keeps its checkpoints."""
        data = tar(
            symlink("outputs/best", "latest"), symlink("outputs/latest", "step-20"),
            directory("outputs/step-20"), regular("outputs/step-20/w", b"20"),
            regular("outputs/step-20/deep/v", b"v"), symlink("outputs/file", "best/w"),
            symlink("outputs/elsewhere", "first"), symlink("outputs/first", "/data/x"),
        )  # fmt: skip
        collected = take.tar(data, "outputs/*")
        assert contents(collected) == {
            "outputs/step-20/w": b"20",
            "outputs/step-20/deep/v": b"v",
            "outputs/latest/w": b"20",
            "outputs/latest/deep/v": b"v",
            "outputs/best/w": b"20",
            "outputs/best/deep/v": b"v",
            "outputs/file": b"20",
        }
        assert collected.links == {
            "/app/outputs/elsewhere": "/data/x",
            "/app/outputs/first": "/data/x",
        }

    def test_links_in_what_a_link_leads_to_start_there(self, take: Take) -> None:
        """A cache keeps `snapshots/1/w -> ../../blobs/x`, and `outputs/model -> …/snapshots/1`."""
        collected = Collected()
        data = tar(directory("1"), regular("1/c", b"c"), symlink("1/w", "../../blobs/x"))
        collect_tar(
            chunks(data),
            "/app/outputs/model",
            DeclaredOutputs(("outputs/**",), "/app"),
            take.into,
            collected,
            lies_at="/cache/snapshots/1",
        )
        assert contents(collected) == {"outputs/model/c": b"c"}
        assert collected.links == {"/app/outputs/model/w": "/cache/blobs/x"}

    def test_links_in_a_circle_end(self, take: Take) -> None:
        """Neither a circle of links nor a link to the folder that it lies in goes on for ever."""
        data = tar(
            symlink("outputs/a", "b"), symlink("outputs/b", "a"), symlink("outputs/self", "self"),
            regular("outputs/w"), symlink("outputs/here", "."), symlink("outputs/up", "../.."),
        )  # fmt: skip
        collected = take.tar(data, "outputs/*")
        assert list(collected.outputs) == ["outputs/w"]
        assert {line.partition(":")[0] for line in collected.refused} == {
            "/app/outputs/here",
            "/app/outputs/up",
        }

    def test_many_links_to_folders_of_links_stay_few(self, take: Take) -> None:
        """Each link repeats what was written, not what other links repeated."""
        data = tar(
            *(regular(f"outputs/d/{number}") for number in range(3)),
            *(symlink(f"outputs/d/l{number}", "../d2") for number in range(10)),
            *(symlink(f"outputs/k{number}", "d") for number in range(10)),
        )
        assert len(take.tar(data, "outputs/*").outputs) == 3 + 10 * 3

    def test_an_outputs_folder_that_is_a_link(self, take: Take) -> None:
        """The engine gives the link alone; where it leads is left for the engine to be asked."""
        collected = take.tar(tar(symlink("outputs", "/data/out")), "outputs/*")
        assert collected.links == {"/app/outputs": "/data/out"}

    def test_hard_links_are_files(self, take: Take) -> None:
        """The archive names the first name of a file; a first name that is not declared, too."""
        data = tar(
            directory("outputs"), regular("outputs/a.tmp", b"A"),
            hardlink("outputs/a.npz", "outputs/a.tmp"),
            regular("outputs/b.npz", b"B"), hardlink("outputs/c.npz", "outputs/b.npz"),
            hardlink("outputs/d.npz", "/etc/passwd"), hardlink("outputs/e.npz", "../../etc/passwd"),
        )  # fmt: skip
        collected = take.tar(data, "outputs/*.npz")
        assert contents(collected) == {"outputs/b.npz": b"B", "outputs/c.npz": b"B"}
        assert collected.links["/app/outputs/a.npz"] == "/app/outputs/a.tmp"
        assert set(collected.links) == {f"/app/outputs/{name}.npz" for name in "ade"}

    def test_one_file_asked_for_by_its_name(self, take: Take) -> None:
        """A root may be a file, and one that is not there gives no stream at all."""
        data = tar(regular("metrics.json", b"{}"))
        collected = take.tar(data, "outputs/metrics.json", root="/app/outputs/metrics.json")
        assert contents(collected) == {"outputs/metrics.json": b"{}"}

    def test_two_streams_fill_one_collection(self, take: Take) -> None:
        """One for each root; links from the first into the second are resolved at the end."""
        collected = take.tar(tar(regular("b", b"1")), "/data/b", "outputs/*", root="/data/b")
        take.tar(tar(symlink("outputs/l", "/data/b")), "/data/b", "outputs/*", collected=collected)
        assert contents(collected) == {"/data/b": b"1", "outputs/l": b"1"}

    def test_absolute_outputs_lie_beside_relative_ones(self, take: Take) -> None:
        """`/data/x` and `data/x` are two files."""
        collected = take.tar(tar(regular("data/x", b"1")), "/data/*", root="/data")
        take.tar(tar(regular("data/x", b"2")), "data/*", root="/app/data", collected=collected)
        assert contents(collected) == {"/data/x": b"1", "data/x": b"2"}

    @pytest.mark.parametrize("cut", [0, 100, 512, 700, 1024, 1400, 1536, 2048])
    def test_a_stream_cut_off_is_an_error(self, take: Take, cut: int) -> None:
        """Also between two members, and when all but the end mark is there."""
        data = tar(regular("outputs/a", b"x" * 400), regular("outputs/b", b"y" * 400))
        with pytest.raises(OutputError, match="cannot be read back") as caught:
            take.tar(data[:cut], "outputs/*")
        assert caught.value.value.startswith("/app/outputs: ")
        assert caught.value.remedy

    def test_garbage_between_members_is_an_error(self, take: Take) -> None:
        """It is not taken for the end of the stream."""
        data = bytearray(tar(regular("outputs/a"), regular("outputs/b"), regular("outputs/c")))
        data[1024:1536] = hashlib.sha512().digest() * 8
        with pytest.raises(OutputError):
            take.tar(bytes(data), "outputs/*")

    def test_a_connection_that_breaks_is_an_error(self, take: Take) -> None:
        """What the connection raised is told."""

        def stream() -> Iterator[bytes]:
            yield tar(regular("outputs/a", b"x" * 5000))[:1024]
            raise ConnectionResetError("peer went away")

        with pytest.raises(OutputError, match=r"stopped sending.*peer went away"):
            take.tar(stream(), "outputs/*")

    @pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 1 << 20])
    def test_pieces_may_have_any_size(self, take: Take, size: int) -> None:
        """Empty ones among them."""
        data = tar(directory("outputs"), regular("outputs/a", b"content" * 1000))
        pieces = (piece for chunk in chunks(data, size) for piece in (chunk, b""))
        assert contents(take.tar(pieces, "outputs/*")) == {"outputs/a": b"content" * 1000}

    def test_too_many_files_end_it(self, take: Take) -> None:
        """Files, links and what is refused count alike; what was taken before stays."""
        makers: tuple[Callable[[str], tuple[tarfile.TarInfo, bytes]], ...] = (
            regular,
            lambda name: symlink(name, "/nowhere"),
            lambda name: special(name, tarfile.FIFOTYPE),
        )
        data = tar(*(makers[number % 3](f"outputs/{number}") for number in range(9)))
        take.tar(data, "outputs/*", collected=Collected(allowance=OutputLimits(files=9)))
        data = tar(*(makers[number % 3](f"outputs/{number}") for number in range(10)))
        collected = Collected(allowance=OutputLimits(files=9))
        with pytest.raises(OutputError, match=r"too many files: more than 9 .output-files.") as it:
            take.tar(data, "outputs/*", collected=collected)
        assert "outputs/9" in it.value.value
        assert "output-files" in it.value.remedy
        assert set(collected.outputs) == {"outputs/0", "outputs/3", "outputs/6"}

    def test_too_many_bytes_end_it_before_they_are_read(self, take: Take) -> None:
        """The header says how many there are; what was taken before stays."""
        large = tarfile.TarInfo("outputs/large")
        large.size = 10**15
        data = tar(regular("outputs/a", b"x" * 10))[:1024] + large.tobuf(tarfile.PAX_FORMAT)
        collected = Collected(allowance=OutputLimits(size_bytes=2**40))
        with pytest.raises(OutputError, match="more than is taken over") as caught:
            take.tar(data, "outputs/*", collected=collected)
        assert caught.value.value == (
            "outputs/large has 1,000,000,000,000,000 bytes; with it, its outputs would have "
            "1,000,000,000,000,010, and output-limit is 1,099,511,627,776"
        )
        assert caught.value.remedy.endswith("raise `output-limit`")
        assert contents(collected) == {"outputs/a": b"x" * 10}
        assert not (take.into / "outputs" / "large").exists()


class TestNamesInTar:
    def test_names_without_the_top_one(self) -> None:
        """Folders have a slash at their end; no more than asked for."""
        data = tar(directory("app"), directory("app/src"), regular("app/src/a"), regular("app/b"))
        assert names_in_tar(chunks(data), 20) == ("src/", "src/a", "b")
        assert names_in_tar(chunks(data), 2) == ("src/", "src/a")

    def test_hidden_folders_and_bytecode_do_not_crowd_out_the_rest(self) -> None:
        junk = [directory("app/.git"), regular("app/.git/HEAD"), regular("app/a/__pycache__/b.pyc")]
        shown = tar(directory("app"), *junk, regular("app/.env"), regular("app/model.bin"))
        assert names_in_tar(chunks(shown), 20) == (".env", "model.bin")

    def test_hidden_folders_are_named_where_nothing_else_is_found(self) -> None:
        """Of a large environment that comes first the rest may not be read."""
        junk = [directory("app/.venv"), regular("app/.venv/a"), directory("app/src/__pycache__")]
        data = tar(directory("app"), *junk)
        assert names_in_tar(chunks(data), 20) == (".venv/", "src/")
        assert names_in_tar(chunks(data), 1) == (".venv/",)

        def too_long() -> Iterator[bytes]:
            yield data[: 3 * 512]
            raise OutputError("there is too much", "…", "…")

        assert names_in_tar(too_long(), 20) == (".venv/", "…")

    def test_the_root_folder_has_no_top(self) -> None:
        """Its names start with a slash."""
        data = tar(directory("/"), directory("/etc"), regular("/etc/passwd"))
        assert names_in_tar(chunks(data), 20) == ("etc/", "etc/passwd")

    def test_what_is_no_folder_has_no_names(self) -> None:
        """An empty folder has none either, but can be named as the place where nothing is."""
        assert names_in_tar(chunks(tar(regular("model.bin"))), 20) is None
        assert names_in_tar(chunks(tar(symlink("model.bin", "gone"))), 20) is None
        assert names_in_tar(chunks(tar(directory("outputs"))), 20) == ()

    def test_damage_ends_the_names(self) -> None:
        """They are shown to help with another error, so they must not raise one of their own."""
        data = tar(directory("app"), regular("app/a"), regular("app/b"))
        assert names_in_tar(chunks(data[:1536]), 20) == ("a",)
        assert names_in_tar(iter(()), 20) == ()


class TestTree:
    def test_declared_files_are_taken(self, take: Take, tmp_path: Path) -> None:
        """Nothing else, and nothing is moved."""
        folder = tmp_path / "project"
        (folder / "outputs" / "sub").mkdir(parents=True)
        (folder / "outputs" / "sub" / "w").write_bytes(b"w")
        (folder / "outputs" / "a.log").write_bytes(b"log")
        (folder / "b").write_bytes(b"b")
        collected = take.tree(folder, "outputs/sub", "b", "not/there/*", "outputs/a.log/x")
        assert contents(collected) == {"outputs/sub/w": b"w", "b": b"b"}
        assert (folder / "outputs" / "sub" / "w").exists()

    def test_everything_of_a_working_directory(self, take: Take, tmp_path: Path) -> None:
        """`**` takes all files in it, whatever they are called."""
        folder = tmp_path / "project"
        (folder / "a").mkdir(parents=True)
        names = {"a/new\nline", "\udcff", "b"}
        for name in names:
            (folder / name).write_text("x")
        assert set(take.tree(folder, "**").outputs) == names

    def test_what_is_no_file_is_refused(self, take: Take, tmp_path: Path) -> None:
        """A pipe would block for ever; a socket cannot be read."""
        folder = tmp_path / "p"
        folder.mkdir()
        os.mkfifo(folder / "pipe")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(folder / "sock"))
            collected = take.tree(folder, "*")
        assert sorted(collected.refused) == ["pipe: not a regular file", "sock: not a regular file"]

    def test_links_within_are_followed_and_others_are_not(self, take: Take, tmp_path: Path) -> None:
        """Nothing outside the working directory is read, by whatever link."""
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "key").write_text("secret")
        folder = tmp_path / "project"
        (folder / "outputs" / "v1").mkdir(parents=True)
        (folder / "outputs" / "v1" / "w").write_text("w")
        for link, target in (
            ("latest", "v1"),
            ("w", "v1/w"),
            ("file", "../../secret/key"),
            ("folder", tmp_path / "secret"),
        ):
            (folder / "outputs" / link).symlink_to(target)
        (folder / "linked").symlink_to(tmp_path / "secret")
        (folder / "here").symlink_to("outputs")
        collected = take.tree(folder, "outputs/*", "linked/*", "linked/deep/x", "here/*")
        assert contents(collected) == {
            "outputs/v1/w": b"w",
            "outputs/latest/w": b"w",
            "outputs/w": b"w",
            "here/v1/w": b"w",
            "here/latest/w": b"w",
            "here/w": b"w",
        }
        assert set(collected.links) == {
            str(folder / name) for name in ("outputs/file", "outputs/folder", "linked")
        }
        assert not any(
            path.is_file() and path.read_text() == "secret" for path in everything_in(take.into)
        )

    def test_a_path_behind_a_link_out_is_refused(self, take: Take, tmp_path: Path) -> None:
        """A declared path below a folder that is a link to somewhere else."""
        (tmp_path / "secret" / "deep").mkdir(parents=True)
        (tmp_path / "secret" / "deep" / "key").write_text("secret")
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "linked").symlink_to(tmp_path / "secret")
        collected = take.tree(tmp_path / "p", "linked/deep/*", "linked/deep/key")
        assert collected.outputs == {}
        assert len(collected.refused) == 1

    @needs_user
    def test_what_cannot_be_read_is_refused(self, take: Take, tmp_path: Path) -> None:
        """A file or a folder without permission is told, and does not end the collection."""
        folder = tmp_path / "p"
        (folder / "closed").mkdir(parents=True)
        (folder / "closed" / "x").write_text("x")
        (folder / "file").write_text("x")
        (folder / "good").write_text("x")
        (folder / "file").chmod(0)
        (folder / "closed").chmod(0)
        try:
            collected = take.tree(folder, "**")
        finally:
            (folder / "closed").chmod(0o755)
        assert list(collected.outputs) == ["good"]
        assert len(collected.refused) == 2

    def test_a_file_that_grows_is_taken_as_it_was(self, take: Take, tmp_path: Path) -> None:
        """What was left running may write for ever; `/dev/zero`-like growth ends."""
        folder = tmp_path / "p"
        folder.mkdir()
        (folder / "a").write_bytes(b"x" * 10)
        declared, collected = DeclaredOutputs(("*",), str(folder)), Collected()
        intake = Intake(declared, take.into, collected)

        class Growing(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                return b"x" * (size or 0)

        intake.store("a", Growing(), 10, Attributes(0o644, 0, 0, b"", None))
        assert collected.outputs["a"].size_bytes == 10

    def test_outputs_can_be_written_by_a_later_run(self, take: Take, tmp_path: Path) -> None:
        """This machine's user ids mean nothing in a container, so everybody may."""
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "a").write_text("x")
        (tmp_path / "p" / "a").chmod(0o400)
        output = take.tree(tmp_path / "p", "*").outputs["a"]
        assert output.mode == 0o666
        assert stat.S_ISREG(output.path.stat().st_mode)


def test_what_holds_a_secret_is_refused(take: Take) -> None:
    """In its content or its name, also across pieces and in the name of a link."""
    hidden = Redactor((Value("TOKEN", b"hf_012345"), Value("/run/key", b"a-key-98765\n")))
    data = tar(
        regular("outputs/good", b"hf_01234"),
        regular("outputs/content", b"x" * (1 << 20) + b"a-key-98765"),
        regular("outputs/border", b"x" * ((1 << 20) - 3) + b"hf_012345" + b"y" * 2000),
        regular("outputs/a-hf_012345.txt"),
        directory("outputs/hf_012345"),
        regular("outputs/hf_012345/file"),
        symlink("outputs/link-hf_012345", "good"),
        regular("outputs/last", b"z"),
    )
    collected = take.tar(data, "outputs/*", "outputs/*/*", collected=Collected(hidden=hidden))
    assert contents(collected) == {"outputs/good": b"hf_01234", "outputs/last": b"z"}
    assert sorted(collected.refused) == [
        "outputs/***/file: its name holds the value of the secret TOKEN",
        "outputs/a-***.txt: its name holds the value of the secret TOKEN",
        "outputs/border: holds the value of the secret TOKEN",
        "outputs/content: holds the value of the secret /run/key",
        "outputs/link-***: its name holds the value of the secret TOKEN",
    ]
    assert {path.name for path in everything_in(take.into) if path.is_file()} == {"good", "last"}
    assert collected.missing(("outputs/border",)) == ("outputs/border",)


MAKE_ODD_THINGS = r"""
mkdir -p /app/outputs/d /volume/sub /..data && cd /app/outputs
echo hi >a; ln a hard; ln -s a soft; ln -s soft chain; ln -s d folder; ln -s /etc/hostname out
mkfifo p; printf 1 >"$(printf 'n\nl')"; printf 2 >"$(printf 'b\377d')"; printf 3 >d/f
printf 4 >/volume/sub/v; ln -s /volume/sub /app/linked; printf 5 >/top; ln /top /top2
printf 6 >/..data/q; chmod 000 a; chown 999:998 d/f
"""


def test_what_an_engine_really_sends(engine: docker.APIClient, take: Take) -> None:
    """Odd names, links of both kinds, a pipe, a volume; the root folder as working directory."""
    made = engine.create_container(
        "python:3.13-slim",
        ["sh", "-ec", MAKE_ODD_THINGS],
        volumes=["/volume"],
        host_config=engine.create_host_config(network_mode="none"),
    )["Id"]
    try:
        engine.start(made)
        assert engine.wait(made)["StatusCode"] == 0
        declared = DeclaredOutputs(("outputs/*", "/volume/**", "linked/*"), "/app")
        collected = Collected()
        for root in declared.roots():
            collect_tar(engine.get_archive(made, root)[0], root, declared, take.into, collected)
        top = take.tar(engine.get_archive(made, "/")[0], "top*", "..data/*", workdir="/", root="/")
    finally:
        engine.remove_container(made, force=True, v=True)
    assert contents(collected) == {
        "outputs/a": b"hi\n",
        "outputs/hard": b"hi\n",
        "outputs/soft": b"hi\n",
        "outputs/chain": b"hi\n",
        "outputs/d/f": b"3",
        "outputs/folder/f": b"3",
        "outputs/n\nl": b"1",
        "outputs/b\udcffd": b"2",
        "/volume/sub/v": b"4",
        "linked/v": b"4",
    }
    assert collected.outputs["outputs/a"].mode == 0
    assert (collected.outputs["outputs/d/f"].uid, collected.outputs["outputs/d/f"].gid) == (
        999,
        998,
    )
    assert collected.refused == ["outputs/p: not a regular file (fifo)"]
    assert collected.links == {"/app/outputs/out": "/etc/hostname"}
    assert contents(top) == {"top": b"5", "top2": b"5", "..data/q": b"6"}
