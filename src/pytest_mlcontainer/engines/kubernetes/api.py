"""Requests to a cluster's API, which is waited for while it is away, and its refusals in words."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError
from websocket import WebSocketBadStatusException

from pytest_mlcontainer.engines.kubernetes.addresses import ClusterAddress
from pytest_mlcontainer.engines.kubernetes.connections import (
    open_client,
    open_websocket,
    tls_context,
)
from pytest_mlcontainer.errors import EngineError, EngineLostError

_CONNECT_S, _ANSWER_S = 10.0, 60.0
_PAUSE_S, _MOST_PAUSE_S = 0.2, 3.0
# The server, or something before it, has said that it cannot answer now.
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
AWAY_REMEDY: Final = (
    "see whether `kubectl get --raw /readyz` answers with the same kubeconfig, then run it again"
)

# Where the API keeps each kind of thing that we make or look at.
RESOURCES: Final = {
    "pods": "/api/v1",
    "events": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "jobs": "/apis/batch/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
}


class NotThereError(EngineError):
    """The API has no such thing (404)."""


class AlreadyThereError(EngineError):
    """There is something of that name (409)."""


@dataclass(frozen=True)
class ClusterPatience:
    """How long a cluster's API is waited for, in seconds, when it is away or too busy."""

    away_s: float = 60.0


class ClusterApi:
    """One namespace of a cluster, for one process.

    Every call raises EngineError with what the API said, and EngineLostError when it stays away.
    """

    def __init__(
        self, address: ClusterAddress, patience: ClusterPatience = ClusterPatience()
    ) -> None:
        self.address = address
        self._patience = patience
        self._log_in_lock = threading.Lock()
        self._use(address.configuration)
        self._streams: set[Any] = set()
        self._has_answered = False  # until then, nothing is waited for that is away
        self.ending: threading.Event = threading.Event()

    def url(self, resource: str, name: str = "", below: str = "") -> str:
        """The URL of a kind of thing in the namespace, of one of them, or of a part of that."""
        parts = [RESOURCES[resource], "namespaces", quote(self.address.namespace, ""), resource]
        parts += [quote(name, "")] if name else []
        return f"{self.address.server}{'/'.join((*parts, below) if below else parts)}"

    def headers(self) -> dict[str, str]:
        """What a request needs to be let in."""
        found: dict[str, str] = {"Content-Type": "application/json"}
        self._client.update_params_for_auth(found, [], ["BearerToken"], "", "GET", None)
        return found

    def open_websocket(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """A WebSocket to what `url` gives.

        Raises:
            WebSocketException, ApiException, OSError: it is not let in, or gets no answer.
            EngineError: the login has expired.
        """
        url = url.replace("https://", "wss://", 1).replace("http://", "ws://", 1)

        def once(used: Mapping[str, str]) -> Any:
            given = {key.lower(): value for key, value in used.items()} | dict(headers or {})
            return open_websocket(self.configuration, self._sockets, url, given)

        used = self.headers()
        try:
            return once(used)
        except WebSocketBadStatusException as error:
            if error.status_code != 401:
                raise
            if not self._log_in_again(used):
                raise refused(401, "", self.address, url) from error
        return once(self.headers())

    def get(self, resource: str, name: str) -> dict[str, Any]:
        """One thing.

        Raises:
            NotThereError: there is none.
        """
        return self._ask("GET", self.url(resource, name))

    def list(self, resource: str, labels: str = "", fields: str = "") -> dict[str, Any]:
        """A list of things, as the API sends it.

        Args:
            labels, fields: selectors, as of `kubectl get --selector --field-selector`.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        return self._ask("GET", _with(self.url(resource), query))

    def create(self, resource: str, thing: Mapping[str, Any]) -> dict[str, Any]:
        """Make a thing; it is made once, also where the answer was lost.

        Raises:
            AlreadyThereError: there is one of that name that was not made by this call.
        """
        name, tried = str(thing["metadata"]["name"]), False
        for _ in self._attempts():
            try:
                return self._once("POST", self.url(resource), thing)
            except AlreadyThereError:
                if not tried:
                    raise
                return self.get(resource, name)  # the lost answer was that it is made
            except EngineLostError as error:
                tried, lost = True, error
        raise lost

    def merge(self, resource: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Change parts of a thing, as `kubectl patch --type=merge`."""
        return self._ask("PATCH", self.url(resource, name), change)

    def delete(self, resource: str, name: str, grace_s: int | None = None) -> bool:
        """Remove a thing with all that it owns; returns whether there was one."""
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            self._ask("DELETE", self.url(resource, name), body)
        except NotThereError:
            return False
        return True

    def post(self, path: str, thing: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the API a question, such as for an access review."""
        return self._ask("POST", f"{self.address.server}{path}", thing)

    def remove(self, path: str) -> None:
        """Remove anything else that the API has, by its path."""
        self._ask("DELETE", f"{self.address.server}{path}")

    def read(self, path: str) -> dict[str, Any]:
        """Anything else that the API has, by its path."""
        return self._ask("GET", f"{self.address.server}{path}")

    def stream(self, url: str, query: Mapping[str, str], silence_s: float) -> Iterator[bytes]:
        """What the API sends bit by bit: a log that is followed, or a watch.

        It ends when the server ends it; who reads it says whether that was the end.

        Args:
            silence_s: how long nothing may come.

        Raises:
            EngineLostError: the connection broke, or was silent for too long.
        """
        limit = (_CONNECT_S, silence_s)
        try:
            answer = self._call("GET", _with(url, query), None, limit).response
            self._streams.add(answer)
            try:
                yield from answer.stream(1 << 16, decode_content=True)
            finally:
                self._streams.discard(answer)
                # Unread, so that it cannot be used again.
                answer.close()
        except (HTTPError, OSError) as error:
            raise _lost(self.address, error) from error

    def not_admitted(self, said: str) -> EngineError:
        """What a cluster's rules did not admit, in their words."""
        what = "the cluster's rules do not admit the pod"
        return EngineError(what, f"{self.address.name}: {said}", _admission_remedy(said))

    def close(self) -> None:
        """Let nothing be tried again, and end what is listened to."""
        self.ending.set()
        for stream in tuple(self._streams):
            sock = getattr(stream.connection, "sock", None)  # None once it has ended by itself
            if sock is not None:
                # Python's own end of a TLS socket lets whoever reads it go on without TLS, so that
                # what is left comes as it was encrypted.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def disconnect(self) -> None:
        """Let go of connections, after the last request."""
        self.close()
        self._client.rest_client.pool_manager.clear()

    def _ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        for _ in self._attempts():
            try:
                return self._once(method, url, body)
            except EngineLostError as error:
                lost = error
        raise lost

    def _attempts(self) -> Iterator[None]:
        """One for each try that there is time for, with pauses that grow."""
        deadline, pause = time.monotonic() + self._patience.away_s, _PAUSE_S
        yield
        if not self._has_answered:
            return
        while time.monotonic() + pause < deadline and not self.ending.wait(pause):
            yield
            pause = min(pause * 2, _MOST_PAUSE_S)

    def _once(self, method: str, url: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._call(method, url, body, (_CONNECT_S, _ANSWER_S))
            self._has_answered = True
            try:
                return dict(json.loads(answer.response.data or b"{}"))
            finally:
                answer.response.release_conn()
        except (HTTPError, OSError, ValueError) as error:
            raise _lost(self.address, error) from error

    def _call(
        self, method: str, url: str, body: Mapping[str, Any] | None, limit: tuple[float, float]
    ) -> Any:
        answer = self._sent(method, url, body, limit, used := self.headers())
        if answer.status == 401 and self._log_in_again(used):
            answer = self._sent(method, url, body, limit, self.headers())
        if 200 <= answer.status < 300:
            return answer
        said = answer.response.data.decode("utf-8", "replace")
        if answer.status in _PASSING:
            raise _lost(self.address, OSError(f"{answer.status} {answer.reason}: {said}"))
        raise refused(answer.status, said, self.address, f"{method} {url}")

    def _sent(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        limit: tuple[float, float],
        headers: Mapping[str, str],
    ) -> Any:
        merged = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        sent = None if body is None else dict(body)
        try:
            return self._client.call_api(
                method, url, {**headers, **merged}, sent, _request_timeout=limit
            )
        except ApiException as error:  # no answer at all
            raise _lost(self.address, error) from error

    def _use(self, configuration: Any) -> None:
        configuration.retries = urllib3.Retry(total=0, redirect=3)
        configuration.connection_pool_maxsize = 64
        if not configuration.verify_ssl:  # the kubeconfig says so
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.configuration: Any = configuration
        self._client = open_client(configuration)
        self._sockets = tls_context(configuration)

    def _log_in_again(self, used: Mapping[str, str]) -> bool:
        """Read logins anew: a token in a file, or of a program, is another one by and by, which
        the library sees by this machine's clock, or not at all; returns whether it is."""
        with self._log_in_lock:
            if self.headers() == used:
                self._use(self.address.again().configuration)
            return self.headers() != used


def refused(status: int, body: str, address: ClusterAddress, asked: str) -> EngineError:
    """What the API did not do, and what to do about it."""
    said = _message(body) or f"status {status}"
    where = f"{address.name} (namespace {address.namespace})"
    if status == 401:
        return EngineError(
            "the cluster does not know who asks: the login is missing, wrong or has expired",
            f"{where}: {said}",
            "log in again as you do for kubectl (`kubectl auth whoami` shows as whom), then run "
            "this again",
        )
    if status == 403 and "is forbidden: User" in said:
        return EngineError(
            "a right is missing in the cluster's namespace",
            f"{where}: {said}",
            "`mlcontainer doctor --engine=URL` prints the smallest Role that is enough",
        )
    if status == 404 and "namespaces" in said:
        return EngineError(
            "the cluster has no such namespace",
            f"{where}: {said}",
            f"`kubectl create namespace {address.namespace}`, or name another: "
            "kubernetes://CONTEXT/NAMESPACE",
        )
    if status == 404:
        return NotThereError("the cluster has no such thing", f"{asked}: {said}", "")
    if status == 409 and "being deleted" not in said and "AlreadyExists" in body:
        return AlreadyThereError("the cluster has such a thing already", f"{asked}: {said}", "")
    if "being terminated" in said:
        remedy = "wait until it is gone and make it again, or name another"
        return EngineError("the cluster's namespace is being deleted", f"{where}: {said}", remedy)
    if status == 403:
        return EngineError(
            "the cluster's rules do not admit this", f"{where}: {said}", _admission_remedy(said)
        )
    return EngineError("the cluster refuses a request", f"{asked}: {said}", "")


def _admission_remedy(said: str) -> str:
    if "must specify" in said:
        return "set memory and cpus of the entrypoint: the namespace's ResourceQuota wants limits"
    if "exceeded quota" in said:
        return (
            "ask for less (memory, cpus, gpus), let fewer runs go at once (--container-parallel), "
            "or have the ResourceQuota raised"
        )
    if "PodSecurity" in said:
        return (
            "give the image a numeric user that is not root (`USER 1000`), remove capabilities and "
            "privileged from the entrypoint, or use a namespace of another Pod Security level"
        )
    if "LimitRange" in said or "per Container" in said or "per Pod" in said:
        return "change memory or cpus of the entrypoint to what the namespace's LimitRange allows"
    return "ask whoever runs the cluster about the policy that is named"


def _message(body: str) -> str:
    with suppress(ValueError, TypeError, AttributeError):
        return str(json.loads(body).get("message") or "")
    return body


def _lost(address: ClusterAddress, error: BaseException) -> EngineLostError:
    said = error
    while said.__cause__ is not None:
        said = said.__cause__
    text = str(said)
    if "certificate verify failed" in text:
        raise EngineError(*_distrust(text, address.server)) from error
    what = "the cluster's API does not answer"
    return EngineLostError(what, f"{address.server}: {text}", AWAY_REMEDY)


def _distrust(said: str, server: str) -> tuple[str, str, str]:
    """What a certificate is not trusted for, as an error's three parts."""
    value = f"{server}: {said}"
    if "not yet valid" in said or "has expired" in said:
        what = "the cluster's certificate is not valid at this machine's time"
        remedy = "compare clocks (`date -u` here and there), and have the certificate renewed"
    elif "mismatch" in said:
        what = "the cluster's certificate is for another name"
        remedy = "correct server of the cluster in the kubeconfig, or name tls-server-name there"
    else:
        what = "the cluster's certificate is signed by nobody who is known"
        remedy = "name its authority in the kubeconfig (certificate-authority-data of the cluster)"
    return what, value, remedy


def _with(url: str, query: Mapping[str, str]) -> str:
    chosen = {key: value for key, value in query.items() if value}
    return f"{url}?{urlencode(chosen)}" if chosen else url
