"""Where logins come from, in which order, and what is said where one cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.engines.docker.registries.logins import find_login
from pytest_mlcontainer.errors import RegistryError
from tests.loopback_registry import docker_config

HOST = "r.example:5000"


def helper(folder: Path, name: str, script: str) -> None:
    """A credential helper, which is told the registry on its standard input."""
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_nobody_is_logged_in_where_nothing_says_so(nobody: dict[str, str]) -> None:
    assert find_login(HOST, nobody) is None


def test_docker_login_counts(tmp_path: Path, nobody: dict[str, str]) -> None:
    folder = docker_config(tmp_path / "docker", HOST, "me", "secret-7")
    found = find_login(HOST, {**nobody, "DOCKER_CONFIG": str(folder)})
    assert found is not None
    assert (found.user, found.password) == ("me", "secret-7")
    assert found.source == str(folder / "config.json")
    assert "secret-7" not in repr(found)
    assert find_login("other.example", {**nobody, "DOCKER_CONFIG": str(folder)}) is None


def test_the_variable_comes_before_the_file(tmp_path: Path, nobody: dict[str, str]) -> None:
    """As for docker itself; of a registry that it does not have, the file counts."""
    file = docker_config(tmp_path / "a", HOST, "file")
    inline = docker_config(tmp_path / "b", HOST, "inline") / "config.json"
    environ = {**nobody, "DOCKER_CONFIG": str(file), "DOCKER_AUTH_CONFIG": inline.read_text()}
    found = find_login(HOST, environ)
    assert found is not None
    assert (found.user, found.source) == ("inline", "DOCKER_AUTH_CONFIG")
    other = docker_config(tmp_path / "c", "other.example") / "config.json"
    found = find_login(HOST, {**environ, "DOCKER_AUTH_CONFIG": other.read_text()})
    assert found is not None
    assert found.user == "file"


def test_a_credential_helper_is_asked(
    tmp_path: Path, nobody: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry's name is on its standard input; a token that stands for a password is one."""
    programs = tmp_path / "bin"
    said = '{"ServerURL":"%s","Username":"<token>","Secret":"token-of-helper"}'
    helper(programs, "kept", f"read host; printf '{said}' \"$host\"")
    monkeypatch.setenv("PATH", f"{programs}:{nobody['PATH']}")
    config = tmp_path / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"credHelpers": {HOST: "kept"}}))
    found = find_login(HOST, {**nobody, "DOCKER_CONFIG": str(config)})
    assert found is not None
    assert found.identity_token == "token-of-helper"


def test_a_helper_that_fails_is_named(
    tmp_path: Path, nobody: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what it printed, which may be a secret."""
    programs = tmp_path / "bin"
    helper(programs, "broken", "echo password-in-an-error; exit 1")
    monkeypatch.setenv("PATH", f"{programs}:{nobody['PATH']}")
    config = tmp_path / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"credsStore": "broken"}))
    with pytest.raises(RegistryError, match="cannot be read") as caught:
        find_login(HOST, {**nobody, "DOCKER_CONFIG": str(config)})
    assert "docker-credential-broken" in caught.value.value
    assert "password-in-an-error" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "environ", "user"),
    [
        ("ghcr.io", {"GITHUB_TOKEN": "t-123456", "GITHUB_ACTOR": "me"}, "me"),
        ("docker.io", {"DOCKERHUB_TOKEN": "t-123456", "DOCKERHUB_USERNAME": "me"}, "me"),
        (
            "gitlab.example:5050",
            {
                "CI_REGISTRY": "gitlab.example:5050",
                "CI_REGISTRY_USER": "me",
                "CI_REGISTRY_PASSWORD": "t-123456",
            },
            "me",
        ),
    ],
)
def test_variables_of_ci_are_for_their_own_registry_alone(
    nobody: dict[str, str], host: str, environ: dict[str, str], user: str
) -> None:
    found = find_login(host, {**nobody, **environ})
    assert found is not None
    assert (found.user, found.password) == (user, "t-123456")
    for other in {"ghcr.io", "docker.io", "gitlab.example:5050", HOST} - {host}:
        assert find_login(other, {**nobody, **environ}) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is no JSON object"),
        ('{"auths": {"r.example:5000": {"auth": "!!"}}}', "is no login"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(
    tmp_path: Path, nobody: dict[str, str], text: str, why: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RegistryError, match="docker's configuration cannot be read") as caught:
        find_login(HOST, {**nobody, "DOCKER_CONFIG": str(tmp_path)})
    assert why in caught.value.value
    assert str(tmp_path / "config.json") in caught.value.value
