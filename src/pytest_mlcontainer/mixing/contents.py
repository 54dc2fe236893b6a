"""What an image holds, as the program `inside/transplant.py` told it from within."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pytest_mlcontainer.model import Pairs

MARKER = "mlcontainer-contents:"
LARGEST_BYTES = 1 << 28  # of what an image may tell of itself


@dataclass(frozen=True)
class Distribution:
    """A Python distribution, as an image holds it.

    Args:
        name: normalised.
        site, info: the folder it is installed in, and the name of its metadata in there.
        digest: of what it brings; equal versions with other digests are other builds.
        compiled: whether it brings machine code; `bound`: for one minor version of Python alone.
        requires: its `Requires-Dist`.
        modules: names that can be imported because of it.
        own: whether it is the project's own, installed from its folder.
    """

    name: str
    version: str
    site: str
    info: str
    digest: str = ""
    compiled: bool = False
    bound: bool = False
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class Contents:
    """What an image holds.

    Args:
        python: its version, `3.13.5`; `executable`, `cache_tag` and `site`, the folder that
            packages go into, are of the same Python.
        machine: as `uname -m` has it.
        managed: whether pip refuses to install there without being told twice.
        workdir: the project's folder; `project` has the files in it, with their digests.
        base: everything that is neither of a distribution nor of the project, with digests.
        env: variables of the image.
        release, libc: names of the system and of its C library.
    """

    python: str
    machine: str
    executable: str = ""
    cache_tag: str = ""
    site: str = ""
    managed: bool = False
    workdir: str = "/"
    distributions: tuple[Distribution, ...] = ()
    project: Pairs = ()
    base: Pairs = ()
    env: Pairs = ()
    release: str = ""
    libc: str = ""

    @property
    def minor(self) -> str:
        return ".".join(self.python.split(".")[:2])


def unpacked(printed: str) -> dict[str, Any] | None:
    """What the script told; None where it told nothing that can be read."""
    for line in printed.splitlines():
        if line.startswith(MARKER):
            with suppress(ValueError, binascii.Error, zlib.error, RecursionError):
                packed = base64.b64decode(line[len(MARKER) :])
                text = zlib.decompressobj().decompress(packed, LARGEST_BYTES)
                raw = json.loads(text)
                return raw if isinstance(raw, dict) else None
    return None


def parse_contents(raw: Mapping[str, Any]) -> Contents:
    """What an image says of itself, checked; whatever has another form counts as not said."""
    distributions = raw.get("distributions")
    return Contents(
        python=text_of(raw, "python"),
        machine=text_of(raw, "machine"),
        executable=text_of(raw, "executable"),
        cache_tag=text_of(raw, "cache_tag"),
        site=text_of(raw, "site"),
        managed=bool(raw.get("managed")),
        workdir=text_of(raw, "workdir") or "/",
        distributions=tuple(
            _distribution(each)
            for each in (distributions if isinstance(distributions, list) else ())
            if isinstance(each, dict)
        ),
        project=_pairs(raw, "project"),
        base=_pairs(raw, "base"),
        release=text_of(raw, "distribution"),
        libc=text_of(raw, "libc"),
    )


def _distribution(raw: Mapping[str, Any]) -> Distribution:
    return Distribution(
        name=text_of(raw, "name"),
        version=text_of(raw, "version"),
        site=text_of(raw, "site"),
        info=text_of(raw, "info"),
        digest=text_of(raw, "digest"),
        compiled=bool(raw.get("compiled")),
        bound=bool(raw.get("bound")),
        requires=_texts(raw, "requires"),
        modules=_texts(raw, "modules"),
        own=bool(raw.get("own")),
    )


def text_of(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = raw.get(name)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _pairs(raw: Mapping[str, Any], name: str) -> Pairs:
    value = raw.get(name)
    each = value.items() if isinstance(value, dict) else ()
    return tuple(sorted((str(left), str(right)) for left, right in each))
