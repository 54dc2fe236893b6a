"""Which tolerance applies to which item, and which rules matched nothing."""

from __future__ import annotations

import copy
import difflib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heappush, heappushpop
from typing import TypeVar

from pytest_mlcontainer.compare.collect import DRAWN, badness
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.applied import AppliedTolerance, RuleUse
from pytest_mlcontainer.compare.rules.names import NameMatch, Names
from pytest_mlcontainer.compare.rules.study import ALONE, Metric, Study
from pytest_mlcontainer.globs import names as meant_for
from pytest_mlcontainer.model import Difference, Pairs, Rule, Tolerance, Verdict
from pytest_mlcontainer.wording import first_of

T = TypeVar("T")

_NAMES_KEPT = 5000
_SPELLINGS_KEPT = 8
_WAYS = 64
_MET_KEPT = 20
_EXCUSED_CHARACTERS = 2_000_000
_NAMES_CHARACTERS = 1 << 20
_DEFAULT = Tolerance()


class RuleBook:
    """The rules of one comparison. It remembers what they met, so that idle ones can be named.

    The first rule that matches wins, in the order given. A rule without an item matches everything
    in its outputs; one with an item matches only items. In items `*` and `?` match any characters,
    `/` and `.` too, and all else is literal: `history[3].loss` is a name, not a set.

    Args:
        names: replacements made before names are matched; a rule may use either name.
        study: how this comparison belongs to others.

    Attributes:
        characters: of text of each output that may still be looked at for what explains it.
    """

    def __init__(self, rules: tuple[Rule, ...], names: Pairs = (), study: Study = ALONE) -> None:
        self.study = study
        self._rules = rules
        self._pairs = names
        self._renaming = Names(names)
        self._spellings: dict[str, tuple[str, ...]] = {}
        self._met_by_order: dict[str, None] = {}
        self._numbers: dict[str, tuple[int, ...]] = {}
        self._items = [None if rule.item is None else _item_pattern(rule.item) for rule in rules]
        self._used = [0] * len(rules)
        self._shadowed: list[Rule | None] = [None] * len(rules)
        self._names: dict[str, list[str]] = {}
        self._unread: set[str] = set()
        self._renamed: set[str] = set()
        self._inside: tuple[str, ...] = ()
        self._drawn: dict[str, list[tuple[int, float]]] = {}
        self.characters: dict[str, int] = defaultdict(lambda: _EXCUSED_CHARACTERS)

    def inside(self, member: str) -> RuleBook:
        """The same rules for a file within the output, an archive's member: items begin with it."""
        nested = copy.copy(self)  # what it remembers is shared
        nested._inside = (*self._inside, member)
        return nested

    def may_draw(self, found: Difference) -> bool:
        """Whether it is among the worst of its output so far; `drew` says that one was drawn."""
        drawn = self._drawn.get(found.output, [])
        return len(drawn) < DRAWN or badness(found) > drawn[0]

    def drew(self, found: Difference) -> None:
        drawn = self._drawn.setdefault(found.output, [])
        (heappush if len(drawn) < DRAWN else heappushpop)(drawn, badness(found))

    def find(self, output: str, item: str = "", above: tuple[str, ...] = ()) -> AppliedTolerance:
        """The tolerance for an item.

        Args:
            above: items that hold this one (`metrics` for `metrics.auc`); a rule for them is a
                rule for it.
        """
        item, items = self._paths(item, above)
        self._remember(output, item)
        winner: Rule | None = None
        for number in self._numbers_for(output):
            if not self._applies(number, items):
                continue
            rule = self._rules[number]
            if winner is None:
                winner = rule
                self._used[number] += 1
            elif self._shadowed[number] is None:
                self._shadowed[number] = winner
        if winner is None:
            return AppliedTolerance(_DEFAULT)
        calibrate = self.study.calibrate if winner.tolerance.calibrated else None
        return AppliedTolerance(
            winner.tolerance, winner, calibrate((output, item)) if calibrate else None
        )

    def peek(self, output: str, item: str = "", above: tuple[str, ...] = ()) -> AppliedTolerance:
        """As `find`, for a look ahead: nothing is remembered."""
        items = self._paths(item, above)[1]
        numbers = self._numbers_for(output)
        winner = next((number for number in numbers if self._applies(number, items)), None)
        return AppliedTolerance(_DEFAULT) if winner is None else self._applied(winner)

    def hand_on(
        self, output: str, item: str, actual: Array, expected: Array, applied: AppliedTolerance
    ) -> bool:
        """Whether the item is a metric that was taken, to be judged over several comparisons."""
        margin, take = applied.tolerance.equivalence, self.study.on_metric
        if margin is None or take is None:
            return False
        path = self._paths(item, ())[0]
        return take(Metric((output, path), actual, expected, margin, applied.origin("")))

    def for_output(self, output: str) -> tuple[Rule, ...]:
        """The rules that can apply to the output or to something in it."""
        return tuple(self._rules[number] for number in self._numbers_for(output))

    def key(self, output: str, item: str = "") -> str:
        """What a rule for the item is called in the configuration."""
        path = self._paths(item, ())[0]
        return f"{output}:{path}" if path else output

    @property
    def renames(self) -> bool:
        """Whether any name may change before it meets its counterpart."""
        return bool(self._renaming)

    def rename(
        self, output: str, actual: Mapping[str, T], expected: Mapping[str, T], under: str = ""
    ) -> tuple[Mapping[str, T], Mapping[str, T], tuple[Difference, ...]]:
        """Items of both sides under the names that they have in common.

        Args:
            under: what stands before an item's name in differences: `metrics.`.

        Returns:
            Both sides, each in its own order, and a difference for each name of which it cannot
            be told who meets whom; those items are left out.
        """
        self._renamed.add(output)
        if not self._renaming:
            return actual, expected, ()
        mine: dict[str, str] = {}
        theirs: dict[str, str] = {}
        undecided: list[Difference] = []
        for met in self.meet(actual, expected):
            if met.actual is not None:
                mine[met.actual] = met.name
            if met.expected is not None:
                theirs[met.expected] = met.name
            item = under + met.name
            for parent in self._spelled(under[:-1]):
                raws = (met.name, met.actual, met.expected)
                self._spell(item, *(raw and f"{parent}{under[-1:]}{raw}" for raw in raws))
            if met.actual is None and met.expected is None:
                if not self.find(output, item).tolerance.ignore:
                    undecided.append(Difference(output, item, Verdict.FAILED, note=met.note))
            elif met.note and len(self._met_by_order) < _MET_KEPT:
                self._met_by_order[f"{output}: {met.note}"] = None
        left = {mine[raw]: value for raw, value in actual.items() if raw in mine}
        right = {theirs[raw]: value for raw, value in expected.items() if raw in theirs}
        return left, right, tuple(undecided)

    def meet(self, actual: Iterable[str], expected: Iterable[str]) -> tuple[NameMatch, ...]:
        """Whose name is whose on the other side, for outputs, items, keys and members alike."""
        meetings = tuple(self._renaming.meet(actual, expected))
        for each in meetings if self._renaming else ():
            self._spell(each.name, each.actual, each.expected)
        return meetings

    def would_meet(
        self, names: Pairs, actual: Iterable[str], expected: Iterable[str]
    ) -> tuple[NameMatch, ...]:
        """As `meet`, if these were added to the names that are replaced; nothing is remembered."""
        return tuple(Names((*self._pairs, *names)).meet(actual, expected))

    def leave_unread(self, output: str) -> None:
        """Its items were not looked at, so no rule for them can be called idle."""
        self._unread.add(output)
        self._remember(output, "")

    def spellings(self, output: str) -> tuple[str, ...]:
        """Other names of the output, from before it was renamed."""
        return self._spellings.get(output, ())

    def know_spellings(self, output: str, others: tuple[str, ...]) -> None:
        """Take over what another book says of an output's names."""
        self._spell(output, *others)

    def memory_of(self, output: str) -> RuleUse:
        """What this book, which met this output alone, remembers of it."""
        kept, left = [], _NAMES_CHARACTERS
        for name in self._names.get(output, ()):
            left -= len(name)
            if left < 0:
                break
            kept.append(name)
        return RuleUse(
            tuple((number, count) for number, count in enumerate(self._used) if count),
            tuple(
                (number, self._rules.index(rule))
                for number, rule in enumerate(self._shadowed)
                if rule is not None
            ),
            tuple(kept),
            output in self._unread,
            tuple(self._met_by_order),
        )

    def recall(self, output: str, memory: RuleUse) -> None:
        """Remember what another book of the same rules met in an output.

        Raises:
            IndexError: it speaks of rules that there are not.
        """
        for number, count in memory.used:
            self._used[number] += count
        for number, winner in memory.shadowed:
            if self._shadowed[number] is None:
                self._shadowed[number] = self._rules[winner]
        self._remember(output, "")
        for item in memory.items:
            self._remember(output, item)
        if memory.unread:
            self.leave_unread(output)
        for note in memory.met_by_order[: _MET_KEPT - len(self._met_by_order)]:
            self._met_by_order[note] = None

    def notes(self) -> tuple[str, ...]:
        """What each rule left out, and which rules met nothing."""
        lines = [*self._met_by_order]
        for rule, used, shadow in zip(self._rules, self._used, self._shadowed, strict=True):
            if used and rule.tolerance.ignore:
                what = "1 item" if used == 1 else f"{used} items"
                lines.append(f"not compared: {what} by rule {rule} (ignore)")
            elif not used and shadow is not None:
                lines.append(f"rule {rule} never applied: {shadow} comes first and matches too")
            elif not used and not self._may_match_unread(rule) and not self._is_needed(rule):
                lines.append(f"rule {rule} matched nothing{self._hint(rule)}")
        lines += [
            f"names {pattern!r} matched nothing"
            for pattern in self._idle_names()
            if pattern not in self.study.needed.names
        ]
        return tuple(lines)

    def idle(self) -> tuple[Difference, ...]:
        """Rules and patterns of `names` that have to match something and matched nothing."""
        found = [
            Difference(
                f"rule {rule}",
                "",
                Verdict.FAILED,
                note=f"matched nothing{self._hint(rule)}; correct it, or remove it",
            )
            for rule, used, shadow in zip(self._rules, self._used, self._shadowed, strict=True)
            if not used
            and shadow is None
            and self._is_needed(rule)
            and not self._may_match_unread(rule)
        ]
        found += [
            Difference(
                f"names {pattern!r}",
                "",
                Verdict.FAILED,
                note=f"matched nothing{self._names_hint()}; correct it, or remove it",
            )
            for pattern in self._idle_names()
            if pattern in self.study.needed.names
        ]
        return tuple(found)

    def _is_needed(self, rule: Rule) -> bool:
        return rule in self.study.needed.rules

    def _idle_names(self) -> tuple[str, ...]:
        """Patterns of `names` that no name matched, where all names are known."""
        inner = {output for output, items in self._names.items() if items}
        if self._unread or not inner <= self._renamed:
            return ()
        return self._renaming.idle

    def _names_hint(self) -> str:
        outputs = list(self._names)
        return f"; outputs there: {', '.join(outputs[:5])}{', …' * (len(outputs) > 5)}"

    def _applied(self, number: int) -> AppliedTolerance:
        rule = self._rules[number]
        return AppliedTolerance(rule.tolerance, rule)

    def _spell(self, name: str, *others: str | None) -> None:
        """Other spellings of the name, from before it was renamed."""
        known = self._spellings.get(name, ())
        new = {each: None for each in others if each is not None and each not in (name, *known)}
        if new and len(self._spellings) < _NAMES_KEPT:
            self._spellings[name] = (*known, *new)[:_SPELLINGS_KEPT]
            self._numbers.pop(name, None)

    def _spelled(self, name: str) -> tuple[str, ...]:
        return (name, *self._spellings.get(name, ()))

    def _paths(self, item: str, above: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The item's whole name, and every name that a rule for it may have."""
        names = (item, *above)
        if self._spellings:
            names = tuple(each for name in names for each in self._spelled(name))
        if not self._inside:
            return item, names
        paths = ["/".join(self._inside)]
        if self._spellings:
            ways = itertools.product(*(self._spelled(member) for member in self._inside))
            paths = ["/".join(way) for way in itertools.islice(ways, _WAYS)]
        whole = f"{paths[0]}/{item}" if item else paths[0]
        inner = tuple(f"{path}/{name}" for path in paths for name in names if name)
        return whole, (whole, *inner, *(up for path in paths for up in self._parents(path, item)))

    def _parents(self, path: str, item: str) -> tuple[str, ...]:
        # A member's name may have slashes of its own: its folders hold it, too.
        parts = path.split("/")
        depth = len(parts) if item else len(parts) - 1
        return tuple("/".join(parts[:count]) for count in range(depth, 0, -1))

    def _names_output(self, rule: Rule, output: str) -> bool:
        return any(meant_for(rule.output, name) for name in self._spelled(output))

    def _numbers_for(self, output: str) -> tuple[int, ...]:
        """Numbers of the rules whose output is this one."""
        found = self._numbers.get(output)
        if found is None:
            rules = enumerate(self._rules)
            found = tuple(number for number, rule in rules if self._names_output(rule, output))
            self._numbers[output] = found
        return found

    def _applies(self, number: int, items: tuple[str, ...]) -> bool:
        pattern = self._items[number]
        return pattern is None or any(pattern.fullmatch(item) for item in items if item)

    def _remember(self, output: str, item: str) -> None:
        names = self._names.setdefault(output, [])
        if item and len(names) < _NAMES_KEPT:
            names.append(item)

    def _may_match_unread(self, rule: Rule) -> bool:
        return any(self._names_output(rule, output) for output in self._unread)

    def _hint(self, rule: Rule) -> str:
        outputs = [name for name in self._names if self._names_output(rule, name)]
        if not outputs:
            if "/" not in rule.output:  # it is for files of that name in any folder
                lasts = {name.rpartition("/")[2]: name for name in self._names}
                close = difflib.get_close_matches(rule.output, lasts, n=1, cutoff=0.6)
                if close:
                    return f"; did you mean {lasts[close[0]]}?"
            return _nearest(rule.output, list(self._names), "outputs")
        names = [name for output in outputs for name in self._names[output]]
        return _nearest(rule.item or "", names, "items")


def _nearest(wanted: str, names: list[str], noun: str) -> str:
    names = list(dict.fromkeys(names))
    if not names:
        return ""
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; {noun} there: {first_of(names, 5)}"


def _item_pattern(glob: str) -> re.Pattern[str]:
    literal = re.escape(glob)
    return re.compile(literal.replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
