"""Connections to a cluster's API, which share what the library would read for each anew: the
authority, and the certificate that logs in. A run makes four of them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.stream.ws_client import websocket_proxycare
from urllib3.util.ssl_ import create_urllib3_context
from websocket import WebSocket

# https://kubernetes.io/docs/reference/using-api/api-concepts: the newest that both sides know.
_PROTOCOLS: Final = "v5.channel.k8s.io,v4.channel.k8s.io"


def open_client(configuration: Any) -> ApiClient:
    """The library's client, whose connections share a context."""
    client = ApiClient(configuration)
    pools = client.rest_client.pool_manager.connection_pool_kw
    for file in ("ca_certs", "cert_file", "key_file"):
        pools.pop(file, None)
    pools["ssl_context"] = tls_context(configuration)
    return client


def tls_context(configuration: Any) -> ssl.SSLContext:
    """Whom to trust, and as whom to log in.

    One for each kind of connection: urllib3 compares the name of a host by itself, and switches
    that off in the context that it is given.
    """
    context = create_urllib3_context()
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif configuration.ssl_ca_cert:
        context.load_verify_locations(cafile=configuration.ssl_ca_cert)
    else:
        context.load_default_certs()
    if configuration.verify_ssl and configuration.assert_hostname is not None:
        context.check_hostname = bool(configuration.assert_hostname)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def open_websocket(
    configuration: Any, context: ssl.SSLContext, url: str, headers: Mapping[str, str]
) -> Any:
    """Through the proxy that the configuration names, if any.

    Args:
        headers: with names in small letters.

    Raises:
        WebSocketException, OSError: it is not let in, or gets no answer.
    """
    login = headers.get("authorization")
    sent = [f"sec-websocket-protocol: {headers.get('sec-websocket-protocol', _PROTOCOLS)}"]
    sent += [f"authorization: {login}"] if login else []
    options: dict[str, Any] = {"header": sent}
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, headers)
    tls: dict[str, Any] = {"context": context}
    if configuration.tls_server_name:
        tls["server_hostname"] = configuration.tls_server_name
    opened: Any = WebSocket(sslopt=tls)
    opened.connect(url, **options)
    return opened
