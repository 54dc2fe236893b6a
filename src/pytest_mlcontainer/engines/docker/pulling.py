"""Pulling an image: within a time limit, and again where the connection broke."""

from __future__ import annotations

import time
from collections.abc import Mapping

from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from pytest_mlcontainer.engines import LogLine
from pytest_mlcontainer.engines.docker.client import EngineClient, innermost
from pytest_mlcontainer.engines.docker.registries.platforms import (
    ONE_IMAGE_BY_DIGEST,
    own_reference,
)
from pytest_mlcontainer.engines.failures import refusal
from pytest_mlcontainer.errors import EngineError, EngineLostError
from pytest_mlcontainer.model import Platform
from pytest_mlcontainer.progress.far import TransferProgress, Transfers

_LIMIT_S = 3600.0
_ATTEMPTS = 3  # layers that came already are not sent again


def pull_pinned(
    api: EngineClient, pinned: str, platform: Platform, environ: Mapping[str, str], log: LogLine
) -> str:
    """Pull one platform of an index; returns the reference that the engine has it by.

    Args:
        pinned: `NAME@DIGEST`.
        environ: variables with logins, proxies and certificates.

    Raises:
        EngineError, APIError: as of `pull`.
    """
    try:
        pull(api, pinned, platform, log)
        return pinned
    except EngineError as error:
        own = None
        if ONE_IMAGE_BY_DIGEST in error.value:
            own = own_reference(pinned, platform, environ)
        if own is None:
            raise
    pull(api, own, platform, log)
    return own


def pull(api: EngineClient, reference: str, platform: Platform, log: LogLine) -> None:
    """Pull one platform of an image.

    Args:
        log: told how much of it has come.

    Raises:
        EngineError: it cannot be had, or not within an hour.
        APIError: the engine refuses.
    """
    deadline, transfers = time.monotonic() + _LIMIT_S, Transfers(TransferProgress(log))
    for left in reversed(range(_ATTEMPTS)):
        try:
            _pull_once(api, reference, platform, deadline, transfers)
            return
        except (EngineLostError, RequestException, HTTPError, OSError) as error:
            if getattr(error, "response", None) is not None:
                raise  # an answer, and no broken connection
            api.health.breaks += 1
            if not left:
                raise EngineError(
                    "the connection broke each time the image was pulled",
                    f"{reference}, {_ATTEMPTS} times: {innermost(error)}",
                    "look at the engine's own log, or pull it by hand: `docker pull`",
                ) from error
        api.version()  # which waits until the engine is back


def _pull_once(
    api: EngineClient, reference: str, platform: Platform, deadline: float, transfers: Transfers
) -> None:
    for event in api.pull(reference, platform=str(platform), stream=True, decode=True):
        if "error" in event:
            raise refusal("the image cannot be pulled", str(event["error"]))
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            transfers.take(event["id"], detail["current"], detail["total"])
        if time.monotonic() > deadline:
            raise EngineError(
                "the image was not pulled in time",
                f"{reference}: {_LIMIT_S:g} s; the last news: {event.get('status', '')}",
                "pull it by hand first: `docker pull`",
            )
