"""The outputs collected so far from one run, and the limits of what may be collected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pytest_mlcontainer.errors import OutputError, TooMuchOutputError
from pytest_mlcontainer.globs import covers
from pytest_mlcontainer.model import PRINTED, Folder, Output
from pytest_mlcontainer.outputs.declared import clean
from pytest_mlcontainer.progress.far import TransferProgress
from pytest_mlcontainer.secrets import NOTHING, Redactor

MAX_FILES = 100_000
MAX_LISTED_BYTES = 56 << 20
"""What the names of everything taken over may need in a record, as JSON."""

_CHUNK = 1 << 20
_MOST_REFUSED = 1000
_SHOWN = 300
_BESIDE_A_NAME = 256  # of an output's entry in a record, indented


@dataclass(frozen=True)
class OutputLimits:
    """How many files and bytes are collected from one run at most.

    Args:
        files: files, links and what is refused, together.
        size_bytes: of all files together, as their headers say before a byte is read.
    """

    files: int = MAX_FILES
    size_bytes: int = 10 * 2**30


@dataclass(frozen=True)
class Mark:
    """Tells a file that a run wrote from one that was there before and is unchanged.

    Args:
        time: when it was changed, as precisely as its place knows; see `Intake.store`.
        digest: SHA-256 of its bytes, in hex.
    """

    size_bytes: int
    time: bytes
    digest: str


@dataclass
class Collected:
    """The outputs collected so far, by name.

    Args:
        refused: what was not, each with its reason, to be shown; when there is too much of that,
            the last one says how many more.
        links: links whose target is not among what was collected: link's path → target's path,
            both absolute in the container.
        followed: symbolic links as they are, link's path → target's path; see `model.Link`.
        stored: absolute path in the container → output, for what is no repetition by a link.
        hidden: values of secrets; what holds one, or is called after one, is refused.
        times: output name → when the file was changed, as `Mark.time`.
        far: told how much has been collected; None where nobody asks.
        digests: output name → SHA-256, where nothing is kept but what was there is only noted.
        count, size_bytes, listed_bytes: what is used of the allowance; what a later member of the
            same name replaced counts, too.
    """

    outputs: dict[str, Output] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    followed: dict[str, str] = field(default_factory=dict)
    allowance: OutputLimits = OutputLimits()
    hidden: Redactor = NOTHING
    far: TransferProgress | None = None
    stored: dict[str, Output] = field(default_factory=dict)
    times: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    count: int = 0
    size_bytes: int = 0
    listed_bytes: int = 0
    refused_count: int = 0

    def missing(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Patterns for which the run wrote no file; stdout and stderr need none."""
        written = [name for name, output in self.outputs.items() if not output.inherited]
        return tuple(
            pattern
            for pattern in patterns
            if pattern not in PRINTED and not any(covers(clean(pattern), name) for name in written)
        )

    def inherited(self, pattern: str) -> tuple[str, ...]:
        """Names of the files that match it and that the run did not write, sorted."""
        return tuple(
            name
            for name, output in sorted(self.outputs.items())
            if output.inherited and covers(clean(pattern), name)
        )

    def marks(self) -> dict[str, Mark]:
        """What was noted of each file, where nothing is kept."""
        return {
            name: Mark(self.outputs[name].size_bytes, self.times[name], digest)
            for name, digest in self.digests.items()
        }

    def inherit(self, before: Mapping[str, Mark]) -> None:
        """Mark the outputs that were there before the run and that it left alone.

        One that was written anew with the same bytes has another time, and is the run's own.
        """
        for name, output in self.outputs.items():
            mark = before.get(name)
            if mark is None or (mark.size_bytes, mark.time) != (
                output.size_bytes,
                self.times.get(name),
            ):
                continue
            with output.path.open("rb") as content:
                if digest_of(content.read) == mark.digest:
                    self.outputs[name] = replace(output, inherited=True)

    def admit(self, name: str, size_bytes: int = 0) -> None:
        """Count one more file or link, before any of it is read.

        Raises:
            TooMuchOutputError: it is more than the allowance.
        """
        allowed = self.allowance
        if self.count >= allowed.files:
            raise TooMuchOutputError(
                "the run wrote too many files",
                f"more than {allowed.files:,} (output-files), with {self._shown(name)} the first "
                "of them",
                "declare fewer: outputs takes globs such as outputs/*.npz; or raise `output-files`",
            )
        self.weigh(name, size_bytes)
        self.count += 1
        if self.far is not None:
            self.far.tell(self._so_far)

    def _so_far(self) -> str:
        from rich.filesize import decimal  # here: nobody asks where little is collected

        return f"collected so far: {self.count:,}, {decimal(self.size_bytes)}"

    def weigh(self, name: str, size_bytes: int) -> None:
        """Count so many more bytes, before any of them is read.

        Raises:
            TooMuchOutputError: they are more than the allowance.
        """
        total, most = self.size_bytes + size_bytes, self.allowance.size_bytes
        if total > most:
            raise TooMuchOutputError(
                "the run wrote more than is taken over",
                f"{self._shown(name)} has {size_bytes:,} bytes; with it, its outputs would have "
                f"{total:,}, and output-limit is {most:,}",
                "write less, declare fewer outputs, or raise `output-limit`",
            )
        self.size_bytes = total

    def enlist(self, *names: str) -> None:
        """Count what a record needs to name it.

        Raises:
            OutputError: all names together are too long for a record.
        """
        # As long as json.dumps makes it, for a name with nothing to escape; else up to that.
        self.listed_bytes += _BESIDE_A_NAME + sum(
            len(name) if name.isascii() and name.isprintable() else len(json.dumps(name))
            for name in names
        )
        if self.listed_bytes > MAX_LISTED_BYTES:
            raise OutputError(
                "the names of what the run wrote are too long for a record",
                f"together more than {MAX_LISTED_BYTES:,} bytes, up to {self._shown(names[0])}",
                "declare fewer outputs, or give them shorter names",
            )

    def refuse(self, why: str) -> None:
        """Note what is not taken over, and why.

        Raises:
            OutputError: it is more than the allowance, with all else.
        """
        self.admit(why)
        self.refused_count += 1
        if self.refused_count <= _MOST_REFUSED:
            self.refused.append(self._shown(why))
        else:
            more = self.refused_count - _MOST_REFUSED
            self.refused[_MOST_REFUSED:] = [f"and {more:,} more"]

    def _shown(self, text: str) -> str:
        return shown(self.hidden.text(text))


def digest_of(read: Callable[[int], bytes | memoryview]) -> str:
    """The SHA-256, in hex, of all that can be read."""
    found = hashlib.sha256()
    while chunk := read(_CHUNK):
        found.update(chunk)
    return found.hexdigest()


def shown(text: str) -> str:
    """The text, when it is not too long, else its beginning and its end."""
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN // 2]}…{text[-_SHOWN // 2 + 1 :]}"
