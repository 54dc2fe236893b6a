"""What an engine, or its builder, says where a registry does not give it an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HUB: Final = "docker.io"


@dataclass(frozen=True)
class RegistryTrouble:
    """What is wrong between an engine and a registry, as a clause, and what to do about it."""

    what: str
    remedy: str


# Signs in the words of dockerd, containerd and BuildKit → what they mean; `{host}` and `{login}`
# are filled in. The first that fits counts.
_TROUBLES: Final = tuple(
    (re.compile(signs, re.IGNORECASE), RegistryTrouble(what, remedy))
    for signs, what, remedy in (
        (
            r"too ?many ?requests|rate limit",
            "the registry {host} limits how much may be asked of it",
            "wait, or log in, which raises the limit: {login}",
        ),
        (
            r"server gave HTTP response|does not look like a TLS handshake",
            "the registry {host} does not speak TLS",
            "check its port, or name it under insecure-registries in the engine's daemon.json",
        ),
        (
            r"x509:|certificate",
            "the certificate of the registry {host} is not trusted",
            "put the authority that signed it into /etc/docker/certs.d/{host}/ca.crt on the "
            "engine's machine",
        ),
        (
            r"no such host|name resolution|server misbehaving",
            "no registry has the name {host}",
            "check its spelling; the engine's machine looks it up, so look there for DNS and proxy",
        ),
        (
            r"connection (refused|reset)|timeout|deadline exceeded|unreachable|no route to host"
            r"|\bEOF\b",
            "the registry {host} does not answer",
            "check that it runs and its port, and whether a firewall or a proxy is between it and "
            "the engine's machine",
        ),
        (
            r"unauthorized|\bdenied\b|forbidden|insufficient_scope|authentication required"
            r"|no basic auth",
            "the registry {host} does not let the engine pull",
            "log in as somebody who may read it: {login}; and check the name, as some registries "
            "say so, too, of what is not there",
        ),
        (
            r"unexpected commit digest|digest mismatch|failed precondition",
            "what the registry {host} sends is not what its digest says",
            "a proxy or cache in between changes content, or its storage is damaged",
        ),
        (
            r"\b5\d\d (internal|bad gateway|service|gateway)",
            "the registry {host} fails",
            "try again later; its own log says more",
        ),
    )
)
# Docker Hub's words for a name that is mistyped more often than private.
_UNKNOWN: Final = re.compile(r"does not exist or may require|manifest unknown|not found")


def registry_trouble(message: str, reference: str) -> RegistryTrouble | None:
    """What keeps a registry from giving an image.

    Args:
        message: the engine's words.
        reference: the image, as it was asked for.

    Returns:
        None where it has no such image, and where the words are of something else.
    """
    if _UNKNOWN.search(message):
        return None
    first, slash, _rest = reference.partition("/")
    host = first if slash and (first == "localhost" or set(".:") & set(first)) else _HUB
    login = "`docker login`" if host == _HUB else f"`docker login {host}`"
    for signs, trouble in _TROUBLES:
        if signs.search(message):
            what, remedy = (
                text.format(host=host, login=login) for text in (trouble.what, trouble.remedy)
            )
            return RegistryTrouble(what, remedy)
    return None
