"""A container of an engine with a Docker API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path

import requests
from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from pytest_mlcontainer.engines import (
    ContainerHealth,
    ContainerSpec,
    Exit,
    FirstProcess,
    Stream,
    Usage,
)
from pytest_mlcontainer.engines.docker import observing
from pytest_mlcontainer.engines.docker.client import CUT_REMEDY, EngineClient
from pytest_mlcontainer.engines.docker.isolation import limits_of
from pytest_mlcontainer.engines.docker.printed import CHUNK_BYTES, Following, answer_within, frames
from pytest_mlcontainer.engines.docker.refusals import explain_start, explained
from pytest_mlcontainer.engines.docker.usage import usage
from pytest_mlcontainer.engines.docker.waiting import await_end, started_all_the_same
from pytest_mlcontainer.engines.printed import LogFiles
from pytest_mlcontainer.errors import EngineError, EngineLostError, MlContainerError

_ATTACH_S = 60  # to be answered; what it prints may be silent for longer
_TAR_BLOCK = 512
# Paths that lead through a file, and links in a circle.
_LEADS_NOWHERE = ("not a directory", "too many links")
_RECENT_LINES, _RECENT_BYTES = 20, 1 << 16


class DockerContainer:
    """See `engines.Container`.

    Args:
        carry: makes a container with the same volumes. Nothing can be put into one whose root
            file system is read-only, nor can its folders be opened to other users; so that goes
            by another, into those volumes.
        copy: the container that has, in its place, the volume with the copied folder.
    """

    def __init__(
        self,
        api: EngineClient,
        id: str,
        spec: ContainerSpec,
        carry: Callable[[DockerContainer], DockerContainer],
        copy: DockerContainer | None = None,
    ) -> None:
        self._api = api
        self._carry = carry
        self._copy = copy
        self.spec = spec
        self.id = id
        self.failed = False
        self.started: bool = False
        self.carrier: DockerContainer | None = None
        self._following: Following | None = None
        self._breaks = api.health.breaks

    def put(self, path: str, tar: Iterable[bytes], *, copy: bool = False) -> None:
        if copy:
            if self._copy is not None:
                self._copy.put(path, tar)
            return
        if self.spec.read_only:
            self.carrier = self.carrier or self._carry(self)
            self.carrier.put(path, tar)
            return
        hint = f"the folder above {path} must exist in the image and must not be a file"
        with explained("files cannot be put into the container", hint):
            self._api.put_archive(self.id, path, _streamed(tar))

    def start(self) -> None:
        self._breaks = self._api.health.breaks
        try:
            self._api.start(self.id)
            self.started = True
        except EngineLostError:
            self.started = started_all_the_same(self._api, self.id)
            if not self.started:
                raise
        except APIError as error:
            inspected = self._api.inspect_container(self.id)
            raise explain_start(str(error.explanation), inspected, self.spec) from error

    def wait(self, timeout_s: float) -> Exit | None:
        with explained("the engine does not say whether the container still runs"):
            return await_end(self._api, self.id, timeout_s, self._breaks)

    def kill(self, grace_s: float) -> None:
        with suppress(APIError):
            self._api.stop(self.id, timeout=int(grace_s))

    def inspect_exit(self) -> Exit:
        with explained("the engine does not say how the container ended"):
            state = self._api.inspect_container(self.id)["State"]
        return Exit(state.get("ExitCode"), state.get("Error", ""), bool(state.get("OOMKilled")))

    def cpu_seconds(self) -> float | None:
        try:
            stats = self._api.stats(self.id, stream=False, one_shot=True)
            return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
        except (APIError, KeyError, MlContainerError):
            return None

    def usage(self) -> Usage:
        return usage(self._api, self.id)

    def follow(self, stdout: Path, stderr: Path, on_full: Callable[[], None]) -> None:
        # What was started already has printed, perhaps: its log has that too, and goes on.
        method, what, on = (
            ("GET", "logs", "follow") if self.started else ("POST", "attach", "stream")
        )
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self.id}/{what}"
        params = {on: 1, "stdout": 1, "stderr": 1}
        limits = (_ATTACH_S, None)  # none for reading
        ask = partial(requests.Session.request, self._api, method, url, params=params, stream=True)
        # Once, and for as long as it runs: what is missed here is read from the logs at the end.
        with suppress(RequestException):
            response = answer_within(_ATTACH_S, partial(ask, timeout=limits))
            if response is None:
                return
            if not response.ok:
                response.close()
                return
            files = self._log_files(stdout, stderr)
            self._following = Following(_pieces(response), files, on_full)

    def health(self) -> ContainerHealth | None:
        return observing.health(self._api, self.id)

    def first_process(self) -> FirstProcess | None:
        return observing.first_process(self._api, self.id)

    def read_text(self, path: str) -> str | None:
        return observing.read_text(self._api, self.id, path)

    def written_paths(self) -> tuple[str, ...]:
        return observing.written_paths(self._api, self.id)

    def recent_words(self) -> str:
        wanted = {"stdout": 1, "stderr": 1, "tail": _RECENT_LINES}
        words = b""
        with suppress(APIError, RequestException, MlContainerError, OSError):
            stream = self._api.read_body(f"/containers/{self.id}/logs", wanted)
            for _kind, data in frames(stream):
                words += data[: _RECENT_BYTES - len(words)]
        return self.spec.secrets.hidden.text(words.decode("utf-8", "replace"))

    def write_logs(self, stdout: Path, stderr: Path) -> int:
        # Where a connection broke, that of the log may have too, and looks as if it had ended.
        unbroken = self._api.health.breaks == self._breaks
        if self._following is not None and self._following.finish() and unbroken:
            return self._following.files.seen_bytes
        # docker-py's own `logs` inspects the container before each call and mixes the streams.
        what = "the engine does not hand out what the container printed"
        with explained(what), self._log_files(stdout, stderr) as files:
            stream = self._api.read_body(f"/containers/{self.id}/logs", {"stdout": 1, "stderr": 1})
            for kind, data in _unbroken(frames(stream)):
                files.take(kind, data)
                if files.is_over:
                    break
        return files.seen_bytes

    def _log_files(self, stdout: Path, stderr: Path) -> LogFiles:
        most = limits_of(self.spec).log_bytes
        return LogFiles(stdout, stderr, most, self.spec.secrets.hidden)

    def get(self, path: str) -> Stream | None:
        try:
            return _whole(self._api.read_body(f"/containers/{self.id}/archive", {"path": path}))
        except NotFound:
            return None
        except APIError as error:
            if any(words in str(error.explanation) for words in _LEADS_NOWHERE):
                return None
            raise EngineError(
                "the engine cannot read from the container", f"{path}: {error}"
            ) from error

    def changed_ns(self, path: str) -> int | None:
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self.id}/archive"
        with suppress(APIError, RequestException, ValueError, KeyError):
            said = self._api.head(url, params={"path": path})
            status = json.loads(base64.b64decode(said.headers["X-Docker-Container-Path-Stat"]))
            return None if status.get("linkTarget") else _moment_ns(str(status["mtime"]))
        return None


def _moment_ns(text: str) -> int:
    """Of `2026-11-28T19:03:27.792465662Z`; Python's own times end at microseconds."""
    whole, _dot, rest = text.partition(".")
    digits = "".join(takewhile(str.isdigit, rest))
    zone = rest[len(digits) :] if digits else ""
    moment = datetime.fromisoformat(whole + zone)
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int(digits[:9].ljust(9, "0"))


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Its body as it comes; closed however that ends."""
    with response:
        yield from response.iter_content(CHUNK_BYTES)


def _streamed(tar: Iterable[bytes]) -> Iterator[bytes]:
    """A generator, which requests sends in chunks; a list would become a form."""
    yield from tar


def _unbroken(parts: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """What was printed, which must not end within a piece."""
    try:
        yield from parts
    except ConnectionError as error:
        what = "the engine cut off what the container printed"
        raise EngineLostError(what, str(error), CUT_REMEDY) from error


def _whole(tar: Stream) -> Stream:
    """A tar stream that has to have its end, which is a block of zeros.

    An engine that meets an error while it reads just stops, and says that this was all.
    """
    size, end = 0, b""
    with closing(tar):
        for piece in tar:
            size, end = size + len(piece), (end + piece[-_TAR_BLOCK:])[-_TAR_BLOCK:]
            yield piece
    if size % _TAR_BLOCK or end.strip(b"\0"):
        raise EngineLostError("the engine cut off what the container wrote", "", CUT_REMEDY)
