"""Reading and writing a real registry, and every way in which that goes wrong."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.engines.distribution import LAYER, Descriptor
from pytest_mlcontainer.engines.docker.registries.connection import RegistryPatience
from pytest_mlcontainer.engines.docker.registries.repository import HttpRepository
from pytest_mlcontainer.errors import RegistryError
from pytest_mlcontainer.model import ImageName
from tests.loopback_registry import (
    PASSWORD,
    Certificates,
    RegistryProxy,
    TokenRules,
    Tunnel,
    docker_config,
    free_port,
    running_registry,
)

CONTENT = os.urandom(300_000)
BLOB = Descriptor(LAYER, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT))
HASTY = RegistryPatience(connect_s=5, silence_s=5, tries=3, wait_s=0.01, longest_wait_s=0.2)
Opened = Callable[..., HttpRepository]


@pytest.fixture
def opened(nobody: dict[str, str], repository: str) -> Iterator[Opened]:
    """Opens this test's repository at a host, to be written."""
    made: list[HttpRepository] = []

    def open_at(host: str, patience: RegistryPatience = HASTY, **environ: str) -> HttpRepository:
        name = ImageName(host, repository, "1")
        made.append(HttpRepository(name, {**nobody, **environ}, push=True, patience=patience))
        return made[-1]

    yield open_at
    for each in made:
        each.close()


@contextmanager
def refused(what: str, *parts: str) -> Iterator[pytest.ExceptionInfo[RegistryError]]:
    """An error in three parts that begins like this, has these parts, and shows nothing secret."""
    with pytest.raises(RegistryError) as caught:
        yield caught
    error = caught.value
    assert re.match(what, error.what), error
    assert error.value
    assert error.remedy
    for part in parts:
        assert part in str(error), error
    assert PASSWORD not in str(error)


def test_what_is_written_is_read_again(registry: str, opened: Opened) -> None:
    """Once: what is there already is not sent a second time."""
    here = opened(registry)
    here.check_push()
    assert here.push_blob(BLOB, CONTENT)
    assert not here.push_blob(BLOB, CONTENT)
    assert b"".join(here.read_blob(BLOB)) == CONTENT


def test_tls_by_an_authority_of_ones_own(
    tmp_path: Path, opened: Opened, certificates: Certificates
) -> None:
    """Named by a variable, or where docker looks for it; without that it is not trusted."""
    with running_registry(tmp_path / "registry", tls=certificates) as host:
        with refused("the registry's certificate is not trusted", "SSL_CERT_FILE", "certs.d"):
            opened(host).check_push()
        opened(host, SSL_CERT_FILE=str(certificates.authority)).check_push()
        folder = tmp_path / "config" / "docker" / "certs.d" / host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(certificates.authority.read_bytes())
        opened(host, XDG_CONFIG_HOME=str(tmp_path / "config")).check_push()


def test_another_authority_is_not_trusted(
    tmp_path: Path, opened: Opened, certificates: Certificates
) -> None:
    other = tmp_path / "other.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", os.devnull, "-out", str(other), "-subj", "/CN=other"],
        check=True, capture_output=True,
    )  # fmt: skip
    running = running_registry(tmp_path / "registry", tls=certificates)
    with running as host, refused("the registry's certificate is not trusted"):
        opened(host, SSL_CERT_FILE=str(other)).check_push()


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "bad.crt").write_text("nothing")
    for file in ("bad.crt", "none.crt"):
        with refused("a file of certificates cannot be read", file):
            opened("r.example", SSL_CERT_FILE=str(tmp_path / file))


def test_a_login_is_asked_for_and_taken(tmp_path: Path, opened: Opened) -> None:
    with running_registry(tmp_path / "registry", login=True) as host:
        with refused("the registry asks for a login", f"docker login {host}") as caught:
            opened(host).check_push()
        assert caught.value.value.endswith(
            ": 401 Unauthorized: UNAUTHORIZED authentication required"
        )
        right = docker_config(tmp_path / "right", host)
        opened(host, DOCKER_CONFIG=str(right)).check_push()
        wrong = docker_config(tmp_path / "wrong", host, password="wrong-Password-7")
        with refused("the registry refuses the login", "somebody", str(wrong)):
            opened(host, DOCKER_CONFIG=str(wrong)).check_push()


def test_tokens_are_asked_for_and_renewed(registry: str, tmp_path: Path, opened: Opened) -> None:
    """As Docker Hub and GitHub give them out; an expired one is followed by another."""
    rules = TokenRules(lasts=2)
    with RegistryProxy(registry, tokens=rules) as proxy:
        config = docker_config(tmp_path / "docker", proxy.host)
        here = opened(proxy.host, DOCKER_CONFIG=str(config))
        assert here.push_blob(BLOB, CONTENT)
        assert b"".join(here.read_blob(BLOB)) == CONTENT
    assert rules.given > 2


def test_a_wrong_password_for_a_token(registry: str, tmp_path: Path, opened: Opened) -> None:
    with RegistryProxy(registry, tokens=TokenRules()) as proxy:
        config = docker_config(tmp_path / "docker", proxy.host, password="expired-Token-7")
        with refused("the registry refuses the login", "has expired or was revoked"):
            opened(proxy.host, DOCKER_CONFIG=str(config)).check_push()


def test_a_token_that_is_not_taken(registry: str, tmp_path: Path, opened: Opened) -> None:
    """Expired as soon as it is given out: clocks that differ do that."""
    with RegistryProxy(registry, tokens=TokenRules(taken=False)) as proxy:
        config = docker_config(tmp_path / "docker", proxy.host)
        with refused("the registry does not take the token, which has expired", "clocks"):
            opened(proxy.host, DOCKER_CONFIG=str(config)).check_push()


def test_a_token_that_allows_too_little(registry: str, tmp_path: Path, opened: Opened) -> None:
    with RegistryProxy(registry, tokens=TokenRules(scopes="pull")) as proxy:
        config = docker_config(tmp_path / "docker", proxy.host)
        with refused("the registry does not let this login push", "packages: write", "somebody"):
            opened(proxy.host, DOCKER_CONFIG=str(config)).check_push()


def test_a_registry_that_is_read_only(tmp_path: Path, opened: Opened) -> None:
    running = running_registry(tmp_path / "registry", read_only=True)
    with running as host, refused("the registry is read-only"):
        opened(host).check_push()


def test_a_registry_that_is_full(tmp_path: Path, opened: Opened) -> None:
    """On a file system of 256 KiB."""
    storage = tmp_path / "small"
    storage.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(storage)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount the small file system that this needs")
    try:
        running = running_registry(tmp_path / "registry", storage=storage)
        with running as host, refused("the registry's disk is full"):
            opened(host).push_blob(BLOB, CONTENT)
    finally:
        subprocess.run(["umount", str(storage)], check=True)


def test_a_registry_that_is_down(opened: Opened) -> None:
    with refused("the registry does not answer", "tried 3 times"):
        opened(f"127.0.0.1:{free_port()}").check_push()


def test_a_host_that_nobody_knows(opened: Opened) -> None:
    with refused("no registry has this host's name", "nowhere.invalid"):
        opened("nowhere.invalid").check_push()


def test_a_registry_elsewhere_has_to_speak_tls(registry: str, opened: Opened) -> None:
    """A name that leads to this machine is not this machine's own name."""
    _ip, _colon, port = registry.partition(":")
    with refused("the registry does not speak TLS"):
        opened(f"0.0.0.0:{port}").check_push()


def test_what_is_denied(registry: str, opened: Opened) -> None:
    body = '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    with RegistryProxy(registry) as proxy:
        proxy.add("POST", 403, body=body, times=9)
        with refused("the registry does not let this login push", "DENIED", "nobody is logged in"):
            opened(proxy.host).check_push()


def test_a_limit_of_requests_is_waited_for(registry: str, opened: Opened) -> None:
    """As long as the registry asks for, where that is not too long."""
    with RegistryProxy(registry) as proxy:
        proxy.add("POST", 429, headers={"Retry-After": "0"}, times=2)
        started = time.monotonic()
        opened(proxy.host).check_push()
        assert time.monotonic() - started < 30
        assert sum("POST" in each for each in proxy.requests) == 3

        proxy.add("POST", 429, headers={"Retry-After": "3600"}, body="toomanyrequests: slow down")
        with refused("the registry limits how much may be asked of it", "slow down", "log in"):
            opened(proxy.host).check_push()


def test_a_registry_that_fails(registry: str, opened: Opened) -> None:
    """A few times that passes; for good it is said."""
    with RegistryProxy(registry) as proxy:
        proxy.add("POST", 502, times=2)
        opened(proxy.host).check_push()
        proxy.add("POST", 503, times=9)
        with refused("the registry fails", "503"):
            opened(proxy.host).check_push()


def test_a_slow_registry_is_waited_for(registry: str, opened: Opened) -> None:
    """What comes slowly comes: there is a limit for silence alone."""
    with RegistryProxy(registry) as proxy:
        here = opened(proxy.host, RegistryPatience(silence_s=1, tries=1))
        here.push_blob(BLOB, CONTENT)
        proxy.add("GET .*blobs", "slow")
        started = time.monotonic()
        assert b"".join(here.read_blob(BLOB)) == CONTENT
        assert time.monotonic() - started > 1


def test_silence_is_not_waited_for_for_ever(registry: str, opened: Opened) -> None:
    with RegistryProxy(registry) as proxy:
        proxy.add("POST", "stall", times=9)
        patience = RegistryPatience(silence_s=0.3, tries=2, wait_s=0.01)
        with refused("the registry does not answer in time", "tried 2 times"):
            opened(proxy.host, patience).check_push()


def test_an_upload_that_is_cut_off_begins_anew(registry: str, opened: Opened) -> None:
    """In the middle of a layer: what arrives in the end is whole."""
    with RegistryProxy(registry) as proxy:
        fault = proxy.add("PATCH", "cut upload", after=100_000)
        here = opened(proxy.host)
        assert here.push_blob(BLOB, CONTENT)
        assert fault.times == 0
        assert b"".join(here.read_blob(BLOB)) == CONTENT


def test_an_upload_that_is_cut_off_each_time(registry: str, opened: Opened) -> None:
    """Nothing is left of it, and that is said."""
    with RegistryProxy(registry) as proxy:
        proxy.add("PATCH", "cut upload", after=100_000, times=9)
        with refused("the connection to the registry broke", BLOB.digest):
            opened(proxy.host).push_blob(BLOB, CONTENT)
    with refused("the registry has no such image"):
        b"".join(opened(registry).read_blob(BLOB))


def test_a_layer_that_is_cut_off_on_its_way_back(registry: str, opened: Opened) -> None:
    """The rest is asked for, and not the whole again."""
    with RegistryProxy(registry) as proxy:
        here = opened(proxy.host)
        here.push_blob(BLOB, CONTENT)
        proxy.add("GET .*blobs", "cut", after=100_000)
        assert b"".join(here.read_blob(BLOB)) == CONTENT
        proxy.add("GET .*blobs", "cut", after=10, times=9)
        with refused("the connection to the registry broke", BLOB.digest):
            b"".join(here.read_blob(BLOB))


def test_content_that_its_digest_does_not_fit(registry: str, opened: Opened) -> None:
    """One bit, changed on the way: of a layer, and of a manifest."""
    with RegistryProxy(registry) as proxy:
        here = opened(proxy.host)
        here.push_blob(BLOB, CONTENT)
        proxy.add("GET .*blobs", "damage")
        with refused("what the registry sends is not what its digest says", BLOB.digest):
            b"".join(here.read_blob(BLOB))
        content = b'{"schemaVersion":2,"manifests":[]}'
        kind = "application/vnd.oci.image.index.v1+json"
        here.push_manifest(content, kind, "1")
        digest = here.read_manifest("1").digest
        proxy.add("GET .*manifests/sha256", "damage")
        with refused("what the registry sends is not what its digest says", digest):
            here.read_manifest(digest)


def test_a_proxy_leads_to_a_registry_elsewhere(
    tmp_path: Path, opened: Opened, certificates: Certificates
) -> None:
    """TLS is spoken through it; what stands in NO_PROXY is asked directly."""
    own = {"SSL_CERT_FILE": str(certificates.authority)}
    with running_registry(tmp_path, tls=certificates) as host, Tunnel(host) as tunnel:
        opened("registry.test", HTTPS_PROXY=tunnel.url, **own).check_push()
        assert set(tunnel.asked) == {"registry.test:443"}
        with refused("no registry has this host's name"):
            opened("registry.test", HTTPS_PROXY=tunnel.url, no_proxy=".test", **own).check_push()


def test_no_proxy_is_between_this_machine_and_itself(registry: str, opened: Opened) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    opened(registry, HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere).check_push()


def test_a_proxy_that_is_not_there_is_named(opened: Opened) -> None:
    with refused("the proxy does not lead to the registry", "NO_PROXY"):
        opened("r.example", HTTPS_PROXY=f"http://127.0.0.1:{free_port()}").check_push()


def test_a_password_is_not_sent_in_the_clear(
    registry: str, opened: Opened, tmp_path: Path, certificates: Certificates
) -> None:
    """Not even where the registry says that it wants it there."""
    challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/token",service="a"'}
    with RegistryProxy(registry, certificates) as proxy:
        proxy.add("", 401, headers=challenge, times=9)
        config = docker_config(tmp_path / "docker", proxy.host)
        here = opened(
            proxy.host, DOCKER_CONFIG=str(config), SSL_CERT_FILE=str(certificates.authority)
        )
        with refused("the registry wants the password to be sent in the clear", "tokens.example"):
            here.check_push()


def test_what_a_registry_says_shows_no_password(
    registry: str, opened: Opened, tmp_path: Path
) -> None:
    """Also where it repeats what it was sent."""
    said: dict[str, Any] = {"body": f"you sent {PASSWORD}", "times": 9}
    with RegistryProxy(registry) as proxy:
        proxy.add("POST", 400, **said)
        config = docker_config(tmp_path / "docker", proxy.host)
        with refused("the registry refuses the request", "you sent ***"):
            opened(proxy.host, DOCKER_CONFIG=str(config)).check_push()
