"""The `Engine` protocol on a Docker API: docker-py for everything but building."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import Any, Final

from docker.errors import APIError, ImageNotFound

from pytest_mlcontainer.engines import (
    Built,
    Container,
    ContainerSpec,
    Launched,
    Leftover,
    LogLine,
    Stream,
    quiet,
)
from pytest_mlcontainer.engines.docker import kept_images, sessions
from pytest_mlcontainer.engines.docker.buildx import Buildx
from pytest_mlcontainer.engines.docker.cleaning import Cleaner
from pytest_mlcontainer.engines.docker.client import PATIENCE, Patience
from pytest_mlcontainer.engines.docker.connect import address, open_client
from pytest_mlcontainer.engines.docker.container import DockerContainer
from pytest_mlcontainer.engines.docker.gpus import device_request
from pytest_mlcontainer.engines.docker.images import (
    image_of,
    inspect_image,
    pinned_reference,
    save,
)
from pytest_mlcontainer.engines.docker.isolation import isolation
from pytest_mlcontainer.engines.docker.mounts import name_of_volume, plan_mounts, volumes_of
from pytest_mlcontainer.engines.docker.pulling import pull_pinned
from pytest_mlcontainer.engines.docker.refusals import create_or_explain, explained
from pytest_mlcontainer.engines.docker.server import (
    LaunchedContainer,
    ServerAddress,
    ServerOptions,
    answering,
    fill_server,
    server_spec,
)
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import (
    EVERYTHING,
    BuildSettings,
    Image,
    KeepPolicy,
    Owner,
    Pairs,
    Platform,
    architecture_of,
)
from pytest_mlcontainer.owners import is_alive
from pytest_mlcontainer.secrets import NOTHING, Redactor

_SHOWN_ID: Final = 12  # as `docker ps` shows it
# A processor that runs 32-bit programs of its own family needs no emulator for them.
_COMPATIBLE = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}


class DockerEngine:
    """One engine, for one session.

    Args:
        endpoint: URL, context name, or None for the default.
        environ: environment variables for the connection and for `docker buildx`.
        owner: whose labels everything made here carries.
        keep: which containers stay after their `with` block.
        on_keep: called with a command to look at each container that stays.
        patience: how long the engine is waited for.
    """

    def __init__(
        self,
        endpoint: str | None,
        environ: Mapping[str, str],
        owner: Owner,
        keep: KeepPolicy = KeepPolicy.NONE,
        on_keep: Callable[[str], None] = lambda _container: None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._api = open_client(endpoint, environ, patience)
        self._endpoint = endpoint
        self._environ = environ
        self._owner = owner
        self._keep = keep
        self._on_keep = on_keep
        self._info: dict[str, Any] | None = None
        self._closed = False
        self._processes = Processes()
        self._buildx = Buildx(endpoint, environ, self._processes, self._api)
        self._info_lock = threading.Lock()
        self._network_lock = threading.Lock()
        self.name: str = endpoint or "default"
        self.capabilities = EVERYTHING
        self.address: str = address(endpoint, environ)

    def identity(self) -> str:
        info = self._engine_info()
        return f"{info.get('ID', '')}-{info.get('KernelVersion', '')}-{info.get('NCPU', '')}"

    def native(self) -> Platform:
        info = self._engine_info()
        machine = str(info.get("Architecture", ""))
        return Platform(str(info.get("OSType", "linux")), architecture_of(machine))

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

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        kept_images.keep_image(self._api, reference, repository, platform)

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        with explained("the engine does not say which images it has"):
            return kept_images.trim_kept(self._api, limit_bytes, unwanted)

    def find_kept_image(self, repository: str, platform: Platform) -> Image | None:
        return self.find_image(kept_images.kept_reference(repository, platform), platform)

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        """See `Engine`. Engines from API 1.49 on are asked for the platform's own variant."""
        with explained("the engine does not say what the image is"):
            try:
                return image_of(reference, inspect_image(self._api, reference, platform))
            except ImageNotFound:
                return None

    def pull(self, reference: str, platform: Platform, log: LogLine = quiet) -> str:
        pinned = pinned_reference(reference, self._index_digest(reference))
        with explained("the image cannot be pulled"):
            return pull_pinned(self._api, pinned, platform, self._environ, log)

    def save(self, reference: str, platform: Platform) -> Stream:
        with explained("the engine does not hand out the image"):
            return save(self._api, reference, platform)

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
            self._check_open()  # it may have been closed while the container was made
            yield made
            failed = made.failed
        finally:
            if made.carrier is not None:
                self._remove(made.carrier.id, volumes=False)
            wanted = self._keep is KeepPolicy.ALL or (self._keep is KeepPolicy.FAILED and failed)
            if wanted and not spec.passing:
                self._on_keep(f"docker logs {made.id[:_SHOWN_ID]}")
            else:
                self._remove(made.id)
            if copy is not None:
                self._remove(copy.id)

    @contextmanager
    def launch(
        self,
        name: str,
        spec: ContainerSpec,
        port: int,
        *,
        files: Iterable[bytes] | None = None,
        writable: tuple[str, ...] = (),
    ) -> Iterator[Launched]:
        spec = server_spec(spec)
        with answering(name):
            server = ServerAddress(self._endpoint, self._environ)
        options = ServerOptions(port, server.loopback, writable)
        with closing(server), ExitStack() as made:
            with spec.secrets.hidden.guarding(), answering(name):
                id = self._create(spec, server=options)
                made.callback(self._remove, id)
                container = DockerContainer(self._api, id, spec, self._carrier)
                fill_server(container, files)
            yield LaunchedContainer(name, container, port, server)

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
        (folder,) = container.spec.scratch
        return name_of_volume(self._api.inspect_container(container.id), folder)

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

    def leftovers(
        self, claimed: Collection[str], abandoned: Collection[str]
    ) -> tuple[Leftover, ...]:
        with explained("the engine does not say what is left to remove"):
            return Cleaner(self._api, claimed, abandoned).find()

    def remove_leftover(self, thing: Leftover) -> Leftover:
        return Cleaner(self._api).remove(thing)

    def close(self) -> None:
        self._closed = True
        self._api.health.ending.set()
        self._processes.kill_all()

    def disconnect(self) -> None:
        self._api.close()

    def _engine_info(self) -> dict[str, Any]:
        with self._info_lock:
            if self._info is None:
                with explained("the engine does not say what it is"):
                    self._info = dict(self._api.info())
            return self._info

    def _index_digest(self, reference: str) -> str:
        try:
            return str(self._api.inspect_distribution(reference)["Descriptor"]["digest"])
        except APIError as error:
            raise EngineError("no registry has this image", str(error.explanation)) from error

    def _create(
        self,
        spec: ContainerSpec,
        volumes_of_other: str | None = None,
        copy: DockerContainer | None = None,
        server: ServerOptions | None = None,
    ) -> str:
        self._check_owner()
        may_stay = self._keep is not KeepPolicy.NONE and not spec.passing
        kept = {sessions.KEEP_LABEL: "true"} if may_stay else {}
        options = self._host_options(spec, volumes_of_other, copy, server)
        create = partial(
            self._api.create_container,
            spec.image,
            command=list(spec.command) or None,
            entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
            environment={**dict(spec.env), **dict(spec.secrets.variables)},
            working_dir=spec.workdir,
            user=spec.limits.user,
            hostname=spec.hostname,
            labels=sessions.container_labels(self._owner) | kept,
            ports=None if server is None else [server.port],
            host_config=self._api.create_host_config(**options),
            platform=str(spec.platform),
        )
        return create_or_explain(create, spec)

    def _host_options(
        self,
        spec: ContainerSpec,
        volumes_of_other: str | None,
        copy: DockerContainer | None,
        server: ServerOptions | None,
    ) -> dict[str, Any]:
        """What a container may use of its machine, as docker-py calls it."""
        limits, options = spec.limits, isolation(spec)
        # One that takes over another's volumes takes over those of its image, too.
        declared = self._declared_volumes(spec) if volumes_of_other is None else ()
        if server is not None:
            options["port_bindings"] = {server.port: (server.address, None)}
            options["tmpfs"] = {**options.get("tmpfs", {}), **dict.fromkeys(server.writable, "")}
            declared = tuple(path for path in declared if path not in server.writable)
        return {
            "network_mode": limits.network,
            "mem_limit": limits.memory_bytes,
            "nano_cpus": None if limits.cpus is None else int(limits.cpus * 1e9),
            "shm_size": limits.shm_size_bytes,
            "device_requests": [device_request(limits.gpus)] if limits.gpus else None,
            "mounts": plan_mounts(
                spec,
                self._owner.labels(),
                self.address,
                declared,
                None if copy is None else self._volume_of(copy),
            ),
            "cpuset_cpus": spec.cpuset,
            "volumes_from": None if volumes_of_other is None else [volumes_of_other],
            **options,
        }

    def _check_owner(self) -> None:
        """What is ending, or was killed, makes nothing more that somebody has to remove."""
        self._check_open()
        if not is_alive(self._owner.pid, self._owner.pid_start):
            raise EngineError("the pytest process that this one works for is gone", "", "run again")

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this test session is ending", "", "run it again")

    def _declared_volumes(self, spec: ContainerSpec) -> tuple[str, ...]:
        """Where its image asks for volumes; none where it is not there, which creating says."""
        with suppress(APIError):
            return volumes_of(inspect_image(self._api, spec.image, spec.platform))
        return ()

    def _remove(self, container: str, *, volumes: bool = True) -> None:
        # 409, "removal … is already in progress": the session's own cleaning was faster. From an
        # engine that does not let go of it, or is away, the end of the session tries again.
        with suppress(APIError, EngineError):
            self._api.remove_container(container, force=True, v=volumes)
