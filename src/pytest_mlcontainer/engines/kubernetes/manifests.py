"""A container to create → the Job that a cluster is given for it. Nothing is asked of a cluster."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.kubernetes.labels import NETWORK
from pytest_mlcontainer.engines.kubernetes.pod_states import COPY, KEEPER, PREPARE, PROGRAM
from pytest_mlcontainer.errors import EngineError, GpuError
from pytest_mlcontainer.inside import source
from pytest_mlcontainer.model import ClusterSettings, Image

SHARED: Final = "/.mlcontainer"
BUSYBOX: Final = f"{SHARED}/busybox"
_IN_HELPER: Final = "/bin/busybox"
_FILLED: Final = "/volumes"  # in the keeper, where volumes can be written to
# Giving files, collecting outputs, and a queue within the cluster's own machinery.
_AROUND_S: Final = 1800
_QUEUED_S: Final = 24 * 3600
_KEPT_S: Final = 300  # a Job that ended and that nobody removed
_HELPER_USER: Final = 65532
_CONFINED_TMP: Final = "1Gi"
# ELF's e_machine of what a platform runs, as its bytes lie in the file.
_MACHINES: Final = {
    "amd64": "3e00 0300",
    "arm64": "b700 2800",
    "arm": "2800",
    "386": "0300",
    "ppc64le": "1500",
    "riscv64": "f300",
    "s390x": "0016",
}


@dataclass(frozen=True)
class PodPlan:
    """What a pod is made from.

    Args:
        metadata: of the Job, as `labels.metadata` gives it.
        image: as its configuration says; `reference` is what nodes pull.
        secret: name of the Secret with its variables; None for none.
        forbidden: host and port that must be out of reach before the program starts, or
            `networks.SERVICE`, or None.
    """

    metadata: Mapping[str, Any]
    spec: ContainerSpec
    image: Image
    reference: str
    settings: ClusterSettings
    secret: str | None = None
    forbidden: str | None = None

    @property
    def argv(self) -> tuple[str, ...]:
        """The command, as docker would put it together."""
        spec, image = self.spec, self.image
        if spec.entrypoint is not None:
            return (*spec.entrypoint, *spec.command)
        return (*image.entrypoint, *(spec.command or image.command))


def plan_job(plan: PodPlan) -> dict[str, Any]:
    """The Job, as its API takes it.

    Raises:
        EngineError: something is asked for that a pod cannot have.
        GpuError: GPUs are asked for by what a cluster does not know.
    """
    spec, settings = plan.spec, plan.settings
    labels = dict(plan.metadata["labels"])
    labels[NETWORK] = spec.limits.network
    if settings.queue:
        labels["kueue.x-k8s.io/queue-name"] = settings.queue
    template = {
        "metadata": {"labels": labels, "annotations": dict(plan.metadata["annotations"])},
        "spec": _pod(plan),
    }
    limit_s = math.ceil(spec.limits.timeout_s) + _AROUND_S
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**plan.metadata, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": limit_s + _QUEUED_S,
            "ttlSecondsAfterFinished": _KEPT_S,
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onPodConditions": [_disrupted()]},
                ]
            },
            "template": _merged(template, json.loads(settings.pod)),
        },
    }


def volume_path(index: int) -> str:
    """Where the keeper has the volume with this place in `ContainerSpec.volumes`."""
    return f"{_FILLED}/{index}"


def _disrupted() -> dict[str, str]:
    return {"type": "DisruptionTarget", "status": "True"}


def _pod(plan: PodPlan) -> dict[str, Any]:
    spec, settings = plan.spec, plan.settings
    found: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": math.ceil(spec.limits.timeout_s) + _AROUND_S,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": dict(settings.selector(spec.platform)),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [_helper(plan, PREPARE, ["cp", _IN_HELPER, BUSYBOX]), *_copying(plan)],
        "containers": [_program(plan), _helper(plan, KEEPER, ["sleep", "2147483647"])],
        "volumes": [{"name": "shared", "emptyDir": {}}, *(each for each, _at in _mounts(plan))],
        "tolerations": json.loads(settings.tolerations),
    }
    if spec.hostname is not None:
        found["hostname"] = spec.hostname
    if settings.service_account:
        found["serviceAccountName"] = settings.service_account
    if settings.priority_class:
        found["priorityClassName"] = settings.priority_class
    if settings.pull_secrets:
        found["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    return found


def _helper(plan: PodPlan, name: str, command: Sequence[str]) -> dict[str, Any]:
    """A container of the helper image, which has the volumes where they can be filled."""
    filled = [
        {"name": f"volume-{index}", "mountPath": volume_path(index)}
        for index, _pair in enumerate(plan.spec.volumes)
    ]
    return {
        "name": name,
        "image": plan.settings.helper_image,
        "command": [_IN_HELPER, *command],
        "volumeMounts": [{"name": "shared", "mountPath": SHARED}, *filled],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _HELPER_USER,
        },
    }


def _copying(plan: PodPlan) -> list[dict[str, Any]]:
    """A container of the program's image that copies a folder of it, where one is wanted.

    It goes before the program's own, which may have the copy read-only.
    """
    if plan.spec.copy is None:
        return []
    folder, there = plan.spec.copy
    copied = [each for _volume, each in _mounts(plan) if each["mountPath"] == there]
    command = ("sh", "-c", source("folder_copy.sh"), "mlcontainer", BUSYBOX, folder, there)
    return [
        {
            "name": COPY,
            "image": plan.reference,
            "command": [BUSYBOX, *map(escaped, command)],
            "volumeMounts": [
                {"name": "shared", "mountPath": SHARED},
                *({**each, "readOnly": False} for each in copied),
            ],
            "resources": _resources(plan),
            "securityContext": _security(plan),
        }
    ]


def _program(plan: PodPlan) -> dict[str, Any]:
    spec = plan.spec
    supervisor = (
        BUSYBOX,
        SHARED,
        str(spec.limits.log_bytes),
        "-" if spec.nofile is None else str(spec.nofile),
        plan.forbidden or "-",
        _MACHINES.get(spec.platform.architecture, "-"),
        "-" if spec.cpuset is None else "bound",
    )
    command = ("sh", "-c", source("pod_supervisor.sh"), "mlcontainer", *supervisor, *plan.argv)
    found: dict[str, Any] = {
        "name": PROGRAM,
        "image": plan.reference,
        "command": [BUSYBOX, *map(escaped, command)],
        "env": [{"name": name, "value": escaped(value)} for name, value in spec.env],
        "volumeMounts": [{"name": "shared", "mountPath": SHARED}, *(at for _, at in _mounts(plan))],
        "resources": _resources(plan),
        "securityContext": _security(plan),
    }
    if plan.secret is not None:
        found["envFrom"] = [{"secretRef": {"name": plan.secret}}]
    if spec.workdir is not None:
        found["workingDir"] = spec.workdir
    return found


def escaped(value: str) -> str:
    """Text that stays as it is: a cluster takes `$(NAME)` for a variable, and `$$` for `$`."""
    return value.replace("$", "$$")


def _mounts(plan: PodPlan) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Volumes of the pod, and where the program has each."""
    spec, found = plan.spec, []
    for index, (_name, path) in enumerate(spec.volumes):
        name = f"volume-{index}"
        at = {"name": name, "mountPath": path, "readOnly": True}
        found.append(({"name": name, "emptyDir": {}}, at))
    for index, path in enumerate(spec.scratch):
        name = f"scratch-{index}"
        found.append(({"name": name, "emptyDir": {}}, {"name": name, "mountPath": path}))
    if spec.copy is not None:
        at = {"name": "copy", "mountPath": spec.copy[1], "readOnly": spec.copy_read_only}
        found.append(({"name": "copy", "emptyDir": {}}, at))
    for index, (path, claim) in enumerate(plan.settings.claims):
        name = f"claim-{index}"
        source = {"claimName": claim, "readOnly": True}
        at = {"name": name, "mountPath": path, "readOnly": True}
        found.append(({"name": name, "persistentVolumeClaim": source}, at))
    if spec.confined or spec.read_only:
        memory = {"medium": "Memory", "sizeLimit": _CONFINED_TMP}
        found.append(({"name": "tmp", "emptyDir": memory}, {"name": "tmp", "mountPath": "/tmp"}))
    if spec.limits.shm_size_bytes is not None:
        memory = {"medium": "Memory", "sizeLimit": str(spec.limits.shm_size_bytes)}
        at = {"name": "shm", "mountPath": "/dev/shm"}
        found.append(({"name": "shm", "emptyDir": memory}, at))
    return found


def _resources(plan: PodPlan) -> dict[str, Any]:
    limits, found = plan.spec.limits, {}
    if limits.memory_bytes is not None:
        found["memory"] = str(limits.memory_bytes)
    if limits.cpus is not None:
        found["cpu"] = f"{math.ceil(limits.cpus * 1000)}m"
    found["ephemeral-storage"] = str(limits.disk_bytes)
    if limits.gpus is not None:
        found[plan.settings.gpu_resource] = _gpus(limits.gpus)
    # What is asked for is what it may use; but disk is not set aside for it.
    return {"limits": found, "requests": {"cpu": "10m", **found, "ephemeral-storage": "1Mi"}}


def _gpus(asked: str) -> str:
    if asked.isdigit():
        return asked
    if asked == "all":
        return "1"
    raise GpuError(
        "a cluster gives GPUs by their number",
        f"--gpus={asked}",
        'write a number, or "all" for one; which GPU of a node that is, the cluster says',
    )


def _security(plan: PodPlan) -> dict[str, Any]:
    spec, limits = plan.spec, plan.spec.limits
    if limits.engine_socket:
        remedy = "remove engine-socket = true, or run this with a local engine"
        raise EngineError("a pod has no socket of an engine", plan.settings.helper_image, remedy)
    plain = spec.confined
    found: dict[str, Any] = {
        "allowPrivilegeEscalation": not plain and (limits.new_privileges or limits.privileged),
        "capabilities": {"drop": ["ALL"], "add": [] if plain else list(limits.capabilities)},
        "readOnlyRootFilesystem": spec.confined or spec.read_only,
    }
    if limits.privileged and not plain:
        found["privileged"] = True
    user, _colon, group = (limits.user or "").partition(":")
    for text, key in ((user, "runAsUser"), (group, "runAsGroup")):
        if text.isdigit():
            found[key] = int(text)
        elif text:
            raise EngineError(
                "a pod's user is told by its number", f"user = {limits.user!r}", "write 1000:1000"
            )
    known = user or plan.image.user.partition(":")[0]
    if known.isdigit() and int(known):
        found["runAsNonRoot"] = True
    return found


def _merged(base: Any, more: Any) -> Any:
    """`more` laid over `base`: mappings key by key, all else instead of what was there."""
    if isinstance(base, Mapping) and isinstance(more, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in more.items()}}
    return more
