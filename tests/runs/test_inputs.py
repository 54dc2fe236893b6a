from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Entrypoint, Folder, Output, Platform, Run, Target
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, collect_tar
from pytest_mlcontainer.runs.inputs import (
    Input,
    file_tar,
    fingerprint,
    folder_tar,
    folders_tar,
    needs_tar,
    plan_inputs,
)

needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")


def unpack(stream: Iterable[bytes]) -> dict[str, tarfile.TarInfo]:
    """The members of a stream that ends as it has to."""
    data = b"".join(stream)
    assert len(data) % tarfile.BLOCKSIZE == 0
    assert data.endswith(b"\0" * 2 * tarfile.BLOCKSIZE)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        assert len(set(names)) == len(names)
        return dict(zip(names, members, strict=True))


def contents(stream: Iterable[bytes]) -> dict[str, bytes]:
    data = b"".join(stream)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }


def run_with(folder: Path, workdir: str, **files: bytes) -> Run:
    """A finished run; `a__b=…` is its output `a/b`."""
    made = []
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        made.append(Output(name.replace("__", "/"), path, len(content), 0o640, 999, 998))
    target = Target(Platform("linux", "amd64"))
    return Run("1", "train", target, 0, 1.0, folder, folder / "out", folder / "err",
               outputs=tuple(made), workdir=workdir)  # fmt: skip


class TestPlan:
    def test_targets_are_absolute_in_the_container(self, tmp_path: Path) -> None:
        """Relative ones lie in the working directory; on the host they stay as they are."""
        (tmp_path / "data").mkdir()
        (tmp_path / "a.csv").write_text("1")
        entry = Entrypoint("train", inputs=(("data", "/data/"), ("a.csv", "in/a.csv")))
        planned = plan_inputs(entry, tmp_path, "/app")
        assert [item.target for item in planned] == ["/data", "/app/in/a.csv"]
        assert [item.is_folder for item in planned] == [True, False]
        assert [item.target for item in plan_inputs(entry, tmp_path, "")] == ["/data", "in/a.csv"]

    @pytest.mark.parametrize("broken", [False, True])
    def test_an_input_that_does_not_exist(self, tmp_path: Path, broken: bool) -> None:
        """Also a link to nowhere; the message says where it was looked for."""
        if broken:
            (tmp_path / "data").symlink_to("nowhere")
        with pytest.raises(RunError, match="an input of train does not exist") as caught:
            plan_inputs(Entrypoint("train", inputs=(("data", "/data"),)), tmp_path, "/app")
        assert caught.value.value == f"'data', below {tmp_path}"
        assert "make or download it first" in caught.value.remedy


class TestFolder:
    def test_it_is_read_only_for_everybody(self, tmp_path: Path) -> None:
        """Whoever the image runs as can read what only this user can; nobody writes."""
        (tmp_path / "sub").mkdir(mode=0o700)
        (tmp_path / "sub" / "a").write_bytes(b"1")
        (tmp_path / "sub" / "a").chmod(0o600)
        (tmp_path / "tool").write_bytes(b"2")
        (tmp_path / "tool").chmod(0o700)
        members = unpack(folder_tar(tmp_path))
        assert {name: member.mode for name, member in members.items()} == {
            "sub": 0o555,
            "sub/a": 0o444,
            "tool": 0o555,
        }
        assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
        assert list(members).index("sub") < list(members).index("sub/a")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        """It is a stream all the same, and so is one with empty folders and files in it."""
        assert unpack(folder_tar(tmp_path)) == {}
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").touch()
        assert set(unpack(folder_tar(tmp_path))) == {"empty", "file"}

    def test_data_kept_elsewhere_comes_along(self, tmp_path: Path) -> None:
        """Each link that leads out of the folder is followed, also two that lead to the same."""
        (tmp_path / "store" / "deep").mkdir(parents=True)
        (tmp_path / "store" / "deep" / "a").write_bytes(b"1")
        folder = tmp_path / "data"
        folder.mkdir()
        (folder / "train").symlink_to(tmp_path / "store")
        (folder / "test").symlink_to("../store")
        (folder / "file").symlink_to("../store/deep/a")
        assert contents(folder_tar(folder)) == {
            "train/deep/a": b"1",
            "test/deep/a": b"1",
            "file": b"1",
        }

    def test_links_to_its_own_folders_stay_links(self, tmp_path: Path) -> None:
        """`latest → v2` is there, whatever the order, and nothing is sent twice."""
        folder = tmp_path / "data"
        (folder / "v2").mkdir(parents=True)
        (folder / "v2" / "a").write_bytes(b"1")
        (folder / "sub").mkdir()
        (folder / "latest").symlink_to("v2")
        (folder / "zlast").symlink_to(folder / "v2")
        (folder / "sub" / "up").symlink_to("../v2")
        members = unpack(folder_tar(folder))
        links = {name: member.linkname for name, member in members.items() if member.issym()}
        assert links == {"latest": "v2", "zlast": "v2", "sub/up": "../v2"}
        assert list(contents(folder_tar(folder))) == ["v2/a"]

    def test_circles_end(self, tmp_path: Path) -> None:
        """A link to the folder itself, to one above it, and two stores that link to each other."""
        folder, store, other = (tmp_path / name for name in ("data", "store", "other"))
        for each in (folder, store, other):
            each.mkdir()
        (folder / "a").write_bytes(b"1")
        (folder / "self").symlink_to(".")
        (folder / "up").symlink_to("..")
        (folder / "broken").symlink_to("nowhere")
        (folder / "loop").symlink_to("loop")
        (folder / "store").symlink_to(store)
        (store / "other").symlink_to(other)
        (other / "store").symlink_to(store)
        (other / "b").write_bytes(b"2")
        found = contents(folder_tar(folder))
        assert {"a", "store/other/b"} <= set(found)
        assert len(found) < 20

    def test_what_is_no_file_is_left_out(self, tmp_path: Path) -> None:
        """A pipe would block for ever."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "a").write_bytes(b"1")
        assert set(unpack(folder_tar(tmp_path))) == {"a"}

    def test_names_of_every_kind(self, tmp_path: Path) -> None:
        """Long, in any script, with line ends, and bytes that are no text."""
        names = {"ü" * 100, "new\nline", "b\udcff", "x" * 200, " ", "語"}
        for name in names:
            (tmp_path / name).write_bytes(b"1")
        assert set(contents(folder_tar(tmp_path))) == names

    def test_a_file_cut_short_while_it_is_read(self, tmp_path: Path) -> None:
        """The stream stays whole: what is missing is zeros."""
        (tmp_path / "a").write_bytes(b"x" * (3 << 20))
        (tmp_path / "b").write_bytes(b"after")
        pieces = []
        for piece in folder_tar(tmp_path):
            pieces.append(piece)
            if len(pieces) == 2:
                os.truncate(tmp_path / "a", 1 << 20)
        found = contents(pieces)
        assert found == {"a": b"x" * (1 << 20) + b"\0" * (2 << 20), "b": b"after"}

    def test_a_file_that_grows_while_it_is_read(self, tmp_path: Path) -> None:
        """No more of it is sent than was announced."""
        (tmp_path / "a").write_bytes(b"x" * 1000)
        pieces = []
        for piece in folder_tar(tmp_path):
            pieces.append(piece)
            if len(pieces) == 1:
                with (tmp_path / "a").open("ab") as file:
                    file.write(b"y" * 1000)
        assert contents(pieces) == {"a": b"x" * 1000}

    def test_a_folder_that_vanishes(self, tmp_path: Path) -> None:
        """It is named, with a next step, instead of a half stream."""
        (tmp_path / "a").mkdir()
        stream = folder_tar(tmp_path)
        next(stream)
        (tmp_path / "a").rmdir()
        with pytest.raises(RunError, match=r"cannot be read.*/a: No such file") as caught:
            list(stream)
        assert "leave it in place while tests run" in caught.value.remedy

    @needs_user
    @pytest.mark.parametrize("closed", ["file", "folder"])
    def test_what_cannot_be_read(self, tmp_path: Path, closed: str) -> None:
        """It is named, with a next step."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_bytes(b"1")
        (tmp_path / closed).chmod(0)
        try:
            with pytest.raises(RunError, match=f"cannot be read.*/{closed}: Permission denied"):
                list(folder_tar(tmp_path))
        finally:
            (tmp_path / closed).chmod(0o700)

    def test_little_of_it_is_in_memory(self, tmp_path: Path) -> None:
        """An input of any size is sent in pieces of a megabyte at most."""
        with (tmp_path / "big").open("wb") as file:
            file.truncate(50 << 20)
        assert max(len(piece) for piece in folder_tar(tmp_path)) <= 1 << 20


class TestOthers:
    def test_a_file_under_its_absolute_path(self, tmp_path: Path) -> None:
        """For unpacking at the root."""
        (tmp_path / "a.csv").write_bytes(b"1")
        item = Input("a.csv", tmp_path / "a.csv", "/app/in/b.csv")
        assert contents(file_tar(item)) == {"app/in/b.csv": b"1"}

    def test_outputs_of_other_runs_come_as_they_were(self, tmp_path: Path) -> None:
        """Same path, owner and mode, and their folders before them."""
        run = run_with(tmp_path, "/app", outputs__model=b"1")
        run = replace(run, folders=(Folder("/app/outputs", 0o2775, 999, 998),))
        members = unpack(needs_tar([run]))
        assert list(members) == ["app/outputs", "app/outputs/model"]
        assert [(m.mode, m.uid, m.gid) for m in members.values()] == [
            (0o2775, 999, 998),
            (0o640, 999, 998),
        ]

    def test_absolute_outputs_and_the_root_as_working_directory(self, tmp_path: Path) -> None:
        """Their paths do not depend on the working directory, or lie right below it."""
        run = run_with(tmp_path, "/", model=b"1", sub__b=b"2")
        absolute = replace(run.outputs[0], name="/data/x")
        run = replace(run, outputs=(*run.outputs, absolute))
        assert contents(needs_tar([run])) == {"model": b"1", "sub/b": b"2", "data/x": b"1"}

    def test_outputs_of_a_run_on_the_host(self, tmp_path: Path) -> None:
        """They go where the run that needs them works, in folders that it can write to."""
        run = run_with(tmp_path, "", outputs__sub__model=b"1", outputs__b=b"2", c=b"3")
        members = unpack(needs_tar([run], "/app"))
        folders = {name: member.mode for name, member in members.items() if member.isdir()}
        assert folders == {"app/outputs": 0o777, "app/outputs/sub": 0o777}
        assert [name for name in members if name not in folders] == [
            "app/outputs/sub/model",
            "app/outputs/b",
            "app/c",
        ]
        assert list(members).index("app/outputs/sub") < list(members).index("app/outputs/sub/model")

    def test_writable_folders(self) -> None:
        """For every user, whoever the image runs as."""
        members = unpack(folders_tar(["/app/outputs", "/app/./cache/", "/data"]))
        assert list(members) == ["app/outputs", "app/cache", "data"]
        assert all(member.isdir() and member.mode == 0o777 for member in members.values())

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
    def test_what_goes_in_comes_out(
        self, tmp_path_factory: pytest.TempPathFactory, files: list[bytes]
    ) -> None:
        """One module writes the streams, another reads them: files of every size come through."""
        folder = tmp_path_factory.mktemp("round")
        (folder / "record").mkdir()
        run = run_with(folder, "/", **{f"out__{n}": data for n, data in enumerate(files)})
        collected = Collected()
        declared = DeclaredOutputs(("out/*",), "/")
        collect_tar(needs_tar([run]), "/", declared, folder / "record", collected)
        assert [collected.outputs[f"out/{n}"].path.read_bytes() for n in range(len(files))] == files
        assert {(o.mode, o.uid, o.gid) for o in collected.outputs.values()} == {(0o640, 999, 998)}


class TestFingerprint:
    def test_it_changes_with_any_file(self, tmp_path: Path) -> None:
        """Content, name, mode, a link's target, a new file, one less; and with nothing else."""
        folder = tmp_path / "data"
        (folder / "sub").mkdir(parents=True)
        (folder / "other").mkdir()
        (folder / "a").write_bytes(b"1")
        (folder / "link").symlink_to("sub")
        seen = [fingerprint([folder, folder / "a"])]
        assert seen == [fingerprint([folder, folder / "a"])]

        def changed() -> bool:
            seen.append(fingerprint([folder, folder / "a"]))
            return seen[-1] not in seen[:-1]

        (folder / "a").write_bytes(b"22")
        assert changed()
        os.utime(folder / "a", ns=(5, 5))
        assert changed()
        (folder / "a").chmod(0o700)
        assert changed()
        (folder / "sub" / "b").touch()
        assert changed()
        (folder / "link").unlink()
        (folder / "link").symlink_to("other")
        assert changed()

    def test_two_paths_are_told_apart(self, tmp_path: Path) -> None:
        """What is in one and not in the other is a difference."""
        for name in "ab":
            (tmp_path / name).mkdir()
        (tmp_path / "a" / "x").write_bytes(b"")
        os.utime(tmp_path / "a" / "x", ns=(5, 5))
        in_a = fingerprint([tmp_path / "a", tmp_path / "b"])
        (tmp_path / "a" / "x").rename(tmp_path / "b" / "x")
        assert fingerprint([tmp_path / "a", tmp_path / "b"]) != in_a


def test_an_engine_takes_it_all(engine: docker.APIClient, tmp_path: Path) -> None:
    """Folders, links, odd names and owners arrive in a real container as they were sent."""
    folder = tmp_path / "data"
    (folder / "v2").mkdir(parents=True)
    (folder / "v2" / "new\nline").write_bytes(b"1")
    (folder / "v2" / "b\udcff").write_bytes(b"2")
    (folder / ("ü" * 120)).write_bytes(b"3")
    (folder / "latest").symlink_to("v2")
    run = run_with(tmp_path, "", outputs__model=b"m")
    script = (
        "cd /data && cat latest/* ü* && stat -c '%a %u' v2 . && "
        "cd /srv && stat -c '%n %a %u' outputs outputs/model cache"
    )
    made = engine.create_container(
        "python:3.13-slim",
        ["sh", "-ec", f"{script} 2>&1"],
        host_config=engine.create_host_config(network_mode="none"),
        environment={"LC_ALL": "C.UTF-8"},
    )["Id"]
    try:
        engine.put_archive(made, "/", b"".join(folders_tar(["/data", "/srv/cache"])))
        engine.put_archive(made, "/data", b"".join(folder_tar(folder)))
        engine.put_archive(made, "/", b"".join(needs_tar([run], "/srv")))
        engine.start(made)
        engine.wait(made)
        said = engine.logs(made).decode().split("\n")
    finally:
        engine.remove_container(made, force=True)
    assert said == [
        "213555 0",
        "777 0",
        "outputs 777 0",
        "outputs/model 640 999",
        "cache 777 0",
        "",
    ]
