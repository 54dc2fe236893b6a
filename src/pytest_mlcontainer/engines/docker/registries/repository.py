"""One repository of a registry, over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from pytest_mlcontainer.engines.containers import LogLine, quiet
from pytest_mlcontainer.engines.distribution import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    Manifest,
)
from pytest_mlcontainer.engines.docker.registries.connection import (
    REGISTRY_PATIENCE,
    BrokenOffError,
    RegistryConnection,
    RegistryPatience,
    RegistryRequest,
)
from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.model import ImageName
from pytest_mlcontainer.progress.far import TransferProgress, Transfers
from pytest_mlcontainer.secrets import Redactor

_PIECE_BYTES: Final = 1 << 17
_MOST_MANIFEST_BYTES: Final = 8 << 20
_ACCEPT: Final = (("Accept", ", ".join((*INDEXES, *MANIFESTS))),)


class HttpRepository:
    """See `engines.distribution.Repository`.

    Args:
        environ: variables with logins, proxies and certificates.
        push: whether it is written to, which needs another right.
    """

    def __init__(
        self,
        name: ImageName,
        environ: Mapping[str, str],
        *,
        push: bool = False,
        patience: RegistryPatience = REGISTRY_PATIENCE,
    ) -> None:
        self.name = name
        actions = "pull,push" if push else "pull"
        self._connection = RegistryConnection(name, environ, actions, patience)
        self._root = f"/v2/{name.repository}"

    @property
    def hidden(self) -> Redactor:
        return self._connection.hidden

    def check_push(self) -> None:
        what = "asking whether a push is allowed"
        begun = self._ask(what, "POST", f"{self._root}/blobs/uploads/", (201, 202), content=b"")
        at = begun.headers.get("Location", "")
        with suppress(RegistryError):  # registries forget it by themselves
            self._ask("ending it", "DELETE", at, (200, 202, 204, 404, 405))

    def read_manifest(self, reference: str) -> Manifest:
        what = f"reading {reference}"
        url = f"{self._root}/manifests/{reference}"
        response = self._ask(what, "GET", url, headers=_ACCEPT)
        content = response.content
        if len(content) > _MOST_MANIFEST_BYTES:
            raise RegistryError(
                "the registry sends a manifest that is too large",
                f"{self.name.place}, {reference}: {len(content):,} bytes",
                "no registry has one like this; look at what it runs on",
            )
        digest = _sha256(content)
        if reference.startswith("sha256:") and digest != reference:
            raise _other_content(self.name, reference, digest)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(content, kind, digest)

    def read_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        digest, seen = hashlib.sha256(), 0
        what = f"reading {descriptor.digest}"
        tries = 0
        while seen < descriptor.size_bytes or not tries:
            tries += 1
            try:
                for piece in self._pieces(what, descriptor, seen):
                    digest.update(piece)
                    seen += len(piece)
                    yield piece
                break
            except (HTTPError, RequestException, OSError) as error:
                if not self._connection.wait(tries):
                    raise self._connection.explain(what, error, tries) from error
        found = f"sha256:{digest.hexdigest()}"
        if found != descriptor.digest:
            raise _other_content(self.name, descriptor.digest, found)

    def push_blob(self, descriptor: Descriptor, source: Path | bytes, log: LogLine = quiet) -> bool:
        if self._has_blob(descriptor):
            return False
        what = f"uploading {descriptor.digest}"
        tries = 0
        while True:
            tries += 1
            try:
                self._upload(what, descriptor, source, log)
                return True
            except BrokenOffError as error:
                if not self._connection.wait(tries):
                    raise error.why from error

    def push_manifest(self, content: bytes, media_type: str, reference: str) -> None:
        url = f"{self._root}/manifests/{reference}"
        kind = (("Content-Type", media_type),)
        what = f"writing {reference}"
        self._ask(what, "PUT", url, (201, 202), headers=kind, content=content)

    def close(self) -> None:
        self._connection.close()

    def _has_blob(self, descriptor: Descriptor) -> bool:
        url = f"{self._root}/blobs/{descriptor.digest}"
        what = f"looking for {descriptor.digest}"
        return self._ask(what, "HEAD", url, (200, 404)).status_code == 200

    def _pieces(self, what: str, descriptor: Descriptor, seen: int) -> Iterator[bytes]:
        """The rest of a blob; a registry that knows no ranges sends it all again."""
        url = f"{self._root}/blobs/{descriptor.digest}"
        headers = (("Range", f"bytes={seen}-"),) if seen else ()
        request = RegistryRequest(what, "GET", url, (200, 206), headers, stream=True)
        with self._connection.ask(request) as response:
            passed = seen if response.status_code == 200 else 0
            for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
                rest, passed = piece[passed:], max(0, passed - len(piece))
                if rest:
                    yield rest

    def _upload(
        self, what: str, descriptor: Descriptor, source: Path | bytes, log: LogLine
    ) -> None:
        """As docker does: begin, send all in one piece, and say which digest it has."""
        begun = self._ask(what, "POST", f"{self._root}/blobs/uploads/", (201, 202), content=b"")
        at = begun.headers.get("Location", "")
        size = (("Content-Length", str(descriptor.size_bytes)),)
        headers = (("Content-Type", "application/octet-stream"), *size)
        body = partial(_open, source, descriptor, Transfers(TransferProgress(log)))
        sending = RegistryRequest(what, "PATCH", at, (201, 202, 204), headers, body, once=True)
        sent = self._connection.ask(sending)
        ended = _with_digest(sent.headers.get("Location", at), descriptor.digest)
        self._ask(what, "PUT", ended, (201, 204), content=b"")

    def _ask(
        self,
        what: str,
        method: str,
        url: str,
        good: tuple[int, ...] = (200,),
        *,
        headers: tuple[tuple[str, str], ...] = (),
        content: bytes | None = None,
    ) -> requests.Response:
        body = None if content is None else (lambda: content)
        return self._connection.ask(RegistryRequest(what, method, url, good, headers, body))


class _TellingReader:
    """What is uploaded, which tells how much of it has gone."""

    def __init__(self, stream: IO[bytes], descriptor: Descriptor, transfers: Transfers) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._transfers = transfers
        self._gone = 0

    def __len__(self) -> int:
        return self._descriptor.size_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._gone += len(data)
        self._transfers.take(self._descriptor.digest, self._gone, self._descriptor.size_bytes)
        return data

    def close(self) -> None:
        self._stream.close()


def _open(source: Path | bytes, descriptor: Descriptor, transfers: Transfers) -> _TellingReader:
    stream = BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    return _TellingReader(stream, descriptor, transfers)


def _with_digest(url: str, digest: str) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode({"digest": digest})) if part)
    return urlunsplit(parts._replace(query=query))


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _other_content(name: ImageName, wanted: str, found: str) -> RegistryError:
    return RegistryError(
        "what the registry sends is not what its digest says",
        f"{name.place}: asked for {wanted}, what came is {found}",
        "something between here and the registry changes or cuts content (a proxy, a cache), or "
        "its storage is damaged: try from another network, then ask whoever runs it",
    )
