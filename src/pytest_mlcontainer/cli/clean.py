"""`mlcontainer clean`: remove what killed and kept runs left on engines and in the cache."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.cli.setup import CommandSetup
from pytest_mlcontainer.engines import EngineRequest, Janitor, Leftover
from pytest_mlcontainer.engines.docker.diagnosis import shown_endpoint
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.hooks import load_engines
from pytest_mlcontainer.owners import current_owner, is_alive
from pytest_mlcontainer.pipeline.unfinished import FOLDER as UNFINISHED
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger, ledgers
from pytest_mlcontainer.temporary import left_folders, remove_left_folders


@dataclass(frozen=True)
class _KnownSession:
    """A session that the cache knows.

    Args:
        entries: what its ledger notes: the engines, repositories and stores it has touched.
    """

    id: str
    alive: bool
    entries: tuple[dict[str, str], ...]

    def noted(self, name: str) -> set[str]:
        return {entry[name] for entry in self.entries if name in entry}


def clean(here: CommandSetup, engine: str | None, *, dry_run: bool) -> int:
    """Remove leftovers and say what was removed, and what was left and why.

    Args:
        engine: this engine; None is the default one and those that dead sessions have used.

    Returns:
        0; 1 when an engine could not be reached or did not let go of something.
    """
    sessions = tuple(_sessions(here.cache))
    dead = [session for session in sessions if not session.alive]
    used = {endpoint for session in dead for endpoint in session.noted("endpoint")}
    endpoints = [engine] if engine else [None, *sorted(used - {""})]
    worked = [_clean_engine(here, each, sessions, dry_run=dry_run) for each in endpoints]
    # What a session has touched is forgotten only when it is gone.
    if all(worked) and engine is None:
        _clean_cache(here.cache, dead, dry_run=dry_run)
    return 0 if all(worked) else 1


def _clean_engine(
    here: CommandSetup, endpoint: str | None, sessions: tuple[_KnownSession, ...], *, dry_run: bool
) -> bool:
    claimed = {name for each in sessions if each.alive for name in each.noted("repository")}
    abandoned = {name for each in sessions if not each.alive for name in each.noted("repository")}
    print(f"engine {shown_endpoint(endpoint, here.environ)}")
    try:
        owner = current_owner(uuid.uuid4().hex)
        cleaner = open_engine(EngineRequest(endpoint, here.environ, owner), load_engines)
    except EngineError as error:
        print("\n".join(f"  {line}" for line in str(error).splitlines()))
        return False
    try:
        found = cleaner.leftovers(claimed, abandoned)
        if not found:
            print("  nothing there")
        done = [_take(cleaner, thing, dry_run=dry_run) for thing in found]
    finally:
        cleaner.disconnect()
    return all(done)


def _take(cleaner: Janitor, thing: Leftover, *, dry_run: bool) -> bool:
    """Remove one thing and say so; returns whether it is gone or had to stay anyway."""
    named = f"{thing.kind.value} {thing.name}, {thing.why}"
    if thing.left:
        print(f"  left          {named}: {thing.left}")
        return True
    if dry_run:
        print(f"  would remove  {named}")
        return True
    removed = cleaner.remove_leftover(thing)
    if removed.left:
        print(f"  left          {named}: {removed.left}")
        return False
    print(f"  removed       {named}")
    return True


def _clean_cache(cache: Path, dead: list[_KnownSession], *, dry_run: bool) -> None:
    print(f"cache {cache}")
    owner = current_owner(uuid.uuid4().hex)
    stores = [folder.parent for folder in sorted(cache.glob("*/sessions"))]
    idle = [store for store in stores if Store(store, owner).is_idle()]
    results = [path for store in idle for path in sorted(store.iterdir()) if _is_result(path)]
    size_mb = sum(_size(path) for path in results) / 1e6
    verb = "would remove " if dry_run else "removed      "
    unfinished = [] if len(idle) < len(stores) else sorted(cache.glob(f"{UNFINISHED}/*"))
    left = left_folders()
    if not (results or dead or unfinished or left):
        print("  nothing there")
    if results:
        print(f"  {verb} {len(results)} results of sessions that ended ({size_mb:.1f} MB)")
    if unfinished:
        count = "1 search" if len(unfinished) == 1 else f"{len(unfinished)} searches"
        print(f"  {verb} the runs of {count} for a cause, interrupted before the end")
    if left:
        print(f"  {verb} {len(left)} temporary folders of processes that were killed")
    for session in dead:
        print(f"  {verb} notes of session {session.id[:8]}, which was killed")
    if dry_run:
        return
    for folder in idle:
        # A store removes what is past whenever a session enters it, and is safe with others.
        store = Store(folder, owner)
        store.open()
        store.close()
    for folder in unfinished:
        Unfinished(folder).forget()
    remove_left_folders()
    for session in dead:
        Ledger(cache, session.id).remove()


def _sessions(cache: Path) -> Iterator[_KnownSession]:
    """The sessions with a ledger: living ones, and dead ones that had no time to clean up."""
    me = current_owner(uuid.uuid4().hex)
    for ledger in ledgers(cache):
        entries = ledger.entries()
        owner = ledger.owner()
        if owner is not None and owner.host == me.host:
            alive = is_alive(owner.pid, owner.pid_start)
        else:
            stores = [Path(entry["store"]) for entry in entries if "store" in entry]
            alive = any(Store(store, me).may_run(ledger.session) for store in stores)
        yield _KnownSession(ledger.session, alive, entries)


def _is_result(path: Path) -> bool:
    return path.is_dir() and path.name != "sessions"


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
