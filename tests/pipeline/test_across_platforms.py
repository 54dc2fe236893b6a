"""Drift between platforms: what makes both agree, or that nothing does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sample_project import MakeProject

PROGRAM = '''
import datetime, json, os, platform, sys, time

def machine():
    return 0.5 if platform.machine() == "x86_64" else 0.75

def local():
    return datetime.datetime.fromtimestamp(0).hour

def keyed():
    return list({"cat", "dog", "bird", "fish", "cow", "horse", "sheep", "goat"})

def step():
    """Within a second, so that how long the machine is up does not make two runs look alike."""
    return f"step time {time.time() % 1 * 1e3:.4f}ms"

def timed():
    return f"loss 0.5 | {step()}"

def timed_local():
    return f"loss {0.5 + local()} | {step()}"

os.makedirs("out", exist_ok=True)
with open("out/result.json", "w") as file:
    json.dump({"value": globals()[sys.argv[1]]()}, file)
'''


def table(name: str, platforms: str, more: str = "") -> str:
    return f"""{platforms}
[tool.mlcontainer.entrypoints.{name}]
command = ["python3", "program.py", "{name}"]
outputs = ["out/*"]
{more}
"""


def explained(
    project: MakeProject, config: str, *args: str, program: str = PROGRAM
) -> tuple[pytest.RunResult, dict[str, Any]]:
    """The comparison between the platforms, with its cause; pytest's result and report.json's."""
    root = project.write(config, train="", program__py=program)
    result = project.run("-k", "agrees", "--container-report=report", *args)
    (found,) = json.loads((root / "report" / "report.json").read_text())["results"]
    return result, found


def causes(found: dict[str, Any]) -> list[list[str]]:
    return [cause["names"] for cause in found["causes"]]


def test_a_setting_that_can_be_made_alike_is_the_cause(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, leaves_nothing: None
) -> None:
    """The host has another time zone than the container; with one for both they agree."""
    monkeypatch.setenv("TZ", "<+09>-9")
    config = table("local", 'platforms = ["native", "host"]')

    result, found = explained(project, config, "--container-vary=timezone,hash-seed,clock")

    result.assert_outcomes(failed=1, deselected=4)
    assert found["verdict"] == "drift"
    assert causes(found) == [["timezone"]]
    evidence = found["causes"][0]["evidence"]
    assert "host: timezone.offset_s 32400 → 50400" in evidence
    assert "timezone.offset_s 0 → 50400" in evidence
    assert found["explanation"]["not_exercised"] == []
    result.stdout.fnmatch_lines(["local on host drifts from *(the reference): 1 item *"])


def test_what_differs_between_any_two_runs_is_told_from_the_platform(
    project: MakeProject, leaves_nothing: None
) -> None:
    """Pinned on both sides the hash seed is what makes them agree; the platform is not named."""
    config = table("keyed", 'platforms = ["native", "host"]', 'vary = ["hash-seed", "timezone"]')

    result, found = explained(project, config)

    result.assert_outcomes(failed=1)
    assert found["verdict"] == "drift"
    assert causes(found) == [["hash-seed"]]


def test_the_platform_itself_is_named_where_nothing_else_explains_it(
    project: MakeProject, native: str, foreign: str, leaves_nothing: None
) -> None:
    """With all alike that can be, an emulated platform still drifts, and is said to be one."""
    platforms = f'platforms = ["{native}", "{foreign}"]\nenv = {{ QEMU_CPU = "neoverse-n1" }}'
    config = table("machine", platforms, 'vary = ["hash-seed", "clock"]')

    result, found = explained(project, config)

    result.assert_outcomes(failed=1)
    assert found["verdict"] == "drift"
    assert found["target"] == {
        "platform": foreign, "emulated": True, "gpus": None, "variations": [],
        "cpu": "neoverse-n1, chosen by the configuration",
    }  # fmt: skip
    assert causes(found) == [["platform"]]
    assert "nothing that was varied makes" in found["causes"][0]["evidence"]
    explanation = found["explanation"]
    assert {each.partition("=")[0] for each in explanation["tried"]} == {"hash-seed", "clock"}
    (emulated,) = (each for each in explanation["findings"] if each["kind"] == "part")
    assert emulated["text"].startswith(f"{foreign} is emulated here")
    assert explanation["materiality"]


def test_no_platform_is_named_where_times_of_files_may_be_it(
    project: MakeProject, native: str, foreign: str
) -> None:
    """What a build makes has another time in each image, and no run can tell that apart."""
    aged = PROGRAM + "age = time.time() - os.path.getmtime(sys.argv[0])\n"
    config = table("machine", f'platforms = ["{native}", "{foreign}"]')

    _result, found = explained(project, config, "--container-vary=hash-seed", program=aged)

    assert found["verdict"] == "drift"
    assert causes(found) == []
    (said,) = found["explanation"]["open"]
    assert "another time in the image of each platform" in said


def test_a_drift_is_not_explained_unless_that_is_asked_for(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further run costs time; the failure says what differs and no cause."""
    monkeypatch.setenv("TZ", "<+09>-9")
    result, found = explained(project, table("local", 'platforms = ["native", "host"]'))

    result.assert_outcomes(failed=1)
    assert (found["verdict"], found["causes"], found["explanation"]) == ("drift", [], None)


def test_a_budget_that_is_too_small_says_so(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs make one pair, which confirms nothing."""
    monkeypatch.setenv("TZ", "<+09>-9")
    config = table("local", 'platforms = ["native", "host"]', "vary-budget = 2")

    result, found = explained(project, config, "--container-vary=timezone")

    result.assert_outcomes(failed=1, deselected=4)
    assert found["verdict"] == "drift"
    assert found["explanation"]["open"], found


RANDOM = PROGRAM.replace(
    "def keyed",
    """
def random_one():
    return __import__("random").random()

def keyed""",
)


@pytest.mark.parametrize("args", [(), ("--container-vary=hash-seed,clock",)])
def test_a_random_program_is_not_called_a_drift_of_platforms(
    project: MakeProject, args: tuple[str, ...], leaves_nothing: None
) -> None:
    """One run each cannot tell; the reference, run once more, disagrees with itself."""
    config = table("random_one", 'platforms = ["native", "host"]')
    root = project.write(config, train="", program__py=RANDOM)

    result = project.run("--container-report=report", *args)

    assert result.parseoutcomes()["failed"] >= 1
    report = json.loads((root / "report" / "report.json").read_text())
    found = [each for each in report["results"] if each["target"]["platform"] == "host"]
    assert [each["verdict"] for each in found] == ["nondeterministic"]
    assert {each["verdict"] for each in found[0]["differences"]} == {"nondeterministic"}
    if args:
        assert causes(found[0]) == [["randomness"]]
    else:
        assert "was run once more and disagrees with itself" in found[0]["notes"][0]
        assert report["runs"] == 3
        result.stdout.fnmatch_lines(
            ["random_one on host and linux/*: repeats of one of them disagree: 1 item *"]
        )


@pytest.mark.parametrize("args", [(), ("--container-vary=hash-seed",)])
def test_durations_are_no_drift_of_platforms(
    project: MakeProject, args: tuple[str, ...], leaves_nothing: None
) -> None:
    """The reference differs from itself in the same: no platform is blamed, a rule is proposed."""
    _result, found = explained(project, table("timed", 'platforms = ["native", "host"]'), *args)

    assert found["verdict"] == "nondeterministic"
    assert causes(found) == []
    texts = found["notes"] + [
        each["advice"] for each in (found["explanation"] or {}).get("findings", [])
    ]
    assert any('"out/result.json:value" = { ignore = ["duration"] }' in each for each in texts)


@pytest.mark.parametrize("args", [(), ("--container-vary=timezone,hash-seed",)])
def test_durations_hide_no_drift_of_platforms(
    project: MakeProject,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    leaves_nothing: None,
) -> None:
    """The loss beside them is judged by itself, and its cause is found."""
    monkeypatch.setenv("TZ", "<+09>-9")
    config = table("timed_local", 'platforms = ["native", "host"]')

    _result, found = explained(project, config, *args)

    assert found["verdict"] == "drift"
    assert causes(found) == ([["timezone"]] if args else [])


@pytest.mark.parametrize("compare", ["first, second", "platform_matrix.run('timed_local')"])
def test_nor_where_a_test_compares_the_runs(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, compare: str, leaves_nothing: None
) -> None:
    monkeypatch.setenv("TZ", "<+09>-9")
    test = f"""
def test_agree(run_entrypoint, platform_matrix, compare_outputs):
    first, second = (run_entrypoint("timed_local", platform=p) for p in platform_matrix)
    compare_outputs({compare})
"""
    config = table("timed_local", 'platforms = ["native", "host"]')
    root = project.write(config, train="", program__py=PROGRAM, test_it__py=test)
    project.run("--container-report=report", "test_it.py")

    (found,) = json.loads((root / "report" / "report.json").read_text())["results"]
    assert found["verdict"] == "drift"
    assert "it differs from itself in nothing but durations" in found["notes"][0]


def test_a_reference_that_repeats_itself_leaves_the_drift(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, leaves_nothing: None
) -> None:
    """Where repeats were made there is nothing to settle."""
    monkeypatch.setenv("TZ", "<+09>-9")
    config = table("local", 'platforms = ["native", "host"]')

    _result, found = explained(project, config)
    assert found["verdict"] == "drift"
    assert "was run once more and repeated itself" in found["notes"][0]

    _result, found = explained(project, config, "--container-repeat=2")
    assert found["verdict"] == "drift"
    assert not [note for note in found["notes"] if "once more" in note]


def test_the_fixtures_tell_randomness_from_drift_too(
    project: MakeProject, leaves_nothing: None
) -> None:
    """Over a matrix of platforms, where the run of the reference can be made again."""
    test = """
def test_it(platform_matrix, compare_outputs):
    (outcome,) = compare_outputs(platform_matrix.run("random_one"), check=False)
    assert outcome.verdict.value == "nondeterministic"
    (outcome,) = compare_outputs(platform_matrix.run("machine"), check=False)
    assert outcome.verdict.value == "identical"
"""
    config = table("random_one", 'platforms = ["native", "host"]') + table("machine", "")
    project.write(config, train="", program__py=RANDOM, test_it__py=test)

    project.run("test_it.py").assert_outcomes(passed=1)


def test_one_platform_alone_agrees_with_nothing(project: MakeProject) -> None:
    """A pass would say that platforms were compared."""
    test = """
def test_it(platform_matrix, compare_outputs):
    compare_outputs(platform_matrix.run("machine"))
"""
    config = table("machine", 'platforms = ["native", "host"]')
    project.write(config, train="", program__py=PROGRAM, test_it__py=test)

    result = project.run("test_it.py", "--container-platform=host", "-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*nothing to compare: host is the only platform here*"])
