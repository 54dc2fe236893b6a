"""What base images take over from this machine: mirrors, certificates, pip's index."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .packages import Source, machine_sources, release_sources
from .problems import SetupError

DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
PIP_CONFIGS = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")


def debian_sources(codename: str, release: str, environ: Mapping[str, str]) -> tuple[Source, ...]:
    """Where Debian's packages come from: this machine's mirror, or ENGINE_DEBIAN_MIRROR."""
    mirror = environ.get("ENGINE_DEBIAN_MIRROR")
    if mirror:
        suites = (release, f"{release}-updates")
        return (Source((mirror,), suites, ("main",), DEBIAN_KEYS),)
    machine = machine_sources()
    own = release_sources(machine, codename)
    if not any("debian" in uri for source in own for uri in source.uris):
        raise SetupError(
            "Stand-in base images need a mirror of Debian, and apt's configuration names none",
            codename,
            "Set ENGINE_DEBIAN_MIRROR to one (and install debian-archive-keyring), "
            "or give this machine access to a registry.",
        )
    return tuple(replace(s.for_release(codename, release), components=("main",)) for s in own)


def acquire_settings(dump: str) -> str:
    """The lines of `apt-config dump` that say how to reach mirrors (proxies, dates, retries)."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    lines = (line for line in dump.splitlines() if line.startswith(wanted))
    return "".join(f"{line}\n" for line in lines if not line.endswith('"";'))


def pip_settings(environ: Mapping[str, str], configs: tuple[str, ...] = PIP_CONFIGS) -> str:
    """The text of a pip.conf with this machine's package indexes, or nothing.

    Indexes on this machine's disk mean nothing in a container, and addresses with a password
    do not belong into an image.
    """
    found: dict[str, str] = {}
    for name in configs:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(name).expanduser())
        except configparser.Error:
            continue
        if parser.has_section("global"):
            found.update(parser.items("global"))
    for key in ("index-url", "extra-index-url", "trusted-host"):
        value = environ.get(f"PIP_{key.upper().replace('-', '_')}")
        if value:
            found[key] = value
    lines = []
    for key in ("index-url", "extra-index-url"):
        urls = [u for u in found.get(key, "").split() if u.startswith("http") and "@" not in u]
        if urls:
            lines.append(f"{key} = {' '.join(urls)}\n")
    if lines and found.get("trusted-host"):
        lines.append(f"trusted-host = {' '.join(found['trusted-host'].split())}\n")
    return "[global]\n" + "".join(lines) if lines else ""


def split_certificates(bundle: str) -> tuple[str, ...]:
    """The single certificates of a PEM file, without the comments between them."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = (part.partition(end) for part in bundle.split(begin)[1:])
    return tuple(f"{begin}\n{body.strip()}\n{end}\n" for body, found, _ in parts if found)
