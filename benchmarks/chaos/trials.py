"""Beginning a trial, and forgetting it."""

from __future__ import annotations

import shutil
import uuid

from benchmarks.chaos.leftovers import remove
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.session import Place, Session, end_all
from benchmarks.chaos.unclaimed import unclaimed


def begin(
    plan: Plan, *arguments: str, tests: str | None = None, config: str | None = None
) -> Session:
    """A session in a new folder, of a project with a name of its own.

    Args:
        arguments: of pytest.
        tests: the project's tests instead of its own.
        config: what stands in `[tool.mlcontainer]` instead.
    """
    token = f"chaos-{uuid.uuid4().hex[:12]}"
    place = Place(plan.folder / token, token).make(tests=tests, config=config)
    before = None if plan.shared else unclaimed(plan.api)
    return Session(place, *arguments, engine=plan.engine, before=before)


def forget(plan: Plan, session: Session, *, keep: bool = False) -> None:
    """Remove everything of a trial; `keep` leaves its folder, for a look at what it printed."""
    end_all(session.place.token)
    remove(plan.api, session)
    if not keep:
        shutil.rmtree(session.place.root, ignore_errors=True)
