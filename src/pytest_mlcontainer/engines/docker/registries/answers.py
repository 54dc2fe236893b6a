"""What a registry's refusals and broken connections mean, and what to do."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Final

import requests
from requests.exceptions import ProxyError, RequestException, SSLError, Timeout

from pytest_mlcontainer.engines.docker.client import innermost
from pytest_mlcontainer.engines.docker.registries.logins import Login, how_to_log_in
from pytest_mlcontainer.engines.docker.registries.transport import CA_VARIABLES
from pytest_mlcontainer.engines.failures import cut_line, is_full_disk
from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.model import ImageName

_PLAIN: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH")
_UNKNOWN: Final = ("NameResolutionError", "Name or service not known", "getaddrinfo", "resolve")
_READ_ONLY: Final = ("UNSUPPORTED", "readonly", "read-only", "read only")


@dataclass(frozen=True)
class RegistryRefusal:
    """A refusal, as a registry words it.

    Args:
        said: status, codes and messages.
        codes: `DENIED`, `TOOMANYREQUESTS`, as the specification names them.
    """

    status: int
    said: str
    codes: tuple[str, ...] = ()

    @property
    def is_full_disk(self) -> bool:
        """Whether the registry has no room left."""
        return self.status == 507 or is_full_disk(self.said)


def read_answer(response: requests.Response) -> RegistryRefusal:
    """The refusal that a response is."""
    codes, parts = [], [f"{response.status_code} {response.reason or ''}".strip()]
    try:
        raw = response.json()
        errors = raw.get("errors") if isinstance(raw, dict) else None
        for each in errors if isinstance(errors, list) else ():
            codes.append(str(each.get("code") or ""))
            detail = each.get("detail") or ""
            if isinstance(detail, dict):
                detail = json.dumps(detail)
            # A list repeats which rights were asked for, as `what` does in words.
            shown = detail if isinstance(detail, str) else ""
            said = (codes[-1], each.get("message"), shown)
            parts.append(" ".join(str(part) for part in said if part))
    except (ValueError, AttributeError, RequestException):
        parts.append(_beginning(response))
    return RegistryRefusal(
        response.status_code, cut_line(": ".join(filter(None, parts))), tuple(codes)
    )


def refused(
    what: str, name: ImageName, answer: RegistryRefusal, login: Login | None, *, writes: bool
) -> RegistryError:
    """Why a request is refused for good.

    Args:
        what: what was asked for, in a few words: `uploading a layer`.
        login: by whom.
        writes: whether it was to change something.
    """
    value = f"{name.place}, {what}: {answer.said}"
    by = "nobody is logged in" if login is None else f"logged in as {login.user or 'a token'}"
    whose = by if login is None else f"{by}, from {login.source}"
    if answer.is_full_disk:
        remedy = "free room where the registry keeps its content, or ask whoever runs it"
        return RegistryError("the registry's disk is full", value, remedy)
    if answer.status == 401:
        return not_logged_in(name, value, login)
    if answer.status == 405 or (writes and any(m in answer.said for m in _READ_ONLY)):
        remedy = "wait until its maintenance is over, or publish to a registry that takes pushes"
        return RegistryError("the registry is read-only", value, remedy)
    if answer.status == 403:
        return RegistryError(
            f"the registry does not let this login {'push' if writes else 'pull'}",
            f"{value} ({whose})",
            f"give it the right to write {name.place} (of a token: `write:packages`, "
            "`packages: write` in a workflow, or Read & Write), or name another repository"
            if writes
            else f"log in as somebody who may read it: {how_to_log_in(name.host)}",
        )
    if answer.status == 404:
        return RegistryError(
            "the registry has no such image" if not writes else "the registry has no such place",
            value,
            "check its name and digest, and whether it is private: some registries say so for what "
            f"the login may not see ({by})",
        )
    if answer.status == 429:
        remedy = f"wait, or log in, which raises the limit: {how_to_log_in(name.host)} ({by})"
        return RegistryError("the registry limits how much may be asked of it", value, remedy)
    if answer.status >= 500:
        remedy = "try again later; its own log says more"
        return RegistryError("the registry fails", value, remedy)
    remedy = "the reason above is the registry's own word"
    return RegistryError("the registry refuses the request", value, remedy)


def not_logged_in(name: ImageName, value: str, login: Login | None) -> RegistryError:
    """Nobody is logged in, or the login is no good."""
    if login is None:
        return RegistryError("the registry asks for a login", value, how_to_log_in(name.host))
    return RegistryError(
        "the registry refuses the login",
        f"{value} (as {login.user or 'a token'}, from {login.source})",
        "the password is wrong, or the token has expired or was revoked: "
        f"{how_to_log_in(name.host)}",
    )


def expired(name: ImageName, value: str, login: Login | None) -> RegistryError:
    """The token that the registry has given out is not valid any more, nor is a new one."""
    whose = "" if login is None else f" (as {login.user or 'a token'}, from {login.source})"
    return RegistryError(
        "the registry does not take the token, which has expired or is not for it",
        value + whose,
        f"get a new one: {how_to_log_in(name.host)}; where that is new, compare the clocks of "
        "this machine and the registry",
    )


def speaks_plain(error: BaseException) -> bool:
    """Whether a TLS connection failed since the other side speaks none."""
    return isinstance(error, SSLError) and any(mark in str(error) for mark in _PLAIN)


def is_passing(error: RequestException) -> bool:
    """Whether another try may well do better."""
    text = str(error)
    return not (isinstance(error, (SSLError, ProxyError)) or any(mark in text for mark in _UNKNOWN))


def broken(what: str, name: ImageName, error: Exception, tries: int) -> RegistryError:
    """Why there was no answer."""
    reason = innermost(error)
    times = f" (tried {tries} times)" if tries > 1 else ""
    value = f"{name.place}, {what}: {cut_line(str(reason))}{times}"
    text = f"{error} {reason}"
    if speaks_plain(error):
        remedy = "give it a certificate: without TLS only a registry on this machine is spoken to"
        return RegistryError("the registry does not speak TLS", value, remedy)
    if isinstance(error, SSLError) or isinstance(reason, ssl.SSLError):
        return RegistryError(
            "the registry's certificate is not trusted",
            value,
            f"put the authority that signed it into /etc/docker/certs.d/{name.host}/ca.crt, into "
            f"the machine's certificates, or name its file with {CA_VARIABLES[0]}",
        )
    if isinstance(error, ProxyError):
        remedy = "check HTTPS_PROXY and NO_PROXY: what stands in NO_PROXY is asked directly"
        return RegistryError("the proxy does not lead to the registry", value, remedy)
    if any(mark in text for mark in _UNKNOWN):
        remedy = "check its spelling; behind a proxy set HTTPS_PROXY"
        return RegistryError("no registry has this host's name", value, remedy)
    if isinstance(error, Timeout) or "timed out" in text.lower():
        remedy = "run again; behind a slow line, or a proxy that scans, try from elsewhere"
        return RegistryError("the registry does not answer in time", value, remedy)
    if "refused" in text.lower() or "NewConnectionError" in text:
        remedy = "check that it runs and its port, and whether a firewall is between"
        return RegistryError("the registry does not answer", value, remedy)
    return RegistryError(
        "the connection to the registry broke",
        value,
        "run again: what was uploaded whole is not sent again",
    )


def _beginning(response: requests.Response) -> str:
    try:
        return " ".join(response.text[:300].split())
    except (RequestException, ValueError):
        return ""
