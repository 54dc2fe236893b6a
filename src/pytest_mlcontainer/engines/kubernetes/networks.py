"""`network = "none"` on a cluster: a NetworkPolicy, and a look from inside whether it holds.

A policy takes hold a moment after a pod has begun, and on clusters whose network plugin knows none
of them never. So a program starts only after an address that other pods reach was out of reach for
its own; where no pod reaches it, that says nothing, and is refused.

That address is the API's: the kubeconfig's, or, where that is a loopback (kind, k3s, a tunnel) or
out of the pods' reach, the one of the cluster's own service, which every pod knows.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_mlcontainer.engines.kubernetes import pod_states
from pytest_mlcontainer.engines.kubernetes.api import AlreadyThereError, ClusterApi
from pytest_mlcontainer.engines.kubernetes.cleaning import remove_job
from pytest_mlcontainer.engines.kubernetes.labels import NETWORK, metadata, of_session
from pytest_mlcontainer.engines.kubernetes.manifests import escaped
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import ClusterSettings, Owner, Platform

SERVICE: Final = "service"  # for the supervisor: the address in the pod's own variables
# What a pod with a network reaches: by its exit code the address that it is given, or the service.
_GIVEN, _SERVICE = 0, 3
_REACH: Final = """
B=/bin/busybox
if [ "$1" != - ]; then
    "$B" nc -w 5 "$1" "$2" -e "$B" true && exit 0
fi
"$B" nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" -e "$B" true && exit 3
exit 1
"""
_AROUND_S: Final = 90
_LOOK_S: Final = 0.3


class Networks:
    """The policies of one session, and what is known of whether they hold."""

    def __init__(self, api: ClusterApi, owner: Owner, settings: ClusterSettings) -> None:
        self._api = api
        self._owner = owner
        self._settings = settings
        self._lock = threading.Lock()
        self._made = False
        self._targets: dict[Platform, str] = {}

    def forbid(self, platform: Platform) -> str | None:
        """See to it that pods of the session without a network have none.

        Returns:
            The host and port that such a pod must not reach, or `SERVICE`; None where the project
            trusts the policy without a look.

        Raises:
            EngineError: whether a policy holds cannot be seen from inside.
        """
        with self._lock:
            if not self._made:
                self._make()
                self._made = True
            if self._settings.trust_network_policy:
                return None
            if platform not in self._targets:
                self._targets[platform] = self._reached(self._address(), platform)
            return self._targets[platform]

    def _make(self) -> None:
        name = f"mlcontainer-{self._owner.session[:12].lower()}-no-network"
        selector = {of_session(self._owner.session).partition("=")[0]: self._session_label()}
        policy = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(self._owner, name),
            "spec": {
                "podSelector": {"matchLabels": {**selector, NETWORK: "none"}},
                "policyTypes": ["Ingress", "Egress"],
            },
        }
        with suppress(AlreadyThereError):
            self._api.create("networkpolicies", policy)

    def _session_label(self) -> str:
        return of_session(self._owner.session).partition("=")[2]

    def _address(self) -> str | None:
        """Where the kubeconfig has the API; None for a loopback, which is another one in a pod."""
        parts = urlsplit(self._api.address.server)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        try:
            found = socket.getaddrinfo(str(parts.hostname), port, type=socket.SOCK_STREAM)
        except OSError:
            return None  # a proxy knows the name
        addresses = [str(each[4][0]) for each in found]
        outside = [each for each in addresses if not ip_address(each).is_loopback]
        v4 = [each for each in outside if ":" not in each]
        return f"{(v4 or outside)[0]}:{port}" if outside else None

    def _reached(self, address: str | None, platform: Platform) -> str:
        """Which address of the API a pod with a network reaches, on a node for the platform."""
        name = f"mlcontainer-look-{uuid.uuid4().hex[:16]}"
        self._api.create("jobs", self._look(name, address, platform))
        try:
            code = self._exit_code(name, platform)
        finally:
            remove_job(self._api, name)
        if code == _GIVEN and address is not None:
            return address
        if code == _SERVICE:
            return SERVICE
        raise EngineError(
            "whether the cluster keeps pods from the network cannot be seen from inside",
            f"a pod with a network reaches neither {address or 'an address of the API'} nor the "
            "cluster's own service",
            "trust-network-policy = true under [tool.mlcontainer.kubernetes] takes it to "
            'hold; network = "bridge" lets the program have one',
        )

    def _look(self, name: str, address: str | None, platform: Platform) -> dict[str, Any]:
        host, _colon, port = (address or "-:0").rpartition(":")
        about = metadata(self._owner, name)
        labels = {**about["labels"], NETWORK: "bridge"}
        container = {
            "name": "look",
            "image": self._settings.helper_image,
            "command": ["/bin/busybox", "sh", "-c", escaped(_REACH), "look", host, port],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": 65532,
            },
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "1", "memory": "64Mi"},
            },
        }
        pod = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": dict(self._settings.selector(platform)),
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "imagePullSecrets": [{"name": each} for each in self._settings.pull_secrets],
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**about, "labels": labels},
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": int(self._settings.pending_s) + _AROUND_S,
                "ttlSecondsAfterFinished": 60,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def _exit_code(self, name: str, platform: Platform) -> int | None:
        """How a Job's pod of one container ends; None where that is not known.

        Raises:
            EngineError: it will not run, or has waited for too long.
        """
        pending_s = self._settings.pending_s
        deadline = time.monotonic() + pending_s
        while not self._api.ending.is_set():
            pods = self._api.list("pods", f"batch.kubernetes.io/job-name={name}")["items"]
            for pod in pods:
                if pod["status"].get("phase") in ("Succeeded", "Failed"):
                    return pod_states.exit_code_of_one(pod)
                never = pod_states.why_never(pod, platform)
                if never is not None:
                    raise never
            if time.monotonic() > deadline:
                said = pod_states.phase_of(pods[0]).told() if pods else "the Job has no pod"
                raise pod_states.unscheduled(said, platform, pending_s)
            time.sleep(_LOOK_S)
        return None
