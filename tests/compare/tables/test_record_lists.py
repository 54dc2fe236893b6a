"""Lists of records: lengths are said once, and their fields may be curves."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.model import Rule, Tolerance, Verdict
from tests.fixture_types import Compare, Only

POINTS = 400


def roc(*dropped: int, moved: float = 0.0) -> list[dict[str, float]]:
    """As dvclive writes it; `dropped` are places of points that a tie took away."""
    places = [place for place in range(POINTS + 1) if place not in dropped]
    return [
        {
            "fpr": place / POINTS,
            "tpr": (place / POINTS) ** 0.3 + moved,
            "threshold": 1 - place / POINTS,
        }
        for place in places
    ]


def proposed(note: str) -> tuple[Rule, ...]:
    """The rule that a note proposes, as it would be read from a pyproject.toml."""
    return config.parse_rules(tomllib.loads(note[note.index('"') :]))


@pytest.mark.parametrize("nested", [False, True])
def test_another_length_is_said_once_and_the_rule_it_proposes_makes_both_agree(
    compare: Compare, nested: bool
) -> None:
    actual: object
    expected: object
    actual, expected = roc(17), roc()
    if nested:
        actual, expected = {"folds": [{"roc": actual}]}, {"folds": [{"roc": expected}]}
    (found,) = compare("roc.json", actual, expected)[0]
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith("a list of 400 records, expected 401; they differ from [17] on")
    differences, notes = compare("roc.json", actual, expected, rules=proposed(found.note))
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT}
    assert not notes
    assert any("400 points, expected 401" in each.note for each in differences)


def test_points_of_one_number_that_lie_elsewhere_are_said_once(compare: Compare) -> None:
    (found,) = compare("roc.json", {"roc": roc(17)}, {"roc": roc(300)})[0]
    assert found.note.startswith("283 of 400 records have another fpr; if they are the points")
    differences, _notes = compare(
        "roc.json", roc(17), roc(300), rules=proposed(found.note.replace(":roc", ""))
    )
    assert {each.verdict for each in differences} == {Verdict.EQUIVALENT}


@pytest.mark.parametrize("item", [None, "roc", "roc*", "roc[*].*", "*tpr"])
def test_a_curve_of_records_that_goes_elsewhere_drifts(compare: Compare, item: str | None) -> None:
    rule = Rule("roc.json", item, Tolerance(curve="fpr"))
    found = compare("roc.json", {"roc": roc(17, moved=0.1)}, {"roc": roc()}, rules=(rule,))[0]
    assert "roc[*].tpr" in {each.item for each in found if not each.verdict.passes}


def test_what_is_no_number_in_the_records_is_compared_as_ever(compare: Compare) -> None:
    def labelled(label: str) -> list[dict[str, object]]:
        return [{**record, "label": label} for record in roc()]

    rule = Rule("roc.json", None, Tolerance(curve="fpr"))
    found = compare("roc.json", labelled("a"), labelled("b"), rules=(rule,))[0]
    assert {each.item for each in found if not each.verdict.passes} >= {"[0].label", "[7].label"}


def test_an_epoch_more_is_said_without_a_curve(only: Only) -> None:
    history = [{"epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(10)]
    assert only("h.json", history[:9], history).note == (
        "a list of 9 records, expected 10; those that both have are the same; "
        "missing in the actual run: epoch = 9"
    )
    found = only("h.json", [{"epoch": 7, "loss": 3.0}, *history], history)
    assert found.note.startswith("a list of 11 records, expected 10; they differ from [0] on")
    assert 'epoch"' not in found.note


def test_records_of_one_number_are_walked_through(compare: Compare) -> None:
    history = [{"epoch": epoch, "loss": 1 / (epoch + 1)} for epoch in range(20)]
    other = [*history[:5], {"epoch": 5, "loss": 0.5}, *history[6:]]
    (drift,) = [each for each in compare("h.json", other, history)[0] if not each.verdict.passes]
    assert drift.item == "[5].loss"


def test_a_length_that_a_rule_ignores_is_not_said(compare: Compare) -> None:
    rule = Rule("roc.json", "roc", Tolerance(ignore=True))
    assert compare("roc.json", {"roc": roc(1)}, {"roc": roc()}, rules=(rule,))[0] == ()


def test_a_rule_for_what_was_not_looked_at_is_not_called_idle(compare: Compare) -> None:
    rule = Rule("roc.json", "roc*tpr", Tolerance(rtol=0.1))
    assert compare("roc.json", {"roc": roc(1)}, {"roc": roc()}, rules=(rule,))[1] == ()


def test_yaml_is_treated_alike(only: Only) -> None:
    expected = json.dumps({"roc": roc()})
    assert "a list of 400 records" in only("r.yaml", json.dumps({"roc": roc(1)}), expected).note


def scores(off: float = 0.0) -> list[dict[str, object]]:
    return [{"image": f"{n}.png", "rank": n, "score": n / 7 + off * (n == 3)} for n in range(9)]


def test_records_in_another_order_meet_by_what_names_them(compare: Compare) -> None:
    """That they moved is said once, with a rule; what else differs is seen in its record."""
    turned = [{**each, "rank": 8 - int(str(each["rank"]))} for each in scores(1e-12)[::-1]]
    for reported in (scores(1e-12)[::-1], json.loads(json.dumps(turned))):
        found = [
            each for each in compare("p.json", reported, scores())[0] if not each.verdict.passes
        ]
        assert found[0].item == ""
        assert '"p.json" = { key = "image" }' in found[0].note
        assert {each.item.partition(".")[2] for each in found[1:]} <= {"rank"}


def test_a_key_lets_records_move_and_nothing_else(compare: Compare) -> None:
    """Also below the top, where a rule for the whole output names the field."""
    rule = Rule("p.json", None, Tolerance(key=("image",)))
    runs = [{"run": 1, "images": scores()}], [{"run": 1, "images": scores(0.5)[::-1]}]
    assert all(
        each.verdict.passes
        for each in compare("p.json", scores(1e-12)[::-1], scores(), rules=(rule,))[0]
    )
    found = compare("p.json", *runs[::-1], rules=(rule,))[0]
    (drift,) = [each for each in found if not each.verdict.passes]
    assert drift.item == "[0].images[3].score"


def test_records_without_a_counterpart_are_named(compare: Compare) -> None:
    rule = Rule("p.json", None, Tolerance(key=("image",)))
    found = compare("p.json", [*scores()[:8], *scores()[:1]], scores(), rules=(rule,))[0]
    (drift,) = [each for each in found if not each.verdict.passes]
    assert drift.note == "records have no counterpart: image = 0.png, image = 8.png"


def test_ranks_in_another_order_are_no_names(compare: Compare) -> None:
    """Where records are named by nothing that brings more of them together, they stay."""
    left = [{"rank": rank, "score": rank * 1.5} for rank in (1, 2, 3, 4)]
    right = [
        {"rank": rank, "score": score} for rank, score in ((2, 1.5), (1, 3.0), (4, 4.5), (3, 6.0))
    ]
    found = [each for each in compare("p.json", left, right)[0] if not each.verdict.passes]
    assert {each.item.rpartition(".")[2] for each in found} == {"rank"}


def nested(records: list[dict[str, object]]) -> dict[str, object]:
    return {"results": {"found": records}}


@pytest.mark.parametrize("place", [lambda records: records, nested])
@pytest.mark.parametrize("off", [0.0, 1e-12])
def test_records_without_a_name_that_stand_in_another_order_meet_by_what_they_hold(
    compare: Compare, place: Callable[[Any], Any], off: float
) -> None:
    """A bound that lets them would hide anything; the rule that is proposed does not."""
    expected: list[dict[str, Any]] = [
        {"box": [1.5, 2.5, 30.25, 40.5 + n], "kind": n % 2, "score": 0.9 / (n + 1)}
        for n in range(6)
    ]
    actual = [{**each, "score": each["score"] * (1 + off)} for each in expected[::-1]]
    found = [
        each
        for each in compare("d.json", place(actual), place(expected))[0]
        if not each.verdict.passes
    ]
    (moved,) = found
    assert moved.note.startswith("the records stand in another order; they hold the same.")
    rules = proposed(moved.note)
    differences, notes = compare("d.json", place(actual), place(expected), rules=rules)
    assert all(each.verdict.passes for each in differences)
    assert not notes
    for change in ({"score": 0.8}, {"box": [2.5, 1.5, 30.25, 40.5]}):
        others = [{**actual[0], **change}, *actual[1:]]
        differences, _notes = compare("d.json", place(others), place(expected), rules=rules)
        assert any(each.verdict is Verdict.DRIFT for each in differences)
