"""What a run left in its container: its outputs, or what is there in their place."""

from __future__ import annotations

import functools
import posixpath
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.engines import Container
from pytest_mlcontainer.errors import EngineError, EngineLostError, OutputError
from pytest_mlcontainer.model import Entrypoint, Failure
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    Mark,
    OutputLimits,
    collect_tar,
    names_in_tar,
)
from pytest_mlcontainer.progress.far import TransferProgress
from pytest_mlcontainer.runs.breaches import size_text
from pytest_mlcontainer.runs.failures import explain_refusal
from pytest_mlcontainer.secrets import NOTHING, Redactor

_NAMES_SHOWN = 20
_SEARCHED_BYTES = 1 << 28
_LINKS_FOLLOWED = 100
_LINKS_IN_A_ROW = 8
_APART_S = 1.2  # a whole second, and clocks that are not quite the same
_OCTAL_DIGITS = 11
_SECOND_NS = 1_000_000_000
_REFINED, _REFINED_S = 500, 5.0  # files whose times are asked for one by one, and how long


def take_outputs(
    container: Container,
    declared: DeclaredOutputs,
    into: Path,
    entry: Entrypoint,
    before: Mapping[str, Mark],
    hidden: Redactor = NOTHING,
    far: TransferProgress | None = None,
) -> tuple[Collected, Failure | None]:
    """Its outputs, in the new folder `into`; and why they are not all, where there is too much.

    Args:
        before: what was there before the run, as `look_before` gives it.
        hidden: what holds a value of these is refused.
        far: told how much has been collected.
    """
    collected = Collected(allowance=allowance_of(entry), hidden=hidden, far=far)
    into.mkdir()
    try:
        _collect(container, declared, into, entry, collected)
    except OutputError as error:
        return collected, explain_refusal(error, entry)
    finally:
        collected.inherit(before)
    return collected, None


def refine_times(container: Container, declared: DeclaredOutputs, collected: Collected) -> None:
    """Read the times of its files to the nanosecond, the newest first.

    Engines give whole seconds with the files, and what is the newest of several is often decided
    within one. Each file takes a request; with many, and past some seconds, the rest stay as they
    are.
    """
    known = [
        (name, output, path)
        for name, output in collected.outputs.items()
        if output.mtime_ns is not None
        and output.mtime_ns % _SECOND_NS == 0
        and not output.inherited
        and (path := declared.absolute(name)) in collected.stored
    ]
    shared = Counter(output.mtime_ns for _name, output, _path in known)
    known.sort(key=lambda each: (shared[each[1].mtime_ns] > 1, each[1].mtime_ns), reverse=True)
    deadline = time.monotonic() + _REFINED_S
    for name, output, path in known[:_REFINED]:
        if time.monotonic() > deadline:
            break
        moment = container.changed_ns(path)
        if moment is not None and moment // _SECOND_NS * _SECOND_NS == output.mtime_ns:
            collected.outputs[name] = replace(output, mtime_ns=moment)


def look_before(
    container: Container, declared: DeclaredOutputs, entry: Entrypoint
) -> dict[str, Mark]:
    """What is where the outputs will be, before the container is started.

    What is too much to look through, or cannot be read, is as if it was not there: what the run
    leaves in its place then counts as written by it.

    Raises:
        EngineLostError: the engine went away.
    """
    collected = Collected(allowance=allowance_of(entry))
    try:
        _collect(container, declared, None, entry, collected)
    except EngineLostError:
        raise
    except (EngineError, OutputError):
        pass
    return collected.marks()


def let_time_pass(before: Mapping[str, Mark]) -> None:
    """Wait until a file that is written anew has another time than one that was there before.

    Engines give the time of a file in whole seconds.
    """
    times = (mark.time.partition(b".")[0].strip(b" \0") for mark in before.values())
    newest = max((_seconds(each) for each in times), default=0)
    if 0 <= time.time() - newest < _APART_S:
        time.sleep(max(0.0, newest + _APART_S - time.time()))


def _seconds(text: bytes) -> int:
    """Of a header's field, which is octal, or of a pax header's value, which is decimal; 0 for
    what is neither."""
    octal = len(text) == _OCTAL_DIGITS
    try:
        return int(text, 8 if octal else 10)
    except ValueError:
        return 0


def allowance_of(entry: Entrypoint) -> OutputLimits:
    """How much is taken over of a run."""
    return OutputLimits(entry.limits.output_files, entry.limits.output_bytes)


def _collect(
    container: Container,
    declared: DeclaredOutputs,
    into: Path | None,
    entry: Entrypoint,
    collected: Collected,
) -> None:
    most = entry.limits.disk_bytes + entry.limits.output_bytes
    for root in declared.roots():
        with _opened(container, root, most) as stream:
            if stream is not None:
                collect_tar(stream, root, declared, into, collected)
    _follow_links(container, declared, into, collected, most)


def _follow_links(
    container: Container,
    declared: DeclaredOutputs,
    into: Path | None,
    collected: Collected,
    most_bytes: int,
) -> None:
    """Fetch what declared outputs link to elsewhere in the container, under the link's name.

    What is fetched may be a link again (`best → latest → step-20`), to be followed in its turn.
    """
    for _ in range(_LINKS_IN_A_ROW):
        pending = dict(tuple(collected.links.items())[:_LINKS_FOLLOWED])
        collected.links.clear()
        for path, target in pending.items():
            before = len(collected.outputs) + collected.refused_count
            with _opened(container, target, most_bytes) as stream:
                if stream is not None:
                    collect_tar(stream, path, declared, into, collected, lies_at=target)
            told = len(collected.outputs) + collected.refused_count > before
            if not told and path not in collected.links:
                name = declared.name_of(path) or path
                collected.refuse(f"{name}: a link to {target}, where there is no file")
    for path in collected.links:
        collected.refuse(f"{path}: a link in a circle")
    collected.links.clear()


def what_is_there(
    container: Container, declared: DeclaredOutputs, missing: tuple[str, ...]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """For each missing output: the nearest folder that exists, and the first names in it."""
    seen: dict[str, tuple[str, tuple[str, ...]]] = {}
    names_in = functools.cache(functools.partial(_names_in, container))  # a large one is slow
    for pattern in missing:
        (folder,) = DeclaredOutputs((pattern,), declared.workdir).roots()
        while (names := names_in(folder)) is None and folder != "/":
            folder = posixpath.dirname(folder)
        seen[pattern] = (folder, names or ())
    return seen


def _names_in(container: Container, folder: str) -> tuple[str, ...] | None:
    with _opened(container, folder, _SEARCHED_BYTES) as stream:
        return None if stream is None else names_in_tar(stream, _NAMES_SHOWN)


@contextmanager
def _opened(container: Container, path: str, most_bytes: int) -> Iterator[Iterator[bytes] | None]:
    """What a container has at a path, bounded; closed at the end, however much was read."""
    stream = container.get(path)
    if stream is None:
        yield None
        return
    with closing(stream):
        yield _bounded(stream, path, most_bytes)


def _bounded(stream: Iterator[bytes], path: str, most_bytes: int) -> Iterator[bytes]:
    """The stream, which may be as long as a sparse file says that it is.

    Raises:
        OutputError: it is longer than that.
    """
    left = most_bytes
    for chunk in stream:
        left -= len(chunk)
        if left < 0:
            raise OutputError(
                "there is too much where the outputs are to look for them",
                f"{path} holds more than {size_text(most_bytes)} (disk and output-limit together), "
                "declared or not",
                "write outputs into a folder of their own; a sparse file counts in full",
            )
        yield chunk
