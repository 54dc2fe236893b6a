"""`[tool.mlcontainer.kubernetes]` → ClusterSettings."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Final

from pytest_mlcontainer.config.image_names import parse_image_name
from pytest_mlcontainer.config.keys import CLUSTER_KEYS, TOP_KEYS
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.targets import parse_platform
from pytest_mlcontainer.config.values import parse_duration, parse_switch, parse_text, parse_word
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import ClusterSettings, Pairs, Platform

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names, DNS subdomain names
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
# …/labels: a prefix that is a domain, and a name
_LABEL: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def read_cluster(top: TableReader, machine: str) -> ClusterSettings:
    """The settings; the usual ones where there is no table.

    Args:
        machine: this machine's processor, for the platform `native`.
    """
    table, usual = top.table("kubernetes"), ClusterSettings()
    table.refuse_unknown(CLUSTER_KEYS, _remedy)
    return ClusterSettings(
        registry=table.read("registry", parse_repository, None),
        node_registry=table.read("node-registry", parse_repository, None),
        helper_image=table.read("helper-image", _parse_image, usual.helper_image),
        node_selector=table.read_pairs("node-selector", parse_label, parse_label_value),
        platform_node_selector=_read_selectors(table, machine),
        emulated=table.read_list("emulated", lambda each: _parse_platform(each, machine)),
        tolerations=table.read("tolerations", _parse_tolerations, usual.tolerations),
        pod=table.read("pod", _parse_template, usual.pod),
        service_account=table.read("service-account", parse_name, None),
        priority_class=table.read("priority-class", parse_name, None),
        queue=table.read("queue", parse_name, None),
        pull_secrets=table.read_list("pull-secrets", parse_name),
        claims=table.read_pairs("claims", _parse_mount_path, parse_name),
        gpu_resource=table.read("gpu-resource", parse_label, usual.gpu_resource),
        pending_s=table.read("pending-timeout", parse_duration, usual.pending_s),
        trust_network_policy=table.read("trust-network-policy", parse_switch, False),
    )


def parse_repository(value: object) -> str:
    """A repository of a registry, without tag and digest."""
    text = parse_word(value)
    name = parse_image_name(text)
    if name.tag or name.digest:
        remedy = "leave the tag and the digest out: each image gets a tag of its own"
        raise MlContainerError("names one image, where a repository is wanted", show(text), remedy)
    return name.place


def parse_name(value: object) -> str:
    """The name of a thing in a cluster."""
    remedy = "small letters, digits, `-` and `.`, as `kubectl get` shows it"
    return _written_as(_NAME, parse_word(value), "not a name in a cluster", remedy)


def parse_label(value: object) -> str:
    """The key of a label, or the name of a resource."""
    remedy = "write it as `kubectl get nodes --show-labels` does: example.com/pool"
    return _written_as(_LABEL, parse_word(value), "not the key of a label", remedy)


def parse_label_value(value: object) -> str:
    """The value of a label."""
    remedy = "up to 63 letters, digits, `-`, `_` and `.`"
    return _written_as(_LABEL_VALUE, parse_text(value), "not the value of a label", remedy)


def _written_as(pattern: re.Pattern[str], text: str, otherwise: str, remedy: str) -> str:
    if not pattern.fullmatch(text):
        raise MlContainerError(otherwise, show(text), remedy)
    return text


def _read_selectors(table: TableReader, machine: str) -> tuple[tuple[Platform, Pairs], ...]:
    inner, found = table.table("platform-node-selector"), []
    for key in inner.values:
        place = show_key(key)
        platform = inner.check(place, lambda raw: _parse_platform(raw, machine), key, None)
        labels = inner.read_pairs(key, parse_label, parse_label_value)
        if platform is not None:
            found.append((platform, labels))
    return tuple(found)


def _parse_platform(value: object, machine: str) -> Platform:
    return parse_platform(parse_text(value), machine)


def _parse_image(value: object) -> str:
    text = parse_word(value)
    parse_image_name(text)
    return text


def _parse_mount_path(value: object) -> str:
    text = parse_text(value)
    if not posixpath.isabs(text) or posixpath.normpath(text) in ("/", "/.mlcontainer"):
        remedy = "write the absolute path of a folder in the container: /data"
        raise MlContainerError("nothing can be mounted there", show(text), remedy)
    return posixpath.normpath(text)


def _parse_tolerations(value: object) -> str:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, Mapping) for each in listed):
        example = '[{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]'
        raise MlContainerError("not a list of tolerations", show(value), f"write {example}")
    return _as_json(listed)


def _parse_template(value: object) -> str:
    if not isinstance(value, Mapping) or not set(value) <= {"metadata", "spec"}:
        remedy = "write what a Pod's template has: { spec = { … } }, { metadata = { … } }"
        raise MlContainerError("not a pod's template", show(value), remedy)
    return _as_json(value)


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError) as error:
        remedy = "use text, numbers, switches, lists and tables"
        raise MlContainerError("holds what no cluster understands", show(value), remedy) from error


def _remedy(key: str, _value: object) -> str | None:
    """Where a key belongs that is not known here."""
    if key in TOP_KEYS:
        return f"{key} is not for clusters alone: set it in [tool.mlcontainer]"
    return None
