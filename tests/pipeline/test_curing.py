"""What stops a drift, found and confirmed by runs in containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sample_project import MakeProject

SET = """\
import json, os
codes = {name: code for code, name in enumerate({"cat", "dog", "emu", "owl", "ant", "bee", "cow"})}
os.makedirs("outputs", exist_ok=True)
with open("outputs/codes.json", "w") as file:
    json.dump(codes, file)
"""
HOUR = """\
import datetime, json, os, time
utc = os.environ.get("TZ") == "UTC"
{first}
hour = datetime.datetime.fromtimestamp(0).hour
os.makedirs("outputs", exist_ok=True)
with open("outputs/hour.json", "w") as file:
    json.dump({{"hour": {value}}}, file)
"""
FOLDERS = """\
FROM python:{version}-slim
WORKDIR /app
RUN mkdir animals && for name in cat dog emu owl; do touch animals/$name; done
COPY *.py ./
"""
LISTED = """\
import json, os
from pathlib import Path
names = [each.name for each in Path("animals").iterdir()]
os.makedirs("outputs", exist_ok=True)
with open("outputs/codes.json", "w") as file:
    json.dump({name: code for code, name in enumerate(names)}, file)
"""


def _hour(first: str = "", value: str = "hour") -> str:
    return HOUR.format(first=first, value=value)


def _cured(project: MakeProject, vary: str, *args: str) -> tuple[str, dict[str, Any]]:
    """What is printed, and the cure in report.json."""
    text = project.run(
        "-k", "varies", f"--container-vary={vary}", "--container-cure",
        "--container-report=report", *args,
    ).stdout.str()  # fmt: skip
    return text, _cure(project.root)


def _cure(root: Path) -> dict[str, Any]:
    report = json.loads((root / "report" / "report.json").read_text())
    (cure,) = [each["cure"] for each in report["results"] if each["cure"] is not None]
    assert isinstance(cure, dict)
    return cure


def test_repeats_agree_with_a_setting(project: MakeProject, leaves_nothing: None) -> None:
    """It is printed for the image, for the table and for a workflow, with its price."""
    project.write(train=SET)
    text, cure = _cured(project, "hash-seed")
    assert "cured by: PYTHONHASHSEED=0 — with it 6 runs agree, without it they do not" in text
    assert "Dockerfile: ENV PYTHONHASHSEED=0" in text
    assert '[tool.mlcontainer]: env = { PYTHONHASHSEED = "0" }' in text
    assert 'GitHub workflow: env: { PYTHONHASHSEED: "0" }' in text
    assert "price: runs on linux/" in text
    assert cure["kind"] == "settings"
    assert cure["agreeing"] == 6
    (price,) = cure["prices"]
    assert len(price["cured"]) == 6


def test_the_two_sides_agree_with_a_setting(project: MakeProject) -> None:
    """Three runs of each, with it and without."""
    project.write(train=_hour())
    text, cure = _cured(project, "timezone")
    assert "cured by: TZ=UTC — with it 3 runs of each side agree" in text
    assert cure["runs"] == 12
    assert cure["agreeing"] == 3
    assert cure["together"] is True


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_a_change_of_the_program_is_tried_from_outside(project: MakeProject, version: str) -> None:
    """No setting orders a folder; with its listing sorted both sides agree. The line is named."""
    project.write(train=LISTED, dockerfile=FOLDERS.format(version=version))
    text, cure = _cured(project, "file-order")
    assert "cured by a change: train.py:3: names = " in text
    assert "sort the listing: sorted(…) around os.listdir, glob and iterdir" in text
    assert "os.listdir and os.scandir sorted from outside) 3 runs of each side agree" in text
    assert [each["name"] for each in cure["changes"]] == ["sort-listings"]
    assert cure["settings"] == []
    assert cure["place"]["line"] == 3


def test_generators_are_seeded_from_outside(project: MakeProject) -> None:
    """Whatever they were given: here the time."""
    draw = "import json, random, time\nrandom.seed(time.time())\nvalue = random.random()\n"
    project.write(
        "[tool.mlcontainer.entrypoints.train]\n"
        'command = ["python", "train.py"]\noutputs = ["outputs/*"]\n',
        train=draw + "import os\nos.makedirs('outputs', exist_ok=True)\n"
        "json.dump(value, open('outputs/value.json', 'w'))\n",
    )
    text, cure = _cured(project, "hash-seed")
    assert "cured by a change: " in text
    assert "seed the generators with a constant" in text
    assert cure["sides"] == 1


def test_lots_and_the_order_of_a_set_take_both(project: MakeProject) -> None:
    """Neither helps alone: a setting and a change, each of them needed."""
    both = SET.replace("import json, os", "import json, os, random")
    project.write(train=both.replace("json.dump(codes", "json.dump([codes, random.random()]"))
    text, cure = _cured(project, "hash-seed")
    assert "constant: random.seed(0), numpy.random.default_rng(0), with PYTHONHASHSEED=0" in text
    assert "without any of it they do not" in text
    assert cure["kind"] == "change"
    assert cure["is_smallest"] is True
    assert cure["dockerfile"] == ["ENV PYTHONHASHSEED=0"]


BROKEN = {
    "it fails": ('if utc: raise SystemExit("no such zone")', "hour", "exited with code 1"),
    "nothing is written": (
        "os.makedirs('outputs', exist_ok=True); open('outputs/a.txt', 'w').write('a')\n"
        "if utc: raise SystemExit(0)",
        "hour",
        "outputs/hour.json is not written with it",
    ),
    "no value is written": ("", 'float("nan") if utc else hour', "has no value with it: nan"),
    "it is too slow": ("if utc: time.sleep(60)", "hour", "TZ: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_agreement_that_says_nothing_is_no_cure(project: MakeProject, case: str) -> None:
    """Where the program fails, writes nothing or takes too long with the setting."""
    first, value, why = BROKEN[case]
    project.write(
        "timeout = 8\n[tool.mlcontainer.entrypoints.train]\n"
        'command = ["python", "train.py"]\noutputs = ["outputs/*"]\n',
        train=_hour(first, value),
    )
    text, cure = _cured(project, "timezone")
    assert "cured by" not in text
    assert "not cured: nothing that was tried makes the runs agree" in text
    (broken,) = cure["broken"]
    assert why in f"{broken['names']}: {broken['why']}"
    assert "advice: this was not tried" in text


def test_what_the_image_sets_already_is_not_to_be_added(project: MakeProject) -> None:
    """It was overridden, because the variation was named."""
    project.write(
        train=SET, dockerfile="FROM python:3.13-slim\nENV PYTHONHASHSEED=7\nWORKDIR /app\n"
        "COPY *.py ./\n",
    )  # fmt: skip
    text, cure = _cured(project, "hash-seed")
    assert "set already: PYTHONHASHSEED=7: drift comes where something overrides it" in text
    assert "ENV PYTHONHASHSEED" not in text
    assert cure["dockerfile"] == []


def test_the_variable_that_matters_is_told_from_others(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that leak from this machine."""
    monkeypatch.setenv("SHARD", "3")
    monkeypatch.setenv("COLOUR", "blue")
    program = _hour(value="[os.environ.get('SHARD'), bool(os.environ.get('COLOUR'))][0]")
    project.write(train=program)
    text, cure = _cured(project, "env")
    assert "Dockerfile: ENV SHARD=3" in text
    assert [each["name"] for each in cure["settings"]] == ["SHARD"]
    assert "COLOUR" in cure["needless"]


def test_the_host_and_a_container_agree_with_a_setting(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings are tried on this machine, too."""
    monkeypatch.setenv("TZ", "<+09>-9")
    project.write(
        'platforms = ["native", "host"]\n[tool.mlcontainer.entrypoints.train]\n'
        'command = ["python3", "train.py"]\noutputs = ["outputs/*"]\n',
        train=_hour(),
    )
    text = project.run(
        "-k", "agrees", "--container-vary=timezone", "--container-cure",
        "--container-report=report",
    ).stdout.str()  # fmt: skip
    assert "cured by: TZ=UTC — with it 3 runs of each side agree" in text
    assert [each["side"] for each in _cure(project.root)["prices"]] == ["linux/amd64", "host"]


def test_a_failure_offers_to_look(project: MakeProject) -> None:
    """With the option that does, and what it takes."""
    project.write(train=_hour())
    text = project.run("-k", "varies", "--container-vary=timezone").stdout.str()
    assert "add --container-cure to find what stops it (mostly 12 more runs, at most 54)" in text


def test_one_line_that_makes_two_entrypoints_drift_is_one_finding(project: MakeProject) -> None:
    """In the summary, and in the report."""
    table = '[tool.mlcontainer.entrypoints.{0}]\ncommand = ["python", "{0}.py"]\n'
    table += 'outputs = ["outputs/{0}.json"]\n'
    program = (
        "import json, os, common\nos.makedirs('outputs', exist_ok=True)\n"
        "names = {names}\n"
        "with open('outputs/{0}.json', 'w') as file:\n    json.dump(names, file)\n"
    )
    project.write(
        table.format("train") + table.format("infer"),
        dockerfile=FOLDERS.format(version="3.13"),
        train=program.format("train", names="common.names()"),
        infer__py=program.format("infer", names="common.names()[0]"),
        common__py="import os\ndef names():\n    return os.listdir('animals')\n",
    )
    text = project.run(
        "-k", "varies", "--container-vary=file-order", "--container-locate",
        "--container-report=report",
    ).stdout.str()  # fmt: skip
    assert "one cause, 2 drifts: file-order at common.py:3, in names: " in text
    report = json.loads((project.root / "report" / "report.json").read_text())
    (shared,) = report["shared_causes"]
    assert shared["results"] == [0, 1]
    assert shared["proven"] is True
    assert "One cause, many drifts" in (project.root / "report" / "report.html").read_text()


# Files that arrive as a network delivers them, in a folder that lists them as they arrived.
ARRIVING = """\
import json, os, random, tempfile, time
from concurrent.futures import ThreadPoolExecutor
folder = tempfile.mkdtemp(dir="/dev/shm")
def fetch(name):
    time.sleep(random.SystemRandom().random() / 5)
    open(os.path.join(folder, name), "w").close()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(fetch, ["cat", "dog", "emu", "owl", "ant", "bee", "cow"]))
names = os.listdir(folder)
os.makedirs("outputs", exist_ok=True)
with open("outputs/codes.json", "w") as file:
    json.dump({name: code for code, name in enumerate(names)}, file)
"""
LOTS = "import random\n" + SET.replace("json.dump(codes", "json.dump(random.random()")
ALL = """\
repeat = 3
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""


@pytest.mark.parametrize(
    ("program", "said", "kind"),
    [
        (SET, "cured by: PYTHONHASHSEED=0 — with it 6 runs agree, without it", "settings"),
        (LOTS, "seed the generators with a constant", "change"),
        (ARRIVING, "sort the listing: sorted(…)", "change"),
    ],
    ids=["the order of a set", "random numbers", "the order of files"],
)
def test_repeats_that_were_asked_for_are_cured(
    project: MakeProject, program: str, said: str, kind: str
) -> None:
    """With no variation asked for: what makes runs of the very same agree."""
    project.write(ALL, train=program)
    text = project.run(
        "-k", "repeats", "--container-cure", "--container-report=report"
    ).stdout.str()  # fmt: skip
    cure = _cure(project.root)
    assert said in text
    assert cure["kind"] == kind
    assert cure["sides"] == 1
    assert cure["agreeing"] >= 6


def test_repeats_that_nothing_cures_name_the_line(project: MakeProject) -> None:
    """And the usual change there, which was not tried."""
    program = SET.replace("json.dump(codes", "json.dump(drawn").replace(
        "os.makedirs", "drawn = int.from_bytes(os.urandom(4), 'big')\nos.makedirs"
    )
    project.write(ALL, train=program)
    text = project.run(
        "-k", "repeats", "--container-cure", "--container-locate", "--container-report=report"
    ).stdout.str()  # fmt: skip
    assert "located: train.py:3: drawn = " in text
    assert "not cured: nothing that was tried makes the runs agree" in text
    assert "the line: train.py:3: drawn = " in text
    assert "advice: this was not tried" in text


def _held(project: MakeProject, train: str, then: str, now: str) -> str:
    """What is printed of a run whose baseline was kept with other variables."""
    entry = 'command = ["python", "train.py"]\noutputs = ["outputs/*"]\n'
    for env in (then, now):
        project.write(
            f"[tool.mlcontainer.entrypoints.train]\n{entry}env = {{{env}}}\n", train=train
        )
        args = ("--container-update",) if env == then else ("--container-cure",)
        result = project.run("--container-baseline=baseline", "--container-report=report", *args)
    return result.stdout.str()


@pytest.mark.parametrize(
    ("then", "now", "setting"),
    [
        ('TZ = "Asia/Tokyo", PYTHONHASHSEED = "1"', 'PYTHONHASHSEED = "1"', "TZ=Asia/Tokyo"),
        ("", 'TZ = "Asia/Tokyo"', "TZ=UTC"),
        ('TZ = "Asia/Tokyo"', 'TZ = "Europe/Rome"', "TZ=Asia/Tokyo"),
    ],
    ids=["it was set", "it was not set", "it was set otherwise"],
)
def test_a_baseline_is_met_again_with_the_setting_of_then(
    project: MakeProject, then: str, now: str, setting: str
) -> None:
    """Three runs with it agree with what is kept, and three without do not."""
    text = _held(project, _hour(), then, now)
    assert f"cured by: {setting} — with it 3 runs agree with the baseline, without it they" in text
    cure = _cure(project.root)
    assert [each["name"] for each in cure["settings"]] == ["TZ"]
    assert (cure["agreeing"], cure["runs"]) == (3, 6)


def test_a_run_that_does_not_repeat_itself_is_cured_before_its_baseline(
    project: MakeProject,
) -> None:
    """What is kept cannot be met but by chance: first its runs have to agree, then it is kept."""
    text = _held(project, SET, 'A = "1"', 'A = "2"')
    assert "cured by: PYTHONHASHSEED=0 — with it 6 runs agree, without it they do not" in text
    assert "it does not agree with itself when it is run again" in text


def test_a_baseline_that_no_setting_explains_is_not_cured(project: MakeProject) -> None:
    """The program itself became another one."""
    program = _hour(value="os.environ['A']")
    text = _held(project, program, 'A = "1"', 'A = "2"')
    assert "not cured: nothing that a setting decides differs from the environment of the" in text


def test_a_switch_that_leaks_is_held_off_and_not_on(project: MakeProject) -> None:
    """With what the machine has, both sides would agree, on what a run for debugging gives."""
    project.write(train=_hour(value="1 if os.environ.get('DEBUG', '') in ('1', 'true') else 12"))
    text, cure = _cured(project, "env")
    assert "cured by: DEBUG= — with it 3 runs of each side agree" in text
    assert 'Dockerfile: ENV DEBUG=""' in text
    assert [(each["name"], each["value"]) for each in cure["settings"]] == [("DEBUG", "")]
    assert cure["notes"] == []


def test_a_setting_that_gives_other_results_says_so(project: MakeProject) -> None:
    """Nothing that is set is the same as nothing: what is kept of earlier runs has to be new."""
    project.write(train=_hour(value="os.environ.get('DEBUG')"))
    _text, cure = _cured(project, "env")
    assert [(each["name"], each["value"]) for each in cure["settings"]] == [("DEBUG", "1")]
    (note,) = cure["notes"]
    assert note.startswith("with it the results are others than those of linux/")
