"""Requests to one registry: logged in, repeated where that may help, explained where not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, Union
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import ConnectionError as NotConnectedError
from requests.exceptions import RequestException, Timeout

from pytest_mlcontainer.engines.docker.registries.answers import (
    broken,
    expired,
    is_passing,
    not_logged_in,
    read_answer,
    refused,
    speaks_plain,
)
from pytest_mlcontainer.engines.docker.registries.logins import find_login
from pytest_mlcontainer.engines.docker.registries.tokens import (
    Challenge,
    ask_for_token,
    basic,
    read_challenge,
    token_in,
)
from pytest_mlcontainer.engines.docker.registries.transport import (
    is_loopback,
    open_session,
    proxies_for,
)
from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.model import ImageName
from pytest_mlcontainer.secrets import NOTHING, Redactor, Value

_HUB: Final = {"docker.io": "registry-1.docker.io"}
_PASSING: Final = (429, 500, 502, 503, 504)


class Readable(Protocol):
    """What is sent in pieces."""

    def __len__(self) -> int:
        """Bytes in all."""

    def read(self, size: int = -1) -> bytes:
        """The next of them."""

    def close(self) -> None:
        """Let go of it."""


Body = Callable[[], Union[Readable, bytes]]


@dataclass(frozen=True)
class RegistryPatience:
    """How long a registry is waited for, in seconds.

    Args:
        connect_s: until it takes a connection.
        silence_s: without a byte from it.
        tries: how often a request is made that breaks.
        wait_s: before the second try; twice as long before each further one.
        longest_wait_s: the longest that it may ask for with `Retry-After`.
    """

    connect_s: float = 20.0
    silence_s: float = 120.0
    tries: int = 4
    wait_s: float = 1.0
    longest_wait_s: float = 60.0


REGISTRY_PATIENCE: Final = RegistryPatience()


@dataclass(frozen=True)
class RegistryRequest:
    """One request.

    Args:
        what: what it is for, in a few words, for messages.
        good: statuses that are answers; others are refusals.
        body: gives what is sent, anew for each try.
        once: what breaks off has to be begun anew by whoever asks: BrokenOffError.
    """

    what: str
    method: str
    url: str
    good: tuple[int, ...] = (200,)
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    stream: bool = False
    once: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method not in ("GET", "HEAD")


class BrokenOffError(Exception):
    """Something broke that may well work when it is begun anew; `why` is to be told if not."""

    def __init__(self, why: RegistryError) -> None:
        super().__init__(str(why))
        self.why = why


class RegistryConnection:
    """Requests about one repository.

    Args:
        actions: what tokens are asked for: `pull`, or `pull,push`.

    Raises:
        RegistryError: the login or the certificates cannot be read.
    """

    def __init__(
        self,
        name: ImageName,
        environ: Mapping[str, str],
        actions: str,
        patience: RegistryPatience = REGISTRY_PATIENCE,
    ) -> None:
        self.name = name
        self._environ = environ
        self._scope = f"repository:{name.repository}:{actions}"
        self._patience = patience
        self._login = find_login(name.host, environ)
        self._session = open_session(name.host, environ)
        self._base: str | None = None
        self._authorization = ""
        self._ending = threading.Event()
        self.hidden: Redactor = NOTHING if self._login is None else self._login.hidden

    def ask(self, request: RegistryRequest) -> requests.Response:
        """The answer, whose status is one of `good`.

        Raises:
            RegistryError: there is none; nothing in it is secret.
            BrokenOffError: the same of a request that is made once.
        """
        try:
            return self._ask(request)
        except RegistryError as error:
            raise self._cleaned(error) from None
        except BrokenOffError as error:
            raise BrokenOffError(self._cleaned(error.why)) from None

    def explain(self, what: str, error: Exception, tries: int) -> RegistryError:
        """Why an answer broke off."""
        return broken(what, self.name, error, tries)

    def wait(self, tries: int) -> bool:
        """Wait before another try; False where there were enough."""
        if tries >= self._patience.tries:
            return False
        return not self._ending.wait(self._patience.wait_s * 2 ** (tries - 1))

    def close(self) -> None:
        """Let go of connections; nothing is tried again."""
        self._ending.set()
        self._session.close()

    def _ask(self, request: RegistryRequest) -> requests.Response:
        tries, shown = 0, False
        while True:
            tries += 1
            try:
                response = self._send(request)
            except RequestException as error:
                why = broken(request.what, self.name, error, tries)
                if request.once and is_passing(error):
                    raise BrokenOffError(why) from error
                if is_passing(error) and self.wait(tries):
                    continue
                raise why from error
            if response.status_code in request.good:
                return response
            if response.status_code == 401 and not shown:
                shown = True
                tries -= 1
                self._authorize(request, response)
                if not request.once:
                    continue
            elif response.status_code not in _PASSING or read_answer(response).is_full_disk:
                raise self._refused(request, response)
            elif not request.once and self._may_pass(response, tries):
                continue
            if request.once:
                raise BrokenOffError(self._refused(request, response))
            raise self._refused(request, response)

    def _cleaned(self, error: RegistryError) -> RegistryError:
        """Without passwords and tokens. What caused it is left out: it may quote them."""
        return RegistryError(*map(self.hidden.text, (error.what, error.value, error.remedy)))

    def _send(self, request: RegistryRequest) -> requests.Response:
        url = urljoin(self._address(), request.url)
        headers = dict(request.headers)
        # A storage that an upload is sent to has no business with it.
        if self._authorization and urlsplit(url).netloc == urlsplit(self._address()).netloc:
            headers["Authorization"] = self._authorization
        body = None if request.body is None else request.body()
        try:
            return self._raw(request.method, url, headers=headers, data=body, stream=request.stream)
        finally:
            if body is not None and not isinstance(body, bytes):
                body.close()

    def _raw(self, method: str, url: str, **options: Any) -> requests.Response:
        patience = self._patience
        return self._session.request(
            method,
            url,
            proxies=proxies_for(url, self._environ),
            timeout=(patience.connect_s, patience.silence_s),
            **options,
        )

    def _address(self) -> str:
        """The URL of the registry. One on this machine may go without TLS, as for docker."""
        if self._base is None:
            host = _HUB.get(self.name.host, self.name.host)
            self._base = f"https://{host}"
            if is_loopback(host) and self._is_plain(self._base):
                self._base = f"http://{host}"
        return self._base

    def _is_plain(self, base: str) -> bool:
        try:
            self._raw("GET", f"{base}/v2/").close()
        except NotConnectedError as error:
            return speaks_plain(error)
        except Timeout:
            return False
        return False

    def _authorize(self, request: RegistryRequest, response: requests.Response) -> None:
        """Get what the registry asks for.

        Raises:
            RegistryError: it is not to be had.
        """
        challenge, login = read_challenge(response), self._login
        value = f"{self.name.place}, {request.what}: {read_answer(response).said}"
        if challenge.scheme == "basic":
            if login is None or self._authorization or not login.password:
                raise not_logged_in(self.name, value, login)
            self._authorization = basic(login)
        elif challenge.scheme == "bearer" and challenge.realm:
            self._authorization = f"Bearer {self._token(challenge)}"
        else:
            raise not_logged_in(self.name, value, login)

    def _token(self, challenge: Challenge) -> str:
        host = urlsplit(challenge.realm)
        if self._login is not None and host.scheme != "https" and not is_loopback(host.netloc):
            raise RegistryError(
                "the registry wants the password to be sent in the clear",
                f"{self.name.host}: its tokens are given out at {challenge.realm}",
                "have it give them out over TLS",
            )
        what = "asking for a token"
        try:
            response = ask_for_token(self._raw, challenge, self._login, self._scope)
        except RequestException as error:
            raise broken(what, self.name, error, 1) from error
        answer = read_answer(response)
        if response.status_code in (401, 403):
            value = f"{self.name.place}, {what}: {answer.said}"
            raise not_logged_in(self.name, value, self._login)
        token = token_in(response) if response.ok else ""
        if not token:
            raise refused(what, self.name, answer, self._login, writes=False)
        self.hidden |= Redactor((Value("registry token", token.encode()),))
        return token

    def _may_pass(self, response: requests.Response, tries: int) -> bool:
        """Wait as long as the registry asks for; False where that is too long, or of no use."""
        if tries >= self._patience.tries:
            return False
        asked = response.headers.get("Retry-After", "")
        seconds = self._patience.wait_s * 2 ** (tries - 1)
        with suppress(ValueError):
            seconds = max(0.0, float(asked)) if asked else seconds
        if seconds > self._patience.longest_wait_s:
            return False
        return not self._ending.wait(seconds)

    def _refused(self, request: RegistryRequest, response: requests.Response) -> RegistryError:
        answer = read_answer(response)
        if response.status_code == 401:
            challenge = read_challenge(response)
            value = f"{self.name.place}, {request.what}: {answer.said}"
            if challenge.error == "invalid_token":
                return expired(self.name, value, self._login)
            if challenge.error == "insufficient_scope" or challenge.scheme == "bearer":
                # The login was good for a token, and the token is not good for this.
                answer = type(answer)(403, answer.said, answer.codes)
        return refused(request.what, self.name, answer, self._login, writes=request.writes)
