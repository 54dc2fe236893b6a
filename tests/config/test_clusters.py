"""`[tool.mlcontainer.kubernetes]`, and engines that are clusters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.config.settings import parse_settings
from pytest_mlcontainer.config.targets import parse_engine
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import ClusterSettings, Platform, Settings


def read(table: dict[str, object], **top: object) -> Settings:
    return parse_settings({"kubernetes": table, **top}, Path("/p/pyproject.toml"), "x86_64", "p")


def test_without_a_table_all_is_as_usual() -> None:
    settings = parse_settings({}, Path("/p/pyproject.toml"), "x86_64", "p")
    assert settings.cluster == ClusterSettings()
    assert settings.cluster.helper_image.endswith("-musl")


def test_everything_that_can_be_said() -> None:
    cluster = read(
        {
            "registry": "ghcr.io/me/tests",
            "node-registry": "mirror.example:5000/tests",
            "helper-image": "mirror.example:5000/busybox:1",
            "node-selector": {"pool": "ml"},
            "platform-node-selector": {"linux/arm64": {"example.com/pool": "arm"}},
            "emulated": ["linux/arm64"],
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "pod": {"spec": {"runtimeClassName": "gvisor"}},
            "service-account": "runner",
            "priority-class": "low",
            "queue": "nightly",
            "pull-secrets": "login",
            "claims": {"/models": "weights"},
            "gpu-resource": "amd.com/gpu",
            "pending-timeout": "20m",
            "trust-network-policy": True,
        }
    ).cluster
    arm64 = Platform("linux", "arm64")
    assert cluster.registry == "ghcr.io/me/tests"
    assert cluster.node_registry == "mirror.example:5000/tests"
    assert dict(cluster.selector(arm64)) == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64",
        "pool": "ml",
        "example.com/pool": "arm",
    }
    assert cluster.emulated == (arm64,)
    assert json.loads(cluster.tolerations)[0]["key"] == "gpu"
    assert json.loads(cluster.pod)["spec"]["runtimeClassName"] == "gvisor"
    assert cluster.pull_secrets == ("login",)
    assert cluster.claims == (("/models", "weights"),)
    assert cluster.pending_s == 1200.0
    assert cluster.trust_network_policy


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"registry": "ghcr.io/me/tests:1"}, "one image, where a repository"),
        ({"registry": "ghcr.io/me/Tests"}, "no name of an image"),
        ({"node-selector": {"pool": "a b"}}, "not the value of a label"),
        ({"node-selector": {"a/b/c": "a"}}, "not the key of a label"),
        ({"platform-node-selector": {"linux/nothing at all": {}}}, "platform"),
        ({"tolerations": ["gpu"]}, "tolerations"),
        ({"pod": {"containers": []}}, "not a pod's template"),
        ({"service-account": "Me"}, "not a name in a cluster"),
        ({"claims": {"data": "x"}}, "nothing can be mounted there"),
        ({"claims": {"/": "x"}}, "nothing can be mounted there"),
        ({"trust-network-policy": "yes"}, "trust-network-policy"),
        ({"pending-timeout": -1}, "pending-timeout"),
        ({"registri": "x"}, "did you mean registry?"),
        ({"timeout": 1}, "set it in [tool.mlcontainer]"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(table)
    assert words in str(raised.value)


def test_a_key_at_the_top_is_sent_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match=r"\[tool.mlcontainer.kubernetes\]"):
        read({}, **{"node-selector": {}})


@pytest.mark.parametrize(
    "url", ["kubernetes://", "kubernetes:///ml", "kubernetes://dev/ml", "kubernetes://arn%3Aaws/x"]
)
def test_a_cluster_is_named_like_any_engine(url: str) -> None:
    assert parse_engine(url) == url
    settings = read({}, platforms=["linux/arm64"], engines={"linux/arm64": url})
    assert dict(settings.engines)[Platform("linux", "arm64")] == url


def test_a_scheme_that_is_nearly_it() -> None:
    with pytest.raises(MlContainerError, match="kubernetes"):
        parse_engine("kubernets://dev")
