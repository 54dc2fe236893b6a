"""Whether a Kubernetes cluster is there, and lets us do what a run needs."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.cli.findings import Finding, Status, finding_of
from pytest_mlcontainer.cli.setup import CommandSetup
from pytest_mlcontainer.engines.kubernetes.rights import ClusterFacts, smallest_role
from pytest_mlcontainer.engines.registry import describe_cluster
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import ClusterSettings, Settings


def check_cluster(
    here: CommandSetup, url: str, settings: Settings | None, otherwise: Status = Status.MISSING
) -> Iterator[Finding]:
    """What there is to say of a cluster.

    Args:
        otherwise: what it comes to when the cluster cannot be used.
    """
    cluster = ClusterSettings() if settings is None else settings.cluster
    try:
        facts = describe_cluster(url, here.environ, cluster.gpu_resource)
    except MlContainerError as error:
        yield finding_of("cluster", otherwise, error)
        return
    yield Finding(
        "cluster",
        Status.OK,
        f"{facts.name}, {facts.server}: Kubernetes {facts.version}, namespace {facts.namespace}",
    )
    yield _rights(facts, otherwise)
    yield _nodes(facts, settings)
    if settings is not None and any(each.limits.gpus for each in settings.entrypoints):
        yield _gpus(facts, cluster)
    if facts.quotas:
        yield Finding("quota", Status.OK, ", ".join(facts.quotas))
    yield _registry(cluster, settings)


def _rights(facts: ClusterFacts, otherwise: Status) -> Finding:
    if not facts.missing:
        return Finding("rights", Status.OK, "all that runs need, and no more was asked for")
    listed = ", ".join(map(str, facts.missing))
    remedy = f"have this Role bound to you:\n{smallest_role(facts.namespace)}"
    return Finding("rights", otherwise, f"missing in {facts.namespace}: {listed}", remedy)


def _nodes(facts: ClusterFacts, settings: Settings | None) -> Finding:
    if facts.nodes is None:
        text = "may not be listed, so that which platforms there are is not known"
        return Finding("nodes", Status.OK, text)
    text = ", ".join(f"{count} {platform}" for platform, count in facts.nodes) or "none is ready"
    there = {platform for platform, _count in facts.nodes}
    asked = () if settings is None else settings.platforms
    lacking = [str(each) for each in asked if each.os == "linux" and str(each) not in there]
    if lacking or not there:
        remedy = "leave the platform out, or name another engine for it under engines"
        missing = f"; no node for {', '.join(lacking)}" if lacking else ""
        return Finding("nodes", Status.WARNING, f"{text}{missing}", remedy)
    return Finding("nodes", Status.OK, f"ready: {text}")


def _gpus(facts: ClusterFacts, cluster: ClusterSettings) -> Finding:
    if facts.gpus:
        return Finding("GPU", Status.OK, f"{facts.gpus} {cluster.gpu_resource} on ready nodes")
    known = "not known: nodes may not be listed" if facts.gpus is None else "no ready node has one"
    remedy = "name what nodes call theirs: gpu-resource of [tool.mlcontainer.kubernetes]"
    return Finding("GPU", Status.WARNING, f"{cluster.gpu_resource}: {known}", remedy)


def _registry(cluster: ClusterSettings, settings: Settings | None) -> Finding:
    if cluster.registry is not None:
        nodes = cluster.node_registry or cluster.registry
        text = f"pushed to {cluster.registry}, pulled by nodes from {nodes}"
        return Finding("registry", Status.OK, f"{text}; not tried")
    text = "none is named, so that only --container-image=NAME@DIGEST can be run"
    remedy = 'write registry = "HOST/PATH" under [tool.mlcontainer.kubernetes]'
    return Finding("registry", Status.WARNING if settings else Status.OK, text, remedy)
