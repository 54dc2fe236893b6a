"""Engines of one process: each opened when it is asked for first, and greeted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from pytest_mlcontainer.cleanup import sweep
from pytest_mlcontainer.engines import Engine, EngineRequest, ImageStore, LogLine
from pytest_mlcontainer.engines.registry import open_engine, open_repository
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import ClusterSettings, Image, ImageName, KeepPolicy, Target
from pytest_mlcontainer.pipeline.background import Background
from pytest_mlcontainer.pipeline.setup import PipelineSetup
from pytest_mlcontainer.progress.events import TaskMessage
from pytest_mlcontainer.publishing.pushing import push_tagged
from pytest_mlcontainer.sharing.ledger import Ledger

Place = tuple["str | None", ClusterSettings]  # an engine, and what it is told of clusters

_BELIEVED_S = 60.0  # that an engine cannot be reached


class Connections:
    """The engines that targets name.

    Args:
        keep: which containers stay for a look.
        enter: called before the first thing is made.
        work: where what an engine needs once is done, beside what waits for the engine.
    """

    def __init__(
        self,
        setup: PipelineSetup,
        ledger: Ledger,
        work: Background,
        enter: Callable[[], None],
        *,
        keep: KeepPolicy,
    ) -> None:
        self._setup = setup
        self._ledger = ledger
        self._work = work
        self._enter = enter
        self._keep = keep
        self._lock = threading.RLock()
        self._engines: dict[Place, Engine] = {}
        self._unreachable: dict[Place, tuple[float, EngineError]] = {}

    def __iter__(self) -> Iterator[Engine]:
        return iter(tuple(self._engines.values()))

    def engine(self, target: Target) -> Engine:
        """The engine of a target.

        Raises:
            EngineError: it cannot be reached.
        """
        place = (target.engine, target.cluster)
        with self._lock:
            engine = self._engines.get(place)
            if engine is None:
                self._enter()
                engine = self._open(place)
                self._engines[place] = engine
                self._ledger.add(endpoint=target.engine or "")
                self._work.begin(("greeting", *place), partial(self._greet, engine, target.engine))
            return engine

    def _open(self, place: Place) -> Engine:
        """Connect; where that failed shortly before, it fails again without another wait."""
        endpoint, cluster = place
        failed_at, error = self._unreachable.get(place, (0.0, None))
        if error is not None and time.monotonic() < failed_at + _BELIEVED_S:
            raise EngineError(error.what, error.value, error.remedy) from error
        setup = self._setup
        try:
            asked = EngineRequest(
                endpoint,
                setup.environ,
                setup.owner,
                self._keep,
                lambda container: self._ledger.add(kept=container),
                cluster,
                self._send,
            )
            return open_engine(asked, setup.kinds)
        except EngineError as error:
            self._unreachable[place] = (time.monotonic(), error)
            raise

    def _send(self, name: ImageName, image: Image, store: ImageStore, log: LogLine) -> str:
        """Send an image to a registry, for an engine that runs what one has."""
        environ = self._setup.environ
        with closing(open_repository(name, environ, push=True)) as repository:
            return push_tagged(repository, image, store, log)

    def _greet(self, engine: Engine, endpoint: str | None) -> None:
        """What has to be done once for an engine, beside the build that waits for it anyway."""
        engine.identity()
        setup = self._setup
        left = (*engine.sweep(), *sweep(setup.cache, endpoint, setup.environ, setup.kinds))
        for session in dict.fromkeys(left):
            setup.tell(TaskMessage("", f"removed what the dead session {session} had left"))
