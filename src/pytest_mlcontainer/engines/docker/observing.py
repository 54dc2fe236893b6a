"""A look at a running container, for `engines.ObservedContainer`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import requests
from docker.errors import APIError
from requests.exceptions import RequestException

from pytest_mlcontainer.engines import ContainerHealth, FirstProcess, HealthState
from pytest_mlcontainer.engines.docker.client import EngineClient
from pytest_mlcontainer.engines.docker.printed import CHUNK_BYTES, frames
from pytest_mlcontainer.errors import MlContainerError

_TROUBLE = (APIError, RequestException, MlContainerError, OSError, ValueError, KeyError)
# Names of procps; the engine looks for the column of process ids by its heading.
_COLUMNS = "-o pid,uid,caught,ignored,args"
_COUNT = 5
_ANSWER_S = 30


def health(api: EngineClient, container: str) -> ContainerHealth | None:
    """What the engine says of a container's health; None where it has no health check."""
    with suppress(*_TROUBLE):
        raw = api.inspect_container(container)["State"].get("Health") or {}
        probes = raw.get("Log") or [{}]
        state = HealthState(str(raw.get("Status")))
        code = probes[-1].get("ExitCode")
        return ContainerHealth(state, code, str(probes[-1].get("Output") or ""))
    return None


def first_process(api: EngineClient, container: str) -> FirstProcess | None:
    """Process 1 of a container, as `ps` on the engine's machine shows it."""
    with suppress(*_TROUBLE):
        first = str(api.inspect_container(container)["State"]["Pid"])
        listed = api.top(container, ps_args=_COLUMNS)
        for row in listed["Processes"]:
            # An engine that splits at white space alone has the arguments in many columns.
            pid, user, caught, ignored, *command = row
            if pid == first and len(row) >= _COUNT:
                return FirstProcess(user, int(caught, 16), int(ignored, 16), " ".join(command))
    return None


def read_text(api: EngineClient, container: str, path: str) -> str | None:
    """A file as a process of the container reads it."""
    with suppress(*_TROUBLE):
        made = str(api.exec_create(container, ["cat", path], stderr=False, user="0")["Id"])
        printed = b"".join(data for _kind, data in frames(_printed(api, made)))
        if api.exec_inspect(made).get("ExitCode") == 0:
            return printed.decode("utf-8", "replace")
    return None


def _printed(api: EngineClient, made: str) -> Iterator[bytes]:
    """The stream of what a process prints that was made beside a container's own."""
    url = f"{api.base_url}/v{api.api_version}/exec/{made}/start"
    # Not by our client: the answer is a stream without a length, which that takes for a broken one.
    ask = partial(requests.Session.request, api, "POST", url, stream=True, timeout=_ANSWER_S)
    with ask(json={"Detach": False, "Tty": False}) as response:
        response.raise_for_status()
        yield from response.iter_content(CHUNK_BYTES)


def written_paths(api: EngineClient, container: str) -> tuple[str, ...]:
    """What the container has made or changed, without folders that only contain that."""
    with suppress(*_TROUBLE):
        changed = [str(each["Path"]) for each in api.diff(container) or ()]
        above = {path.rpartition("/")[0] for path in changed}
        return tuple(sorted(path for path in changed if path not in above))
    return ()
