"""The words of the configuration, by the table they stand in, and where a misplaced one belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_mlcontainer.config.words import show, show_key

BUILD_KEYS: Final = (
    "dockerfile",
    "context",
    "before-build",
    "build-args",
    "build-contexts",
    "build-target",
    "build-secrets",
    "cache-from",
    "cache-to",
    "builder",
    "build-timeout",
    "keep-images",
)
MATRIX_KEYS: Final = ("platforms", "reference", "emulation", "engines", "baseline-limit")
CLUSTER_KEYS: Final = (
    "registry",
    "node-registry",
    "helper-image",
    "node-selector",
    "platform-node-selector",
    "emulated",
    "tolerations",
    "pod",
    "service-account",
    "priority-class",
    "queue",
    "pull-secrets",
    "claims",
    "gpu-resource",
    "pending-timeout",
    "trust-network-policy",
)
RUN_KEYS: Final = (
    "timeout",
    "memory",
    "cpus",
    "shm-size",
    "network",
    "gpus",
    "user",
    "processes",
    "log-limit",
    "output-limit",
    "output-files",
    "disk",
    "capabilities",
    "new-privileges",
    "privileged",
    "engine-socket",
    "env",
    "secrets",
    "workdir",
    "writable",
    "exit-codes",
    "names",
    "repeat",
    "vary",
    "vary-budget",
)
TOP_KEYS: Final = (*BUILD_KEYS, *MATRIX_KEYS, *RUN_KEYS, "image", "kubernetes", "entrypoints")
CHECK_KEYS: Final = ("threshold", "ignore")
ENTRYPOINT_KEYS: Final = (
    "command",
    "entrypoint",
    "inputs",
    "outputs",
    "needs",
    "needs-from",
    *RUN_KEYS,
    "seeds",
    "seed-env",
    "port",
    "health",
    "startup-timeout",
    "compare",
)
RULE_KEYS: Final = (
    "rtol",
    "atol",
    "scale",
    "ulp",
    "margin",
    "better",
    "agreement",
    "equivalence",
    "tolerance",
    "exact",
    "ignore",
    "key",
    "unordered",
    "free",
    "axis",
    "curve",
    "as",
    "dtype",
    "shape",
    "equal-nan",
)

# What Compose, Dockerfiles, CI systems, DVC and Kubernetes call what an entrypoint is given.
_WORDS_OF_OTHERS: Final = {
    **dict.fromkeys(("args", "cmd", "exec", "run", "script"), "command"),
    **dict.fromkeys(("environment", "variables"), "env"),
    **dict.fromkeys(("data", "deps", "mounts", "volumes"), "inputs"),
    **dict.fromkeys(("artifacts", "artefacts", "outs", "results"), "outputs"),
    **dict.fromkeys(("cwd", "wdir", "working-dir", "working-directory"), "workdir"),
    **dict.fromkeys(("depends", "depends-on", "requires"), "needs"),
    **dict.fromkeys(("mem", "mem-limit"), "memory"),
    **dict.fromkeys(("cpu", "cpu-limit"), "cpus"),
    **dict.fromkeys(("health-check", "healthcheck", "livenessprobe"), "health"),
    "ports": "port",
}
_PRINTED: Final = ("stdout", "stderr")


def top_remedy(key: str, value: object) -> str | None:
    """Where a key belongs that stands at the top level and is not known there."""
    if isinstance(value, Mapping) and any(inner in ENTRYPOINT_KEYS for inner in value):
        return f"an entrypoint is a table [tool.mlcontainer.entrypoints.{show_key(key)}]"
    if key in ENTRYPOINT_KEYS:
        return f"{key} belongs to an entrypoint: set it in [tool.mlcontainer.entrypoints.NAME]"
    if key in CLUSTER_KEYS:
        return f"{key} is for clusters: set it in [tool.mlcontainer.kubernetes]"
    return None


def entrypoint_remedy(name: str, key: str, value: object) -> str | None:
    """Where a key belongs that stands in the entrypoint `name` and is not known there."""
    if key in TOP_KEYS:
        return f"{key} holds for the whole project: set it in [tool.mlcontainer]"
    if key in RULE_KEYS:
        return (
            f"{key} belongs to a comparison rule: in [tool.mlcontainer.entrypoints."
            f'{show_key(name)}.compare] write "outputs/*" = {{ {key} = {show(value)} }}'
        )
    if isinstance(value, Mapping) and any(inner in ENTRYPOINT_KEYS for inner in value):
        dotted = show_key(f"{name}.{key}")
        inner = next(each for each in value if each in ENTRYPOINT_KEYS)
        return (
            f"a name with a dot needs quotes: [tool.mlcontainer.entrypoints.{dotted}]; what "
            f"belongs to {name} itself stands in its own table: {inner} = {show(value[inner])}"
        )
    if key in _PRINTED:
        return f'what it prints is compared where outputs names it: outputs = ["{key}"]'
    meant = _WORDS_OF_OTHERS.get(key.lower().replace("_", "-"))
    return None if meant is None else f"that is called {meant} here"


def rule_remedy(name: str, key: str, value: object) -> str | None:
    """Where a key belongs that stands in the comparison rule `name` and is not known there."""
    if isinstance(value, Mapping):
        return f"a name with a dot needs quotes: {show_key(f'{name}.{key}')} = {{ … }}"
    return None
