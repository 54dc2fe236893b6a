"""What a cluster has to let us do, and what one says of itself; without the client library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Right:
    """A verb for a kind of thing in the namespace."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


_NEEDED: Final = (
    ("batch", "jobs", ("create", "get", "list", "delete")),
    ("", "pods", ("list", "watch", "patch", "delete")),
    ("", "pods/log", ("get",)),
    # By GET over a WebSocket, which newer servers authorize as `create`.
    ("", "pods/exec", ("get", "create")),
    ("", "pods/portforward", ("get", "create")),
    ("", "events", ("list",)),
    ("", "secrets", ("create", "patch", "list", "delete")),
    ("", "configmaps", ("create", "list", "delete")),
    ("networking.k8s.io", "networkpolicies", ("create", "list", "delete")),
)
RIGHTS: Final = tuple(
    Right(group, resource, verb) for group, resource, verbs in _NEEDED for verb in verbs
)


@dataclass(frozen=True)
class ClusterFacts:
    """What a cluster says of itself.

    Args:
        nodes: how many are ready, by platform; None where they may not be listed.
        gpus: how many GPUs the ready nodes have; None as for `nodes`.
        missing: rights that are needed and are not there.
        quotas: what the namespace has of its quotas, in words: "requests.memory 2Gi of 8Gi".
    """

    name: str
    server: str
    namespace: str
    version: str
    nodes: tuple[tuple[str, int], ...] | None
    gpus: int | None
    missing: tuple[Right, ...]
    quotas: tuple[str, ...]


def smallest_role(namespace: str) -> str:
    """The Role that is enough, as YAML for `kubectl apply --filename -`."""
    lines = [
        "apiVersion: rbac.authorization.k8s.io/v1",
        "kind: Role",
        f"metadata: {{name: mlcontainer, namespace: {namespace}}}",
        "rules:",
    ]
    for group, resource, verbs in _NEEDED:
        listed = ", ".join(verbs)
        lines.append(f'- {{apiGroups: ["{group}"], resources: ["{resource}"], verbs: [{listed}]}}')
    return "\n".join(lines)
