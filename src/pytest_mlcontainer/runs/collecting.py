"""What a run left in its container: its outputs, or what is there in their place."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pytest_mlcontainer.engines import Container
from pytest_mlcontainer.errors import OutputError
from pytest_mlcontainer.model import Entrypoint, Failure
from pytest_mlcontainer.outputs import Allowance, Collected, Declared, collect_tar, names_in_tar
from pytest_mlcontainer.runs.breaches import size_text
from pytest_mlcontainer.runs.failures import explain_refusal
from pytest_mlcontainer.secrets import NOTHING, Redactor

_NAMES_SHOWN = 20
_SEARCHED_BYTES = 1 << 28
_LINKS_FOLLOWED = 100
_LINKS_IN_A_ROW = 8


def take_outputs(
    container: Container,
    declared: Declared,
    into: Path,
    entry: Entrypoint,
    hidden: Redactor = NOTHING,
) -> tuple[Collected, Failure | None]:
    """Its outputs, in the new folder `into`; and why they are not all, where there is too much.

    Args:
        hidden: what holds a value of these is refused.
    """
    limits = entry.limits
    allowance = Allowance(limits.output_files, limits.output_bytes)
    collected = Collected(allowance=allowance, hidden=hidden)
    most = limits.disk_bytes + limits.output_bytes
    into.mkdir()
    try:
        for root in declared.roots():
            with _opened(container, root, most) as stream:
                if stream is not None:
                    collect_tar(stream, root, declared, into, collected)
        _follow_links(container, declared, into, collected, most)
    except OutputError as error:
        return collected, explain_refusal(error, entry)
    return collected, None


def _follow_links(
    container: Container, declared: Declared, into: Path, collected: Collected, most_bytes: int
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
    container: Container, declared: Declared, missing: tuple[str, ...]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """For each missing output: the nearest folder that exists, and the first names in it."""
    seen: dict[str, tuple[str, tuple[str, ...]]] = {}
    for pattern in missing:
        (folder,) = Declared((pattern,), declared.workdir).roots()
        while (names := _names_in(container, folder)) is None and folder != "/":
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
