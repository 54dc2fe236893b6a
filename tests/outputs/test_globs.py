from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.globs import compile_glob, covers, fixed_part, matches, names

NAMES = st.text(st.sampled_from("ab/.*?[]!-\n\udcff"), min_size=1, max_size=12)
PATTERNS = st.text(st.sampled_from("abcz/.*?[]!^-\\&|~\n"), max_size=12)
PARTS = st.text(st.sampled_from("ab.-"), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("outputs/*.npz", ["outputs/a.npz", "outputs/.npz"], ["outputs/a/b.npz", "outputs/a.npz2"]),
        ("*", ["a", "a\nb"], ["a/b"]),
        ("a?c", ["abc", "a\nc"], ["ac", "a/c"]),
        ("**", ["a", "a/b", "a\n/b"], []),
        ("**/a", ["a", "b/a", "c/b/a"], ["ba", "a/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
        ("a/**/**/b", ["a/b", "a/x/b"], ["ab"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a**b", ["ab", "a/x/b"], ["ab/"]),
        ("x**/y", ["x/y", "xz/y", "x/z/y"], ["xy"]),
        ("/**/a", ["/a", "/b/a"], ["a"]),
        ("[ab]c", ["ac", "bc"], ["cc", "[ab]c"]),
        ("[!ab]c", ["cc"], ["ac", "/c"]),
        ("a[!b]c", ["axc"], ["a/c"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        ("[c-a]", [], ["a", "b", "c", "-"]),
        ("[!c-a]", ["a", "x"], ["/"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[a--b]", ["b"], ["a", "-"]),
        ("[&&~~||]", ["&", "~", "|"], ["a"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[!]", ["!"], ["x", "[!]"]),
        ("[[]1]", ["[1]"], ["1"]),
        ("[[a]", ["[", "a"], ["[a"]),
        ("a[b", ["a[b"], ["ab"]),
        ("a.c+", ["a.c+"], ["abc", "a.cc"]),
        ("", [""], ["a"]),
    ],
)
def test_wildcards_mean_what_they_mean_in_a_shell(
    pattern: str, yes: list[str], no: list[str]
) -> None:
    """`*`, `?` and sets stop at a slash, `**` does not, and a whole name has to match."""
    assert [name for name in yes if not matches(pattern, name)] == []
    assert [name for name in no if matches(pattern, name)] == []


@given(PATTERNS, NAMES)
def test_every_text_is_a_pattern(pattern: str, name: str) -> None:
    """No pattern is an error, and none warns, whatever characters its sets hold."""
    assert matches(pattern, name) in (True, False)


@given(NAMES)
def test_an_escaped_name_matches_itself_alone(name: str) -> None:
    """A name with each wildcard put into a set of its own is a pattern for that very name."""
    pattern = re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", name)
    assert matches(pattern, name)
    assert not matches(pattern, name + "x")


@given(PATTERNS.filter(lambda text: "**" not in text and "\\" not in text), PARTS)
def test_within_one_folder_it_agrees_with_fnmatch(pattern: str, name: str) -> None:
    """Without `**`, `/` and what fnmatch sees differently, the standard library is the oracle."""
    # A set that begins with ] holds it for fnmatch; ours ends there.
    if "/" in pattern or re.search(r"\[!?\]", pattern):
        return
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


@given(PATTERNS, st.lists(PARTS, min_size=1, max_size=4))
def test_a_pattern_covers_what_lies_in_what_it_matches(pattern: str, parts: list[str]) -> None:
    """A name is covered exactly when it, or one of the folders above it, matches."""
    name = "/".join(parts)
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if all(part not in (".", "..") for part in parts):
        assert covers(pattern, name) == any(matches(pattern, path) for path in above)


def test_an_absolute_pattern_covers_absolute_names_only() -> None:
    """`/data/*` says nothing of a relative `data/x`, and the root covers nothing by itself."""
    assert covers("/data/*", "/data/x/y")
    assert not covers("/data/*", "data/x")
    assert not covers("data/*", "/data/x")
    assert not covers("?", "/data/x")


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("outputs/*.npz", "outputs"),
        ("outputs/a/b.npz", "outputs/a/b.npz"),
        ("outputs/a[12]/b", "outputs"),
        ("*", ""),
        ("**/a", ""),
        ("/data/*/x", "/data"),
        ("/*", "/"),
        ("a?/b", ""),
    ],
)
def test_the_fixed_part_ends_before_the_first_wildcard(pattern: str, fixed: str) -> None:
    """It is a whole path: half a name without wildcards would name a folder that is not there."""
    assert fixed_part(pattern) == fixed


@given(PATTERNS, st.lists(PARTS, min_size=1, max_size=4))
def test_whatever_matches_lies_below_the_fixed_part(pattern: str, parts: list[str]) -> None:
    """So that what an engine is asked for holds every output."""
    name, fixed = "/".join(parts), fixed_part(pattern)
    if "//" not in pattern and not pattern.startswith("/") and "." not in pattern.split("/"):
        assert not matches(pattern, name) or not fixed or f"{name}/".startswith(f"{fixed}/")


def test_a_pattern_is_compiled_once() -> None:
    """Rules are matched against every item of every output."""
    assert compile_glob("outputs/*") is compile_glob("outputs/*")


@given(PARTS, st.lists(PARTS, max_size=3))
def test_a_rule_without_a_slash_is_for_that_name_in_any_folder(
    pattern: str, folders: list[str]
) -> None:
    """Wherever a file of the name lies; `./` keeps it to the working directory."""
    assert names(pattern, "/".join([*folders, pattern]))
    assert names(f"./{pattern}", "/".join([*folders, pattern])) is not bool(folders)


@given(PATTERNS, NAMES)
def test_a_rule_with_a_slash_has_to_match_the_whole_name(pattern: str, name: str) -> None:
    """There is one meaning of all that stands in a pattern."""
    pattern = f"a/{pattern}"
    assert names(pattern, name) is matches(pattern, name)
