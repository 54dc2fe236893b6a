"""Removing, at the end of a session, what it and its workers made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pytest_mlcontainer.engines.docker_engine import DockerEngine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Keep, Owner
from pytest_mlcontainer.sharing import Ledger, Store


def clean_up(
    cache: Path, owner: Owner, environ: Mapping[str, str], keep: Keep, *, last: bool
) -> None:
    """Remove from every engine that the session used what carries its label.

    Args:
        cache: folder of what workers share.
        last: whether the session ends; then images go too, unless another session still uses them.
    """
    ledger = Ledger(cache, owner.session)
    entries = ledger.entries()
    alone = {
        entry["store"]: Store(Path(entry["store"]), owner).close()
        for entry in entries
        if last and "store" in entry
    }
    for endpoint in dict.fromkeys(entry["endpoint"] for entry in entries if "endpoint" in entry):
        # An engine that went away meanwhile has nothing that we could remove.
        with suppress(EngineError):
            engine = DockerEngine(endpoint or None, environ, owner, keep)
            engine.remove_session(keep_containers=keep is not Keep.NONE)
            if keep is not Keep.ALL:
                for repository in _unused_images(entries, endpoint, alone):
                    engine.remove_images(repository)
            engine.disconnect()
    if last:
        ledger.remove()


def _unused_images(
    entries: tuple[dict[str, str], ...], endpoint: str, alone: Mapping[str, bool]
) -> list[str]:
    return [
        entry["repository"]
        for entry in entries
        if "repository" in entry and entry["endpoint"] == endpoint and alone.get(entry["store"])
    ]
