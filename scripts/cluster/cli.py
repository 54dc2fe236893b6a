"""What `python3 scripts/cluster up|down|env|status|check|start|stop` do."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import sys
from pathlib import Path

from scripts.engine.folders import only_one
from scripts.engine.problems import SetupError, say

from . import cache, lifecycle, machine
from .images import HELPER_IMAGE
from .layout import NODE_REGISTRY, Cluster, ClusterLayout, layout_from

HELP = """\
Set up a private Kubernetes cluster for tests (Debian or Ubuntu, as root, with Go).

Real etcd, API server, controller manager, scheduler and kube-router, a registry, and two nodes
with kubelet and containerd: node1 of this machine's architecture, node2 of the other one, whose
kubelet is emulated. Everything is below .cluster/, nothing is installed, and `down` removes it
all again. What has to be built or fetched is kept in the user's cache folder, for the next time.
With KUBECONFIG set, that cluster is used as it is. stdout carries only lines for the shell:
eval "$(make -s cluster-up)"

commands:
  up, down             set up, remove
  env                  print the lines of `up` for the cluster that is up, without starting one
  status               say what is there
  check                end with 0 where `up` can work on this machine, and with 3 where something
                       is missing for it, which is said
  stop NAME            kill a part of the cluster, as a crash would, and wait until it is gone
  start NAME           start it again with the same arguments, and wait until it is of use
                       (without a NAME: list the names)

environment:
  CLUSTER_DIR=DIR      the directory of the private cluster (also where KUBECONFIG is set); the
                       default is .cluster beside the scripts
  XDG_CACHE_HOME=DIR   where pytest-mlcontainer/cluster/ holds what was built and unpacked
  ENGINE_DEBIAN_MIRROR=URL   where Debian's packages are, when apt's configuration does not say
"""


# The exit status of `check` on a machine that cannot have a cluster.
UNFIT = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="cluster", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {"up": up, "down": down, "env": env, "status": status, "check": check}
    parser.add_argument("command", choices=(*commands, "start", "stop"))
    parser.add_argument("name", nargs="?", default="")
    given = parser.parse_args(arguments)
    # What images and nodes hold is for all users to read; keys are made readable to us alone.
    os.umask(0o022)
    try:
        if given.command in commands:
            return commands[given.command]()
        return change(given.command, given.name)
    except SetupError as error:
        problem = error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        problem = SetupError(
            "The disk is full", error.filename or error, "Free room there, then run this again."
        )
    print(f"error: {problem}", file=sys.stderr)
    return 1


def _other_cluster(layout: ClusterLayout) -> str:
    """The KUBECONFIG of a cluster that is not our private one; empty when there is none.

    Raises:
        SetupError: it names no file.
    """
    named = os.environ.get("KUBECONFIG", "")
    if not named or os.environ.get("CLUSTER_DIR") or Path(named) == layout.kubeconfig:
        return ""
    if not any(Path(each).is_file() for each in named.split(":") if each):
        raise SetupError(
            "KUBECONFIG names no file", named, "Unset it to have a private cluster, or correct it."
        )
    return named


def _export(**variables: object) -> int:
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(str(value))}", flush=True)
    return 0


def _export_ours(cluster: Cluster) -> int:
    platforms = [f"linux/{node.architecture.debian}" for node in cluster.nodes]
    return _export(
        KUBECONFIG=cluster.layout.kubeconfig,
        MLCONTAINER_TEST_REGISTRY=cluster.host_registry,
        MLCONTAINER_TEST_NODE_REGISTRY=NODE_REGISTRY,
        MLCONTAINER_TEST_REGISTRY_CA=cluster.layout.authority,
        MLCONTAINER_TEST_HELPER_IMAGE=HELPER_IMAGE,
        MLCONTAINER_TEST_PLATFORMS=" ".join(platforms),
        MLCONTAINER_TEST_EMULATED=" ".join(platforms[1:]),
        MLCONTAINER_TEST_KUBECTL=cluster.programs / "kubectl",
    )


def up() -> int:
    """Print the cluster to use, setting one up if there is none."""
    layout = layout_from(os.environ)
    other = _other_cluster(layout)
    if other:
        say(f"KUBECONFIG is set: its cluster is used as it is ({other})")
        return _export(KUBECONFIG=other)
    if not (lifecycle.is_anything_there(layout) and lifecycle.is_up(layout)):
        # Before anything is made: on a machine that cannot have one, nothing is left.
        machine.check_machine(os.environ, cache.cache_root(os.environ))
    with only_one(layout):
        cluster = lifecycle.up(layout, os.environ)
    return _export_ours(cluster)


def down() -> int:
    """Remove the private cluster; others are left alone."""
    layout = layout_from(os.environ)
    if not lifecycle.is_anything_there(layout):
        say(f"no private cluster in {layout.base}")
        return 0
    with only_one(layout):
        lifecycle.down(layout, os.environ)
    return 0


def env() -> int:
    """Print the cluster that is up, without starting one."""
    layout = layout_from(os.environ)
    other = _other_cluster(layout)
    if other:
        return _export(KUBECONFIG=other)
    known = lifecycle.starter(layout)
    if known is None or not lifecycle.is_up(layout):
        raise SetupError("No cluster is up", layout.base, "Run `make cluster-up` first.")
    return _export_ours(known.cluster)


def status() -> int:
    """Say what is there, for people."""
    layout = layout_from(os.environ)
    other = _other_cluster(layout)
    if other:
        print(f"cluster   of KUBECONFIG={other} (not ours, used as it is)")
    known = lifecycle.starter(layout)
    if known is None:
        print(f"private   none in {layout.base}")
        return 0
    print(f"private   {known.cluster.url('apiserver')}, KUBECONFIG={layout.kubeconfig}")
    print(f"registry  {known.cluster.host_registry} here, {NODE_REGISTRY} on nodes")
    for name, component in known.components.items():
        running = "ready" if component.is_ready() else "runs, not ready"
        print(f"{name:20}{running if known.runs(name) else 'down'}")
    return 0


def check() -> int:
    """Say what is missing for a cluster, if anything is; nothing is set up."""
    if _other_cluster(layout_from(os.environ)):
        return 0
    try:
        machine.check_machine(os.environ, cache.cache_root(os.environ))
    except machine.UnfitMachineError as lacking:
        print(lacking, file=sys.stderr)
        return UNFIT
    return 0


def change(command: str, name: str) -> int:
    """Stop or start one part of the cluster."""
    layout = layout_from(os.environ)
    if not layout.base.exists():
        raise SetupError("No cluster is up", layout.base, "Run `make cluster-up` first.")
    with only_one(layout):
        known = lifecycle.starter(layout)
        if known is None:
            raise SetupError("No cluster is up", layout.base, "Run `make cluster-up` first.")
        if not name:
            print("\n".join(known.components))
            return 0
        lifecycle.component(known, name)
        if command == "stop":
            known.stop(name)
        else:
            known.start(name)
            known.wait(name)
    return 0
