"""The `Engine` protocol on a Kubernetes cluster."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Final

from pytest_mlcontainer.engines import Built, ContainerSpec, Leftover, LogLine, Stream, quiet
from pytest_mlcontainer.engines.given_files import readable_tar
from pytest_mlcontainer.engines.kubernetes import cleaning
from pytest_mlcontainer.engines.kubernetes.addresses import find_cluster
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.container import PodAccess, PodContainer
from pytest_mlcontainer.engines.kubernetes.images import ClusterImages
from pytest_mlcontainer.engines.kubernetes.labels import MAKER, as_label, metadata, of_session
from pytest_mlcontainer.engines.kubernetes.manifests import BUSYBOX, PodPlan, plan_job
from pytest_mlcontainer.engines.kubernetes.networks import Networks
from pytest_mlcontainer.engines.kubernetes.pod_states import PROGRAM
from pytest_mlcontainer.engines.kubernetes.pod_watch import PodWatch
from pytest_mlcontainer.engines.kubernetes.server import LaunchedPod, server_spec
from pytest_mlcontainer.engines.kubernetes.volumes import make_volume, volume_content
from pytest_mlcontainer.engines.protocols import EngineRequest
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import (
    BuildSettings,
    Capabilities,
    Image,
    KeepPolicy,
    Pairs,
    Platform,
    architecture_of,
)
from pytest_mlcontainer.owners import this_maker
from pytest_mlcontainer.secrets import NOTHING, Redactor

CAPABILITIES: Final = Capabilities(
    limits=frozenset(
        {
            "memory_bytes",
            "cpus",
            "shm_size_bytes",
            "gpus",
            "user",
            "disk_bytes",
            "capabilities",
            "new_privileges",
            "privileged",
        }
    ),
    knobs=frozenset(
        {
            "env",
            "wrapper",
            "hostname",
            "cpuset",
            "memory_bytes",
            "nofile",
            "shm_size_bytes",
            "user",
            "read_only",
            "workdir",
            "preload",
            "recording",
            "opens",
        }
    ),
    networks=frozenset({"none", "bridge"}),
    confines=True,
)
_OLDEST: Final = (1, 27)


class ClusterEngine:
    """One namespace of a cluster, for one session.

    Raises:
        EngineError: there is no such cluster, it does not answer, or it is too old.
    """

    def __init__(self, request: EngineRequest) -> None:
        self._request = request
        self._settings, self._owner = request.cluster, request.owner
        place = find_cluster(str(request.endpoint), request.environ)
        self._api = ClusterApi(place)
        self._images = ClusterImages(request)
        self._networks = Networks(self._api, self._owner, self._settings)
        ours = f"{of_session(self._owner.session)},{MAKER}={as_label(this_maker())}"
        self._watch = PodWatch(self._api, ours)
        self._closed = False
        self.name: str = str(request.endpoint)
        self.address: str = place.identity
        self.capabilities = CAPABILITIES
        _check_version(self._version, self.name)

    # ImageStore and Builder: see `ClusterImages`

    def build(
        self,
        build: BuildSettings,
        platform: Platform,
        tag: str,
        labels: Pairs,
        log: LogLine,
        hidden: Redactor = NOTHING,
    ) -> Built:
        return self._images.build(build, platform, tag, labels, log, hidden)

    def find_image(self, reference: str, platform: Platform) -> Image | None:
        return self._images.find_image(reference, platform)

    def pull(self, reference: str, platform: Platform, log: LogLine = quiet) -> str:
        return self._images.pull(reference, platform, log)

    def save(self, reference: str, platform: Platform) -> Stream | None:
        return self._images.save(reference, platform)

    def keep_image(self, reference: str, repository: str, platform: Platform) -> None:
        self._images.keep_image(reference, repository, platform)

    def find_kept_image(self, repository: str, platform: Platform) -> Image | None:
        return self._images.find_kept_image(repository, platform)

    def trim_images(self, limit_bytes: int, unwanted: Collection[str]) -> bool:
        return self._images.trim_images(limit_bytes, unwanted)

    def remove_images(self, repository: str) -> bool:
        return self._images.remove_images(repository)

    # Runner

    def identity(self) -> str:
        return f"{self.address}-{self._version.get('gitVersion', '')}"

    def native(self) -> Platform:
        """Of most of its nodes, as far as those may be listed; else of this machine's engine."""
        with suppress(EngineError):
            nodes = self._api.read("/api/v1/nodes")["items"]
            machines = [str(each["status"]["nodeInfo"]["architecture"]) for each in nodes]
            if machines:
                return Platform("linux", max(sorted(set(machines)), key=machines.count))
        return Platform("linux", architecture_of(self._images.docker.native().architecture))

    def emulates(self, platform: Platform) -> bool:
        return platform in self._settings.emulated

    @contextmanager
    def container(self, spec: ContainerSpec) -> Iterator[PodContainer]:
        with self._made(spec) as made:
            made.failed = True
            yield made

    def volume(self, name: str, image: Image, tar: Iterable[bytes]) -> None:  # noqa: ARG002 - the protocol's
        self._check_open()
        make_volume(self._api, self._owner, name, tar)

    def internal_network(self) -> str:
        raise EngineError(
            "a cluster has no network of a session's own", self.name, "vary something else"
        )

    # Launcher

    @contextmanager
    def launch(
        self,
        name: str,  # noqa: ARG002 - the protocol's
        spec: ContainerSpec,
        port: int,
        *,
        files: Iterable[bytes] | None = None,
        writable: tuple[str, ...] = (),
    ) -> Iterator[LaunchedPod]:
        spec = server_spec(spec, writable)
        with self._made(spec) as made:
            if files is not None:
                made.put("/", files)
            if spec.secrets.files:
                made.put("/", [readable_tar(spec.secrets.files)])
            launched = LaunchedPod(self._api, made, port)
            try:
                yield launched
            finally:
                launched.close()

    # Janitor

    def sweep(self) -> tuple[str, ...]:
        return cleaning.remove_dead(self._api)

    def remove_session(self, *, keep_containers: bool) -> bool:
        session = self._owner.session
        return cleaning.remove_session(self._api, session, keep_containers=keep_containers)

    def remove_made(self, maker: str) -> bool:
        return cleaning.remove_made(self._api, self._owner.session, maker)

    def leftovers(
        self, claimed: Collection[str], abandoned: Collection[str]
    ) -> tuple[Leftover, ...]:
        images: tuple[Leftover, ...] = ()
        with suppress(EngineError):  # where nothing is built there need be no engine
            images = self._images.docker.leftovers(claimed, abandoned)
        return (*cleaning.find_leftovers(self._api), *images)

    def remove_leftover(self, thing: Leftover) -> Leftover:
        if cleaning.is_ours(thing):
            return cleaning.remove_leftover(self._api, thing)
        return self._images.docker.remove_leftover(thing)

    def close(self) -> None:
        self._closed = True
        self._api.close()
        self._images.close()

    def disconnect(self) -> None:
        self._watch.join()
        self._api.disconnect()
        self._images.disconnect()

    @cached_property
    def _version(self) -> Mapping[str, Any]:
        return self._api.read("/version")

    @contextmanager
    def _made(self, spec: ContainerSpec) -> Iterator[PodContainer]:
        """A Job with its pod, until the end of the `with` block, unless it is kept."""
        self._check_open()
        keep = self._request.keep
        may_stay = keep is not KeepPolicy.NONE and not spec.passing
        about = metadata(self._owner, f"mlcontainer-{uuid.uuid4().hex[:20]}", kept=may_stay)
        with spec.secrets.hidden.guarding():
            made = self._create(spec, about)
        failed = True
        try:
            yield made
            failed = made.failed
        finally:
            made.close()
            if may_stay and (keep is KeepPolicy.ALL or failed):
                self._request.on_keep(self._look_at(made.id))
            else:
                self._remove(made.id, secret=bool(spec.secrets.variables))

    def _create(self, spec: ContainerSpec, about: Mapping[str, Any]) -> PodContainer:
        image = self._images.node_image(spec.image, spec.platform, spec.log)
        forbidden = None
        if spec.limits.network == "none":
            forbidden = self._networks.forbid(spec.platform)
        secret = str(about["name"]) if spec.secrets.variables else None
        plan = PodPlan(about, spec, image.image, image.reference, self._settings, secret, forbidden)
        job = plan_job(plan)
        volumes: tuple[Callable[[], Iterable[bytes]], ...] = tuple(
            volume_content(self._owner, name) for name, _path in spec.volumes
        )
        if secret is not None:
            self._create_secret(about, spec)
        try:
            made = self._api.create("jobs", job)
        except BaseException:
            self._remove(str(about["name"]), secret=secret is not None)
            raise
        if secret is not None:
            self._api.merge("secrets", secret, {"metadata": {"ownerReferences": [_owned(made)]}})
        return PodContainer(PodAccess(self._api, self._watch), plan, volumes)

    def _create_secret(self, about: Mapping[str, Any], spec: ContainerSpec) -> None:
        values = {
            name: base64.b64encode(value.encode()).decode()
            for name, value in spec.secrets.variables
        }
        self._api.create(
            "secrets",
            {"apiVersion": "v1", "kind": "Secret", "metadata": dict(about), "data": values},
        )

    def _remove(self, name: str, *, secret: bool) -> None:
        with suppress(EngineError):
            cleaning.remove_job(self._api, name)
            if secret:
                self._api.delete("secrets", name)

    def _look_at(self, job: str) -> str:
        namespace = self._api.address.namespace
        return (
            f"kubectl --namespace {namespace} exec --stdin --tty job/{job} --container {PROGRAM} "
            f"-- {BUSYBOX} sh"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("this test session is ending", self.name, "run it again")


def _owned(job: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a thing go with a Job."""
    about = job["metadata"]
    return {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": about["uid"]}


def _check_version(version: Mapping[str, Any], name: str) -> None:
    found = tuple(
        int("".join(filter(str.isdigit, str(version.get(part, "0")))) or 0)
        for part in ("major", "minor")
    )
    if found < _OLDEST:
        raise EngineError(
            "the cluster is older than what is supported",
            f"{name}: Kubernetes {version.get('gitVersion')}",
            f"use one of {'.'.join(map(str, _OLDEST))} or newer",
        )
