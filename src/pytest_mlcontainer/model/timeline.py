"""When a session did what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimelineSpan:
    """A build, a run or another task of a session.

    Args:
        activity: what was done: `building`, `running`, `searching for a cause`, …
        title: what it was about, such as `train[linux/arm64]`.
        start_s: since the session began.
        duration_s: up to its end, or to when this was written where it had none by then.
        worker: of pytest-xdist; "" for a session without any.
        worked: False where it failed, or had not ended.
    """

    activity: str
    title: str
    start_s: float
    duration_s: float
    worker: str = ""
    worked: bool = True
