"""The `Engine` protocol on a Docker API: docker-py for everything but building."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import Mount
from requests.exceptions import RequestException

from pytest_mlcontainer.engines import (
    Built,
    Container,
    ContainerSpec,
    Exit,
    LogLine,
    Usage,
    sessions,
)
from pytest_mlcontainer.engines.buildx import Buildx
from pytest_mlcontainer.engines.client import CUT_REMEDY, PATIENCE, EngineClient, Patience
from pytest_mlcontainer.engines.connect import address, open_client
from pytest_mlcontainer.engines.failures import explain_create, explain_start, explained
from pytest_mlcontainer.engines.gpus import device_request
from pytest_mlcontainer.engines.isolation import isolation, limits_of, socket_mounts
from pytest_mlcontainer.engines.printed import CHUNK_BYTES, Following, LogFiles, frames
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.engines.pulling import pull
from pytest_mlcontainer.engines.usage import usage
from pytest_mlcontainer.engines.waiting import await_end, started_all_the_same
from pytest_mlcontainer.errors import EngineError, EngineLostError, MlContainerError
from pytest_mlcontainer.model import (
    BuildSettings,
    Image,
    Keep,
    Owner,
    Pairs,
    Platform,
)
from pytest_mlcontainer.owners import is_alive
from pytest_mlcontainer.secrets import NOTHING, Redactor

_ATTACH_S = 60  # to be answered; what it prints may be silent for longer
_TAR_BLOCK = 512
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
# A processor that runs 32-bit programs of its own family needs no emulator for them.
_COMPATIBLE = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}


class DockerEngine:
    """One engine, for one session.

    Args:
        endpoint: URL, context name, or None for the default.
        environ: environment variables for the connection and for `docker buildx`.
        owner: whose labels everything made here carries.
        keep: which containers stay after their `with` block.
        on_keep: called with the id of each container that stays.
        patience: how long the engine is waited for.
    """

    def __init__(
        self,
        endpoint: str | None,
        environ: Mapping[str, str],
        owner: Owner,
        keep: Keep = Keep.NONE,
        on_keep: Callable[[str], None] = lambda _container: None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._api = open_client(endpoint, environ, patience)
        self._owner = owner
        self._keep = keep
        self._on_keep = on_keep
        self._info: dict[str, Any] | None = None
        self._closed = False
        self._processes = Processes()
        self._buildx = Buildx(endpoint, environ, self._processes, self._api)
        self._info_lock = threading.Lock()
        self._network_lock = threading.Lock()
        self.name = endpoint or "default"
        self.address = address(endpoint, environ)

    def identity(self) -> str:
        info = self._engine_info()
        return f"{info.get('ID', '')}-{info.get('KernelVersion', '')}-{info.get('NCPU', '')}"

    def native(self) -> Platform:
        info = self._engine_info()
        machine = str(info.get("Architecture", ""))
        return Platform(str(info.get("OSType", "linux")), _ARCHITECTURES.get(machine, machine))

    def emulates(self, platform: Platform) -> bool:
        native = self.native().architecture
        return platform.architecture not in _COMPATIBLE.get(native, (native,))

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> Built:
        return self._buildx.build(build, platform, tag, labels, log, self.emulates, hidden)

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        """See `Engine`. Engines from API 1.49 on are asked for the platform's own variant."""
        with explained("the engine does not say what the image is"):
            try:
                return _image(reference, self._inspect_image(reference, platform))
            except ImageNotFound:
                return None

    def pull(self, reference: str, platform: Platform) -> str:
        pinned = _pinned(reference, self._index_digest(reference))
        with explained("the image cannot be pulled"):
            pull(self._api, pinned, platform)
        return pinned

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[Container]:
        copy = None if spec.copy is None else self._copied(spec, spec.copy[0])
        try:
            made = DockerContainer(
                self._api, self._create(spec, copy=copy), spec, self._carrier, copy
            )
        except BaseException:
            if copy is not None:
                self._remove(copy.id)
            raise
        failed = True
        try:
            if self._closed:
                raise EngineError("this test session is ending", "", "run it again")
            yield made
            failed = made.failed
        finally:
            if made.carrier is not None:
                self._remove(made.carrier.id, volumes=False)
            wanted = self._keep is Keep.ALL or (self._keep is Keep.FAILED and failed)
            if wanted and not spec.passing:
                self._on_keep(made.id)
            else:
                self._remove(made.id)
            if copy is not None:
                self._remove(copy.id)

    def _copied(self, spec: ContainerSpec, folder: str) -> DockerContainer:
        """A container that is never started, and has a copy of a folder of the image.

        An engine fills a new volume with what the image has in its place.
        """
        holder = ContainerSpec(
            image=spec.image,
            platform=spec.platform,
            command=("none",),
            scratch=(folder,),
            passing=True,
        )
        return DockerContainer(self._api, self._create(holder), holder, self._carrier)

    def _volume_of(self, container: DockerContainer) -> str:
        (mount,) = self._api.inspect_container(container.id)["Mounts"]
        return str(mount["Name"])

    def volume(self, name: str, image: Image, tar: Iterable[bytes]) -> None:
        """See `Engine`. A container that is never started carries the files in."""
        self._check_owner()
        with explained("the engine cannot make a volume"):
            self._api.create_volume(name, labels=self._owner.labels())
        spec = ContainerSpec(
            image=image.reference,
            platform=image.platform,
            command=("none",),
            writable_volumes=((name, "/mlcontainer-input"),),
        )
        carrier = DockerContainer(self._api, self._create(spec), spec, self._carrier)
        try:
            carrier.put("/mlcontainer-input", tar)
        finally:
            self._remove(carrier.id)

    def internal_network(self) -> str:
        self._check_owner()
        name = f"mlcontainer-{self._owner.session[:12]}-internal"
        with self._network_lock, explained("the engine cannot make a network"):
            if not self._api.networks(names=[name]):
                self._api.create_network(
                    name, driver="bridge", internal=True, labels=self._owner.labels()
                )
        return name

    def _carrier(self, container: DockerContainer) -> DockerContainer:
        """A container that is never started, and has the other's volumes."""
        spec = ContainerSpec(
            image=container.spec.image,
            platform=container.spec.platform,
            command=("none",),
            passing=True,
        )
        return DockerContainer(self._api, self._create(spec, container.id), spec, self._carrier)

    def sweep(self) -> tuple[str, ...]:
        with explained("the engine does not say what dead sessions have left"):
            return sessions.remove_dead(self._api, self._owner)

    def remove_session(self, *, keep_containers: bool) -> bool:
        session = self._owner.session
        with explained("the engine does not say what is left to remove"):
            return sessions.remove_session(self._api, session, keep_containers=keep_containers)

    def remove_made(self, maker: str) -> bool:
        with explained("the engine does not say what is left to remove"):
            return sessions.remove_made(self._api, self._owner.session, maker)

    def remove_images(self, repository: str) -> bool:
        removed = False
        with explained("the engine does not say which images it has"):
            images = sessions.list_images(self._api, repository)
        for image in images:
            for tag in image.get("RepoTags") or ():
                # Not by force: a container that was kept keeps its image.
                with suppress(APIError):
                    self._api.remove_image(tag)
                    removed = True
        return removed

    def close(self) -> None:
        self._closed = True
        self._api.health.ending.set()
        self._processes.kill_all()

    def disconnect(self) -> None:
        """Close the connections, after the last request."""
        self._api.close()

    def _engine_info(self) -> dict[str, Any]:
        with self._info_lock:
            if self._info is None:
                with explained("the engine does not say what it is"):
                    self._info = dict(self._api.info())
            return self._info

    def _inspect_image(self, reference: str, platform: Platform) -> dict[str, Any]:
        wanted = {"os": platform.os, "architecture": platform.architecture}
        if platform.variant:
            wanted["variant"] = platform.variant
        # docker-py 7.2 has no `platform` here; without it a multi-platform image of containerd's
        # store answers with the variant of the engine's own architecture.
        url = f"{self._api.base_url}/v{self._api.api_version}/images/{reference}/json"
        response = self._api.get(url, params={"platform": json.dumps(wanted)})
        if response.status_code == 404:
            return dict(self._api.inspect_image(reference))
        return dict(response.json()) if response.ok else dict(self._api.inspect_image(reference))

    def _index_digest(self, reference: str) -> str:
        try:
            return str(self._api.inspect_distribution(reference)["Descriptor"]["digest"])
        except APIError as error:
            raise EngineError("no registry has this image", str(error.explanation)) from error

    def _create(
        self,
        spec: ContainerSpec,
        volumes_of: str | None = None,
        copy: DockerContainer | None = None,
    ) -> str:
        self._check_owner()
        limits = spec.limits
        may_stay = self._keep is not Keep.NONE and not spec.passing
        kept = {sessions.KEEP_LABEL: "true"} if may_stay else {}
        host = self._api.create_host_config(
            network_mode=limits.network,
            mem_limit=limits.memory_bytes,
            nano_cpus=None if limits.cpus is None else int(limits.cpus * 1e9),
            shm_size=limits.shm_size_bytes,
            device_requests=[device_request(limits.gpus)] if limits.gpus else None,
            mounts=[
                *(Mount(path, name, read_only=True) for name, path in spec.volumes),
                *(Mount(path, name) for name, path in spec.writable_volumes),
                *(Mount(path, None) for path in spec.scratch),
                *self._copy_mount(spec, copy),
                *socket_mounts(spec, self.address),
            ],
            cpuset_cpus=spec.cpuset,
            volumes_from=None if volumes_of is None else [volumes_of],
            **isolation(spec),
        )
        try:
            made = self._api.create_container(
                spec.image,
                command=list(spec.command) or None,
                entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
                environment={**dict(spec.env), **dict(spec.secrets.variables)},
                working_dir=spec.workdir,
                user=limits.user,
                hostname=spec.hostname,
                labels=sessions.container_labels(self._owner) | kept,
                host_config=host,
                platform=str(spec.platform),
            )
        except APIError as error:
            raise explain_create(str(error.explanation), spec) from error
        return str(made["Id"])

    def _check_owner(self) -> None:
        """A worker whose controller was killed makes nothing more that somebody has to remove."""
        if not is_alive(self._owner.pid, self._owner.pid_start):
            raise EngineError("the pytest process that this one works for is gone", "", "run again")

    def _copy_mount(self, spec: ContainerSpec, copy: DockerContainer | None) -> list[Mount]:
        if copy is None or spec.copy is None:
            return []
        volume = self._volume_of(copy)
        return [Mount(spec.copy[1], volume, read_only=spec.copy_read_only)]

    def _remove(self, container: str, *, volumes: bool = True) -> None:
        # 409, "removal … is already in progress": the session's own cleaning was faster. From an
        # engine that does not let go of it, or is away, the end of the session tries again.
        with suppress(APIError, EngineError):
            self._api.remove_container(container, force=True, v=volumes)


class DockerContainer:
    """See `engines.Container`.

    Args:
        carry: makes a container with the same volumes. Nothing can be put into one whose root
            file system is read-only, nor can its folders be opened to other users; so that goes
            by another, into those volumes.
        copy: the container that has, in its place, the volume with the copied folder.
    """

    def __init__(
        self,
        api: EngineClient,
        id: str,
        spec: ContainerSpec,
        carry: Callable[[DockerContainer], DockerContainer],
        copy: DockerContainer | None = None,
    ) -> None:
        self._api = api
        self._carry = carry
        self._copy = copy
        self.spec = spec
        self.id = id
        self.failed = False
        self.started = False
        self.carrier: DockerContainer | None = None
        self._following: Following | None = None
        self._breaks = 0

    def put(self, path: str, tar: Iterable[bytes], *, copy: bool = False) -> None:
        if copy:
            if self._copy is not None:
                self._copy.put(path, tar)
            return
        if self.spec.read_only:
            self.carrier = self.carrier or self._carry(self)
            self.carrier.put(path, tar)
            return
        hint = f"the folder above {path} must exist in the image and must not be a file"
        with explained("files cannot be put into the container", hint):
            self._api.put_archive(self.id, path, _streamed(tar))

    def start(self) -> None:
        self._breaks = self._api.health.breaks
        try:
            self._api.start(self.id)
            self.started = True
        except EngineLostError:
            self.started = started_all_the_same(self._api, self.id)
            if not self.started:
                raise
        except APIError as error:
            inspected = self._api.inspect_container(self.id)
            raise explain_start(str(error.explanation), inspected, self.spec) from error

    def wait(self, timeout_s: float) -> Exit | None:
        with explained("the engine does not say whether the container still runs"):
            return await_end(self._api, self.id, timeout_s, self._breaks)

    def kill(self, grace_s: float) -> None:
        with suppress(APIError):
            self._api.stop(self.id, timeout=int(grace_s))

    def inspect_exit(self) -> Exit:
        with explained("the engine does not say how the container ended"):
            state = self._api.inspect_container(self.id)["State"]
        return Exit(state.get("ExitCode"), state.get("Error", ""), bool(state.get("OOMKilled")))

    def cpu_seconds(self) -> float | None:
        try:
            stats = self._api.stats(self.id, stream=False, one_shot=True)
            return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
        except (APIError, KeyError, MlContainerError):
            return None

    def usage(self) -> Usage:
        return usage(self._api, self.id)

    def follow(self, stdout: Path, stderr: Path, on_full: Callable[[], None]) -> None:
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self.id}/attach"
        params = {"stream": 1, "stdout": 1, "stderr": 1}
        # Once, and for as long as it runs: what is missed here is read from the logs at the end.
        with suppress(RequestException):
            response = requests.Session.request(
                self._api, "POST", url, params=params, stream=True, timeout=_ATTACH_S
            )
            if not response.ok:
                response.close()
                return
            self._api._disable_socket_timeout(self._api._get_raw_response_socket(response))
            files = self._log_files(stdout, stderr)
            self._following = Following(response.iter_content(CHUNK_BYTES), files, on_full)

    def write_logs(self, stdout: Path, stderr: Path) -> int:
        # Where a connection broke, that of the log may have too, and looks as if it had ended.
        unbroken = self._api.health.breaks == self._breaks
        if self._following is not None and self._following.finish() and unbroken:
            return self._following.files.seen_bytes
        # docker-py's own `logs` inspects the container before each call and mixes the streams.
        what = "the engine does not hand out what the container printed"
        with explained(what), self._log_files(stdout, stderr) as files:
            stream = self._api.read_body(f"/containers/{self.id}/logs", {"stdout": 1, "stderr": 1})
            for kind, data in _unbroken(frames(stream)):
                files.take(kind, data)
                if files.is_over:
                    break
        return files.seen_bytes

    def _log_files(self, stdout: Path, stderr: Path) -> LogFiles:
        most = limits_of(self.spec).log_bytes
        return LogFiles(stdout, stderr, most, self.spec.secrets.hidden)

    def get(self, path: str) -> Iterator[bytes] | None:
        try:
            return _whole(self._api.read_body(f"/containers/{self.id}/archive", {"path": path}))
        except NotFound:
            return None
        except APIError as error:
            if "not a directory" in str(error.explanation):
                return None  # the path leads through a file
            raise EngineError(
                "the engine cannot read from the container", f"{path}: {error}"
            ) from error


def _image(reference: str, raw: Mapping[str, Any]) -> Image:
    config = raw.get("Config") or {}
    return Image(
        reference=reference,
        digest=str(raw["Id"]),
        platform=Platform(
            str(raw.get("Os") or "linux"), str(raw.get("Architecture") or ""), _variant(raw)
        ),
        size_bytes=int(raw.get("Size") or 0),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=str(config.get("User") or ""),
        workdir=str(config.get("WorkingDir") or "/"),
        env=tuple(_variable(text) for text in config.get("Env") or ()),
    )


def _variable(text: str) -> tuple[str, str]:
    name, _equals, value = text.partition("=")
    return name, value


def _variant(raw: Mapping[str, Any]) -> str:
    variant = str(raw.get("Variant") or "")
    # linux/arm64 and linux/arm64/v8 are the same platform.
    return "" if raw.get("Architecture") == "arm64" else variant


def _pinned(reference: str, digest: str) -> str:
    name, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{name}{slash}{last.partition(':')[0]}@{digest}"


def _streamed(tar: Iterable[bytes]) -> Iterator[bytes]:
    """A generator, which requests sends in chunks; a list would become a form."""
    yield from tar


def _unbroken(parts: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """What was printed, which must not end within a piece."""
    try:
        yield from parts
    except ConnectionError as error:
        what = "the engine cut off what the container printed"
        raise EngineLostError(what, str(error), CUT_REMEDY) from error


def _whole(tar: Iterable[bytes]) -> Iterator[bytes]:
    """A tar stream that has to have its end, which is a block of zeros.

    An engine that meets an error while it reads just stops, and says that this was all.
    """
    size, end = 0, b""
    for piece in tar:
        size, end = size + len(piece), (end + piece[-_TAR_BLOCK:])[-_TAR_BLOCK:]
        yield piece
    if size % _TAR_BLOCK or end.strip(b"\0"):
        raise EngineLostError("the engine cut off what the container wrote", "", CUT_REMEDY)
