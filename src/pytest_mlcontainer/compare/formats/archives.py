"""Zip and tar: each member is a file of its own, compared by its own format.

Names, content and presence of members count; their order, times, modes and owners, and how they
are compressed, do not. A link or device is compared by what it says, never followed. Nothing is
extracted but content that differs, into a private folder under a name of ours.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial

from pytest_mlcontainer.compare.formats.compressed import too_deep
from pytest_mlcontainer.compare.formats.unpacking import (
    DEEPEST,
    CompareInside,
    Open,
    UnpackingBudget,
    same_content,
    unpack,
)
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair, UnreadableError, read_both
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.temporary import temporary_folder

_LONGEST_NAME = 500


class ArchiveMemberKind(enum.Enum):
    """The type of a member, as differences name it."""

    FILE = "a file"
    FOLDER = "an empty folder"
    LINK = "a link"
    SPECIAL = "no file"


@dataclass(frozen=True)
class ArchiveMember:
    """One member of an archive.

    Args:
        says: what is compared instead of content: a link's target.
        open: the content; what is wrong with it shows while it is read, as UnreadableError.
        step: how many bytes may be asked for at once.
    """

    kind: ArchiveMemberKind
    open: Open
    step: int
    says: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}{self.says and f' {self.says}'}"


Members = dict[str, ArchiveMember]
# The second argument is how many members it may have.
OpenArchive = Callable[[ComparedFile, int], AbstractContextManager[Members]]


def compare(
    open_archive: OpenArchive,
    inside: CompareInside,
    given: UnpackingBudget | None,
    pair: Pair,
    book: RuleBook,
) -> Iterator[Difference]:
    """Compare two archives, member by member.

    Args:
        inside: compares two members as files of their own.
        given: the allowance of the archive around this one; None for an output itself.
    """
    sizes = pair.actual.size_bytes(), pair.expected.size_bytes()
    each = _Archives(pair, book, given or UnpackingBudget(max(sizes)), inside)
    with ExitStack() as stack:
        members = each.allowance.limits.members
        mine, theirs = read_both(
            pair, lambda side: stack.enter_context(open_archive(side, members))
        )
        actual, expected, undecided = book.rename(pair.name, mine, theirs)
        yield from undecided
        for name in dict.fromkeys((*expected, *actual)):
            if name in actual and name in expected:
                yield from each.compare(shown_name(name), actual[name], expected[name])
            else:
                yield from each.miss(shown_name(name), name in actual)


def shown_name(name: str) -> str:
    """A member's name for a reader: printable, and not endless."""
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name[:_LONGEST_NAME]
    )
    return text if len(name) <= _LONGEST_NAME else text + "…"


def without_filled_folders(members: Members) -> Members:
    """Folders that something lies in are there without saying so."""
    names = sorted(members)
    filled = {
        name
        for name, after in itertools.pairwise(names)
        if members[name].kind is ArchiveMemberKind.FOLDER
        and after.startswith(f"{name.rstrip('/')}/")
    }
    return {name: member for name, member in members.items() if name not in filled}


@dataclass(frozen=True)
class _Archives:
    """Two archives that are open."""

    pair: Pair
    book: RuleBook
    allowance: UnpackingBudget
    inside: CompareInside

    def compare(
        self, name: str, actual: ArchiveMember, expected: ArchiveMember
    ) -> Iterator[Difference]:
        output = self.pair.name
        if self.book.inside(name).find(output).tolerance.ignore:
            return
        if actual.kind is not expected.kind or actual.says != expected.says:
            yield Difference(output, name, Verdict.DRIFT, note=f"{actual}, expected {expected}")
        elif actual.kind is not ArchiveMemberKind.FILE:
            yield Difference(output, name, Verdict.IDENTICAL, size=1)
        else:
            try:
                yield from self._compare_files(name, actual, expected)
            except UnreadableError as error:
                yield Difference(output, name, Verdict.FAILED, note=str(error))

    def miss(self, name: str, in_actual: bool) -> Iterator[Difference]:
        if not self.book.inside(name).find(self.pair.name).tolerance.ignore:
            note = "only in the actual run" if in_actual else "missing in the actual run"
            yield Difference(self.pair.name, name, Verdict.DRIFT, note=note)

    def _compare_files(
        self, name: str, actual: ArchiveMember, expected: ArchiveMember
    ) -> Iterator[Difference]:
        output = self.pair.name
        strict = any(not rule.tolerance.equal_nan for rule in self.book.for_output(output))
        size = self._same(name, actual, expected)
        if size is not None and not strict:
            self.book.leave_unread(output)
            yield Difference(output, name, Verdict.IDENTICAL, size=size, unit="bytes")
            return
        if self.allowance.depth > DEEPEST:
            raise UnreadableError(too_deep(f"{self.pair.expected.name}/{name}"))
        with temporary_folder() as folder:
            sides: list[ComparedFile] = []
            members = (self.pair.actual, actual), (self.pair.expected, expected)
            for side, member in members:
                path = folder / str(len(sides))
                self._attempt(side, name, partial(unpack, member.open, path, member.step))
                label = f"{side.name}/{name}"
                sides.append(replace(side, name=label, path=path, opened=None))
            pair = Pair(output, sides[0], sides[1])
            found = self.inside(pair, self.book.inside(name), self.allowance.deeper())
            for each in found:
                yield replace(each, item=f"{name}/{each.item}" if each.item else name)

    def _same(self, name: str, actual: ArchiveMember, expected: ArchiveMember) -> int | None:
        step = min(actual.step, expected.step)
        try:
            with actual.open() as left, expected.open() as right:
                return same_content(left, right, step, self.allowance)
        except UnreadableError as error:
            # The side that is damaged has to be told from the one that is not, and both may be.
            reasons = []
            for side, member in ((self.pair.actual, actual), (self.pair.expected, expected)):
                try:
                    self._attempt(side, name, partial(_drain, member))
                except UnreadableError as reason:
                    reasons.append(str(reason))
            raise UnreadableError("; ".join(reasons) or str(error)) from error

    def _attempt(
        self, side: ComparedFile, name: str, act: Callable[[UnpackingBudget], None]
    ) -> None:
        try:
            act(self.allowance)
        except UnreadableError as error:
            raise side.unreadable(f"member {name!r} {error}") from error


def _drain(member: ArchiveMember, allowance: UnpackingBudget) -> None:
    with member.open() as stream:
        while chunk := stream.read(member.step):
            allowance.take(len(chunk))
