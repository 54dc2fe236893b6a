"""What a cluster is, and whether it lets us do what a run needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pytest_mlcontainer.engines.kubernetes.addresses import find_cluster
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.rights import RIGHTS, ClusterFacts, Right
from pytest_mlcontainer.errors import EngineError


def describe_cluster(url: str, environ: Mapping[str, str], gpu_resource: str) -> ClusterFacts:
    """Ask a cluster.

    Raises:
        EngineError: there is none, or it does not answer.
    """
    place = find_cluster(url, environ)
    api = ClusterApi(place)
    try:
        version = str(api.read("/version").get("gitVersion"))
        missing = tuple(right for right in RIGHTS if not _is_allowed(api, right))
        nodes = gpus = None
        with suppress(EngineError):
            ready = [each for each in api.read("/api/v1/nodes")["items"] if _is_ready(each)]
            nodes = tuple(sorted(Counter(map(_platform, ready)).items()))
            gpus = sum(int(_allocatable(each).get(gpu_resource, 0)) for each in ready)
        quotas: tuple[str, ...] = ()
        with suppress(EngineError):
            path = f"/api/v1/namespaces/{place.namespace}/resourcequotas"
            quotas = tuple(_quotas(api.read(path)))
        return ClusterFacts(
            place.context or "this cluster",
            place.server,
            place.namespace,
            version,
            nodes,
            gpus,
            missing,
            quotas,
        )
    finally:
        api.disconnect()


def _is_allowed(api: ClusterApi, right: Right) -> bool:
    resource, _slash, below = right.resource.partition("/")
    asked = {
        "namespace": api.address.namespace,
        "group": right.group,
        "resource": resource,
        "subresource": below,
        "verb": right.verb,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool(api.post(path, review)["status"].get("allowed"))


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _platform(node: Mapping[str, Any]) -> str:
    about = node["status"]["nodeInfo"]
    return f"{about['operatingSystem']}/{about['architecture']}"


def _allocatable(node: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(node["status"].get("allocatable") or {})


def _quotas(listed: Mapping[str, Any]) -> Iterator[str]:
    for quota in listed["items"]:
        status = quota.get("status") or {}
        for name, most in (status.get("hard") or {}).items():
            yield f"{name} {(status.get('used') or {}).get(name, '0')} of {most}"
