"""Removing what a session made: at its end, after its death, and what earlier ones left."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.engines import EngineRequest, ImageStore, Kinds
from pytest_mlcontainer.engines.process import kill_marked
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import KEPT_BYTES, KeepPolicy, Owner
from pytest_mlcontainer.owners import host_name, is_alive, maker_lives
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger, ledgers
from pytest_mlcontainer.temporary import remove_left_folders

Entries = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Cleaned:
    """How a cleaning went.

    Args:
        reached: whether every engine answered; one that does not now may do so later.
        found: whether there was anything to remove.
    """

    reached: bool
    found: bool

    @property
    def nothing_left(self) -> bool:
        return self.reached and not self.found


def clean_up(
    cache: Path,
    owner: Owner,
    environ: Mapping[str, str],
    keep: KeepPolicy,
    *,
    last: bool,
    kinds: Kinds = lambda: (),
) -> Cleaned:
    """Remove from every engine that the session used what carries its label.

    Args:
        cache: folder of what workers share.
        last: whether the session ends; then images go too, unless another session still uses them.
        kinds: of engines, those that plugins add.
    """
    ledger = Ledger(cache, owner.session)
    cleaned = clean_session(ledger.entries(), owner, environ, keep, last=last, kinds=kinds)
    if last and cleaned.reached:
        ledger.remove()
    return cleaned


def clean_session(
    entries: Entries,
    owner: Owner,
    environ: Mapping[str, str],
    keep: KeepPolicy,
    *,
    last: bool = True,
    kinds: Kinds = lambda: (),
) -> Cleaned:
    """Remove what a session made, as far as its engines can be reached.

    Args:
        entries: what its ledger notes; the rest as of `clean_up`.
    """
    alone = {
        entry["store"]: Store(Path(entry["store"]), owner).close()
        for entry in entries
        if last and "store" in entry
    }
    reached, found = True, False
    for endpoint in _endpoints(entries):
        try:
            engine = open_engine(EngineRequest(endpoint or None, environ, owner, keep), kinds)
            try:
                found |= engine.remove_session(keep_containers=keep is not KeepPolicy.NONE)
                if keep is not KeepPolicy.ALL:
                    for repository in _unused_images(entries, endpoint, alone):
                        found |= engine.remove_images(repository)
                if last:
                    _trim_kept(engine, entries, endpoint)
            finally:
                engine.disconnect()
        except EngineError:
            reached = False
    return Cleaned(reached, found)


def clean_after(
    entries: Entries,
    owner: Owner,
    environ: Mapping[str, str],
    maker: str,
    kinds: Kinds = lambda: (),
) -> bool:
    """Remove what one dead process of a living session had in hand: processes and containers.

    What it made for all workers, images and volumes, is theirs now.

    Args:
        maker: as of `owners.this_maker`; the rest as of `clean_session`.

    Returns:
        Whether there is nothing more.
    """
    clean = not kill_marked(maker)
    for endpoint in _endpoints(entries):
        try:
            engine = open_engine(EngineRequest(endpoint or None, environ, owner), kinds)
            try:
                clean &= not engine.remove_made(maker)
            finally:
                engine.disconnect()
        except EngineError:
            clean = False
    remove_left_folders()
    return clean


def sweep(
    cache: Path, endpoint: str | None, environ: Mapping[str, str], kinds: Kinds = lambda: ()
) -> tuple[str, ...]:
    """Remove what dead sessions of this machine left on one engine, and their folders.

    Their watchers do so within seconds; this is for those whose watcher was killed as well.

    Returns:
        The sessions that are forgotten now.
    """
    remove_left_folders()
    forgotten = []
    for ledger in ledgers(cache):
        owner = ledger.owner()
        if owner is None or owner.host != host_name() or is_alive(owner.pid, owner.pid_start):
            continue
        entries = ledger.entries()
        for entry in entries:
            if "maker" in entry and not maker_lives(entry["maker"]):
                kill_marked(entry["maker"])
        if set(_endpoints(entries)) <= {endpoint or ""}:
            # Containers that were to be kept are, with the images that they are of.
            with suppress(OSError):
                if clean_session(entries, owner, environ, KeepPolicy.FAILED, kinds=kinds).reached:
                    ledger.remove()
                    forgotten.append(ledger.session)
    return tuple(forgotten)


def _trim_kept(engine: ImageStore, entries: Entries, endpoint: str) -> None:
    """Hold what stays for the next session to the budget of this one."""
    budgets = {
        entry["repository"]: int(entry["budget"])
        for entry in entries
        if {"repository", "budget"} <= entry.keys() and entry.get("endpoint") == endpoint
    }
    if budgets:
        unwanted = tuple(name for name, budget in budgets.items() if not budget)
        limit = max(budgets.values()) or KEPT_BYTES
        engine.trim_images(limit, unwanted)


def _endpoints(entries: Entries) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry["endpoint"] for entry in entries if "endpoint" in entry))


def _unused_images(entries: Entries, endpoint: str, alone: Mapping[str, bool]) -> list[str]:
    return [
        entry["repository"]
        for entry in entries
        if "repository" in entry and entry["endpoint"] == endpoint and alone.get(entry["store"])
    ]
