"""What an engine says of an image, as a value of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_mlcontainer.model import Image, Platform


def image_of(reference: str, raw: Mapping[str, Any]) -> Image:
    """The image that an engine has inspected."""
    config = raw.get("Config") or {}
    return Image(
        reference=reference,
        digest=str(raw["Id"]),
        platform=Platform(
            str(raw.get("Os") or "linux"), str(raw.get("Architecture") or ""), _variant(raw)
        ),
        size_bytes=int(raw.get("Size") or 0),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=str(config.get("User") or ""),
        workdir=str(config.get("WorkingDir") or "/"),
        env=tuple(_variable(text) for text in config.get("Env") or ()),
    )


def _variable(text: str) -> tuple[str, str]:
    name, _equals, value = text.partition("=")
    return name, value


def _variant(raw: Mapping[str, Any]) -> str:
    variant = str(raw.get("Variant") or "")
    # linux/arm64 and linux/arm64/v8 are the same platform.
    return "" if raw.get("Architecture") == "arm64" else variant


def pinned_reference(reference: str, digest: str) -> str:
    """The reference with the digest in the place of its tag."""
    name, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{name}{slash}{last.partition(':')[0]}@{digest}"
