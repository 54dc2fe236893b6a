"""Engines, stores and the ledger of one process: opened when needed, let go of at the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial, reduce
from operator import or_
from pathlib import Path

from pytest_mlcontainer.cleanup import clean_up, sweep
from pytest_mlcontainer.config.words import show_key
from pytest_mlcontainer.engines import Engine, EngineRequest, LogLine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.engines.registry import open_engine
from pytest_mlcontainer.errors import ConfigError, EngineError, MlContainerError
from pytest_mlcontainer.model import (
    Entrypoint,
    Options,
    Settings,
    Target,
)
from pytest_mlcontainer.owners import this_maker
from pytest_mlcontainer.pipeline.background import Background
from pytest_mlcontainer.pipeline.keys import digest
from pytest_mlcontainer.pipeline.surroundings import Surroundings
from pytest_mlcontainer.pipeline.unfinished import Unfinished
from pytest_mlcontainer.secrets import (
    NOTHING,
    Disclosed,
    Redactor,
    disclose,
    find_problems,
    read_values,
)
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger
from pytest_mlcontainer.watcher import CleanupWatch

_BELIEVED_S = 60.0  # that an engine cannot be reached


def secret_problems(
    settings: Settings, entries: Iterable[Entrypoint], environ: Mapping[str, str]
) -> tuple[MlContainerError, ...]:
    """What is wrong with secrets that these entrypoints are given."""
    problems: dict[str, MlContainerError] = {}
    for entry in entries:
        for secret, problem in find_problems(entry.secrets, environ):
            what = f"{settings.file.name}: secrets.{show_key(secret.id)}: {problem.what}"
            error = MlContainerError(what, problem.value, problem.remedy)
            problems.setdefault(str(error), error)
    return tuple(problems.values())


def build_secret_problems(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[MlContainerError, ...]:
    """What is wrong with secrets of the build, but for missing files, which `check_files` names."""
    where = f"{settings.file.name}: [tool.mlcontainer] build-secrets"
    return tuple(
        MlContainerError(
            f"{where}.{show_key(secret.id)}: {problem.what}", problem.value, problem.remedy
        )
        for secret, problem in find_problems(settings.build.secrets, environ, build=True)
        if secret.file is None or secret.file.is_file()
    )


class Workplace:
    """What a process works with; each thing is opened at most once."""

    def __init__(self, surroundings: Surroundings, options: Options) -> None:
        self._world = surroundings
        self._options = options
        self._ledger = Ledger(surroundings.cache, surroundings.owner.session)
        self._watch = CleanupWatch(
            surroundings.cache, surroundings.owner, surroundings.environ, options.keep
        )
        self._processes = Processes()
        self._slots = threading.BoundedSemaphore(surroundings.parallel)
        self._lock = threading.RLock()
        self._work = Background()
        self._engines: dict[str | None, Engine] = {}
        self._unreachable: dict[str | None, tuple[float, EngineError]] = {}
        self._stores: dict[Path, Store] = {}
        self._values: dict[Path, Redactor] = {}
        self._searches: dict[tuple[Path, str], Unfinished] = {}

    def close(self) -> None:
        """End what still runs. What others of this session use stays; see `clean_up`."""
        self._processes.kill_all()
        for store in tuple(self._stores.values()):
            store.give_up()
        for engine in self._engines.values():
            engine.close()
        if self._work.busy:
            self.clean_up(last=False)
        self._work.join()
        for store in tuple(self._stores.values()):
            store.release()
        for engine in self._engines.values():
            engine.disconnect()
        if self._world.owner.pid != os.getpid():
            self._dismiss()  # a worker's; the owner has `clean_up` still before it

    def clean_up(self, *, last: bool) -> None:
        """Remove what this session made, workers included; `last` is for its very end."""
        world = self._world
        keep, kinds = self._options.keep, world.kinds
        cleaned = clean_up(world.cache, world.owner, world.environ, keep, last=last, kinds=kinds)
        if last and cleaned.reached:
            self._dismiss()
        elif last:
            # An engine that is away may have things of ours, and be there again soon.
            self._watch.leave()

    def _dismiss(self) -> None:
        """Send the watcher home, unless a thread that does not end may still make something."""
        if self._work.busy:
            self._watch.leave()
        else:
            self._watch.end()

    def kept(self) -> tuple[str, ...]:
        """Containers that stay on their engine for a look, those of workers too."""
        return tuple(entry["kept"] for entry in self._ledger.entries() if "kept" in entry)

    def _engine(self, target: Target) -> Engine:
        with self._lock:
            engine = self._engines.get(target.engine)
            if engine is None:
                self._enter()
                engine = self._open(target.engine)
                self._engines[target.engine] = engine
                self._ledger.add(endpoint=target.engine or "")
                self._work.begin(
                    ("greeting", target.engine), partial(self._greet, engine, target.engine)
                )
            return engine

    def _open(self, endpoint: str | None) -> Engine:
        """Connect; where that failed shortly before, it fails again without another wait."""
        failed_at, error = self._unreachable.get(endpoint, (0.0, None))
        if error is not None and time.monotonic() < failed_at + _BELIEVED_S:
            raise EngineError(error.what, error.value, error.remedy) from error
        try:
            asked = EngineRequest(
                endpoint,
                self._world.environ,
                self._world.owner,
                self._options.keep,
                lambda container: self._ledger.add(kept=container[:12]),
            )
            return open_engine(asked, self._world.kinds)
        except EngineError as error:
            self._unreachable[endpoint] = (time.monotonic(), error)
            raise

    def _enter(self) -> None:
        """Before the first thing is made: note whose it is, and have a watcher."""
        self._ledger.enter(self._world.owner)
        self._ledger.add(maker=this_maker())
        try:
            self._watch.ensure()
        except OSError as error:
            what = "the process that cleans up after this one cannot be started"
            raise EngineError(what, str(error), "free memory or processes of this user") from error

    def _greet(self, engine: Engine, endpoint: str | None) -> None:
        """What has to be done once for an engine, beside the build that waits for it anyway."""
        engine.identity()
        world = self._world
        left = (*engine.sweep(), *sweep(world.cache, endpoint, world.environ, world.kinds))
        for session in dict.fromkeys(left):
            world.log(f"removed what the dead session {session} had left")

    def _store(self, settings: Settings) -> Store:
        with self._lock:
            store = self._stores.get(settings.file)
            if store is None:
                self._enter()
                name = digest([str(settings.file)])[:16]
                store = Store(self._world.cache / name, self._world.owner, self._world.log)
                store.open()
                self._stores[settings.file] = store
                self._ledger.add(store=str(store.root))
            return store

    @property
    def hidden(self) -> Redactor:
        """Knows the secrets of all projects that were worked on so far."""
        with self._lock:
            return reduce(or_, self._values.values(), NOTHING)

    def _hidden(self, settings: Settings) -> Redactor:
        """Knows all that the project's secrets are now, and were before in this session."""
        runs = (secret for entry in settings.entrypoints for secret in entry.secrets)
        secrets = dict.fromkeys((*settings.build.secrets, *runs))
        now = read_values(secrets, self._world.environ)
        with self._lock:
            found = self._values.get(settings.file, Redactor()) | now
            self._values[settings.file] = found
            return found

    def _disclosed(self, settings: Settings, entry: Entrypoint) -> Disclosed:
        """What a run is given of its entrypoint's secrets, read now."""
        return disclose(entry.secrets, self._world.environ, self._hidden(settings))

    def _check_secrets(self, settings: Settings, entry: Entrypoint) -> None:
        """Refuse what cannot be read, or could not be kept from being seen.

        Raises:
            ConfigError: with every problem.
        """
        self._hidden(settings)  # also where another worker makes the run
        problems = secret_problems(settings, (entry,), self._world.environ)
        if problems:
            raise ConfigError(str(settings.file), problems)

    def _logger(self, prefix: str) -> LogLine:
        return lambda line: self._world.log(f"{prefix}: {line}")
