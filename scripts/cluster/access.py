"""Who may do what in a new cluster, beside what Kubernetes sets up by itself."""

from __future__ import annotations

from collections.abc import Mapping

from . import api
from .layout import Cluster

_GROUP = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
# What kube-router asks for when it does nothing but enforce policies.
_ROUTER_RULES = (
    {
        "apiGroups": [""],
        "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
        "verbs": _READ,
    },
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
)


def grant(cluster: Cluster) -> None:
    """Let the API server talk to kubelets, and kube-router read what policies are about.

    Raises:
        SetupError: the API server refuses.
    """
    _create(cluster, "ClusterRole", "kube-router", {"rules": list(_ROUTER_RULES)})
    _bind(cluster, "kube-router", "kube-router")
    _bind(cluster, "kube-apiserver-kubelet-client", "system:kubelet-api-admin")


def _bind(cluster: Cluster, user: str, role: str) -> None:
    subjects = [{"kind": "User", "name": user, "apiGroup": _GROUP}]
    reference = {"kind": "ClusterRole", "name": role, "apiGroup": _GROUP}
    rest = {"subjects": subjects, "roleRef": reference}
    _create(cluster, "ClusterRoleBinding", user, rest)


def _create(cluster: Cluster, kind: str, name: str, rest: Mapping[str, object]) -> None:
    value = {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": {"name": name}, **rest}
    api.create(cluster, f"/apis/{_GROUP}/v1/{kind.lower()}s", value)
