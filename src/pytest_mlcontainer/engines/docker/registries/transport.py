"""TLS and proxies of connections to registries."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import should_bypass_proxies

from pytest_mlcontainer.errors import RegistryError

CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM_CERTIFICATES: Final = Path("/etc/docker/certs.d")


class _TrustingAdapter(HTTPAdapter):
    """An adapter whose connections trust what a context trusts, beside what requests brings."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)


def open_session(host: str, environ: Mapping[str, str]) -> requests.Session:
    """Connections that trust the machine's certificates and those that docker knows for a host.

    What is in `environ` counts, and nothing of a `.netrc`, which would replace a login.

    Raises:
        RegistryError: a file of certificates cannot be read.
    """
    session = requests.Session()
    session.trust_env = False
    adapter = _TrustingAdapter(_context(host, environ))
    session.mount("https://", adapter)
    return session


def proxies_for(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The proxy for a URL, as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.

    This machine itself is asked directly, as docker does.
    """
    if is_loopback(urlsplit(url).netloc) or should_bypass_proxies(
        url, _either("no_proxy", environ)
    ):
        return {}
    scheme = url.partition(":")[0]
    found = _either(f"{scheme}_proxy", environ) or _either("all_proxy", environ)
    return {scheme: found} if found else {}


def is_loopback(host: str) -> bool:
    """Whether a host, with or without its port, is this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def certificate_files(host: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Authorities that this user trusts for a registry, besides those of the machine."""
    for name in CA_VARIABLES:
        if environ.get(name):
            yield Path(environ[name])
    for folder in certificate_folders(host, environ):
        yield from sorted(folder.glob("*.crt"))


def certificate_folders(host: str, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where docker looks for a registry's certificates; the second is that of rootless engines."""
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    return _SYSTEM_CERTIFICATES / host, Path(home, "docker", "certs.d", host)


def _context(host: str, environ: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in certificate_files(host, environ):
        try:
            if file.is_dir():
                context.load_verify_locations(capath=str(file))
            else:
                context.load_verify_locations(cafile=str(file))
        except (OSError, ssl.SSLError) as error:
            raise _unreadable(file, error) from error
    for folder in certificate_folders(host, environ):
        for file in sorted(folder.glob("*.cert")):
            try:
                context.load_cert_chain(str(file), str(file.with_suffix(".key")))
            except (OSError, ssl.SSLError) as error:
                raise _unreadable(file, error) from error
    return context


def _unreadable(file: Path, error: Exception) -> RegistryError:
    return RegistryError(
        "a file of certificates cannot be read",
        f"{file}: {getattr(error, 'strerror', None) or error}",
        f"it has to be PEM; it is named by one of {', '.join(CA_VARIABLES)}, or lies in "
        "/etc/docker/certs.d",
    )


def _either(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""
