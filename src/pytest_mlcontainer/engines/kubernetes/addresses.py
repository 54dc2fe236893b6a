"""`kubernetes://CONTEXT/NAMESPACE` → how the cluster's API is reached, and as whom."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.config.kube_config import KubeConfigMerger

from pytest_mlcontainer.errors import EngineError

_INSIDE: Final = "KUBERNETES_SERVICE_HOST"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_REMEDY: Final = (
    "name one that `kubectl config get-contexts` lists, as kubernetes://CONTEXT/NAMESPACE, with "
    "what is no letter, digit, - or . of it in percent-encoding; or point KUBECONFIG to its file"
)


@dataclass(frozen=True)
class ClusterAddress:
    """A cluster's namespace.

    Args:
        name: as the user chose it.
        context: as the kubeconfig calls it; "" inside a cluster.
        server: the API's URL.
        configuration: of the client library: certificates, logins, proxies.
        again: finds the same once more, with logins as they are by then.
    """

    name: str
    context: str
    namespace: str
    server: str
    configuration: Any
    again: Callable[[], ClusterAddress]

    @property
    def identity(self) -> str:
        """The same for everybody who means the same namespace."""
        return f"{self.server}/{self.namespace}"


def find_cluster(url: str, environ: Mapping[str, str]) -> ClusterAddress:
    """Where a URL leads; parts that it leaves out are those of the kubeconfig.

    Without a kubeconfig, inside a cluster, it is that cluster, as the pod's service account.

    Raises:
        EngineError: there is no kubeconfig, it has no such context, or it cannot be read.
    """
    context, _slash, namespace = (unquote(part) for part in url.partition("://")[2].partition("/"))
    files = environ.get("KUBECONFIG") or str(Path(environ.get("HOME", "~"), ".kube", "config"))
    there = [file for file in files.split(os.pathsep) if file and Path(file).expanduser().exists()]
    configuration = client.Configuration()
    again = partial(find_cluster, url, environ)
    if not there:
        if _INSIDE not in environ or context:
            raise EngineError("there is no kubeconfig", f"{url}: {files}", _REMEDY)
        own = _load_from_inside(configuration, environ)
        server = str(configuration.host)
        return ClusterAddress(url, "", namespace or own, server, configuration, again)
    try:
        merged = KubeConfigMerger(os.pathsep.join(there)).config.value
        chosen = _choose(merged.get("contexts") or [], context or merged.get("current-context"))
        with _heard() as said:
            config.load_kube_config(
                os.pathsep.join(there), chosen["name"], configuration, persist_config=False
            )
    except Exception as error:  # whatever YAML, and what the library makes of it, comes to
        what = f"the kubeconfig does not lead to a cluster: {files}"
        raise EngineError(what, f"{url}: {error}", _REMEDY) from error
    if said:
        # The library goes on without a login, and would be refused as nobody.
        what = "the kubeconfig's program for logging in fails"
        remedy = "run it by hand; `kubectl config view --minify` shows which it is"
        raise EngineError(what, f"{url}: {' '.join(said)}", remedy)
    space = namespace or str((chosen.get("context") or {}).get("namespace") or "default")
    server = str(configuration.host)
    return ClusterAddress(url, chosen["name"], space, server, configuration, again)


class _Collecting(logging.Handler):
    """Keeps the texts of what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library logs as errors meanwhile, where others would raise them."""
    handler, root = _Collecting(), logging.getLogger()
    others, root.handlers = root.handlers, [handler]
    try:
        yield handler.texts
    finally:
        root.handlers = others


def _choose(contexts: list[Any], name: str | None) -> dict[str, Any]:
    if not name:
        raise ValueError("it has no current context")
    for each in contexts:
        if each["name"] == name:
            return dict(each.value)
    listed = ", ".join(str(each["name"]) for each in contexts)
    raise ValueError(f"it has no context {name!r}, but {listed or 'none'}")


def _load_from_inside(configuration: Any, environ: Mapping[str, str]) -> str:
    """Use the service account of the pod that this runs in; returns the pod's namespace."""
    try:
        loader = InClusterConfigLoader(
            SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=dict(environ)
        )
        loader.load_and_set(configuration)
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        what = "this pod's service account cannot be used"
        remedy = "let the pod have a token (`automountServiceAccountToken: true`)"
        raise EngineError(what, str(error), remedy) from error
