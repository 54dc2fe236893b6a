"""Waiting for a container's end, and telling its own end from one that the engine brought about.

An engine that is restarted without live-restore ends the containers that it runs, with SIGTERM and
then SIGKILL, and a program can answer the first with any exit code. So an exit code is believed
only when the engine stayed where it was from before the start until after the end.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from docker.errors import NotFound

from pytest_mlcontainer.engines import Exit
from pytest_mlcontainer.engines.docker.client import EngineClient
from pytest_mlcontainer.errors import EngineError, EngineLostError

# After this long without an end the engine is asked whether it is still there. A connection that
# is idle for minutes may also be cut by a firewall, without a word.
_SLICE_S = 30.0
_POLL_S = 1.0  # between looks, where the engine cannot be waited on
_RUNNING = ("running", "paused", "restarting", "created", "removing")
_KILLED, _UNKNOWN = 137, 255


def await_end(api: EngineClient, container: str, timeout_s: float, breaks: int) -> Exit | None:
    """Wait for the end of a container that was started.

    Args:
        breaks: connections that had broken before it was started.

    Returns:
        None when it still runs after `timeout_s` seconds of wall clock.

    Raises:
        EngineLostError: it ended because the engine did, or perhaps so.
        EngineError: it was removed, or the engine stays away.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        ended = _wait_once(api, container, min(left, _SLICE_S)) if left > 0 else None
        if ended is None:
            ended = _look(api, container)
        if ended is not None:
            if _ended_by_itself(api, container, ended, breaks):
                return ended
            raise EngineLostError(
                "the engine went away while this ran, which ended it",
                f"container {container[:12]}, exit code {ended.code}",
                "run it again when the engine stays up",
            )
        if left <= 0:
            return None


def started_all_the_same(api: EngineClient, container: str) -> bool:
    """Whether a container runs or ran, although the engine's answer to its start was lost.

    Raises:
        EngineError: the engine stays away.
    """
    status = api.inspect_container(container)["State"].get("Status")
    return bool(status != "created")


def _wait_once(api: EngineClient, container: str, limit_s: float) -> Exit | None:
    """None when it cannot be said: the time is over, or the connection broke."""
    started = time.monotonic()
    answer = None
    with suppress(NotFound):  # which the look that follows explains
        answer = api.wait_once(container, limit_s)
    if answer is None:
        # An engine that drops each wait at once is asked for the state instead, now and then.
        time.sleep(max(0.0, min(limit_s, _POLL_S) - (time.monotonic() - started)))
        return None
    error = str((answer.get("Error") or {}).get("Message") or "")
    if "context canceled" in error:  # an engine that is about to end says so
        api.health.breaks += 1
        return None
    return Exit(int(answer["StatusCode"]), error)


def _look(api: EngineClient, container: str) -> Exit | None:
    """The end as the engine has noted it; None while it runs. Waits for an engine to come back."""
    try:
        state: dict[str, Any] = api.inspect_container(container)["State"]
    except NotFound as error:
        raise EngineError("the container was removed while it ran", container[:12]) from error
    if state.get("Status") in _RUNNING:
        return None
    return Exit(state.get("ExitCode"))


def _ended_by_itself(api: EngineClient, container: str, ended: Exit, breaks: int) -> bool:
    # An engine that ends its containers on its way out still answers on the connections it has,
    # but takes no new ones.
    if api.health.breaks == breaks and api.answers():
        return True
    info = api.info()
    if info.get("LiveRestoreEnabled") and ended.code not in (_KILLED, _UNKNOWN):
        return True
    return _is_podman(api) or _remembers_the_start(api, container, str(info.get("SystemTime")))


def _is_podman(api: EngineClient) -> bool:
    """Podman's containers do not depend on the process that answers its API."""
    components = api.version().get("Components") or ()
    return any("podman" in str(each.get("Name", "")).lower() for each in components)


def _remembers_the_start(api: EngineClient, container: str, now: str) -> bool:
    """Whether the engine has been up since the container's start.

    It keeps its last events in memory alone. One that has forgotten the start, because of 256
    later events, is taken for a new one: better a run too many than a wrong verdict.
    """
    filters = {"container": [container], "event": ["start"]}
    # 2026-11-23T19:27:26.0869Z, for which the API wants 1795462046.086900000.
    seconds = int(datetime.fromisoformat(f"{now[:19]}+00:00").timestamp())
    until = f"{seconds}.{now[20:].rstrip('Z'):0<9.9}"
    params = {"since": "1", "until": until, "filters": json.dumps(filters)}
    return any(piece.strip() for piece in api.read_body("/events", params))
