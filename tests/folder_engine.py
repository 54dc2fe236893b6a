"""A tiny engine: its images are folders, its containers folders with a process of this machine.

It shows what an engine has to do, and nothing of Docker: all else of the product works with it.
`FROM` is this machine, `COPY` copies the whole context, and nothing is isolated: limits but that of
what is printed, users and networks are as they are.
"""

from __future__ import annotations

import io
import json
import os
import posixpath
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import machine
from typing import Any
from urllib.parse import quote, unquote

from pytest_mlcontainer.engines import (
    Built,
    ContainerSpec,
    EngineRequest,
    Exit,
    Leftover,
    LeftoverKind,
    LogLine,
    Stream,
    Usage,
    quiet,
)
from pytest_mlcontainer.engines.failures import command_not_allowed, command_not_found
from pytest_mlcontainer.engines.printed import STDERR, STDOUT, LogFiles
from pytest_mlcontainer.errors import BuildError, EngineError
from pytest_mlcontainer.model import (
    BuildSettings,
    Capabilities,
    Image,
    KeepPolicy,
    Pairs,
    Platform,
    architecture_of,
)
from pytest_mlcontainer.owners import host_name, is_alive, this_maker
from pytest_mlcontainer.secrets import NOTHING, Redactor

KEPT = "kept/"
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


class FolderContainer:
    """A copy of the image's folder, and a process in it once it is started."""

    def __init__(self, place: Path, image: Image, spec: ContainerSpec) -> None:
        self.id = place.name
        self.failed = False
        self.started = False
        self._root = place / "root"
        self._printed = (place / "stdout", place / "stderr")
        self._image, self._spec = image, spec
        self._process: subprocess.Popen[bytes] | None = None

    def put(self, path: str, tar: Iterable[bytes], *, copy: bool = False) -> None:
        if not copy:
            with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as files:
                files.extractall(self._inside(path), filter="tar")

    def start(self) -> None:
        spec, image = self._spec, self._image
        first = image.entrypoint if spec.entrypoint is None else spec.entrypoint
        argv = [*first, *(spec.command or (image.command if spec.entrypoint is None else ()))]
        env = {"PATH": PATH, **dict(image.env), **dict(spec.env), **dict(spec.secrets.variables)}
        workdir = self._inside(posixpath.join(image.workdir, spec.workdir or ""))
        workdir.mkdir(parents=True, exist_ok=True)
        program = shutil.which(argv[0], path=env["PATH"]) or argv[0]
        try:
            with self._printed[0].open("wb") as out, self._printed[1].open("wb") as err:
                self._process = subprocess.Popen(
                    [program, *argv[1:]], cwd=workdir, env=env, stdout=out, stderr=err,
                    stdin=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
        except FileNotFoundError as error:
            raise command_not_found(argv[0], argv) from error
        except PermissionError as error:
            raise command_not_allowed(argv[0], "") from error
        self.started = True

    def follow(self, stdout: Path, stderr: Path, on_full: Callable[[], None]) -> None:
        def watch() -> None:
            while self._process is None or self._process.poll() is None:
                if self._size() > self._spec.limits.log_bytes:
                    on_full()
                    return
                time.sleep(0.05)

        threading.Thread(target=watch, daemon=True).start()

    def wait(self, timeout_s: float) -> Exit | None:
        assert self._process is not None
        try:
            self._process.wait(None if timeout_s == float("inf") else max(timeout_s, 0.0))
        except subprocess.TimeoutExpired:
            return None
        return self.inspect_exit()

    def kill(self, grace_s: float) -> None:
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
            if self._process is None or self._process.poll() is not None:
                break
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)

    def inspect_exit(self) -> Exit:
        code = None if self._process is None else self._process.returncode
        return Exit(code if code is None or code >= 0 else 128 - code)

    def cpu_seconds(self) -> float | None:
        return None

    def usage(self) -> Usage:
        return Usage()

    def recent_words(self) -> str:
        said = b"".join(file.read_bytes()[-1000:] for file in self._printed if file.exists())
        return self._spec.secrets.hidden.text(said.decode("utf-8", "replace"))

    def write_logs(self, stdout: Path, stderr: Path) -> int:
        limit, hidden = self._spec.limits.log_bytes, self._spec.secrets.hidden
        with LogFiles(stdout, stderr, limit, hidden) as files:
            for stream, file in zip((STDOUT, STDERR), self._printed, strict=True):
                files.take(stream, file.read_bytes())
        return files.seen_bytes

    def get(self, path: str) -> Stream | None:
        place = self._inside(path)
        try:
            place.lstat()
        except OSError:
            return None
        return self._packed(place)

    def changed_ns(self, path: str) -> int | None:
        place = self._inside(path)
        return None if place.is_symlink() else place.stat().st_mtime_ns

    def _packed(self, place: Path) -> Stream:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(place, arcname="." if place == self._root else place.name)
        yield buffer.getvalue()

    def _inside(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _size(self) -> int:
        return sum(file.stat().st_size for file in self._printed if file.exists())


class FolderServer:
    """A server's container; it listens on the very port that it was told."""

    def __init__(self, container: FolderContainer, port: int) -> None:
        self.container = container
        self._port = port

    def start(self) -> None:
        self.container.start()

    def url(self) -> str | None:
        ended = self.container.inspect_exit().code is not None
        return None if ended else f"http://127.0.0.1:{self._port}"


class FolderEngine:
    """An engine in one folder, which `folder:///path` names."""

    def __init__(self, request: EngineRequest) -> None:
        self.name = self.address = str(request.endpoint)
        self.capabilities = Capabilities(
            knobs=frozenset({"env", "wrapper"}), networks=frozenset({"none", "bridge"})
        )
        self._request = request
        self._root = Path(self.address.removeprefix("folder://"))
        self._closed = False
        if not self._root.is_absolute():
            raise EngineError("the engine's folder is not absolute", self.name, "write folder:///…")
        for name in ("images", "names", "containers", "volumes"):
            (self._root / name).mkdir(parents=True, exist_ok=True)

    # ImageStore and Builder

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> Built:
        digest = f"folder:{uuid.uuid4().hex}"
        place = self._root / "images" / digest
        about: dict[str, Any] = {"workdir": "/", "command": [], "labels": dict(labels)}
        for line in build.dockerfile.read_text().splitlines():
            word, _blank, rest = line.partition(" ")
            workdir = place / about["workdir"].lstrip("/")
            workdir.mkdir(parents=True, exist_ok=True)
            if word == "WORKDIR":
                about["workdir"] = rest
            elif word == "COPY":
                shutil.copytree(build.context, workdir, dirs_exist_ok=True)
            elif word == "CMD":
                about["command"] = json.loads(rest)
            elif word == "RUN":
                self._step(rest, workdir, log, hidden)
        place.with_suffix(".json").write_text(json.dumps(about))
        self._tag(tag, digest)
        return Built(digest)

    def _step(self, step: str, workdir: Path, log: LogLine, hidden: Redactor) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", step], cwd=workdir, env={"PATH": PATH}, capture_output=True
        )
        said = hidden.text((done.stdout + done.stderr).decode("utf-8", "replace"))
        log(said)
        if done.returncode:
            raise BuildError("a step of the build failed", f"RUN {step}\n{said}", "run it by hand")

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        try:
            digest = (self._root / "names" / quote(reference, "")).read_text()
        except FileNotFoundError:
            return None
        about = json.loads((self._root / "images" / f"{digest}.json").read_text())
        return Image(
            reference, digest, self.native(),
            size_bytes=_size(self._root / "images" / digest),
            command=tuple(about["command"]), workdir=about["workdir"],
        )  # fmt: skip

    def pull(self, reference: str, platform: Platform, log: LogLine = quiet) -> str:
        raise EngineError("there is no registry of folders", reference, "build it")

    def save(self, reference: str, platform: Platform) -> Stream | None:
        return None

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        digest = (self._root / "names" / quote(reference, "")).read_text()
        self._tag(f"{KEPT}{repository}:{platform.slug}", digest)

    def find_kept_image(self, repository: str, platform: Platform) -> Image | None:
        return self.find_image(f"{KEPT}{repository}:{platform.slug}", platform)

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        kept = [name for name in self._names() if name.startswith(KEPT)]
        past = [name for name in kept if name.removeprefix(KEPT).rpartition(":")[0] in unwanted]
        left, total = [name for name in kept if name not in past], 0
        for name in left:
            image = self.find_image(name, self.native())
            total += 0 if image is None else image.size_bytes
            past += [name] if total > limit_bytes else []
        return self._untag(past)

    def remove_images(self, repository: str) -> bool:
        return self._untag([name for name in self._names() if name.startswith(f"{repository}:")])

    def _names(self) -> list[str]:
        return sorted(unquote(each.name) for each in (self._root / "names").iterdir())

    def _tag(self, name: str, digest: str) -> None:
        (self._root / "names" / quote(name, "")).write_text(digest)

    def _untag(self, names: Collection[str]) -> bool:
        for name in names:
            (self._root / "names" / quote(name, "")).unlink(missing_ok=True)
        used = {file.read_text() for file in (self._root / "names").iterdir()}
        for place in (self._root / "images").iterdir():
            if place.is_dir() and place.name not in used:
                shutil.rmtree(place)
                place.with_suffix(".json").unlink(missing_ok=True)
        return bool(names)

    # Runner and Launcher

    def identity(self) -> str:
        return f"{self.address}-{os.uname().release}"

    def native(self) -> Platform:
        return Platform("linux", architecture_of(machine()))

    def emulates(self, platform: Platform) -> bool:
        return platform.architecture != self.native().architecture

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[FolderContainer]:
        made = self._make(spec)
        made.failed = True
        try:
            yield made
        finally:
            made.kill(0.0)
            keep = self._request.keep
            if not spec.passing and (
                keep is KeepPolicy.ALL or (keep is KeepPolicy.FAILED and made.failed)
            ):
                self._request.on_keep(made.id)
            else:
                _remove(self._root / "containers" / made.id)

    @contextmanager
    def launch(
        self,
        name: str,
        spec: ContainerSpec,
        port: int,
        *,
        files: Iterable[bytes] | None = None,
        writable: tuple[str, ...] = (),
    ) -> Iterator[FolderServer]:
        made = self._make(spec)
        try:
            if files is not None:
                made.put("/", files)
            yield FolderServer(made, port)
        finally:
            made.kill(0.0)
            _remove(self._root / "containers" / made.id)

    def _make(self, spec: ContainerSpec) -> FolderContainer:
        self._check_open()
        image = self.find_image(spec.image, spec.platform)
        if image is None:
            raise EngineError("there is no such image", spec.image, "build it")
        place = self._root / "containers" / uuid.uuid4().hex
        shutil.copytree(self._root / "images" / image.digest, place / "root", symlinks=True)
        kept = self._request.keep is not KeepPolicy.NONE and not spec.passing
        self._label(place, maker=this_maker(), kept=kept)
        for volume, path in (*spec.volumes, *spec.writable_volumes):
            target = place / "root" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)  # what is mounted hides what the image has there
            target.symlink_to(self._root / "volumes" / volume)
        for path in spec.scratch:
            (place / "root" / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return FolderContainer(place, image, spec)

    def volume(self, name: str, image: Image, tar: Iterable[bytes]) -> None:
        self._check_open()
        place = self._root / "volumes" / name
        place.mkdir()
        self._label(place)
        with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as files:
            files.extractall(place, filter="tar")

    def internal_network(self) -> str:
        raise EngineError("there are no networks of folders", self.name, "vary something else")

    # Janitor

    def sweep(self) -> tuple[str, ...]:
        dead = {
            str(label["session"])
            for label in self._labels().values()
            if label["host"] == host_name() and not is_alive(label["pid"], label["pid_start"])
        }
        return tuple(session for session in sorted(dead) if self._remove_of(session, kept=False))

    def remove_session(self, *, keep_containers: bool) -> bool:
        return self._remove_of(self._request.owner.session, kept=not keep_containers)

    def remove_made(self, maker: str) -> bool:
        return self._remove_of(self._request.owner.session, kept=False, maker=maker)

    def leftovers(
        self, claimed: Collection[str], abandoned: Collection[str]
    ) -> tuple[Leftover, ...]:
        found = []
        for place, label in sorted(self._labels().items()):
            lives = is_alive(label["pid"], label["pid_start"])
            kind = LeftoverKind(place.parent.name.rstrip("s"))
            left = f"process {label['pid']} still runs" if lives else ""
            why = f"session {label['session'][:8]}"
            found.append(Leftover(kind, str(place), place.name, why, left))
        for name in self._names():
            repository = name.rpartition(":")[0]
            left = "a living session uses it" if repository in claimed else ""
            found.append(Leftover(LeftoverKind.IMAGE, name, name, "built here", left))
        return tuple(found)

    def remove_leftover(self, thing: Leftover) -> Leftover:
        if thing.kind is LeftoverKind.IMAGE:
            self._untag([thing.id])
        else:
            _remove(Path(thing.id))
        return thing

    def close(self) -> None:
        self._closed = True

    def disconnect(self) -> None:
        """There is no connection."""

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this test session is ending", self.name, "run it again")

    def _label(self, place: Path, **more: Any) -> None:
        label = {**vars(self._request.owner), **more}
        place.with_name(f"{place.name}.json").write_text(json.dumps(label))

    def _labels(self) -> dict[Path, dict[str, Any]]:
        """What there is, with whose it is."""
        found = {}
        for folder in ("containers", "volumes"):
            for file in (self._root / folder).glob("*.json"):
                with suppress(FileNotFoundError):
                    found[file.with_suffix("")] = json.loads(file.read_text())
        return found

    def _remove_of(self, session: str, *, kept: bool, maker: str | None = None) -> bool:
        past = [
            place
            for place, label in self._labels().items()
            if label["session"] == session
            and maker in (None, label.get("maker"))
            and (kept or not label.get("kept"))
        ]
        for place in past:
            _remove(place)
        return bool(past)


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.with_name(f"{place.name}.json").unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
