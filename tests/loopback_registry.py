"""Debian's docker-registry on this machine, and a proxy that does to it what networks do."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "somebody", "right-Password-7"
_HASH = "$2b$04$mtQWro/7hvmHA2kCL6x.teIfqUDbgNOs9OFc4X2j2fRw0XoZhqEQG"
_OWN = Path(__file__).resolve().parents[1] / ".engine" / "bin"
_START_S = 60.0


def program() -> str:
    """The registry's program; without one the test is skipped, and says how to get one."""
    found = shutil.which("docker-registry", path=f"{os.environ['PATH']}{os.pathsep}{_OWN}")
    if found is None:
        pytest.skip("no docker-registry here: apt-get install docker-registry, or make engine-up")
    return found


@dataclass(frozen=True)
class Certificates:
    """A certificate for this machine, and the authority that has signed it."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Made by openssl, for a day."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here, which makes the test's certificates")
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*words: str) -> None:
        subprocess.run(("openssl", *words), cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "1",
            "-subj", "/CN=a test", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    openssl("req", *new_key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost")
    (folder / "own.ext").write_text("subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "own.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "1",
            "-CAcreateserial", "-extfile", "own.ext", "-out", "own.crt")  # fmt: skip
    return Certificates(folder / "ca.crt", folder / "own.crt", folder / "own.key")


@contextmanager
def running_registry(
    folder: Path,
    *,
    tls: Certificates | None = None,
    login: bool = False,
    read_only: bool = False,
    storage: Path | None = None,
    address: str = "127.0.0.1",
) -> Iterator[str]:
    """A registry; gives its `127.0.0.1:PORT`.

    Args:
        folder: for its configuration and, without `storage`, what it holds.
        address: of this machine, where it listens instead.
        login: it takes `USER` and `PASSWORD` alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host = f"{address}:{free_port()}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage or folder / "content")},
            "maintenance": {"readonly": {"enabled": read_only}},
        },
        "http": {"addr": host, "relativeurls": True},
    }
    if tls is not None:
        files = {"certificate": str(tls.certificate), "key": str(tls.key)}
        config["http"]["tls"] = files
    if login:
        (folder / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        config["auth"] = {"htpasswd": {"realm": "a test", "path": str(folder / "htpasswd")}}
    (folder / "registry.json").write_text(json.dumps(config))
    words = (program(), "serve", str(folder / "registry.json"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        _wait(host, process, folder / "log")
        yield host
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tags_of(host: str, repository: str) -> list[str]:
    """The tags that a registry without TLS and login has."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}/v2/{repository}/tags/list", timeout=10) as answer:
            return sorted(json.load(answer)["tags"] or ())
    except urllib.error.HTTPError:
        return []


def docker_config(folder: Path, host: str, user: str = USER, password: str = PASSWORD) -> Path:
    """A configuration as `docker login` leaves it; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


def _wait(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _colon, port = host.partition(":")
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((name, int(port))) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"the registry does not start: {log.read_text(errors='replace')[-1000:]}")


@dataclass
class RegistryFault:
    """What happens to some requests.

    Args:
        request: regular expression for `METHOD /path?query`.
        kind: a status; `cut` (the answer ends after `after` bytes), `cut upload` (closed after so
            many bytes of what is sent), `damage` (one byte of the answer is another), `stall` (no
            answer), `slow` (each piece a little later).
        times: how many requests it hits.
        headers: of the answer, where it is a status.
    """

    request: str
    kind: str
    after: int = 0
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class TokenRules:
    """The proxy gives out tokens, as Docker Hub and GitHub do.

    Args:
        lasts: for how many requests one is good; None for any number.
        taken: whether tokens that were given out are taken at all.
        scopes: what a token allows, whatever is asked for: `pull`.
    """

    lasts: int | None = None
    taken: bool = True
    scopes: str = "pull,push"
    given: int = 0
    left: dict[str, int] = field(default_factory=dict)


class RegistryProxy:
    """In front of a registry without TLS; use as a context manager.

    Attributes:
        host: `127.0.0.1:PORT`, or `localhost:PORT`, of the proxy.
        requests: `METHOD /path?query` of what it has heard.
    """

    def __init__(
        self, target: str, tls: Certificates | None = None, tokens: TokenRules | None = None
    ) -> None:
        self.target = target
        self.tokens = tokens
        self.faults: list[RegistryFault] = []
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.before: dict[str, Any] = {}
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls is not None:
            context = tls.context()
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RegistryProxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, request: str, kind: str | int, **more: Any) -> RegistryFault:
        fault = RegistryFault(request, str(kind), **more)
        self.faults.append(fault)
        return fault

    def fault_of(self, request: str) -> RegistryFault | None:
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.request, request):
                    fault.times -= 1
                    return fault
        return None


class Tunnel:
    """A proxy for HTTPS, which leads to one registry whatever host it is asked for.

    Attributes:
        url: as `HTTPS_PROXY` names it.
        asked: hosts with their ports, in the order in which they were asked for.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Tunnel:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _address = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            self.asked.append(head.split()[1].decode())
            name, _colon, port = self._target.partition(":")
            with socket.create_connection((name, int(port))) as there:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(there, client), daemon=True)
                back.start()
                _copy(client, there)
                back.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class _Handler(BaseHTTPRequestHandler):
    proxy: RegistryProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _handle(self) -> None:
        self.close_connection = True
        request = f"{self.command} {self.path}"
        fault = self.proxy.fault_of(request)
        for pattern, act in self.proxy.before.items():
            if re.search(pattern, request):
                act()
        tokens = self.proxy.tokens
        if tokens is not None and self.path.startswith("/token"):
            self._give_token(tokens)
        elif tokens is not None and not self._is_allowed(tokens):
            return
        elif fault is not None and fault.kind.isdigit():
            self._read_all()
            self._answer(int(fault.kind), fault.body, fault.headers)
        elif fault is not None and fault.kind == "stall":
            self.proxy.ending.wait(60)
        elif fault is not None and fault.kind == "cut upload":
            self.rfile.read(fault.after)
        else:
            self._forward(fault)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _read_all(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        length = {"Content-Length": str(len(body.encode())), "Connection": "close"}
        for name, value in {**headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def _forward(self, fault: RegistryFault | None) -> None:
        body = self._read_all()
        connection = http.client.HTTPConnection(self.proxy.target, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        if self.proxy.tokens is not None:
            headers.pop("Authorization", None)
        connection.request(self.command, self.path, body=body, headers=headers)
        response = connection.getresponse()
        content = b"" if self.command == "HEAD" else response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        connection.close()
        self._send(content, fault)

    def _send(self, content: bytes, fault: RegistryFault | None) -> None:
        kind = "" if fault is None else fault.kind
        if kind == "damage":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if fault is not None and kind == "cut":
            content = content[: fault.after]
        step = 4096 if kind == "slow" else len(content) or 1
        for start in range(0, len(content), step):
            if kind == "slow":
                time.sleep(0.02)
            self.wfile.write(content[start : start + step])

    def _is_allowed(self, tokens: TokenRules) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        error = ""
        with self.proxy.lock:
            if token in tokens.left and tokens.taken and tokens.left[token] > 0:
                tokens.left[token] -= 1
                if self.command in ("GET", "HEAD") or "push" in tokens.scopes:
                    return True
                error = ',error="insufficient_scope"'
            elif token:
                error = ',error="invalid_token"'
        self._read_all()
        realm = f"{self.proxy.scheme}://{self.proxy.host}/token"
        challenge = f'Bearer realm="{realm}",service="a test"{error}'
        body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "log in"}]})
        self._answer(401, body, {"WWW-Authenticate": challenge})
        return False

    def _give_token(self, tokens: TokenRules) -> None:
        right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {right}":
            body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
            self._answer(401, body, {})
            return
        with self.proxy.lock:
            tokens.given += 1
            token = f"token-{tokens.given}-abcdefgh"
            tokens.left[token] = 10**9 if tokens.lasts is None else tokens.lasts
        self._answer(200, json.dumps({"token": token}), {"Content-Type": "application/json"})
