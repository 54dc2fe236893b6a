"""Who logs in to a registry: docker's own configuration, its helpers, and variables of CI."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from docker.auth import AuthConfig
from docker.errors import DockerException

from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.secrets import Redactor, Value

INLINE: Final = "DOCKER_AUTH_CONFIG"  # as docker and GitLab's runners read it
_HUB: Final = "docker.io"
# Each is sent to its own registry alone.
_VARIABLES: Final[tuple[tuple[str, str, str], ...]] = (
    ("ghcr.io", "GITHUB_ACTOR", "GITHUB_TOKEN"),
    (_HUB, "DOCKERHUB_USERNAME", "DOCKERHUB_TOKEN"),
)
_GITLAB: Final = ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD")


@dataclass(frozen=True)
class Login:
    """A name and a password, or a token that stands for both.

    Args:
        source: where it comes from, as messages say it.
        identity_token: as `docker login` keeps it for some registries; "" where there is none.
    """

    user: str
    source: str
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def hidden(self) -> Redactor:
        """Knows all of it that must not be shown."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        texts = (self.password, self.identity_token, pair if self.password else "")
        return Redactor(tuple(Value("registry", text.encode()) for text in texts if text))


def find_login(host: str, environ: Mapping[str, str]) -> Login | None:
    """The login for a registry; None where nobody has logged in.

    `DOCKER_AUTH_CONFIG`, docker's `config.json` with its credential helpers, and variables of CI
    services, in this order.

    Raises:
        RegistryError: a configuration cannot be read, or a helper fails.
    """
    for source, text in _configurations(environ):
        found = _login_of(_parsed(source, text), host, environ, source)
        if found is not None:
            return found
    return _login_of_variables(host, environ)


def how_to_log_in(host: str) -> str:
    """The next step for whoever has no login."""
    names = [f"{user} and {password}" for of, user, password in _VARIABLES if of == host]
    variables = f", set {names[0]}" if names else ""
    shown = "" if host == _HUB else f" {host}"
    return f"`docker login{shown}`{variables}, or put docker's configuration into {INLINE}"


def config_file(environ: Mapping[str, str]) -> Path:
    """Docker's configuration."""
    folder = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME', '')}/.docker"
    return Path(folder) / "config.json"


def _configurations(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if environ.get(INLINE):
        yield INLINE, environ[INLINE]
    file = config_file(environ)
    try:
        yield str(file), file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(file), type(error).__name__) from error


def _parsed(source: str, text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except ValueError as error:
        # Not the error's own words: they may quote what is in it.
        raise _unreadable(source, "it is not JSON") from error
    if not isinstance(raw, dict):
        raise _unreadable(source, "it is no JSON object")
    return raw


def _login_of(
    raw: dict[str, Any], host: str, environ: Mapping[str, str], source: str
) -> Login | None:
    if not any(raw.get(key) for key in ("auths", "credsStore", "credHelpers")):
        return None
    try:
        config = AuthConfig.load_config(None, dict(raw), dict(environ))
        found = config.resolve_authconfig(host) or {}
    except DockerException as error:
        helper = (raw.get("credHelpers") or {}).get(host) or raw.get("credsStore") or ""
        raise RegistryError(
            "the login for the registry cannot be read",
            f"{host}, in {source}: {type(error).__name__}"
            + (f" of docker-credential-{helper}" if helper else ""),
            f"`docker login {host}` writes it anew; a credential helper has to be on PATH and work",
        ) from None
    except (ValueError, TypeError, AttributeError):
        raise _unreadable(source, f"what it has for {host} is no login") from None
    values = {str(key).lower(): str(value or "") for key, value in found.items()}
    login = Login(
        values.get("username", ""),
        source,
        values.get("password", ""),
        values.get("identitytoken", ""),
    )
    return login if login.password or login.identity_token else None


def _login_of_variables(host: str, environ: Mapping[str, str]) -> Login | None:
    registry, *gitlab = _GITLAB
    variables = [*_VARIABLES, (environ.get(registry, ""), gitlab[0], gitlab[1])]
    for of, user, password in variables:
        if of == host and environ.get(password):
            name = environ.get(user) or "token"
            return Login(name, f"{user} and {password}", environ[password])
    return None


def _unreadable(source: str, why: str) -> RegistryError:
    return RegistryError(
        "docker's configuration cannot be read",
        f"{source}: {why}",
        "repair it, or remove it and `docker login` again",
    )
