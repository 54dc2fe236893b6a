"""The table `compare` of an entrypoint → comparison rules."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from functools import partial

from pytest_mlcontainer.config.keys import RULE_KEYS, rule_remedy
from pytest_mlcontainer.config.reader import Reader
from pytest_mlcontainer.config.values import parse_bound, parse_switch, parse_ulp
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Rule, Tolerance

_SUM = ("rtol", "atol", "scale")
_ALONE = ("ulp", "margin", "exact", "ignore")


def read_rules(compare: Reader) -> tuple[Rule, ...]:
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
    elif value in ("exact", "ignore"):
        table = f"{{ {value} = true }}"
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
    return posixpath.normpath(output), item if colon else None


def _read_tolerance(rule: Reader) -> Tolerance:
    tolerance = Tolerance(
        rtol=rule.read("rtol", parse_bound, None),
        atol=rule.read("atol", parse_bound, None),
        scale=rule.read("scale", parse_bound, None),
        ulp=rule.read("ulp", parse_ulp, None),
        margin=rule.read("margin", parse_bound, None),
        exact=rule.read("exact", parse_switch, False),
        ignore=rule.read("ignore", parse_switch, False),
        equal_nan=rule.read("equal-nan", parse_switch, True),
    )
    _note_conflicts(rule)
    return tolerance


def _note_conflicts(rule: Reader) -> None:
    """`ulp`, `margin`, `exact` and `ignore` each stand for the whole rule."""
    given = [key for key in (*_ALONE, *_SUM) if rule.values.get(key, False) is not False]
    alone = next((key for key in _ALONE if key in given), None)
    others = [key for key in given if key != alone]
    if alone is None or not others:
        return
    shown = ", ".join(f"{key} = {show(rule.values[key])}" for key in given)
    rule.note(
        alone,
        MlContainerError(
            f"cannot be combined with {', '.join(others)}",
            shown,
            f"keep {alone} alone, or remove it; rtol, atol and scale go together",
        ),
    )


def parse_rules(table: Mapping[str, object]) -> tuple[Rule, ...]:
    """Rules given by a test instead of a file.

    Raises:
        ConfigError: with every problem.
    """
    reader = Reader("rules", ("compare",), table)
    rules = read_rules(reader)
    if reader.problems:
        raise ConfigError("the rules of compare_outputs", reader.problems)
    return rules
