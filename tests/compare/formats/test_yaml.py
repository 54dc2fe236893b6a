"""YAML: leaves by value, nothing constructed, nothing expanded without end."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from tests.fixture_types import Compare, CompareHere, Only, OnlyHere

PROPERTY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFD))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=15,
)


def drifting(differences: tuple[Difference, ...]) -> dict[str, Difference]:
    return {each.item: each for each in differences if not each.verdict.passes}


@PROPERTY
@given(TREES)
def test_a_document_is_identical_with_itself_in_another_layout(
    compare: Compare, tree: object
) -> None:
    block = yaml.safe_dump(tree, default_flow_style=False, allow_unicode=True)
    flow = yaml.safe_dump(tree, default_flow_style=True, width=40) + "# end\n"
    differences, _notes = compare("a.yaml", block, flow)
    assert {each.verdict for each in differences} <= {Verdict.IDENTICAL}


def test_leaves_are_items(compare: Compare) -> None:
    expected = "optimizer:\n  lr: 0.001\n  betas: [0.9, 0.999]\nseed: 1\n"
    found = drifting(compare("c.yml", expected.replace("0.999", "0.99"), expected)[0])
    assert {item: each.worst_index for item, each in found.items()} == {"optimizer.betas": (1,)}
    same = compare("c.yml", expected.replace("0.001", "0.0010000000000000001"), expected)[0]
    assert drifting(same) == {}


def test_dates_are_text_and_a_rule_can_leave_them_out(only: Only) -> None:
    found = only("c.yaml", "at: 2026-01-02\n", "at: 2026-01-01\n")
    assert (found.worst_actual, found.worst_expected) == ("2026-01-02", "2026-01-01")
    dates = Tolerance(patterns=(r"\d{4}-\d\d-\d\d",))
    assert only("c.yaml", "at: 2026-01-02\n", "at: 2026-01-01\n", dates).verdict.passes


def test_nothing_is_constructed(compare: Compare, tmp_path: Path) -> None:
    witness = tmp_path / "made"
    evil = f"a: !!python/object/apply:os.mkdir ['{witness}']\nb: !!python/name:os.system ''\nc: 1\n"
    found = drifting(compare("c.yaml", evil, evil.replace("c: 1", "c: 2"))[0])
    assert set(found) == {"c"}
    assert not witness.exists()
    (other,) = drifting(compare("c.yaml", evil, evil.replace("os.mkdir", "os.rmdir"))[0]).values()
    assert other.note == (
        "the type !!python/object/apply:os.mkdir, expected !!python/object/apply:os.rmdir"
    )
    (other,) = drifting(compare("c.yaml", "a: !point {x: 1}\n", "a: !point {x: 2}\n")[0]).values()
    assert other.item == "a.x"


def test_a_billion_laughs_are_refused(only: Only) -> None:
    laughs = "a0: &a0 [lol, lol]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    found = only("c.yaml", laughs, "a0: 1\n")
    assert found.verdict is Verdict.DRIFT
    assert "through its aliases" in found.note


def test_an_alias_to_itself_is_refused(only: Only) -> None:
    found = only("c.yaml", "a: &a [*a]\n", "a: 1\n")
    assert (found.verdict, "stands for nothing that is complete" in found.note) == (
        Verdict.DRIFT,
        True,
    )


def test_aliases_and_merges_are_what_they_stand_for(compare: Compare) -> None:
    short = "base: &b {lr: 0.1, n: 2}\nrun: {<<: *b, n: 3}\nlist: [*b, *b]\n"
    long = "base: {lr: 0.1, n: 2}\nrun: {n: 3, lr: 0.1}\nlist: [{lr: 0.1, n: 2}, {n: 2, lr: 0.1}]\n"
    assert yaml.safe_load(short) == yaml.safe_load(long)
    assert drifting(compare("c.yaml", short, long)[0]) == {}
    several = "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc:\n  <<: [*a, *b]\n"
    written = "a: {x: 1}\nb: {x: 2, y: 2}\nc: {x: 1, y: 2}\n"
    assert yaml.safe_load(several) == yaml.safe_load(written)
    assert drifting(compare("c.yaml", several, written)[0]) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2\n", "duplicate key 'a' (line 2, column 1)"),
        ("a: [1\n", "is broken YAML"),
        ("? [1, 2]\n: x\n", "a list or mapping is a key"),
        ("[" * 5000, "levels deep"),
        ("a: " + "1" * 5000, "is no int"),
        ("<<: 1\n", "merges something that is no mapping"),
    ],
)
def test_broken_yaml_fails_and_says_where(only: Only, text: str, reason: str) -> None:
    found = only("c.yaml", text, "a: 1\n")
    assert found.verdict is Verdict.DRIFT
    assert found.note.startswith("actual run: c.yaml ")
    assert reason in found.note


def test_documents_are_a_list(compare: Compare) -> None:
    found = drifting(compare("c.yaml", "---\na: 1\n---\na: 2\n", "---\na: 1\n---\na: 3\n")[0])
    assert set(found) == {"[1].a"}
    assert drifting(compare("c.yaml", "a: 1\n", "---\na: 1\n---\na: 3\n")[0])


def test_keys_keep_their_type(compare: Compare) -> None:
    names = "names: {0: cat, 1: dog}\n"
    assert set(drifting(compare("c.yaml", names.replace("dog", "eft"), names)[0])) == {"names.1"}
    assert drifting(compare("c.yaml", "1: a\n", "true: a\n")[0])
    assert drifting(compare("c.yaml", "{1: a, true: a}\n", "{true: a, 1: a}\n")[0]) == {}


def test_the_reader_in_python_reads_the_same(
    compare_here: CompareHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    found = drifting(
        compare_here("c.yaml", "a: {b: [1, 2.5, x]}\nc: 1\n", "a: {b: [1, 2.5, x]}\nc: 2")[0]
    )
    assert set(found) == {"c"}


def test_without_the_reader_it_says_what_to_install(
    only_here: OnlyHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> ModuleType:
        if name == "yaml":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    found = only_here("c.yaml", "a: 1\n", "a: 2\n")
    assert (found.verdict, "pytest-mlcontainer[yaml]" in found.note) == (Verdict.FAILED, True)
