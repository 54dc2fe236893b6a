"""What images hold, for tests: packages that differ in a name and a version."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.mixing.contents import Contents, Distribution


def package(
    name: str,
    version: str,
    *requires: str,
    compiled: bool = False,
    own: bool = False,
    digest: str = "",
) -> Distribution:
    """A distribution that can be imported under its name; other versions have other digests."""
    info = f"{name}-{version}.dist-info"
    content = digest or f"{name}{version}"
    return Distribution(
        name, version, "/site", info, content, compiled, compiled, requires, (name,), own
    )


def image(*packages: Distribution, **other: object) -> Contents:
    """An image for x86_64 with Python 3.13 and these packages."""
    made = Contents("3.13.5", "x86_64", "/usr/bin/python3", "cpython-313", "/site")
    return replace(made, distributions=packages, **other)
