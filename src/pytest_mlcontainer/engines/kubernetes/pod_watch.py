"""What becomes of a session's pods, over one connection for all of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.errors import EngineError, EngineLostError

_QUIET_S: Final = 300.0
_PAUSE_S: Final = 0.5
_JOIN_S: Final = 5.0


class PodWatch:
    """The last known state of every pod with a label, kept by a thread.

    Args:
        labels: selector of the pods.
    """

    def __init__(self, api: ClusterApi, labels: str) -> None:
        self._api = api
        self._labels = labels
        self._lock = threading.Lock()
        self._waiting: dict[threading.Condition, str] = {}
        self._pods: dict[str, dict[str, Any]] = {}
        self._error: EngineError | None = None
        self._thread: threading.Thread | None = None

    def pod_of(self, job: str) -> dict[str, Any] | None:
        """The newest state of a Job's pod; None as long as, or since, there is none.

        Raises:
            EngineError: the cluster does not let pods be watched any more.
        """
        with self._lock:
            self._begin()
            if self._error is not None:
                raise self._error
            return self._pods.get(job)

    def wait_until(
        self, job: str, good: Callable[[dict[str, Any] | None], bool], deadline: float
    ) -> dict[str, Any] | None:
        """Wait until a Job's pod is as wanted, or `deadline` of the monotonic clock is over.

        Returns:
            The pod as it is then.

        Raises:
            EngineError: the cluster does not let pods be watched, or its API stays away.
        """
        changed = threading.Condition(self._lock)
        with self._lock:
            self._begin()
            self._waiting[changed] = job
            try:
                while not good(pod := self._pods.get(job)):
                    if self._error is not None:
                        raise self._error
                    left = deadline - time.monotonic()
                    if left <= 0 or self._api.ending.is_set():
                        break
                    changed.wait(min(left, 1.0))
            finally:
                del self._waiting[changed]
            return pod

    def join(self) -> None:
        """Wait for its end, once the API is closed."""
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._watch, name="mlcontainer-pods", daemon=True
            )
            self._thread.start()

    def _watch(self) -> None:
        since = 0.0
        while not self._api.ending.is_set():
            try:
                version = self._list()
                since = 0.0
                self._follow(version)
            except EngineLostError as error:
                since = since or time.monotonic()
                if time.monotonic() - since > _QUIET_S:
                    self._give_up(error)
                    return
                self._api.ending.wait(_PAUSE_S)
            except EngineError as error:
                self._give_up(error)
                return

    def _give_up(self, error: EngineError) -> None:
        with self._lock:
            self._error = error
            self._tell()

    def _list(self) -> str:
        listed = self._api.list("pods", self._labels)
        with self._lock:
            self._pods = {_job_of(pod): pod for pod in listed["items"]}
            self._tell()
        return str(listed["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> None:
        query = {
            "labelSelector": self._labels,
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(_QUIET_S)),
            "allowWatchBookmarks": "true",
        }
        pieces = self._api.stream(self._api.url("pods"), query, _QUIET_S + 30)
        for event in _events(pieces):
            if event["type"] == "ERROR":
                return  # what was seen last is too old by now: list them again
            if event["type"] == "BOOKMARK":
                continue
            job = _job_of(event["object"])
            with self._lock:
                if event["type"] == "DELETED":
                    self._pods.pop(job, None)
                else:
                    self._pods[job] = event["object"]
                self._tell(job)

    def _tell(self, job: str | None = None) -> None:
        """Wake who waits for this Job's pod; for all of them, where none is named.

        A session of many runs has as many waiting, of whom an event concerns one.
        """
        for changed, awaited in self._waiting.items():
            if job in (None, awaited):
                changed.notify()


def _job_of(pod: dict[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", ""))


def _events(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
