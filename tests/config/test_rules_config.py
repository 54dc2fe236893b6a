"""Rules and names as they are written: every spelling reaches its field, every mistake is told."""

from __future__ import annotations

import re
import tomllib
from functools import partial
from pathlib import Path

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.config.patterns import NAMED
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Freedom, MetricDirection, ReadAs, Tolerance
from tests.growth import times_longer

FILE = Path("/project/pyproject.toml")
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "comparing.md"


def tolerance_of(**keys: object) -> Tolerance:
    table = {key.replace("_", "-"): value for key, value in keys.items()}
    (rule,) = config.parse_rules({"m": table})
    return rule.tolerance


def problems_of(**keys: object) -> list[MlContainerError]:
    with pytest.raises(ConfigError) as caught:
        tolerance_of(**keys)
    return list(caught.value.problems)


def names_of(names: object, own: object = None) -> tuple[tuple[str, str], ...]:
    entry = {} if own is None else {"names": own}
    table = {"names": names, "entrypoints": {"train": entry}}
    settings = config.parse_settings(table, FILE, "x86_64", "bikes")
    return settings.entrypoints[0].names


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"margin": 0.01, "better": "higher"},
            Tolerance(margin=0.01, better=MetricDirection.HIGHER),
        ),
        ({"margin": 0.01, "better": "lower"}, Tolerance(margin=0.01, better=MetricDirection.LOWER)),
        ({"agreement": 0.99}, Tolerance(agreement=0.99)),
        ({"agreement": 1}, Tolerance(agreement=1.0)),
        ({"equivalence": 0.01}, Tolerance(equivalence=0.01)),
        ({"tolerance": "calibrated"}, Tolerance(calibrated=True)),
        ({"ignore": True}, Tolerance(ignore=True)),
        ({"ignore": ["time", r"v\d+"]}, Tolerance(patterns=(NAMED["time"], r"v\d+"))),
        ({"ignore": "uuid"}, Tolerance(patterns=(NAMED["uuid"],))),
        ({"key": "id"}, Tolerance(key=("id",))),
        ({"key": ["a", "b", "a"]}, Tolerance(key=("a", "b"))),
        ({"unordered": True}, Tolerance(unordered=True)),
        ({"free": "sign"}, Tolerance(free=(Freedom.SIGN,))),
        (
            {"free": ["sign", "order"], "axis": 1},
            Tolerance(free=(Freedom.SIGN, Freedom.ORDER), axis=1),
        ),
        ({"free": "labels", "agreement": 0.9}, Tolerance(free=(Freedom.LABELS,), agreement=0.9)),
        ({"curve": "fpr", "atol": 0.02}, Tolerance(curve="fpr", atol=0.02)),
        ({"as": "text"}, Tolerance(read_as=ReadAs.TEXT)),
        ({"as": "text", "rtol": 1e-3}, Tolerance(read_as=ReadAs.TEXT, rtol=1e-3)),
        ({"dtype": "any", "shape": "any"}, Tolerance(any_dtype=True, any_shape=True)),
        ({"key": "id", "rtol": 1e-3}, Tolerance(key=("id",), rtol=1e-3)),
        ({"ignore": ["time"], "rtol": 1e-3}, Tolerance(patterns=(NAMED["time"],), rtol=1e-3)),
        ({"exact": False, "ulp": 4, "unordered": False}, Tolerance(ulp=4)),
    ],
)
def test_every_spelling_reaches_its_field(keys: dict[str, object], expected: Tolerance) -> None:
    """What a user would write is what the comparison gets."""
    assert tolerance_of(**keys) == expected


@pytest.mark.parametrize(
    ("keys", "place", "what", "remedy"),
    [
        ({"agreement": 99}, "agreement", "not a share", "did you mean 0.99?"),
        ({"agreement": 0}, "agreement", "not a share", "write a fraction above 0"),
        ({"agreement": True}, "agreement", "not a share", "write a fraction above 0"),
        ({"equivalence": 0}, "equivalence", "more than 0", "write how far"),
        ({"tolerance": 1e-5}, "tolerance", "not a way", "a bound is written rtol = 1e-05"),
        ({"tolerance": "auto"}, "tolerance", "not a way", '"calibrated"'),
        ({"better": "higher"}, "better", "margin is missing", "add how far"),
        ({"margin": 1, "better": "up"}, "better", "not a choice", "known: higher, lower"),
        ({"axis": 1}, "axis", "nothing is", 'add free = "sign"'),
        ({"free": "sign", "axis": 2}, "axis", "not an axis", "write 0 where rows"),
        ({"free": "sign", "axis": True}, "axis", "not an axis", "write 0 where rows"),
        ({"free": "labels", "axis": 1}, "axis", "nothing is", 'add free = "sign"'),
        ({"free": "signs"}, "free", "not a choice", "did you mean sign?"),
        ({"free": []}, "free", "is empty", "give a value"),
        ({"free": ["labels", "sign"]}, "free", "labels cannot be free", 'free = "labels"'),
        ({"free": "labels", "rtol": 1}, "free", "combined with rtol", "have no distance"),
        ({"free": "sign", "unordered": True}, "unordered", "combined with free", "keep one"),
        ({"key": "a", "unordered": True}, "key", "combined with unordered", "keep one of them"),
        ({"key": []}, "key", "is empty", "give a value"),
        ({"key": 3}, "key", "has to be a string", 'put it in quotes: "3"'),
        ({"unordered": True, "agreement": 0.9}, "unordered", "combined with agreement", "keep one"),
        ({"curve": "fpr", "rtol": 1}, "curve", "combined with rtol", "keep curve, with atol"),
        ({"curve": "fpr", "unordered": True}, "curve", "combined with unordered", "keep curve"),
        ({"curve": ""}, "curve", "is empty", "give a value"),
        ({"equivalence": 1, "free": "sign"}, "equivalence", "combined with free", "means over"),
        ({"agreement": 0.9, "rtol": 1}, "agreement", "combined with rtol", "keep agreement alone"),
        ({"tolerance": "calibrated", "ulp": 1}, "ulp", "with tolerance", "keep ulp alone"),
        ({"ignore": True, "key": "id"}, "ignore", "combined with key", "keep ignore alone"),
        ({"ignore": True, "equal-nan": False}, "ignore", "with equal-nan", "keep ignore alone"),
        ({"ignore": []}, "ignore", "is empty", "write true or false, or what to leave out"),
        ({"ignore": 1}, "ignore", "has to be true or false", "or what to leave out"),
        ({"ignore": ["timestamp"]}, "ignore[0]", "not a pattern's name", '"(?:timestamp)"'),
        ({"ignore": ["["]}, "ignore[0]", "not a regular expression", "backslash"),
        ({"ignore": ["a{99999999999}"]}, "ignore[0]", "not a regular expression", "backslash"),
        ({"ignore": ["time", 3]}, "ignore[1]", "has to be a string", "quotes"),
        ({"as": "txt"}, "as", "not a choice", "did you mean text?"),
        ({"as": "text", "key": "id"}, "as", "combined with key", "keep as alone, or with a bound"),
        ({"dtype": "float32"}, "dtype", "not a choice", 'write "any"'),
        ({"shape": True}, "shape", "not a choice", 'write "any"'),
    ],
)
def test_a_combination_that_makes_no_sense_has_its_remedy(
    keys: dict[str, object], place: str, what: str, remedy: str
) -> None:
    """The place, what is wrong, and what to write instead; once."""
    (problem,) = problems_of(**keys)
    assert problem.what.startswith(f"rules: [compare.m] {place}: ")
    assert what in problem.what
    assert remedy in problem.remedy
    assert problem.value


def test_all_problems_come_at_once() -> None:
    """One look at the file is enough to correct it."""
    found = problems_of(agreement=99, free="signs", axis=1, dtype="f4", better="lower")
    places = [problem.what.split()[2] for problem in found]
    assert sorted(places) == ["agreement:", "axis:", "better:", "dtype:", "free:"]


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("time", "2024-03-01T12:00:01.123456+00:00 done", "| done"),
        ("time", "2024-03-01 12:00:01,123 INFO x", "| INFO x"),
        ("time", "[01/Mar/2024:12:00:01 +0000] GET", "[|] GET"),
        ("time", "Fri Mar  1 12:00:01 2024 start", "| start"),
        ("time", "run-20240301_120001.csv", "run-|.csv"),
        ("time", "1709290801123 0.91 3", "| 0.91 3"),
        ("time", "at 12:00:01.5 it", "at | it"),
        ("time", "accuracy 0.9155, 2024 rows, 12:30", "accuracy 0.9155, 2024 rows, 12:30"),
        ("uuid", "id=3f2504e0-4f89-11d3-9a0c-0305e82c3301;", "id=|;"),
        ("hex", "run 0123456789abcdef0123456789abcdef ok", "run | ok"),
        ("hex", "model-deadbeefcafe.pkl", "model-|.pkl"),
        ("hex", "loss 0.123456789012345 of 123456789012", "loss 0.123456789012345 of 123456789012"),
        ("hex", "deadbeef", "deadbeef"),
        ("hex", "1.2345678901234e-05", "1.2345678901234e-05"),
        ("path", 'File "/app/train.py", line 3', 'File "|", line 3'),
        ("path", "saved to /tmp/x1/model.pt.", "saved to |"),
        ("path", "file:///app/mlruns/0", "|"),
        ("path", r"saved to C:\Users\a\b now", "saved to | now"),
        ("path", "1/2 of a/b and http://host/x", "1/2 of a/b and http://host/x"),
        ("address", "<object at 0x7f3a2c01>", "<object at |>"),
        ("duration", "took 1.23s, 4 ms/step", "took |"),
        ("duration", "Elapsed: 0:01:02.5", "|"),
        ("duration", "2m30s in all, 5 models", "| in all, 5 models"),
        ("duration", "1.2k tokens/s, 1.2k tokens", "|, 1.2k tokens"),
        ("id", "run_id: 3f9a2b1c done", "| done"),
        ("id", '"session-id": "a1-b2"', '"|"'),
        ("id", "worker (pid=4711) ready, PID 12", "worker (|) ready, |"),
        (
            "id",
            "pid 0.5, pid gain 3, paid 12, run identity",
            "pid 0.5, pid gain 3, paid 12, run identity",
        ),
        ("id", "in tmpab12cd_8, tmpfiles1 and tmp", "in |, tmpfiles1 and tmp"),
        ("id", "process id 12 of job idle", "| of job idle"),
        ("id", "x:32 [31809] INFO: loss [12] of 3", "x:32 | INFO: loss [12] of 3"),
        ("id", "t - 31809 - WARNING - 12 - 7 rows", "t - | - WARNING - 12 - 7 rows"),
        ("id", "weights [12] INFORMATION [3]", "weights [12] INFORMATION [3]"),
    ],
)
def test_a_named_pattern_finds_what_it_is_called_after(name: str, text: str, left: str) -> None:
    """Times, ids and paths as real programs print them; numbers that mean something stay."""
    assert re.sub(NAMED[name], "|", text) == left


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    "unit", ["1", "a", "/", "/a", "0x", "1:", "12:", "1.", "1e", "2024-01-", "9 "]
)
def test_a_named_pattern_is_quick_on_any_text(name: str, unit: str) -> None:
    """What a container wrote cannot keep a comparison busy."""
    small, large = (unit * (size // len(unit)) + "!" for size in (12_500, 200_000))
    assert times_longer(partial(re.sub, NAMED[name], ""), small, large) < 16 * 4


def test_names_are_merged_in_order() -> None:
    """The project's come first; an entrypoint adds its own, or has its own for the same pattern."""
    pairs = {"run-[0-9a-f]{32}": "run-ID", "a": "b"}
    assert names_of(pairs, {"a": "c", r"(\d+)": r"<\1>"}) == (
        ("run-[0-9a-f]{32}", "run-ID"),
        ("a", "c"),
        (r"(\d+)", r"<\1>"),
    )


@pytest.mark.parametrize(
    ("names", "place", "what", "remedy"),
    [
        ({"[": "x"}, '"["', "not a regular expression", "single quotes"),
        ({"(a)": r"\2"}, '"(a)"', "does not fit the pattern (invalid group", r"by \1"),
        ({"a": r"\g<b>"}, "a", "does not fit the pattern (", r"\g<name>"),
        ({"a": r"\q"}, "a", "does not fit the pattern (bad escape", r"as \\"),
        ({"[0-9]*": "N"}, '"[0-9]*"', "matches the empty text", "[0-9]+ instead"),
        ({"a": 3}, "a", "has to be a string", "quotes"),
    ],
)
def test_names_that_cannot_work_are_refused(
    names: object, place: str, what: str, remedy: str
) -> None:
    """Pattern and replacement are tried before anything runs."""
    with pytest.raises(ConfigError) as caught:
        names_of(names)
    (problem,) = caught.value.problems
    assert problem.what.startswith(f"pyproject.toml: [tool.mlcontainer] names.{place}: ")
    assert what in problem.what
    assert remedy in problem.remedy


def test_the_docs_have_every_named_pattern() -> None:
    """The table in the docs holds the very expressions."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in NAMED] == list(NAMED)


def test_the_docs_can_be_copied() -> None:
    """Every block of rules and names is a configuration without problems."""
    blocks = re.findall(
        r"^```toml\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 2
    for block in blocks:
        config.parse_settings(tomllib.loads(block)["tool"]["mlcontainer"], FILE, "x86_64", "bikes")
