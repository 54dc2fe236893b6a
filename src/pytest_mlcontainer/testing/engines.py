"""What every engine promises, as tests: for authors of engines that plugins add.

    from pytest_mlcontainer.testing import EngineContract

    class TestMyEngine(EngineContract):
        base = "python:3.13-slim"

        def endpoint(self):
            return "my://tests"

        def open(self, request):
            return MyEngine(request)

Each test opens the engine for a session of its own and removes
what that session made.
"""

from __future__ import annotations

import io
import posixpath
import socket
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.engines import Container, ContainerSpec, Engine, EngineRequest, Exit
from pytest_mlcontainer.engines.process import Detached
from pytest_mlcontainer.errors import BuildError, EngineError, MlContainerError, RunError
from pytest_mlcontainer.model import LABEL, BuildSettings, Image, KeepPolicy, Limits, Owner
from pytest_mlcontainer.owners import current_owner, host_name, start_time, this_maker
from pytest_mlcontainer.secrets import Disclosed, Redactor, Value

_LONG_S, _SHORT_S = 60.0, 2.0
_DOCKERFILE = "FROM {base}\nWORKDIR /work\nCOPY . .\nRUN {step}\n"


@dataclass(frozen=True)
class OpenedEngine:
    """An engine that one test has opened, and an image that was built there."""

    engine: Engine
    image: Image
    repository: str

    def spec(self, script: str = "true", **changes: object) -> ContainerSpec:
        """A shell script in the image."""
        spec = ContainerSpec(
            self.image.reference,
            self.image.platform,
            entrypoint=("/bin/sh",),
            command=("-c", script),
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def inside(self, path: str) -> str:
        """A path below the image's working directory, as an absolute one of the container."""
        return posixpath.join(self.image.workdir, path)


class EngineContract:
    """Subclass it with `base` and `open`; pytest collects the rest.

    The image `base` needs a shell, and a `python3` on PATH.
    """

    base = ""

    def open(self, request: EngineRequest) -> Engine:
        """Connect to the engine; called several times in a test."""
        raise NotImplementedError

    def endpoint(self) -> str | None:
        """The URL that requests have."""
        return None

    def environ(self) -> Mapping[str, str]:
        """The variables that requests have."""
        return {}

    def request(self, owner: Owner, keep: KeepPolicy = KeepPolicy.NONE,
                on_keep: Callable[[str], None] = lambda _id: None) -> EngineRequest:  # fmt: skip
        """What the engine is opened with."""
        return EngineRequest(self.endpoint(), self.environ(), owner, keep, on_keep)

    @contextmanager
    def session(
        self, folder: Path, owner: Owner | None = None, **how: object
    ) -> Iterator[OpenedEngine]:
        """An engine with an image; all of it is removed at the end, but what living others use."""
        owner = owner or current_owner(uuid.uuid4().hex)
        engine = self.open(self.request(owner, **how))  # type: ignore[arg-type]
        repository = f"{LABEL}/contract-{uuid.uuid4().hex[:12]}"
        try:
            build = self.build_settings(folder / uuid.uuid4().hex, "true")
            tag = f"{repository}:one"
            engine.build(build, engine.native(), tag, ((LABEL, "true"),), lambda _line: None)
            image = engine.find_image(tag, engine.native())
            assert image is not None, "what was built is found under its tag"
            yield OpenedEngine(engine, replace(image, reference=tag), repository)
        finally:
            cleaner = self.open(self.request(owner))
            cleaner.remove_session(keep_containers=False)
            cleaner.remove_images(repository)
            for each in (engine, cleaner):
                each.close()
                each.disconnect()

    def build_settings(self, folder: Path, step: str) -> BuildSettings:
        """A build of `base` with one file, `greeting`, in its working directory, and one step."""
        folder.mkdir(parents=True)
        (folder / "greeting").write_text("hello\n")
        (folder / "Dockerfile").write_text(_DOCKERFILE.format(base=self.base, step=step))
        return BuildSettings(context=folder, dockerfile=folder / "Dockerfile")

    # Images

    def test_a_built_image_is_found_with_its_platform_until_it_is_removed(
        self, tmp_path: Path
    ) -> None:
        with self.session(tmp_path) as at:
            assert at.image.platform == at.engine.native()
            assert at.image.workdir == "/work"
            assert at.image.digest
            assert at.engine.remove_images(at.repository)
            assert at.engine.find_image(at.image.reference, at.image.platform) is None
            assert not at.engine.remove_images(at.repository)

    def test_a_step_that_fails_is_a_build_error_with_what_it_printed(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            lines: list[str] = []
            build = self.build_settings(tmp_path / "fails", "echo out of luck && exit 3")
            tag = f"{at.repository}:two"
            error = _raised(
                BuildError, lambda: at.engine.build(build, at.image.platform, tag, (), lines.append)
            )
            assert "out of luck" in error.value + "\n".join(lines)
            assert at.engine.find_image(tag, at.image.platform) is None

    def test_an_image_that_is_nowhere_is_none_and_cannot_be_pulled(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            nowhere = "nowhere.invalid/there-is-none:1"
            assert at.engine.find_image(nowhere, at.image.platform) is None
            _raised(EngineError, lambda: at.engine.pull(nowhere, at.image.platform))

    def test_a_kept_image_stays_until_nobody_wants_it(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            engine, platform = at.engine, at.image.platform
            assert engine.find_kept_image(at.repository, platform) is None
            engine.keep_image(at.image.reference, at.repository, platform)
            engine.remove_images(at.repository)
            kept = engine.find_kept_image(at.repository, platform)
            assert kept is not None
            assert kept.digest == at.image.digest
            assert engine.trim_images(1 << 50, (at.repository,))
            assert engine.find_kept_image(at.repository, platform) is None

    def test_an_image_is_handed_out_whole_or_not_at_all(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            if (stream := at.engine.save(at.image.reference, at.image.platform)) is not None:
                with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                    assert {"manifest.json", "index.json"} & set(tar.getnames())

    # Containers

    def test_it_says_what_it_runs_on(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            assert not at.engine.emulates(at.engine.native())
            assert at.engine.identity() == at.engine.identity() != ""
            assert at.engine.name

    def test_a_command_runs_with_its_variables_and_prints_to_two_streams(
        self, tmp_path: Path
    ) -> None:
        with self.session(tmp_path) as at:
            script = 'cat greeting; echo "$WHO" >&2; exit 3'
            spec = at.spec(script, env=(("WHO", "me"),))
            assert _run(at, spec, tmp_path) == (3, "hello\n", "me\n")

    def test_files_are_put_in_and_taken_out(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            spec = at.spec("mkdir made; cp given.txt made/out.txt; ln -s circle circle")
            with at.engine.container(spec) as container:
                container.put(at.image.workdir, _tar({"given.txt": b"\x00\xff"}))
                assert _finish(container).code == 0
                taken = _untar(container.get(at.inside("made")) or iter(()))
                assert taken == {"made/out.txt": b"\x00\xff"}
                assert container.get(at.inside("missing")) is None
                assert container.get(at.inside("greeting/below")) is None
                b"".join(container.get(at.inside("circle")) or ())  # the link or nothing, no error
                changed = container.changed_ns(at.inside("made/out.txt"))
                assert changed is None or abs(changed / 1e9 - time.time()) < 3600

    def test_a_container_works_on_a_copy_of_its_image(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            assert _run(at, at.spec("echo other > greeting"), tmp_path)[0] == 0
            assert _run(at, at.spec("cat greeting"), tmp_path) == (0, "hello\n", "")

    def test_a_volume_is_seen_where_it_is_mounted(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            name = f"contract-{uuid.uuid4().hex[:12]}"
            at.engine.volume(name, at.image, _tar({"x/y.txt": b"in a volume"}))
            spec = at.spec("cat data/x/y.txt", volumes=((name, at.inside("data")),))
            assert _run(at, spec, tmp_path) == (0, "in a volume", "")
            assert at.engine.remove_session(keep_containers=False)

    def test_a_command_that_is_not_there_is_a_run_error(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            spec = at.spec(entrypoint=("there-is-no-such-program",), command=())
            with at.engine.container(spec) as container:
                error = _raised(RunError, container.start)
                assert "there-is-no-such-program" in error.value
                assert not container.started

    def test_a_wait_has_a_limit_and_a_kill_an_end(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            spec = at.spec("echo begun; sleep 600")
            with at.engine.container(spec) as container:
                container.start()
                assert container.started
                assert container.wait(_SHORT_S) is None
                container.usage()
                container.kill(0.0)
                ended = container.wait(_LONG_S)
                assert ended is not None
                assert ended.code != 0
                assert container.inspect_exit().code == ended.code

    def test_secrets_are_given_and_are_not_in_what_it_printed(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            value = "s3cret-of-this-test"
            hidden = Redactor((Value("TOKEN", value.encode()),))
            given = Disclosed((("TOKEN", value),), hidden=hidden)
            code, out, _err = _run(at, at.spec('echo "<$TOKEN>"', secrets=given), tmp_path)
            assert code == 0
            assert out.startswith("<")
            assert value not in out

    def test_what_it_prints_has_a_limit(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            limits = Limits(log_bytes=10_000)
            files = (tmp_path / "out", tmp_path / "err")
            full: list[bool] = []
            spec = at.spec("yes | head -c 100000; sleep 3", limits=limits)
            with at.engine.container(spec) as container:
                container.follow(*files, lambda: full.append(True))
                _finish(container)
                assert container.write_logs(*files) > limits.log_bytes
            assert sum(file.stat().st_size for file in files) <= limits.log_bytes
            assert full in ([], [True])

    # Servers

    def test_a_server_is_reached_from_here(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            port = _free_port()
            spec = ContainerSpec(
                at.image.reference,
                at.image.platform,
                entrypoint=("python3", "-m", "http.server"),
                command=(str(port),),
                limits=Limits(network="bridge"),
            )
            files = _tar({at.inside("page").lstrip("/"): b"served"})
            with at.engine.launch("server", spec, port, files=files) as launched:
                assert not launched.container.started
                launched.start()
                assert _page(launched.url, "/page") == b"served"
                assert launched.container.started
                launched.container.kill(0.0)
                assert launched.container.wait(_LONG_S) is not None
            assert not at.engine.remove_session(keep_containers=False)

    # Cleaning

    def test_a_container_is_gone_at_its_end_unless_it_is_kept(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            _run(at, at.spec(), tmp_path)
            assert not at.engine.remove_session(keep_containers=False)
        kept: list[str] = []
        with self.session(tmp_path, keep=KeepPolicy.ALL, on_keep=kept.append) as at:
            _run(at, at.spec(), tmp_path)
            _run(at, at.spec(passing=True), tmp_path)
            assert len(kept) == 1
            assert not at.engine.remove_session(keep_containers=True)
            assert at.engine.remove_session(keep_containers=False)

    def test_what_one_process_made_is_removed_alone(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at, at.engine.container(at.spec("sleep 600")) as container:
            container.start()
            assert not at.engine.remove_made("1:2@3")
            assert at.engine.remove_made(this_maker())
            assert not at.engine.remove_made(this_maker())

    def test_what_dead_sessions_left_is_swept_and_nothing_else(self, tmp_path: Path) -> None:
        other = Detached("import sys; sys.stdin.read()", {})
        dead = Owner(uuid.uuid4().hex, host_name(), other.pid, start_time(other.pid))
        with self.session(tmp_path) as at, self.session(tmp_path, dead) as left:
            for each in (at, left):
                name = f"contract-{uuid.uuid4().hex[:12]}"
                each.engine.volume(name, each.image, _tar({"a": b"1"}))
            assert dead.session not in at.engine.sweep()
            other.join(_SHORT_S)
            at.engine.sweep()
            assert not left.engine.remove_session(keep_containers=False), "all of it is gone"
            assert at.engine.remove_session(keep_containers=False), "a living one's stays"

    def test_leftovers_of_living_sessions_stay(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            name = f"contract-{uuid.uuid4().hex[:12]}"
            at.engine.volume(name, at.image, _tar({"a": b"1"}))
            found = {each.name: each for each in at.engine.leftovers((at.repository,), ())}
            assert found[name].left
            assert found[at.image.reference].left
            found = {each.name: each for each in at.engine.leftovers((), (at.repository,))}
            image = found[at.image.reference]
            assert not image.left
            assert not at.engine.remove_leftover(image).left
            assert at.engine.find_image(at.image.reference, at.image.platform) is None

    def test_a_closed_engine_makes_nothing_more(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as at:
            at.engine.close()

            def make() -> None:
                with at.engine.container(at.spec()):
                    pass

            _raised(EngineError, make)


def _run(at: OpenedEngine, spec: ContainerSpec, folder: Path) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a container."""
    files = (folder / "stdout", folder / "stderr")
    with at.engine.container(spec) as container:
        ended = _finish(container)
        container.write_logs(*files)
        container.failed = False
    return (ended.code, *(file.read_text() for file in files))  # type: ignore[return-value]


def _finish(container: Container) -> Exit:
    container.start()
    ended = container.wait(_LONG_S)
    assert ended is not None, "it ends in time"
    return ended


def _raised(kind: type[MlContainerError], call: Callable[[], object]) -> MlContainerError:
    """The error that a call raises, which has to be of that kind and to say what to do."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def _tar(files: Mapping[str, bytes]) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    yield buffer.getvalue()


def _untar(stream: Iterator[bytes]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                found[entry.name] = content.read()
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _page(url: Callable[[], str | None], path: str) -> bytes:
    """What a server answers, once it does."""
    deadline = time.monotonic() + _LONG_S
    while time.monotonic() < deadline:
        base = url()
        with suppress(OSError):
            if base is not None:
                with urllib.request.urlopen(base + path, timeout=5.0) as answer:
                    return bytes(answer.read())
        time.sleep(0.1)
    raise AssertionError(f"no answer at {url()}")
