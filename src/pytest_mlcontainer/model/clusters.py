"""How a project's runs are to be carried out on Kubernetes: `[tool.mlcontainer.kubernetes]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.model.basics import Pairs, Platform

KUBERNETES_SCHEME: Final = "kubernetes"
# Of the official image the variant whose one program is linked statically: it is executed inside
# images that have another C library, or none.
HELPER_IMAGE: Final = "docker.io/library/busybox:1.37.0-musl"


@dataclass(frozen=True)
class ClusterSettings:
    """What Kubernetes has to be told beside what every engine is.

    Args:
        registry: the repository that images are pushed to, as this machine names it:
            `ghcr.io/me/tests`; None where nothing is built.
        node_registry: the same repository, as the cluster's nodes name it; None for the same name.
        helper_image: an image with a statically linked busybox at `/bin/busybox`, for every
            platform that is asked for, as nodes name it.
        node_selector: labels that a node must have.
        platform_node_selector: the same for single platforms.
        emulated: platforms whose nodes emulate them, which no cluster says.
        tolerations, pod: as in a Pod's `spec`, as JSON text. What `pod` says is merged into the
            pod's template at the end, mappings key by key.
        service_account: under which pods run; its token is given to none.
        priority_class: as `priorityClassName`.
        queue: for Kueue, as the label `kueue.x-k8s.io/queue-name`.
        pull_secrets: names of Secrets with which nodes pull.
        claims: container path → name of a PersistentVolumeClaim, mounted read-only.
        gpu_resource: what a node calls its GPUs.
        pending_s: how long a pod may wait for a node, and for its images.
        trust_network_policy: `network = "none"` is taken to hold without a look from inside.
    """

    registry: str | None = None
    node_registry: str | None = None
    helper_image: str = HELPER_IMAGE
    node_selector: Pairs = ()
    platform_node_selector: tuple[tuple[Platform, Pairs], ...] = ()
    emulated: tuple[Platform, ...] = ()
    tolerations: str = "[]"
    pod: str = "{}"
    service_account: str | None = None
    priority_class: str | None = None
    queue: str | None = None
    pull_secrets: tuple[str, ...] = ()
    claims: Pairs = ()
    gpu_resource: str = "nvidia.com/gpu"
    pending_s: float = 600.0
    trust_network_policy: bool = False

    def selector(self, platform: Platform) -> Pairs:
        """The labels that a node for a platform must have, Kubernetes' own among them."""
        own = {
            "kubernetes.io/os": platform.os,
            "kubernetes.io/arch": platform.architecture,
        }
        chosen = dict(self.platform_node_selector).get(platform, ())
        return tuple({**own, **dict(self.node_selector), **dict(chosen)}.items())
