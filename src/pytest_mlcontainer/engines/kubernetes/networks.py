"""`network = "none"` on a cluster: a NetworkPolicy, and a look from inside whether it holds.

A policy takes hold a moment after a pod has begun, and on clusters whose network plugin knows none
of them never. So a program starts only after an address that other pods reach was out of reach for
its own; where no pod reaches it, that says nothing, and is refused.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_mlcontainer.engines.kubernetes import pod_states
from pytest_mlcontainer.engines.kubernetes.api import AlreadyThereError, ClusterApi
from pytest_mlcontainer.engines.kubernetes.cleaning import remove_job
from pytest_mlcontainer.engines.kubernetes.labels import NETWORK, metadata, of_session
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import ClusterSettings, Owner, Platform

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
        self._reached: set[Platform] = set()

    def forbid(self, platform: Platform) -> str | None:
        """See to it that pods of the session without a network have none.

        Returns:
            The host and port that such a pod must not reach; None where the project trusts the
            policy without a look.

        Raises:
            EngineError: whether a policy holds cannot be seen from inside.
        """
        with self._lock:
            if not self._made:
                self._make()
                self._made = True
            if self._settings.trust_network_policy:
                return None
            target = self._target()
            if platform not in self._reached:
                self._check_reached(target, platform)
                self._reached.add(platform)
            return target

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

    def _target(self) -> str:
        """The API's own address: of all, the one that is there for certain."""
        parts = urlsplit(self._api.address.server)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        try:
            found = socket.getaddrinfo(str(parts.hostname), port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise EngineError(
                "the cluster's API has no address", f"{parts.hostname}: {error}", ""
            ) from error
        addresses = [str(each[4][0]) for each in found]
        v4 = [each for each in addresses if ":" not in each]
        return f"{(v4 or addresses)[0]}:{port}"

    def _check_reached(self, target: str, platform: Platform) -> None:
        """See that a pod with a network reaches it, on a node for the platform."""
        name = f"mlcontainer-look-{uuid.uuid4().hex[:16]}"
        self._api.create("jobs", self._look(name, target, platform))
        try:
            if not self._succeeds(name, platform):
                raise EngineError(
                    "whether the cluster keeps pods from the network cannot be seen from inside",
                    f"a pod with a network does not reach {target} either",
                    "trust-network-policy = true under [tool.mlcontainer.kubernetes] takes it to "
                    'hold; network = "bridge" lets the program have one',
                )
        finally:
            remove_job(self._api, name)

    def _look(self, name: str, target: str, platform: Platform) -> dict[str, Any]:
        host, _colon, port = target.rpartition(":")
        about = metadata(self._owner, name)
        labels = {**about["labels"], NETWORK: "bridge"}
        container = {
            "name": "look",
            "image": self._settings.helper_image,
            "command": ["/bin/busybox", "nc", "-w", "5", host, port, "-e", "/bin/busybox", "true"],
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

    def _succeeds(self, name: str, platform: Platform) -> bool:
        """Whether a Job's pod ends well.

        Raises:
            EngineError: it will not run, or has waited for too long.
        """
        pending_s = self._settings.pending_s
        deadline = time.monotonic() + pending_s
        while not self._api.ending.is_set():
            pods = self._api.list("pods", f"batch.kubernetes.io/job-name={name}")["items"]
            for pod in pods:
                if pod["status"].get("phase") in ("Succeeded", "Failed"):
                    return bool(pod["status"]["phase"] == "Succeeded")
                never = pod_states.why_never(pod, platform)
                if never is not None:
                    raise never
            if time.monotonic() > deadline:
                said = pod_states.phase_of(pods[0]).told() if pods else "the Job has no pod"
                raise pod_states.unscheduled(said, platform, pending_s)
            time.sleep(_LOOK_S)
        return False
