"""Statements that write, and what: files by their names, or what a process prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pytest_mlcontainer.locating.pairs import PairedEvent, PairedRuns

_WRITES: Final = re.compile(
    r"(^|\.)(dump|dumps|save\w*|write\w*|to_\w+|print|export\w*|put|log\w*|tofile|savez\w*)$"
)
_PRINTS: Final = re.compile(r"^print$|^(sys\.)?(stdout|stderr)\.write$")
_ADDED: Final = {"save": ".npy", "savez": ".npz", "savez_compressed": ".npz"}
_STREAMS: Final = frozenset({"stdout", "stderr"})
_FILLED: Final = re.compile(r"\{[^{}]*\}")
_STRING: Final = re.compile(r"""["']([^"']+)["']""")


def writing(pairing: PairedRuns, outputs: Sequence[str]) -> list[PairedEvent]:
    """Statements that write: those that name an output, where there are such."""
    return writing_to(pairing, [each for each in pairing.nodes if writes(each)], outputs)


def writing_to(
    pairing: PairedRuns, sinks: list[PairedEvent], outputs: Sequence[str]
) -> list[PairedEvent]:
    """Those of statements that write which name an output, else those that may write to one."""
    named = [each for each in sinks if names_output(pairing, each, outputs)]
    if named or not _STREAMS.isdisjoint(outputs):
        return named or sinks
    return [each for each in sinks if not prints(each)] or sinks


def prints(node: PairedEvent) -> bool:
    """Whether a statement writes to what the process prints, and to no file."""
    site = node.expected.site
    if site is None or "file=" in site.text:
        return False
    writing = [call for call in site.calls if _WRITES.search(call)]
    return bool(writing) and all(_PRINTS.search(call) for call in writing)


def writes(node: PairedEvent) -> bool:
    """Whether a statement calls what writes, by its name."""
    site = node.expected.site
    return site is not None and any(_WRITES.search(call) for call in site.calls)


def files_named(pairing: PairedRuns, node: PairedEvent) -> set[str]:
    """Names of files, without their folders, in a statement's text or in what it read."""
    site = node.expected.site
    if site is None:
        return set()
    texts = set(_STRING.findall(site.text))
    for digest in node.expected.read.values():
        sketch = pairing.sketches[0].get(digest, {})
        for each in (sketch, *sketch.get("c", ())):  # of arguments, those in their list
            if isinstance(each, dict) and each.get("t") == "text":
                texts.add(str(each.get("v", "")))
    names = {PurePosixPath(text).name for text in texts if text}
    for call in site.calls:  # which add it where a name has none
        suffix = _ADDED.get(call.rpartition(".")[2], "")
        names |= {f"{name}{suffix}" for name in names if suffix and "." not in name}
    return {name for name in names if "." in name[1:]}


def names_output(pairing: PairedRuns, node: PairedEvent, outputs: Sequence[str]) -> bool:
    """Whether a statement names an output, in its text or by a path that it read."""
    names = {PurePosixPath(each).name for each in outputs}
    return any(_may_be(found, name) for found in files_named(pairing, node) for name in names)


def _may_be(written: str, name: str) -> bool:
    """Whether a file's name is what a program writes it, where `{…}` stands for anything."""
    parts = [re.escape(each) for each in _FILLED.split(written)]
    return any(parts) and re.fullmatch(".*".join(parts), name) is not None
