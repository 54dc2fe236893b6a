"""What the first process of a pod tells, read from its container's log while it runs.

The log is a few lines long, so that after a break it is read again from its beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.engines.kubernetes.api import ClusterApi
from pytest_mlcontainer.engines.kubernetes.executing import patiently
from pytest_mlcontainer.engines.kubernetes.pod_states import PROGRAM
from pytest_mlcontainer.errors import EngineError

# A node's kubelet that dies may leave the connection open. To ask again costs one request.
_SILENCE_S: Final = 20.0
_PAUSE_S, _MOST_PAUSE_S = 0.1, 2.0
_LOOK_S: Final = 1.0


@dataclass(frozen=True)
class SupervisorState:
    """What `inside/pod_supervisor.sh` has said so far.

    Args:
        refused: why the program cannot be executed, in the supervisor's word.
        exit_code: the program's; None as long as it runs.
        oom_kills: how often memory ran out while it ran.
        printed: how many bytes it has printed to stdout and stderr in the end; () until then.
    """

    ready: bool = False
    started: bool = False
    network_open: bool = False
    full: bool = False
    refused: str | None = None
    exit_code: int | None = None
    oom_kills: int = 0
    printed: tuple[int, ...] = ()


def parse_told(log: bytes) -> SupervisorState:
    """What whole lines of the log say; a line that is cut off says nothing yet."""
    lines = [line.split() for line in log.decode("utf-8", "replace").split("\n")[:-1]]
    known = {words[0]: words[1:] for words in lines if words}
    code, kills, *printed = (*known.get("exit", ()), "", "")[:4]
    return SupervisorState(
        ready="ready" in known,
        started="started" in known,
        network_open="network-open" in known,
        full="full" in known,
        refused=(*known["refused"], "")[0] if "refused" in known else None,
        exit_code=int(code) if code.isdigit() else None,
        oom_kills=int(kills) if kills.isdigit() else 0,
        printed=tuple(int(each) for each in printed if each.isdigit()),
    )


class SupervisorLog:
    """A thread that reads what the supervisor of one pod tells, until that is all.

    Args:
        on_full: called once, from the thread, when the program has printed too much.
    """

    def __init__(self, api: ClusterApi, pod: str) -> None:
        self._api = api
        self._pod = pod
        self._changed = threading.Condition()
        self._told = SupervisorState()
        self._closed = False
        self.on_full: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._read, name=f"log of {pod}", daemon=True)
        self._thread.start()

    @property
    def told(self) -> SupervisorState:
        return self._told

    def wait_until(
        self, good: Callable[[SupervisorState], bool], deadline: float, look: Callable[[], None]
    ) -> SupervisorState:
        """Wait until it has told what is wanted, or `deadline` of the monotonic clock is over.

        Args:
            look: called about once a second; raises what ends the waiting.
        """
        looked = time.monotonic()
        while True:
            with self._changed:
                told = self._told
                if not good(told):
                    self._changed.wait(max(0.0, min(deadline, looked + _LOOK_S) - time.monotonic()))
                    told = self._told
            if good(told) or time.monotonic() >= deadline:
                return told
            # By the clock: a log that is read again and again is news each time.
            if time.monotonic() >= looked + _LOOK_S:
                look()
                looked = time.monotonic()

    def ask(self) -> SupervisorState:
        """What has been told by now, whatever became of the connection that is listened to.

        Raises:
            EngineLostError: the log cannot be had.
        """
        url = self._api.url("pods", self._pod, "log")

        def once() -> SupervisorState:
            return parse_told(b"".join(self._api.stream(url, {"container": PROGRAM}, _SILENCE_S)))

        self._take(patiently(self._api, once))
        return self._told

    def close(self) -> None:
        """Stop reading: at once where the log has its end, or the pod is removed."""
        self._closed = True

    def _read(self) -> None:
        pause = _PAUSE_S
        url = self._api.url("pods", self._pod, "log")
        query = {"container": PROGRAM, "follow": "true"}
        while not self._closed and not self._api.ending.is_set():
            log = b""
            try:
                for piece in self._api.stream(url, query, _SILENCE_S):
                    log += piece
                    before = self._told
                    self._take(parse_told(log))
                    if self._told != before:
                        pause = _PAUSE_S
                    if self._closed or self._told.exit_code is not None:
                        return
            except EngineError:
                # A kubelet that was just started again does not know its pods at first. Who waits
                # sees by the pod whether there is anything left to be read.
                pass
            time.sleep(pause)
            pause = min(pause * 2, _MOST_PAUSE_S)

    def _take(self, told: SupervisorState) -> None:
        with self._changed:
            fills = told.full and not self._told.full
            # A log that is read again from its beginning says less at first.
            if not self._told.exit_code and told != SupervisorState():
                self._told = told if told.exit_code is not None else _more(self._told, told)
            self._changed.notify_all()
        if fills:
            self.on_full()


def _more(old: SupervisorState, new: SupervisorState) -> SupervisorState:
    return SupervisorState(
        ready=old.ready or new.ready,
        started=old.started or new.started,
        network_open=old.network_open or new.network_open,
        full=old.full or new.full,
        refused=old.refused or new.refused,
        exit_code=old.exit_code,
        oom_kills=old.oom_kills,
    )
