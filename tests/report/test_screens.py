"""What each kind of failure prints, whole: it fits one screen and reads well.

The texts are in `tests/golden/screens`; `UPDATE_GOLDEN=1` writes them, to be looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Element,
    Explanation,
    Outcome,
    Platform,
    Target,
    Verdict,
)
from pytest_mlcontainer.report.terminal import failure_lines
from pytest_mlcontainer.variations import FAMILIES
from tests.sample_project import MakeProject

FLOAT64 = "rtol 1e-07 or 2.8e-14 of scale (float64 default)"

AMD64 = Target(Platform("linux", "amd64"), emulated=False)
REPEAT = "pytest --container --container-vary=all 'pyproject.toml::train::varies[linux/amd64]'"
NUMBER = Difference(
    "outputs/metrics.json", "mae", Verdict.DRIFT, max_abs=0.00745, max_rel=0.00164, max_ulp=10**13,
    scale_error=0.00164, differing=1, beyond=1, size=1, rule=FLOAT64, worst_index=(),
    worst_actual="4.537556082663543", worst_expected="4.545005585660362",
)  # fmt: skip
ARRAY = Difference(
    "outputs/pred.csv", "p", Verdict.DRIFT, max_abs=0.793, max_rel=0.12, max_ulp=10**14,
    scale_error=0.0796, differing=200, beyond=200, size=200, rule=FLOAT64,
    quantiles=((0.5, 0.0869), (0.9, 0.296), (0.99, 0.577)),
    histogram=((0.01, 0.1, 90), (0.1, 1, 110)),
    elements=(
        Element((4,), "7.373654044605118", "6.581137739996512", 0.793),
        Element((104,), "7.214981604997229", "6.464220244916662", 0.751),
        Element((102,), "4.848058836902619", "5.364701232180981", 0.517),
    ),
)  # fmt: skip
SHAPE = Difference("outputs/model.json", "", Verdict.DRIFT, note="shape (4,), expected (3,)")
TREES = tuple(
    replace(SHAPE, item=f"trees[{tree}].{part}")
    for tree in range(150)
    for part in ("leaf", "children")
)  # fmt: skip
LABELS = Difference(
    "outputs/pred.csv", "label", Verdict.DRIFT, differing=1076, beyond=1076, size=2000,
    rule="exact (text default)",
    elements=tuple(Element((row,), "low", "high", None) for row in range(6, 9)),
)  # fmt: skip
SAME = Difference("outputs/pred.csv", "id", Verdict.IDENTICAL, size=200)
EXPLANATION = Explanation(
    runs=7,
    tried=tuple(f"{family.name}=x" for family in FAMILIES if family.name != "threads"),
    not_exercised=tuple((name, "nothing shows it here") for name in ("threads", "simd", "locale")),
    materiality="1,076 of 2,000 labels flipped, mae 4.55 → 4.54, another shape of "
    "outputs/model.json:trees[2].leaf: (4,) instead of (3,)",
)
CAUSE = Cause(
    ("file-order",), 7,
    "files.listing arch, cat, ls … → zstd, znew, zmore …: drifts with it alone (2 of 2 runs) and "
    "agrees with all others but it",
)  # fmt: skip
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "screens"
SCREENS = {100: 40, 80: 50}  # rows at most, by columns
SCREEN_COLUMNS = 160

ENTRY = """
[tool.mlcontainer.entrypoints.{name}]
command = ["python", "kinds.py", "{name}"]
outputs = ["out/*"]
inputs = {{ "side.txt" = "side.txt" }}
timeout = {timeout}
"""
KINDS = '''\
"""Writes what differs in one way; `side.txt` says which side this is."""

import json, os, signal, struct, sys, time, zlib
from pathlib import Path

import numpy as np

OUT = Path("out")
NEW = Path("side.txt").read_text().strip() == "new"
NUMBERS = np.linspace(0.5, 1.5, 600).reshape(20, 30)


def metric():
    save_json("metrics.json", {"accuracy": 0.9125 if NEW else 0.9375, "epochs": 3})


def array():
    np.save(OUT / "embedding.npy", NUMBERS * (1.01 if NEW else 1))


def one_element():
    values = NUMBERS.copy()
    values[7, 11] += 0.25 * NEW
    np.save(OUT / "probabilities.npy", values)


def labels():
    classes = ["cat", "dog", "bird", "dog", "cat", "cat", "bird", "dog"]
    if NEW:
        classes[2:4] = ["dog", "cat"]
    save_csv("predictions.csv", "id,label", enumerate(classes))


def nan():
    values = NUMBERS.copy()
    if NEW:
        values[3, 4:9] = np.nan
    np.save(OUT / "loss.npy", values)


def shape():
    np.save(OUT / "features.npy", NUMBERS[: 19 if NEW else 20])


def dtype():
    np.save(OUT / "features.npy", NUMBERS.astype("f4" if NEW else "f8"))


def text():
    lines = [f"epoch {at}: ok" for at in range(30)]
    if NEW:
        lines[12] = "epoch 12: restarted from a checkpoint"
        del lines[20]
    (OUT / "train.log").write_text("\\n".join(lines) + "\\n")


def rows():
    save_csv("table.csv", "name,score", [(f"row{at}", at / 8) for at in range(18 if NEW else 20)])


def missing():
    save_json("metrics.json", {"accuracy": 0.9})
    if not NEW:
        save_json("confusion.json", [[5, 1], [0, 6]])


def unreadable():
    save_json("metrics.json", {"accuracy": 0.9})
    (OUT / "weights.npz").write_bytes(b"PK\\x03\\x04 cut off" if NEW else npz_bytes())


def trees():
    trees = [{"id": tree, "nodes": 3 + (tree % 4) + NEW * (tree % 2),
              "leaf": [0.125 * (at + 1) + 0.001 * NEW for at in range(3 + NEW * (tree % 2))]}
             for tree in range(150)]
    save_json("model.json", {"trees": trees})
    save_json("metrics.json", {"mae": 3.5 + 0.25 * NEW})


def many():
    for at in range(120):
        save_json(f"part-{at:03}.json", {"value": at + 0.5 * NEW})


def picture():
    levels = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (32, 1))
    if NEW:
        levels[8:16, 10:20] += 12
    (OUT / "curve.png").write_bytes(png(levels))


def crashes():
    save_json("metrics.json", {"accuracy": 0.9})
    if NEW:
        load({})


def load(config):
    return config["learning_rate"]


def writes_nothing():
    if not NEW:
        save_json("metrics.json", {"accuracy": 0.9})
    else:
        Path("result").mkdir(exist_ok=True)
        Path("result/metrics.json").write_text("{}")


def hangs():
    save_json("metrics.json", {"accuracy": 0.9})
    if NEW:
        print("waiting for the other worker", flush=True)
        time.sleep(600)


def killed():
    save_json("metrics.json", {"accuracy": 0.9})
    if NEW:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)


def save_json(name, value):
    (OUT / name).write_text(json.dumps(value))


def save_csv(name, header, rows):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    (OUT / name).write_text("\\n".join(lines) + "\\n")


def npz_bytes():
    np.savez(OUT / "weights.npz", weight=NUMBERS)
    return (OUT / "weights.npz").read_bytes()


def png(levels):
    height, width = levels.shape
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\\0" + row.tobytes() for row in levels)
    return (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


OUT.mkdir(exist_ok=True)
globals()[sys.argv[1]]()
'''
NAMES = tuple(
    name for name in re.findall(r"^def (\w+)\(\):", KINDS, re.MULTILINE) if name != "npz_bytes"
)
# What a bound accepts, and what none does: the proposals are tried, as they are printed.
ACCEPTED = ("metric", "array", "one_element", "dtype", "many", "picture")
TITLE = re.compile(r"^_+ (?P<item>\S+) _+$\n", re.MULTILINE)
PROPOSED = re.compile(r"if that is meant to pass:\n((?:  .+\n)+)")


def screens(printed: str) -> dict[str, str]:
    """What was printed of each item that failed; where it was repeats the cause, it is left out."""
    failures = printed.split(" FAILURES ")[1].split("\n=")[0]
    parts = TITLE.split(failures)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    return {item: text for item, text in found.items() if not text.startswith("not run: ")}


def entrypoint_of(item: str) -> str:
    return re.split(r"\W", item)[0]


def settled(text: str) -> str:
    """Without what is another in every session, folders, and the marks of Python's tracebacks,
    which each of its versions sets in its own way."""
    text = re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"/\S+/record/", "RECORD/", text)
    text = re.sub(r"/\S+/kinds\.py", "PROJECT/kinds.py", text)
    return text.rstrip() + "\n"


def hold(golden: Path, text: str) -> None:
    """It reads as it did, and fits the screens."""
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), golden.name
    for columns, most in SCREENS.items():
        rows = sum(max(1, -(-len(line) // columns)) for line in text.splitlines())
        assert rows <= most, f"{golden.name} at {columns} columns"


def project_of(project: MakeProject, more: str = "") -> Path:
    entries = (ENTRY.format(name=name, timeout=2 if name == "hangs" else 60) for name in NAMES)
    config = 'platforms = ["host"]\n' + "".join(entries) + more
    return project.write(config, kinds__py=KINDS, side__txt="old")


def test_every_failure_fits_a_screen_reads_as_it_did_and_proposes_what_accepts_it(
    project: MakeProject,
) -> None:
    root = project_of(project)
    project.run("--container-baseline=baseline", "--container-update")
    (root / "side.txt").write_text("new")
    found = screens(project.run("--container-baseline=baseline").stdout.str())

    assert {entrypoint_of(item) for item in found} == set(NAMES)
    for item, text in found.items():
        golden = GOLDEN / f"{entrypoint_of(item)}.txt"
        hold(golden, settled(text))
        assert all(len(line) <= SCREEN_COLUMNS for line in settled(text).splitlines()), item

    proposed = [PROPOSED.search(text) for text in found.values()]
    rules = "".join(each[1] for each in proposed if each is not None)
    tables = re.findall(r"entrypoints\.(\w+)\.compare", rules)
    assert sorted(tables) == sorted(ACCEPTED)
    project_of(project, rules)
    (root / "side.txt").write_text("new")
    again = project.run("--container-baseline=baseline", "-k", " or ".join(ACCEPTED))
    again.assert_outcomes(passed=2 * len(ACCEPTED), deselected=2 * (len(NAMES) - len(ACCEPTED)))


def test_more_is_said_where_more_is_asked_for(project: MakeProject) -> None:
    root = project_of(project)
    project.run("--container-baseline=baseline", "--container-update", "-k", "many")
    (root / "side.txt").write_text("new")

    once, twice, thrice = (
        len(screens(project.run("--container-baseline=baseline", "-k", "many", *more).stdout.str())
            ["many::baseline[host]"].splitlines())
        for more in ((), ("-v",), ("-vv",))
    )  # fmt: skip

    assert once < twice < thrice


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("cause_of_a_metric", (NUMBER, replace(NUMBER, item="rmse"))),
        ("cause_of_a_table", (LABELS, ARRAY, replace(ARRAY, item="margin"), NUMBER, SAME)),
        ("cause_of_a_model", (*TREES, ARRAY, NUMBER, replace(NUMBER, item="rmse"), SAME)),
    ],
)
def test_a_drift_whose_cause_is_known_fits_a_screen(
    name: str, differences: tuple[Difference, ...]
) -> None:
    """A fact that the cause has is not said again below it."""
    outcome = Outcome(
        "train", AMD64, AMD64, Verdict.DRIFT, differences, (CAUSE,), against="nothing varied",
        explanation=EXPLANATION,
        facts=(("files.listing", "arch, cat, ls …", "zstd, znew, zmore …"),),
    )  # fmt: skip
    text = "\n".join(failure_lines(outcome, REPEAT)) + "\n"

    hold(GOLDEN / f"{name}.txt", text)
    assert text.count("arch, cat") == 1
