"""Which messages a reader may send while it works on a job.

A reader has read files that nobody trusts. So what it says counts only as far as it is about its
own job: that output, those rules and files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pytest_mlcontainer.compare.readers.messages import (
    Calibrate,
    ComparatorCall,
    ComparedItem,
    GarbledMessageError,
    Job,
    Message,
    MetricOffer,
    PairCompared,
    ReaderReady,
    SummaryChunk,
    Work,
)

_MOST_CHUNKS: Final = 256  # 64 MiB, more than a summary has


class AllowedMessages:
    """Those of one job.

    Args:
        scratch: the reader's own folder, into which it unpacks.
    """

    def __init__(self, job: Job, scratch: Path) -> None:
        self._job = job
        self._scratch = scratch
        self._chunks = 0

    def check(self, message: Message) -> None:
        """Take a message.

        Raises:
            GarbledMessageError: a reader may not say so of this job.
        """
        job = self._job
        name, sound = job.pair.name, not isinstance(message, ReaderReady)
        if isinstance(message, ComparedItem):
            sound = job.told and message.difference.output == name
        elif isinstance(message, SummaryChunk):
            self._chunks += 1
            sound = job.work is Work.SUMMARISE and self._chunks <= _MOST_CHUNKS
        elif isinstance(message, Calibrate):
            sound = job.calibrated and message.item[0] == name
        elif isinstance(message, MetricOffer):
            sound = job.metrics and message.item[0] == name
            message.metric()
        elif isinstance(message, ComparatorCall):
            sound = message.comparator < len(job.comparators) and self._is_own(message.path)
        elif isinstance(message, PairCompared):
            sound = self._is_result(message)
        if not sound:
            raise GarbledMessageError(f"{type(message).__name__} out of place")

    def _is_own(self, path: str) -> bool:
        """Whether a file is one of the job's, or was unpacked from one."""
        sides = (self._job.pair.actual.path, self._job.pair.expected.path)
        return Path(path) in sides or self._scratch.resolve() in Path(path).resolve().parents

    def _is_result(self, done: PairCompared) -> bool:
        rules = {number for number, _count in done.memory.used}
        rules.update(*done.memory.shadowed)
        return rules <= set(range(len(self._job.rules))) and all(
            each.output == self._job.pair.name for each in done.differences
        )
