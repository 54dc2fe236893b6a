"""What `python3 scripts/engine up|down|env|status` do."""

from __future__ import annotations

import argparse
import os
import sys

from . import private
from .folders import only_one
from .found import Absence, Endpoint, find_endpoint
from .layout import Layout, layout_from
from .problems import SetupError, say

HELP = """\
Find a working container engine or set up a private one (Debian or Ubuntu, as root).

A working engine that DOCKER_HOST, the docker context or the default socket names is used as it
is. Without one, a private engine is set up below .engine/: nothing is installed, and `down`
removes it all again. stdout carries only lines for the shell:  eval "$(make engine-up)"

environment:
  ENGINE_DIR=DIR       set up (or take down) the private engine of this directory, whether or not
                       another engine works; the default is .engine beside the scripts
  ENGINE_STORE=NAME    image store of the private engine: containerd (default) or overlay2;
                       each store keeps its own data, and naming the other one restarts dockerd
  ENGINE_DEBIAN_MIRROR=URL   where Debian's packages are, when apt's configuration does not say;
                       needed for base images only, where no public registry is in reach
  ENGINE_GPU_HOOK=1    start dockerd so that it passes GPU requests on although there is no GPU:
                       containers see NVIDIA_VISIBLE_DEVICES and nothing else (0 turns it off)
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(
        prog="engine", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("up", "down", "env", "status"))
    command = parser.parse_args(arguments).command
    try:
        return {"up": up, "down": down, "env": env, "status": status}[command]()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _export(docker_host: str) -> int:
    print(f"export DOCKER_HOST={docker_host}", flush=True)
    return 0


def _other_engine(layout: Layout) -> Endpoint | Absence:
    """A working engine that is not our private one; none is looked for when ENGINE_DIR is set."""
    if os.environ.get("ENGINE_DIR"):
        return Absence("ENGINE_DIR asks for a private engine")
    found = find_endpoint(os.environ)
    if isinstance(found, Endpoint) and found.url == layout.docker_host:
        return Absence("the private engine is the one in use")
    return found


def up() -> int:
    """Print the engine to use, setting one up if there is none."""
    layout = layout_from(os.environ)
    wish = private.wish_from(os.environ)
    other = _other_engine(layout)
    if isinstance(other, Endpoint):
        for note in other.notes:
            say(note)
        if wish != private.Wish(None, None):
            say(f"ENGINE_STORE and ENGINE_GPU_HOOK do not change the engine at {other.url}")
        return _export(other.url)
    codename = private.check_machine(other.why)
    with only_one(layout):
        if not private.is_up(layout):
            say(f"{other.why}: setting up a private one in {layout.base}")
        private.up(layout, codename, wish)
    return _export(layout.docker_host)


def down() -> int:
    """Remove the private engine; other engines are left alone."""
    layout = layout_from(os.environ)
    if not layout.base.exists():
        say(f"no private engine in {layout.base}")
        return 0
    with only_one(layout):
        private.down(layout)
    return 0


def env() -> int:
    """Print the engine that is up, without starting one."""
    layout = layout_from(os.environ)
    other = _other_engine(layout)
    if isinstance(other, Endpoint):
        return _export(other.url)
    if private.is_up(layout):
        return _export(layout.docker_host)
    raise SetupError("No engine is up", layout.base, "Run `make engine-up` first.")


def status() -> int:
    """Say what is there, for people."""
    layout = layout_from(os.environ)
    other = _other_engine(layout)
    if isinstance(other, Endpoint):
        print(f"engine    {other.url} (not ours, used as it is)")
    for line in private.describe(layout):
        print(line)
    return 0
