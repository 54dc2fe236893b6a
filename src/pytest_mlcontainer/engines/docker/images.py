"""What an engine says of an image, and the image itself as a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pytest_mlcontainer.engines import Stream
from pytest_mlcontainer.engines.docker.client import EngineClient
from pytest_mlcontainer.model import Image, Platform

# The classic image store writes all of the image to its disk before it sends the first byte.
_SAVE_S: Final = 900.0
_SAVES_ONE_PLATFORM: Final = (1, 48)

# Docker's defaults for a HEALTHCHECK that does not say: its interval and timeout, and its retries.
_PROBE_S: Final = 30.0
_RETRIES: Final = 3


def inspect_image(api: EngineClient, reference: str, platform: Platform) -> dict[str, Any]:
    """What the engine says of an image.

    Raises:
        ImageNotFound, APIError: it has none, or does not say.
    """
    # docker-py 7.2 has no `platform` here; without it a multi-platform image of containerd's
    # store answers with the variant of the engine's own architecture.
    url = f"{api.base_url}/v{api.api_version}/images/{reference}/json"
    response = api.get(url, params={"platform": _as_json(platform)})
    if response.status_code == 404:
        return dict(api.inspect_image(reference))
    return dict(response.json()) if response.ok else dict(api.inspect_image(reference))


def save(api: EngineClient, reference: str, platform: Platform) -> Stream:
    """See `ImageStore.save`. Older engines send all platforms that they have.

    Raises:
        APIError: the engine refuses.
    """
    version = tuple(int(part) for part in api.api_version.split("."))
    params = {"platform": _as_json(platform)} if version >= _SAVES_ONE_PLATFORM else {}
    return api.read_body(f"/images/{reference}/get", params, _SAVE_S)


def _as_json(platform: Platform) -> str:
    wanted = {"os": platform.os, "architecture": platform.architecture}
    if platform.variant:
        wanted["variant"] = platform.variant
    return json.dumps(wanted)


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
        layers=tuple(map(str, (raw.get("RootFS") or {}).get("Layers") or ())),
        labels=tuple((str(k), str(v)) for k, v in (config.get("Labels") or {}).items()),
        ports=tuple(config.get("ExposedPorts") or ()),
        stop_signal=str(config.get("StopSignal") or ""),
        health=_health_test(config.get("Healthcheck") or {}),
        health_limit_s=_health_limit_s(config.get("Healthcheck") or {}),
    )


def _health_test(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """What it runs; () where there is none, or the base's is switched off."""
    test = tuple(map(str, raw.get("Test") or ()))
    return test if test[:1] in (("CMD",), ("CMD-SHELL",)) else ()


def _health_limit_s(raw: Mapping[str, Any]) -> float:
    """When as many probes as it has retries have failed, by the engine's own defaults."""

    def seconds(key: str, otherwise: float) -> float:
        return float(raw.get(key) or 0) / 1e9 or otherwise

    each_s = seconds("Interval", _PROBE_S) + seconds("Timeout", _PROBE_S)
    return seconds("StartPeriod", 0.0) + int(raw.get("Retries") or _RETRIES) * each_s


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
