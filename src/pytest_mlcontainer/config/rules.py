"""The table `compare` of an entrypoint → comparison rules."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from pytest_mlcontainer.config.keys import RULE_KEYS, rule_remedy
from pytest_mlcontainer.config.patterns import parse_left_out
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.values import (
    parse_any,
    parse_axis,
    parse_bound,
    parse_calibrated,
    parse_choice,
    parse_filled_text,
    parse_share,
    parse_switch,
    parse_ulp,
    parse_width,
)
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Freedom, MetricDirection, ReadAs, Rule, Tolerance

T = TypeVar("T")

_SUM = ("rtol", "atol", "scale")
_ALONE = ("ulp", "margin", "exact", "ignore", "agreement", "equivalence", "tolerance")
_HOW = ("key", "unordered", "free", "axis", "curve", "dtype", "shape", "equal-nan")
_CURVE_ALLOWS = ("curve", "atol", "dtype", "equal-nan")
_LABELS_ALLOW = ("free", "exact", "agreement", "ignore", "key", "dtype", "shape", "equal-nan")
_TEXT_LACKS = (*_HOW, "agreement", "equivalence", "better")
_LEAVES_OUT = 'true or false, or what to leave out of text: ["time", "uuid"]'


def read_rules(compare: TableReader) -> tuple[Rule, ...]:
    """The rules in the order written."""
    rules = []
    for key, value in compare.values.items():
        if not isinstance(value, Mapping):
            compare.note(show_key(key), _not_a_rule(key, value))
            continue
        rule = compare.table(key)
        rule.refuse_unknown(RULE_KEYS, partial(rule_remedy, key))
        pattern = compare.check(show_key(key), _parse_pattern, key, None)
        tolerance = _read_tolerance(rule)
        if pattern is not None:
            rules.append(Rule(*pattern, tolerance))
    return tuple(rules)


def _not_a_rule(key: str, value: object) -> MlContainerError:
    table = "{ rtol = 1e-5 }"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        table = f"{{ rtol = {show(value)} }}"
    elif value in ("exact", "ignore", "unordered"):
        table = f"{{ {value} = true }}"
    elif value == "calibrated":
        table = '{ tolerance = "calibrated" }'
    return MlContainerError(
        "a rule has to be a table", show(value), f"write {show_key(key)} = {table}"
    )


def _parse_pattern(key: object) -> tuple[str, str | None]:
    """`output-glob` or `output-glob:item-glob`, split at the first colon."""
    output, colon, item = str(key).partition(":")
    if not output.strip():
        raise MlContainerError(
            "the rule names no output", show(key), 'begin with one: "outputs/metrics.json:accuracy"'
        )
    if colon and not item:
        raise MlContainerError(
            "the rule names no item after the colon",
            show(key),
            f"write {show(output)} for the whole output, or name the item",
        )
    path = posixpath.normpath(output)
    if "/" not in path and output.startswith("./"):
        path = f"./{path}"  # there alone; without it the name counts in any folder
    return path, item if colon else None


def _read_tolerance(rule: TableReader) -> Tolerance:
    ignore, patterns = _read_ignore(rule)
    tolerance = Tolerance(
        rtol=rule.read("rtol", parse_bound, None),
        atol=rule.read("atol", parse_bound, None),
        scale=rule.read("scale", parse_bound, None),
        ulp=rule.read("ulp", parse_ulp, None),
        margin=rule.read("margin", parse_bound, None),
        better=rule.read("better", lambda value: parse_choice(value, MetricDirection), None),
        agreement=rule.read("agreement", parse_share, None),
        equivalence=rule.read("equivalence", parse_width, None),
        calibrated=rule.read("tolerance", parse_calibrated, False),
        exact=rule.read("exact", parse_switch, False),
        ignore=ignore,
        patterns=patterns,
        key=_filled(rule, "key", rule.read_list("key", parse_filled_text)),
        unordered=rule.read("unordered", parse_switch, False),
        free=_filled(
            rule, "free", rule.read_list("free", lambda value: parse_choice(value, Freedom))
        ),
        axis=rule.read("axis", parse_axis, 0),
        curve=rule.read("curve", parse_filled_text, None),
        read_as=rule.read("as", lambda value: parse_choice(value, ReadAs), None),
        equal_nan=rule.read("equal-nan", parse_switch, True),
        any_dtype=rule.read("dtype", parse_any, False),
        any_shape=rule.read("shape", parse_any, False),
    )
    _note_conflicts(rule)
    _note_company(rule, tolerance)
    return tolerance


def _read_ignore(rule: TableReader) -> tuple[bool, tuple[str, ...]]:
    """`true`, or patterns; one text alone is a list of one."""
    value = rule.values.get("ignore", False)
    if isinstance(value, (list, str)):
        return False, _filled(rule, "ignore", rule.read_list("ignore", parse_left_out))
    if not isinstance(value, bool):
        problem = MlContainerError("has to be true or false", show(value), f"write {_LEAVES_OUT}")
        rule.note("ignore", problem)
        return False, ()
    return value, ()


def _filled(rule: TableReader, key: str, values: tuple[T, ...]) -> tuple[T, ...]:
    """Each of them once; an empty list is noted."""
    if rule.values.get(key) == []:
        remedy = f"write {_LEAVES_OUT}" if key == "ignore" else "give a value or remove the key"
        rule.note(key, MlContainerError("is empty", "[]", remedy))
    return tuple(dict.fromkeys(values))


def _given(rule: TableReader, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if rule.values.get(key, False) is not False]


def _note_conflicts(rule: TableReader) -> None:
    """`ulp`, `margin`, `exact` and so on each stand for the whole bound."""
    alone: tuple[str, ...] = _ALONE
    if not isinstance(rule.values.get("ignore"), bool):
        alone = tuple(key for key in _ALONE if key != "ignore")
    given = _given(rule, (*alone, *_SUM))
    if rule.values.get("ignore") is True:
        given += [key for key in ("better", *_HOW) if key in rule.values]
    first = next((key for key in alone if key in given), None)
    if first is not None and len(given) > 1:
        remedy = f"keep {first} alone, or remove it; rtol, atol and scale go together"
        _refuse(rule, first, given, remedy)


def _note_company(rule: TableReader, tolerance: Tolerance) -> None:
    """What changes how values meet goes with some bounds, and not with others."""
    if "better" in rule.values and "margin" not in rule.values:
        what = "says which way a margin does not count, and margin is missing"
        problem = MlContainerError(
            what, show(rule.values["better"]), "add how far it may get worse: margin = 0.005"
        )
        rule.note("better", problem)
    if "axis" in rule.values and not {Freedom.SIGN, Freedom.ORDER} & {*tolerance.free}:
        remedy = 'add free = "sign" or free = "order", or remove axis'
        what = "says along which axis something is free, and nothing is"
        rule.note("axis", MlContainerError(what, show(rule.values["axis"]), remedy))
    given = _given(rule, RULE_KEYS)
    if "as" in given:
        remedy = "keep as alone, or with a bound for the numbers in the text"
        _refuse(rule, "as", ["as", *(key for key in given if key in _TEXT_LACKS)], remedy)
    if "curve" in given:
        remedy = "keep curve, with atol where it is to have another bound (a share of each axis)"
        _refuse(
            rule, "curve", ["curve", *(key for key in given if key not in _CURVE_ALLOWS)], remedy
        )
    elif Freedom.LABELS in tolerance.free:
        other = [key for key in given if key not in (*_LABELS_ALLOW, "axis")]
        remedy = "labels have no distance: keep free, alone or with agreement"
        _refuse(rule, "free", ["free", *other], remedy)
        if len(tolerance.free) > 1:
            what = "labels cannot be free together with sign or order"
            problem = MlContainerError(what, show(rule.values["free"]), 'write free = "labels"')
            rule.note("free", problem)
    else:
        _note_meeting(rule, given)


def _note_meeting(rule: TableReader, given: list[str]) -> None:
    """By key, in any order, by the nearest vector: one way to meet is enough."""
    ways = [key for key in given if key in ("key", "unordered", "free")]
    _refuse(rule, ways[0] if ways else "", ways, "keep one of them")
    if "unordered" in ways and "agreement" in given:
        remedy = "what has no order cannot agree place by place: keep one of them"
        _refuse(rule, "unordered", ["unordered", "agreement"], remedy)
    if "equivalence" in given:
        remedy = "keep equivalence alone: it compares means over seeds"
        _refuse(rule, "equivalence", ["equivalence", *ways], remedy)


def _refuse(rule: TableReader, first: str, keys: list[str], remedy: str) -> None:
    """Note that `first` cannot be combined with the other keys, if there are any."""
    others = [key for key in keys if key != first]
    if others:
        shown = ", ".join(f"{key} = {show(rule.values[key])}" for key in keys)
        what = f"cannot be combined with {', '.join(others)}"
        rule.note(first, MlContainerError(what, shown, remedy))


def parse_rules(table: Mapping[str, object]) -> tuple[Rule, ...]:
    """Rules given by a test instead of a file.

    Raises:
        ConfigError: with every problem.
    """
    reader = TableReader("rules", ("compare",), table)
    rules = read_rules(reader)
    if reader.problems:
        raise ConfigError("the rules of compare_outputs", reader.problems)
    return rules
