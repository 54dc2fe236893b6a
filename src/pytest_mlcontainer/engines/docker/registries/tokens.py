"""What a registry wants to see before it answers: its challenge, and the token for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from requests.utils import parse_dict_header

from pytest_mlcontainer.engines.docker.registries.logins import Login

_CLIENT = "pytest-mlcontainer"


@dataclass(frozen=True)
class Challenge:
    """`WWW-Authenticate` of an answer with the status 401.

    Args:
        scheme: `bearer` or `basic`, in lower case; "" where there is none.
    """

    scheme: str
    values: Mapping[str, str]

    @property
    def error(self) -> str:
        """What is wrong with the token that was shown: `invalid_token`, `insufficient_scope`."""
        return str(self.values.get("error") or "")

    @property
    def realm(self) -> str:
        """The URL that gives out tokens."""
        return str(self.values.get("realm") or "")


def read_challenge(response: requests.Response) -> Challenge:
    """The challenge of an answer."""
    scheme, _space, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
    values = {str(key): str(value or "") for key, value in parse_dict_header(rest).items()}  # type: ignore[no-untyped-call]
    return Challenge(scheme.lower(), values)


def basic(login: Login) -> str:
    """The header for a name and a password."""
    pair = base64.b64encode(f"{login.user}:{login.password}".encode())
    return f"Basic {pair.decode()}"


def ask_for_token(
    send: Callable[..., requests.Response], challenge: Challenge, login: Login | None, scope: str
) -> requests.Response:
    """Ask for a token, as https://distribution.github.io/distribution/spec/auth/token/ has it.

    Args:
        send: `requests.Session.request`, or what does the same.
    """
    service = challenge.values.get("service", "")
    if login is not None and login.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": login.identity_token,
            "service": service,
            "scope": scope,
            "client_id": _CLIENT,
        }
        return send("POST", challenge.realm, data=form)
    headers = {} if login is None else {"Authorization": basic(login)}
    params = {"scope": scope, **({"service": service} if service else {})}
    return send("GET", challenge.realm, params=params, headers=headers)


def token_in(response: requests.Response) -> str:
    """The token that was given; "" where the answer has none."""
    try:
        raw = response.json()
    except ValueError:
        return ""
    return str(raw.get("token") or raw.get("access_token") or "") if isinstance(raw, dict) else ""
