"""What engines say where a registry gives no image, and what that means."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.engines.registry_words import registry_trouble

HEAD = 'failed to do request: Head "https://r.example:5/v2/a/manifests/1": '
STATUS = "unexpected status from HEAD request to https://r.example:5/v2/a/manifests/1: "


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (STATUS + "429 Too Many Requests", "limits how much"),
        ("toomanyrequests: You have reached your pull rate limit", "limits how much"),
        (HEAD + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "certificate of the registry r.example:5 is not trusted"),
        (HEAD + "tls: first record does not look like a TLS handshake", "does not speak TLS"),
        (HEAD + "dial tcp: lookup r.example on 192.0.2.1:53: no such host", "no registry has"),
        (HEAD + "dial tcp 192.0.2.1:5: connect: connection refused", "does not answer"),
        (HEAD + "dial tcp 192.0.2.1:5: i/o timeout", "does not answer"),
        (STATUS + "401 Unauthorized", "does not let the engine pull"),
        (STATUS + "403 Forbidden", "does not let the engine pull"),
        ("denied: requested access to the resource is denied", "does not let the engine pull"),
        ("failed commit on ref: unexpected commit digest sha256:a, expected sha256:b",
         "is not what its digest says"),
        (STATUS + "500 Internal Server Error", "fails"),
        ("received unexpected HTTP status: 503 Service Unavailable", "fails"),
    ],
)  # fmt: skip
def test_each_trouble_has_its_own_next_step(said: str, what: str) -> None:
    trouble = registry_trouble(said, "r.example:5/a:1")
    assert trouble is not None
    assert what in trouble.what
    assert "r.example:5" in trouble.what
    assert "{" not in trouble.what + trouble.remedy


@pytest.mark.parametrize(
    "said",
    [
        "manifest unknown: manifest unknown",
        "docker.io/library/a:1: not found",
        "no match for platform in manifest: not found",
        "pull access denied for a, repository does not exist or may require 'docker login'",
        "no space left on device",
    ],
)
def test_an_image_that_is_not_there_is_no_trouble_of_the_registry(said: str) -> None:
    assert registry_trouble(said, "a:1") is None


def test_docker_hub_has_no_host_in_the_command_that_logs_in() -> None:
    trouble = registry_trouble("toomanyrequests", "acme/a:1")
    assert trouble is not None
    assert "docker.io" in trouble.what
    assert "`docker login`" in trouble.remedy
