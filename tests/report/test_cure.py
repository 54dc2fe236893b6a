"""What stops a drift, as it is said on the terminal and in report.json."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_mlcontainer.model import (
    Cause,
    Cure,
    CureChange,
    CureKind,
    CurePrice,
    CureSetting,
    Difference,
    Outcome,
    Platform,
    SourceLine,
    Target,
    Verdict,
)
from pytest_mlcontainer.report.cure import cure_from_json, cure_to_json, dockerfile_lines
from pytest_mlcontainer.report.results import Result, result_from_json, result_to_json
from pytest_mlcontainer.report.terminal import failure_lines

THREADS = CureSetting("OMP_NUM_THREADS", "1", "threads", "OpenMP 5.2")
SIMD = CureSetting("NPY_DISABLE_CPU_FEATURES", "AVX2 FMA3", "simd", "NumPy")
LINE = SourceLine("train.py", 3, 3, "read", "names = os.listdir(folder)", ("os.listdir",))
SETTINGS = Cure(
    CureKind.SETTINGS,
    (THREADS, SIMD),
    agreeing=3,
    needless=("MKL_NUM_THREADS",),
    prices=(CurePrice("linux/amd64", (4.0, 4.4, 4.2), (2.0, 2.2, 2.1)),),
    runs=20,
)
CHANGE = Cure(
    CureKind.CHANGE,
    changes=(CureChange("sort-listings", "sort the listing", "sorted from outside"),),
    place=LINE,
    agreeing=3,
    runs=12,
)
VAIN = Cure(
    CureKind.ADVICE,
    place=LINE,
    advice="raise max_iter",
    vain=("TZ",),
    broken=(("TZ", "exit code 1: \x1b[31mno"),),
    runs=4,
)
OUTCOME = Outcome(
    "train",
    Target(Platform("linux", "arm64")),
    Target(Platform("linux", "amd64")),
    Verdict.DRIFT,
    causes=(Cause(("hostname",), 3, "shown"),),
)


def _said(cure: Cure) -> str:
    return "\n".join(failure_lines(replace(OUTCOME, cure=cure), "pytest --container x"))


def test_settings_are_lines_to_paste() -> None:
    text = _said(SETTINGS)
    assert (
        "cured by: OMP_NUM_THREADS=1, NPY_DISABLE_CPU_FEATURES=AVX2 FMA3 — with it 3 runs of each "
        "side agree, without any of it they do not; 20 runs"
    ) in text
    assert '  Dockerfile: ENV NPY_DISABLE_CPU_FEATURES="AVX2 FMA3"' in text
    assert (
        '  [tool.mlcontainer]: env = { OMP_NUM_THREADS = "1", '
        'NPY_DISABLE_CPU_FEATURES = "AVX2 FMA3" }'
    ) in text
    assert "not needed: MKL_NUM_THREADS" in text


def test_the_price_is_said_with_its_spread() -> None:
    assert (
        "price: runs on linux/amd64 take 2.00 times as long: median 4.20 s (4.00–4.40, 3 runs) "
        "with it, 2.10 s (2.00–2.20, 3 runs) without"
    ) in _said(SETTINGS)
    alike = replace(SETTINGS, prices=(CurePrice("host", (2.0, 2.3, 2.1), (2.0, 2.2, 2.1)),))
    assert "runs on host take as long, as far as their spread tells: median" in _said(alike)


def test_a_change_says_where_and_how_it_was_tried() -> None:
    assert (
        "cured by a change: train.py:3, in read: names = os.listdir(folder) → sort the listing — "
        "with it (sorted from outside) 3 runs of each side agree, without it they do not; 12 runs"
    ) in _said(CHANGE)


def test_advice_is_told_from_what_was_tried() -> None:
    """And what a program prints is escaped."""
    text = _said(VAIN)
    assert "not cured: nothing that was tried makes the runs agree; 4 runs" in text
    assert "tried in vain: TZ" in text
    assert "no cure: TZ: exit code 1" in text
    assert "usually helps: raise max_iter (advice: this was not tried)" in text
    assert "\x1b" not in text


def test_where_nothing_is_known_the_advice_for_the_cause_is_given() -> None:
    text = _said(Cure(CureKind.NOTHING))
    assert "not cured: no setting is known that could make the runs agree" in text
    assert "take nothing from the host's name" in text.partition("not cured")[2]


def test_what_is_set_already_is_not_to_be_added() -> None:
    text = _said(replace(SETTINGS, settings=(replace(THREADS, is_there=True),)))
    assert "set already: OMP_NUM_THREADS=1" in text
    assert "Dockerfile" not in text


def test_values_of_one_platform_say_so() -> None:
    here, there = (
        CureSetting("OPENBLAS_CORETYPE", value, "blas-kernel", "OpenBLAS", (platform,))
        for value, platform in (("Nehalem", "linux/amd64"), ("ARMV8", "linux/arm64"))
    )
    text = _said(replace(SETTINGS, settings=(here, there)))
    assert "ENV OPENBLAS_CORETYPE=ARMV8 (linux/arm64)" in text
    assert "a stage for each of them" in text
    assert "env = {" not in text  # a table with one name twice is none
    assert 'GitHub workflow: env: { OPENBLAS_CORETYPE: "ARMV8" } (linux/arm64)' in text
    assert "without it they do not" in text  # one variable


@pytest.mark.parametrize(
    ("value", "line"),
    [("1", "ENV X=1"), ("", 'ENV X=""'), ('a "b" $c', r'ENV X="a \"b\" \$c"')],
)
def test_values_are_quoted_as_a_dockerfile_reads_them(value: str, line: str) -> None:
    assert dockerfile_lines((CureSetting("X", value, "env", "x"),)) == (line,)


@pytest.mark.parametrize("cure", [None, SETTINGS, CHANGE, VAIN, Cure(CureKind.NOTHING)])
def test_json_holds_all_of_it(cure: Cure | None) -> None:
    """For readers of reports, and from a worker to its controller."""
    text = json.dumps(cure_to_json(cure), allow_nan=False)
    assert cure_from_json(json.loads(text)) == cure
    result = Result(outcome=replace(OUTCOME, cure=cure))
    assert result_from_json(json.loads(json.dumps(result_to_json(result)))) == result


def test_repeats_that_disagree_are_offered_the_line_and_a_cure() -> None:
    """With how many runs each takes at most; not once that was looked for."""
    repeats = replace(OUTCOME, verdict=Verdict.NONDETERMINISTIC, causes=(), against="other repeats")
    offered = "\n".join(failure_lines(repeats, "pytest --container x::repeats"))
    assert offered.endswith(
        "\n  add --container-locate to find the line (mostly 4 more runs, at most 10)"
        "\n  add --container-cure to find what stops it (mostly 12 more runs, at most 93)"
    )
    for option in ("--container-cure", "--container-locate"):
        asked = "\n".join(failure_lines(repeats, f"pytest --container {option} x"))
        assert asked.count(option) == 1  # what could not be said does not help again
    looked_for = "\n".join(failure_lines(replace(repeats, cure=VAIN), "pytest --container x"))
    assert "--container-cure" not in looked_for


def test_what_could_not_be_compared_is_offered_neither_the_line_nor_a_cure() -> None:
    """A package is missing here: no line of the project brings that about."""
    failed = Difference("s.zarr", "", Verdict.FAILED, note="cannot be compared without zarr")
    repeats = replace(OUTCOME, verdict=Verdict.FAILED, causes=(), against="other repeats")
    for also, offers in ((), False), ((Difference("m", "", Verdict.NONDETERMINISTIC),), True):
        held = replace(repeats, differences=(failed, *also))
        text = "\n".join(failure_lines(held, "pytest --container x::repeats"))
        assert ("--container-locate" in text, "--container-cure" in text) == (offers, offers)


def test_what_a_baseline_is_met_with_is_said_to_agree_with_it() -> None:
    """And where nothing in the environment differs from that of then, that is said."""
    held = replace(OUTCOME, against="the baseline", cure=replace(SETTINGS, sides=1))
    text = "\n".join(failure_lines(held, ""))
    assert "with it 3 runs agree with the baseline, without any of it they do not" in text
    nothing = replace(held, cure=Cure(CureKind.NOTHING))
    text = "\n".join(failure_lines(nothing, ""))
    assert "nothing that a setting decides differs from the environment of the baseline" in text
