"""Asking the parts of a cluster, as its administrator."""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPException, HTTPSConnection
from typing import Any

from scripts.engine.problems import SetupError

from .layout import Cluster

_PATIENCE_S = 5


def trusting(cluster: Cluster, who: str = "admin") -> ssl.SSLContext:
    """TLS with the cluster's authority, and the certificate of one who has one."""
    folder = cluster.layout.certificates
    context = ssl.create_default_context(cafile=str(cluster.layout.authority))
    context.load_cert_chain(folder / f"{who}.crt", folder / f"{who}.key")
    return context


def _ask(
    cluster: Cluster, component: str, method: str, path: str, body: object, who: str
) -> tuple[int, bytes]:
    connection = HTTPSConnection(
        cluster.addresses.host,
        cluster.ports[component],
        timeout=_PATIENCE_S,
        context=trusting(cluster, who),
    )
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def is_well(cluster: Cluster, component: str, path: str, who: str = "admin") -> bool:
    """Whether a component answers at this path of its own that it is well."""
    try:
        status, _ = _ask(cluster, component, "GET", path, None, who)
    except (OSError, HTTPException):
        return False
    return status == 200


def read(cluster: Cluster, path: str) -> dict[str, Any]:
    """What the API server has at a path; empty where there is nothing, or no answer."""
    try:
        status, text = _ask(cluster, "apiserver", "GET", path, None, "admin")
        value = json.loads(text) if status == 200 else {}
    except (OSError, HTTPException, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def create(cluster: Cluster, path: str, value: object) -> None:
    """Make an object of the API, unless it is there.

    Raises:
        SetupError: the API server refuses it, or does not answer.
    """
    try:
        status, text = _ask(cluster, "apiserver", "POST", path, value, "admin")
    except (OSError, HTTPException) as error:
        status, text = 0, str(error).encode()
    if status not in (201, 409):
        raise SetupError(
            f"The API server refused an object at {path}",
            f"{status} {text[:500].decode(errors='replace')}",
            f"Its log: {cluster.layout.logs / 'apiserver.log'}",
        )


def listens(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S):
            return True
    except OSError:
        return False


def listens_at(path: str) -> bool:
    """Whether something takes connections at a unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PATIENCE_S)
            probe.connect(path)
            return True
    except OSError:
        return False
