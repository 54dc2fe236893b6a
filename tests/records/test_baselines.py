"""Records kept in the project's repository: written by `--container-update`, held against after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sample_project import MakeProject

HOST_ONLY = """
platforms = ["host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""
TRAIN = """
import json, os
os.makedirs("outputs", exist_ok=True)
json.dump({"loss": VALUE, "epochs": 3}, open("outputs/metrics.json", "w"))
"""
KEEP = "--container-baseline=baseline"
UPDATE = "--container-update"


def train(loss: float) -> str:
    return TRAIN.replace("VALUE", str(loss))


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_held_against_afterwards(project: MakeProject) -> None:
    root = project.write(HOST_ONLY, train=train(0.5))

    written = project.run(KEEP, UPDATE)
    agrees = project.run(KEEP)
    (root / "train.py").write_text(train(0.25))
    drifts = project.run(KEEP, "--container-records=kept")

    written.assert_outcomes(passed=2)
    written.stdout.fnmatch_lines(
        ["*baseline*", "train[[]host]: new, written to baseline/train/host",
         "  new: outputs/metrics.json"]
    )  # fmt: skip
    agrees.assert_outcomes(passed=2)
    agrees.stdout.fnmatch_lines(["train *host vs the baseline *identical*"])
    drifts.assert_outcomes(passed=1, failed=1)
    drifts.stdout.fnmatch_lines(
        ["outputs/metrics.json:loss  0.25 * 0.5 *",
         "note: if this run is right, --container-update keeps it",
         "  pytest --container --container-baseline=baseline 'pyproject.toml::train::baseline*'",
         "records of its runs: kept/train"]
    )  # fmt: skip
    assert (root / "kept/train/host/record.json").is_file()


def test_only_what_no_longer_agrees_is_written_anew(project: MakeProject) -> None:
    root = project.write(HOST_ONLY, train=train(0.5))
    project.run(KEEP, UPDATE)
    before, then = content(root / "baseline"), stamps(root / "baseline")

    (root / "train.py").write_text(train(0.5) + "\n# the same, by another program\n")
    again = project.run(KEEP, UPDATE)

    again.stdout.fnmatch_lines(["train[[]host]: unchanged, baseline/train/host is left as it is"])
    assert stamps(root / "baseline") == then

    (root / "train.py").write_text(train(0.25))
    changed = project.run(KEEP, UPDATE)

    changed.assert_outcomes(passed=2)
    changed.stdout.fnmatch_lines(
        ["train[[]host]: changed, written to baseline/train/host", "*metrics.json:loss*"]
    )
    now = content(root / "baseline")
    differing = {name for name in now if now[name] != before.get(name)}
    assert differing == {"train/host/outputs/outputs/metrics.json", "train/host/record.json"}
    project.run(KEEP).assert_outcomes(passed=2)


def test_a_record_says_nothing_that_changes_every_time(project: MakeProject) -> None:
    """Two machines, or two days, that agree make the same files, so that git shows no change."""
    root = project.write(HOST_ONLY, train=train(0.5))
    project.run(KEEP, UPDATE)
    project.run("--container-baseline=again", UPDATE, "-p", "no:cacheprovider")

    assert content(root / "baseline") == content(root / "again")
    text = (root / "baseline" / "train" / "host" / "record.json").read_text()
    assert str(root) not in text
    assert json.loads(text)["duration_s"] == 0
    assert not (root / "baseline" / "train" / "host" / "stdout.log").exists()


def test_without_a_record_the_item_fails_and_says_how_to_write_it(project: MakeProject) -> None:
    project.write(HOST_ONLY, train=train(0.5))

    result = project.run(KEEP)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*the baseline has no record of train on host*",
         "*pytest --container --container-baseline=baseline "
         "'pyproject.toml::train::baseline[[]host]' --container-update"]
    )  # fmt: skip


def test_a_failed_run_is_no_baseline(project: MakeProject) -> None:
    root = project.write(HOST_ONLY, train=train(0.5))
    project.run(KEEP, UPDATE)
    before = content(root / "baseline")

    (root / "train.py").write_text("raise SystemExit('no data today')")
    result = project.run(KEEP, UPDATE)

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*baseline of train is not updated, because its run failed*"])
    assert content(root / "baseline") == before


def test_a_large_output_is_kept_as_a_summary(project: MakeProject) -> None:
    """Its numbers are still compared, at some places, and the message says how many."""
    limited = HOST_ONLY.replace("platforms", 'baseline-limit = "1k"\nplatforms', 1)
    script = (
        "import numpy as np, os\nos.makedirs('outputs', exist_ok=True)\n"
        "values = np.random.default_rng(0).normal(size=(300, 40))\n"
        "np.savez('outputs/weights.npz', w=values FACTOR)\n"
        "open('outputs/report.bin', 'wb').write(bytes(5000) EXTRA)\n"
    )
    plain = script.replace("FACTOR", "").replace("EXTRA", "")
    root = project.write(limited, train=plain)
    project.run(KEEP, UPDATE).assert_outcomes(passed=2)

    kept = content(root / "baseline" / "train" / "host")
    assert set(kept) == {
        "record.json",
        "outputs/outputs/weights.npz.summary.json",
        "outputs/outputs/report.bin.summary.json",
    }  # fmt: skip
    project.run(KEEP).assert_outcomes(passed=2)

    (root / "train.py").write_text(script.replace("FACTOR", "* (1 + 1e-9)").replace("EXTRA", ""))
    near = project.run(KEEP)
    near.assert_outcomes(passed=2)
    near.stdout.fnmatch_lines(["train *host vs the baseline *equivalent*"])

    (root / "train.py").write_text(script.replace("FACTOR", "* 1.01").replace("EXTRA", "+ b'x'"))
    far = project.run(KEEP)
    far.assert_outcomes(passed=1, failed=1)
    far.stdout.fnmatch_lines_random(
        ["*compared 1,00* of 12,000 elements and 13 statistics; the file itself is not in the*",
         "*outputs/report.bin*", "*a larger baseline-limit keeps it*"]
    )  # fmt: skip


def test_another_platforms_record_serves_where_there_is_none_of_ones_own(
    project: MakeProject, native: str, leaves_nothing: None
) -> None:
    config = HOST_ONLY.replace('"host"', f'"{native}", "host"')
    root = project.write(config, train=train(0.5))
    project.run(KEEP, UPDATE, f"--container-platform={native}").assert_outcomes(passed=3)
    assert [path.name for path in (root / "baseline" / "train").iterdir()] == [
        native.replace("/", "-")
    ]

    result = project.run(KEEP, "--container-platform=host", "-k", "baseline", "-rA")

    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines([f"train *host vs the baseline of {native} *identical*"])


def test_what_is_kept_for_nothing_is_named_and_goes_with_an_update(project: MakeProject) -> None:
    root = project.write(HOST_ONLY.replace("train]", "fit]"), train=train(0.5))
    project.run(KEEP, UPDATE)
    (root / "pyproject.toml").write_text(
        (root / "pyproject.toml").read_text().replace("points.fit]", "points.train]")
    )
    project.run(KEEP, UPDATE, "-k", "nothing")
    assert (root / "baseline" / "fit").exists(), "nothing ran"

    told = project.run(KEEP)
    updated = project.run(KEEP, UPDATE)

    told.stdout.fnmatch_lines(
        ["note: the baseline keeps fit/host, but no entrypoint is called fit*"]
    )
    updated.stdout.fnmatch_lines(["fit[[]host]: removed, baseline/fit/host is gone"])
    assert sorted(path.name for path in (root / "baseline").iterdir()) == [
        ".gitattributes", "train",
    ]  # fmt: skip


def test_a_record_edited_by_hand_is_found_out(project: MakeProject) -> None:
    root = project.write(HOST_ONLY, train=train(0.5))
    project.run(KEEP, UPDATE)
    metrics = root / "baseline" / "train" / "host" / "outputs" / "outputs" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.5", "0.4"))

    result = project.run(KEEP)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*'outputs/outputs/metrics.json' is not what the run wrote*SHA*"])
    result.stdout.fnmatch_lines(["*restore it from version control, or write it anew*"])


def test_a_baseline_that_is_a_file_is_a_usage_error(project: MakeProject) -> None:
    root = project.write(HOST_ONLY, train=train(0.5))
    (root / "baseline").write_text("")

    result = project.run(KEEP)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--container-baseline: not a folder*baseline*", "*name a*"])


def test_update_needs_a_folder(project: MakeProject) -> None:
    project.write(HOST_ONLY, train=train(0.5))

    result = project.run(UPDATE)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--container-update: there is no folder to update*"])


def test_workers_write_each_record_once(project: MakeProject) -> None:
    """And the controller shows what they wrote."""
    second = '[tool.mlcontainer.entrypoints.infer]\ncommand = ["python", "train.py"]\n'
    root = project.write(
        HOST_ONLY + second + 'outputs = ["outputs/*"]\nneeds = ["train"]\n', train=train(0.5)
    )

    result = project.pytester.runpytest_subprocess("--container", "-n", "2", KEEP, UPDATE)

    result.assert_outcomes(passed=4)
    for name in ("train", "infer"):
        result.stdout.fnmatch_lines([f"{name}[[]host]: new, written to baseline/{name}/host"])
    assert {path.name for path in (root / "baseline").iterdir()} == {
        ".gitattributes", "infer", "train",
    }  # fmt: skip
    assert [path.name for path in (root / "baseline" / "infer").iterdir()] == ["host"]
    project.run(KEEP).assert_outcomes(passed=4)


def test_the_plan_has_a_comparison_for_each_run(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")  # collection needs no engine
    project.write(HOST_ONLY.replace('"host"', '"linux/amd64", "host"'))

    result = project.run(KEEP, "--collect-only", "-q")

    assert [line for line in result.outlines if "::baseline" in line] == [
        "pyproject.toml::train::baseline[linux/amd64]",
        "pyproject.toml::train::baseline[host]",
    ]


def test_projects_do_not_share_a_baseline(project: MakeProject) -> None:
    """Their entrypoints may have the same names."""
    root = project.write(HOST_ONLY, train=train(0.5))
    (root / "other").mkdir()
    for name in ("pyproject.toml", "train.py", "Dockerfile"):
        (root / "other" / name).write_text((root / name).read_text())

    result = project.run(KEEP, "pyproject.toml", "other/pyproject.toml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*records of several projects cannot share a folder*"])


def test_what_is_printed_is_held_against_without_outputs_too(project: MakeProject) -> None:
    table = HOST_ONLY.replace('outputs = ["outputs/*"]', "compare = { stdout = {} }")
    root = project.write(table, train="print('loss 0.5')\n")
    project.run(KEEP, UPDATE).assert_outcomes(passed=2)

    result = project.run(KEEP)

    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*no output of*")
    (root / "train.py").write_text("print('loss 0.6')\n")
    project.run(KEEP).assert_outcomes(passed=1, failed=1)
    project.write(table.replace("stdout", "stderr"), train="print('loss 0.5')\n")
    project.run(KEEP).stdout.fnmatch_lines(["*/stdout, which is no output of train any more"])
