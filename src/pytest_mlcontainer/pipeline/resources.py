"""What everything in one process works with: opened when needed, let go of at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from pytest_mlcontainer.cleanup import clean_up
from pytest_mlcontainer.engines import Engine, LogLine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Options, Settings, Target
from pytest_mlcontainer.owners import this_maker
from pytest_mlcontainer.pipeline.background import Background
from pytest_mlcontainer.pipeline.connections import Connections
from pytest_mlcontainer.pipeline.project_secrets import ProjectSecrets
from pytest_mlcontainer.pipeline.setup import PipelineSetup
from pytest_mlcontainer.progress.events import Activity, Progress, TaskMessage, task
from pytest_mlcontainer.sharing import Store
from pytest_mlcontainer.sharing.ledger import Ledger
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.watcher import CleanupWatch


class PipelineResources:
    """What everything in one process works with; each thing is opened at most once.

    Attributes:
        ledger: what this session has made, for whoever cleans up.
        processes: those of this machine, ended at the latest with the resources.
        slots: one for each container that may run at once.
        work: results by key, made in threads.
        secrets: those of all projects that are worked on.
    """

    def __init__(self, setup: PipelineSetup, options: Options) -> None:
        self.setup = setup
        self.options = options
        self.ledger: Ledger = Ledger(setup.cache, setup.owner.session)
        self.processes: Processes = Processes()
        self.slots: threading.BoundedSemaphore = threading.BoundedSemaphore(setup.parallel)
        self.work: Background = Background()
        self.secrets: ProjectSecrets = ProjectSecrets(setup.environ)
        self._watch = CleanupWatch(setup.cache, setup.owner, setup.environ, options.keep)
        self._connections = Connections(
            setup, self.ledger, self.work, self.enter, keep=options.keep
        )
        self._lock = threading.RLock()
        self._entering = threading.Lock()
        self._stores: dict[Path, Store] = {}

    @property
    def cache(self) -> Path:
        """What sessions and workers share on this machine."""
        return self.setup.cache

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables for the engine's command, and for what runs on this machine."""
        return self.setup.environ

    def engine(self, target: Target) -> Engine:
        """The engine of a target.

        Raises:
            EngineError: it cannot be reached.
        """
        return self._connections.engine(target)

    def store(self, settings: Settings) -> Store:
        """What workers share of one project."""
        with self._lock:
            store = self._stores.get(settings.file)
            if store is None:
                self.enter()
                name = digest([str(settings.file)])[:16]
                store = Store(self.cache / name, self.setup.owner, self.log)
                store.open()
                self._stores[settings.file] = store
                self.ledger.add(store=str(store.root))
            return store

    def known_builds(self, engine: Engine) -> Path:
        """The folder with what is known of images that were built on an engine."""
        return self.cache / "images" / digest([engine.address])

    def session_name(self, what: str) -> str:
        """A name on engines that tells whose it is."""
        return f"mlcontainer-{self.setup.owner.session[:12]}-{what}"

    def log(self, line: str) -> None:
        """Tell of something in a line."""
        self.setup.tell(TaskMessage("", line))

    def logger(self, prefix: str) -> LogLine:
        """Tells lines of what they are about."""
        return lambda line: self.setup.tell(TaskMessage(prefix, line))

    def task(
        self,
        settings: Settings,
        activity: Activity,
        title: str,
        *,
        limit_s: float | None = None,
        most: int | None = None,
    ) -> AbstractContextManager[Progress]:
        """A task that goes on as long as the `with` block does; see `progress.events.Task`."""
        tell, project = self.setup.tell, str(settings.file)
        return task(tell, activity, title, project=project, limit_s=limit_s, most=most)

    def kept(self) -> tuple[str, ...]:
        """Commands to look at containers that stay on their engine, those of workers too."""
        return tuple(entry["kept"] for entry in self.ledger.entries() if "kept" in entry)

    def enter(self) -> None:
        """Before the first thing is made, be it a folder: note whose it is, and have a watcher.

        Raises:
            EngineError: this machine starts no more processes.
        """
        self.ledger.enter(self.setup.owner)
        self.ledger.add(maker=this_maker())
        try:
            with self._entering:
                self._watch.ensure()
        except OSError as error:
            what = "the process that cleans up after this one cannot be started"
            raise EngineError(what, str(error), "free memory or processes of this user") from error

    def close(self) -> None:
        """End what still runs. What others of this session use stays; see `clean_up`."""
        self.processes.kill_all()
        for store in tuple(self._stores.values()):
            store.give_up()
        for engine in self._connections:
            engine.close()
        if self.work.busy:
            self.clean_up(last=False)
        self.work.join()
        for store in tuple(self._stores.values()):
            store.release()
        for engine in self._connections:
            engine.disconnect()
        if self.setup.owner.pid != os.getpid():
            self._dismiss()  # a worker's; the owner has `clean_up` still before it

    def clean_up(self, *, last: bool) -> None:
        """Remove what this session made, workers included; `last` is for its very end."""
        setup = self.setup
        keep, kinds = self.options.keep, setup.kinds
        cleaned = clean_up(setup.cache, setup.owner, setup.environ, keep, last=last, kinds=kinds)
        if last and cleaned.reached:
            self._dismiss()
        elif last:
            # An engine that is away may have things of ours, and be there again soon.
            self._watch.leave()

    def _dismiss(self) -> None:
        """Send the watcher home, unless a thread that does not end may still make something."""
        if self.work.busy:
            self._watch.leave()
        else:
            self._watch.end()
