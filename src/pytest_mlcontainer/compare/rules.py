"""Which tolerance applies where, and which rules applied nowhere."""

from __future__ import annotations

import copy
import difflib
import re
from dataclasses import dataclass

from pytest_mlcontainer.globs import matches
from pytest_mlcontainer.model import Rule, Tolerance

_NAMES_KEPT = 5000
_DEFAULT = Tolerance()


@dataclass(frozen=True)
class Applied:
    """The tolerance for one item, and the rule that it comes from; None is the default."""

    tolerance: Tolerance
    rule: Rule | None = None

    def origin(self, dtype: str) -> str:
        """Where the tolerance comes from: "rule outputs/*.npz", or "float32 default"."""
        return f"rule {self.rule}" if self.rule else f"{dtype} default"


class RuleBook:
    """The rules of one comparison. It remembers what they met, so that idle ones can be named.

    The first rule that matches wins, in the order given. A rule without an item matches everything
    in its outputs; one with an item matches only items. In items `*` and `?` match any characters,
    `/` and `.` too, and all else is literal: `history[3].loss` is a name, not a set.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._items = [None if rule.item is None else _item_pattern(rule.item) for rule in rules]
        self._used = [0] * len(rules)
        self._shadowed: list[Rule | None] = [None] * len(rules)
        self._names: dict[str, list[str]] = {}
        self._unread: set[str] = set()
        self._inside: tuple[str, ...] = ()

    def inside(self, member: str) -> RuleBook:
        """The same rules for a file within the output, an archive's member: items begin with it."""
        nested = copy.copy(self)  # what it remembers is shared
        nested._inside = (*self._inside, member)
        return nested

    def find(self, output: str, item: str = "", above: tuple[str, ...] = ()) -> Applied:
        """The tolerance for an item.

        Args:
            above: items that hold this one (`metrics` for `metrics.auc`); a rule for them is a
                rule for it.
        """
        if self._inside:
            path = "/".join(self._inside)
            above = tuple(f"{path}/{each}" for each in above) + self._parents(item)
            item = f"{path}/{item}" if item else path
        self._remember(output, item)
        winner: Rule | None = None
        for number, rule in enumerate(self._rules):
            if not self._applies(number, output, (item, *above)):
                continue
            if winner is None:
                winner = rule
                self._used[number] += 1
            elif self._shadowed[number] is None:
                self._shadowed[number] = winner
        return Applied(_DEFAULT if winner is None else winner.tolerance, winner)

    def for_output(self, output: str) -> tuple[Rule, ...]:
        """The rules that can apply to the output or to something in it."""
        return tuple(rule for rule in self._rules if matches(rule.output, output))

    def leave_unread(self, output: str) -> None:
        """Its items were not looked at, so no rule for them can be called idle."""
        self._unread.add(output)
        self._remember(output, "")

    def notes(self) -> tuple[str, ...]:
        """What each rule left out, and which rules met nothing."""
        lines = []
        for rule, used, shadow in zip(self._rules, self._used, self._shadowed, strict=True):
            if used and rule.tolerance.ignore:
                what = "1 item" if used == 1 else f"{used} items"
                lines.append(f"not compared: {what} by rule {rule} (ignore)")
            elif not used and shadow is not None:
                lines.append(f"rule {rule} never applied: {shadow} comes first and matches too")
            elif not used and not self._may_match_unread(rule):
                lines.append(f"rule {rule} matched nothing{self._hint(rule)}")
        return tuple(lines)

    def _parents(self, item: str) -> tuple[str, ...]:
        depth = len(self._inside) if item else len(self._inside) - 1
        return tuple("/".join(self._inside[:count]) for count in range(depth, 0, -1))

    def _applies(self, number: int, output: str, items: tuple[str, ...]) -> bool:
        if not matches(self._rules[number].output, output):
            return False
        pattern = self._items[number]
        return pattern is None or any(pattern.fullmatch(item) for item in items if item)

    def _remember(self, output: str, item: str) -> None:
        names = self._names.setdefault(output, [])
        if item and len(names) < _NAMES_KEPT:
            names.append(item)

    def _may_match_unread(self, rule: Rule) -> bool:
        return any(matches(rule.output, output) for output in self._unread)

    def _hint(self, rule: Rule) -> str:
        outputs = [name for name in self._names if matches(rule.output, name)]
        if not outputs:
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
    more = ", …" if len(names) > 5 else ""
    return f"; {noun} there: {', '.join(names[:5])}{more}"


def _item_pattern(glob: str) -> re.Pattern[str]:
    literal = re.escape(glob)
    return re.compile(literal.replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
