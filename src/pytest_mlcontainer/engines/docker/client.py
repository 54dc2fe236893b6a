"""docker-py's client, made to live with engines that restart, drop connections or hang.

In one place, for every request:

- Nothing waits for ever: an engine that sends nothing for a minute, or for five where it has to do
  something or hands out files, does not answer.
- What can be asked twice is asked again, for a minute in all: that is how long an engine may take
  to restart. A connection that could not be made has carried no request, so any
  request is sent again then; otherwise only those that change nothing, or end in the same state.
- What is read in a stream is taken up again where it broke off.
- An engine that stays away is remembered: later requests first look whether it is back.
"""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

from pytest_mlcontainer.engines import Stream
from pytest_mlcontainer.engines.docker import transport
from pytest_mlcontainer.errors import EngineError, EngineLostError

_KNOCK_S = 5
_ANY_API = "1.41"
_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # the last one again and again
_FAULTS = 3  # times that an engine may answer 500 before it is believed
_RESUMED = 5  # times that a stream is taken up again
_CHUNK_BYTES = 1 << 20
_OVERLOADED = (502, 503, 504)
# These end in the same state however often they are sent.
_REPEATABLE_POSTS = re.compile(r"/(containers/[^/]+/(stop|kill)|volumes/create)$")
_WORK = re.compile(r"/(containers/create|containers/[^/]+/(start|stop|kill|archive|logs))$")
# A 500 that says something about what was asked for, and would be said again.
_LASTING_FAULT = re.compile("not a directory|no space left on device|no such|permission denied")

_RESTARTED = (
    "look at the engine's own log (`journalctl -u docker`) for why it went away, then run again"
)

Reopen = Callable[[], requests.Response]

CUT_REMEDY = "look at the engine's own log (`journalctl -u docker`), then run again"


@dataclass(frozen=True)
class Patience:
    """How long an engine is waited for, in seconds.

    Args:
        answer_s: until it sends something; whole seconds, as docker-py takes them.
        work_s: the same where it has to make, start, stop or remove something, or hands out files.
        away_s: until it answers again, once it has gone away.
    """

    answer_s: int = 60
    work_s: float = 300.0
    away_s: float = 60.0


PATIENCE = Patience()


@dataclass
class Health:
    """What a client has noticed of its engine.

    Args:
        breaks: how many connections broke or could not be made.
        away: whether it was last seen to stay away.
        ending: set when nothing is worth waiting for any more.
    """

    breaks: int = 0
    away: bool = False
    ending: threading.Event = field(default_factory=threading.Event)


class EngineClient(docker.APIClient):
    """See the module.

    Args:
        patience: how long the engine is waited for.
        arguments: docker-py's own, without version and timeout.
        version: of the API. docker-py would ask for it before its connections keep their limits.
        connections: those of another client of the same engine.
    """

    def __init__(
        self,
        patience: Patience,
        arguments: Mapping[str, Any],
        version: str = _ANY_API,
        connections: BaseAdapter | None = None,
    ) -> None:
        self.health: Health = Health()
        self.patience = patience
        self._arguments = dict(arguments)
        self._shown = str(arguments.get("base_url") or "the default engine")
        accepted = transport.accepted(arguments)
        super().__init__(version=version, timeout=patience.answer_s, **accepted)
        transport.use(self, self._shown, connections)

    def newest_version(self) -> str:
        """The newest version of the API that the engine speaks.

        Raises:
            DockerException: no engine answers.
        """
        try:
            return str(self.version(api_version=False)["ApiVersion"])
        except Exception as error:
            raise DockerException("the engine does not say its version") from error

    def speaking(self, version: str, patience: Patience) -> EngineClient:
        """Another client with the same connections."""
        connections = self.get_adapter(self.base_url)
        return EngineClient(patience, self._arguments, version, connections)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request, with its limit; see the module for when it is sent again.

        Raises:
            EngineLostError: the connection broke while the engine did something.
            EngineError: the engine does not answer, or stays away.
        """
        path = str(url).partition("?")[0]
        if _WORK.search(path) or str(method).upper() == "DELETE":
            kwargs["timeout"] = max(self.patience.work_s, kwargs.get("timeout") or 0)
        # docker-py's None, with which it pulls, is for ever.
        kwargs["timeout"] = kwargs.get("timeout") or self.patience.work_s
        if self.health.away:
            self._look_again()
        repeatable = str(method).upper() in ("GET", "HEAD", "DELETE") or bool(
            str(method).upper() == "POST" and _REPEATABLE_POSTS.search(path)
        )
        deadline = time.monotonic() + self.patience.away_s
        for attempt in range(1_000_000):
            last = time.monotonic() >= deadline
            try:
                response: requests.Response = super().request(method, url, *args, **kwargs)
                _check_whole(response)
            except (OSError, HTTPError) as error:
                self.health.breaks += 1
                self._give_up_or_go_on(error, repeatable=repeatable, last=last)
            else:
                if not repeatable or last or not _is_passing(response, path, attempt):
                    return response
                response.close()
            if self.health.ending.wait(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]):
                raise self.lost()
        raise AssertionError("the patience ends before")

    def _give_up_or_go_on(self, error: Exception, *, repeatable: bool, last: bool) -> None:
        """Return where the request can be sent again."""
        if _is_timeout(error):
            self.health.away = True
            raise EngineError(
                "the engine does not answer",
                f"{self._shown}: {innermost(error)}",
                "restart it, and look at its own log (`journalctl -u docker`)",
            ) from error
        if last:
            self.health.away = True
            waited = f"for {self.patience.away_s:g} s" if self.patience.away_s else "now"
            raise EngineError(
                "the engine went away and did not come back",
                f"{self._shown}: no answer {waited} ({innermost(error)})",
                "start it again; " + _RESTARTED,
            ) from error
        if not repeatable and not _was_never_sent(error):
            raise self.lost(error) from error

    def _look_again(self) -> None:
        """An engine that stayed away costs a whole wait once, and then a look at a time."""
        if not self.answers():
            raise EngineError(
                "the engine is still away",
                self._shown,
                "the first test that missed it says more; " + _RESTARTED,
            )
        self.health.away = False

    def lost(self, error: Exception | None = None) -> EngineLostError:
        """What a request ends in that broke off and must not be sent twice."""
        why = "" if error is None else f" ({innermost(error)})"
        return EngineLostError(
            "the engine dropped the connection", f"{self._shown}{why}", _RESTARTED
        )

    def answers(self) -> bool:
        """Whether the engine takes a new connection and answers on it, within seconds."""
        with suppress(OSError, HTTPError, DockerException):
            accepted = transport.accepted(self._arguments)
            knocking = docker.APIClient(version=self.api_version, timeout=_KNOCK_S, **accepted)
            transport.use(knocking, self._shown)
            with knocking:
                return bool(knocking.ping())
        return False

    def comes_back(self) -> bool:
        """Whether the engine answers, at once or within the patience that is given to it."""
        with suppress(EngineError, APIError):
            return bool(self.ping())
        return False

    def wait_once(self, container: str, limit_s: float) -> dict[str, Any] | None:
        """The engine's word on a container's end; None after `limit_s` or a broken connection.

        Raises:
            NotFound: there is no such container.
        """
        url = f"{self.base_url}/v{self.api_version}/containers/{container}/wait"
        try:
            response = super().request("POST", url, timeout=limit_s)
            if response.status_code >= 500:
                return None
            _refuse_errors(response)
            answer: dict[str, Any] = response.json()
        except APIError:
            raise
        except (OSError, ValueError, HTTPError) as error:
            if not _is_timeout(error):
                self.health.breaks += 1
            return None
        return answer

    def read_body(
        self, path: str, params: Mapping[str, Any], first_s: float | None = None
    ) -> Stream:
        """The body of a GET, in pieces; complete when it ends without an error.

        Whoever does not read it to its end has to close it: the engine waits with it.

        A stream that breaks off is asked for again, and what was handed on already is left out,
        once it is known to be the same.

        Args:
            path: below the API's version.
            first_s: how long the engine may take for each next piece, the first one above all; by
                default as for other work.

        Raises:
            NotFound, APIError: at once, when the engine refuses.
            EngineLostError: it breaks off again and again, or is another one the second time.
        """
        opened = partial(self._open, path, params, first_s)
        return self._pieces(opened(), opened)

    def _open(
        self, path: str, params: Mapping[str, Any], first_s: float | None
    ) -> requests.Response:
        url = f"{self.base_url}/v{self.api_version}{path}"
        response = self.request("GET", url, params=dict(params), stream=True, timeout=first_s)
        _refuse_errors(response)
        return response

    def _pieces(self, response: requests.Response, reopen: Reopen) -> Stream:
        seen, check = 0, 0
        for left in reversed(range(_RESUMED)):
            try:
                with response:
                    for piece in self._after(response, seen, check):
                        seen, check = seen + len(piece), zlib.crc32(piece, check)
                        yield piece
                return
            except (RequestException, HTTPError, OSError) as error:
                self.health.breaks += 1
                if not left:
                    raise self.lost(error) from error
                if _is_timeout(error):
                    self._give_up_or_go_on(error, repeatable=True, last=False)
            response = reopen()

    def _after(self, response: requests.Response, size: int, check: int) -> Iterator[bytes]:
        """What comes after the first `size` bytes, whose checksum has to be `check`."""
        seen, found = 0, 0
        for piece in response.iter_content(_CHUNK_BYTES):
            known = piece[: max(size - seen, 0)]
            seen, found = seen + len(piece), zlib.crc32(known, found)
            if seen >= size and found != check:
                raise self.lost()
            if len(piece) > len(known):
                yield piece[len(known) :]
        if seen < size:
            raise self.lost()


def innermost(error: BaseException) -> str:
    """The reason at the bottom: docker-py and requests wrap `No such file` four times."""
    seen: BaseException = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    text = str(seen) or str(error) or type(seen).__name__
    return text if len(text) < 200 else text[:200] + "…"


def _refuse_errors(response: requests.Response) -> None:
    """As docker-py does with the answers to its own requests.

    Raises:
        NotFound, APIError: the engine refuses.
    """
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


def _check_whole(response: requests.Response) -> None:
    """Refuse an answer that does not say how long it is: its head was cut off, and reads as whole.

    Raises:
        ProtocolError: it is such a one.
    """
    bodyless = response.status_code in (204, 304) or response.request.method == "HEAD"
    sized = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
    if not bodyless and not sized:
        response.close()
        raise ProtocolError("the answer was cut off in its head")


def _is_passing(response: requests.Response, path: str, attempt: int) -> bool:
    """Whether an answer says no more than that the engine has a bad moment."""
    if response.status_code in _OVERLOADED:
        return True
    if response.status_code != 500 or attempt >= _FAULTS or "/distribution/" in path:
        return False
    with suppress(RequestException, HTTPError, OSError):
        return not _LASTING_FAULT.search(response.text.lower())
    return True


def _is_timeout(error: BaseException) -> bool:
    # requests reports a read timeout of a chunked body as a ConnectionError.
    return isinstance(error, ReadTimeout | ConnectTimeout) or "timed out" in str(error).lower()


def _was_never_sent(error: BaseException) -> bool:
    """Whether the connection itself could not be made."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, NewConnectionError | ConnectionRefusedError | FileNotFoundError):
            return True
        reason = getattr(seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
    return False
