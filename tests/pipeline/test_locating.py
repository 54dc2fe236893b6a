"""Where runs in containers part: watched, found, and proved by exchanging values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sample_project import MakeProject

FOLDERS = """\
import json
import os


def classes():
    return os.listdir("animals")


names = classes()
codes = {name: code for code, name in enumerate(names)}
os.makedirs("outputs", exist_ok=True)
with open("outputs/codes.json", "w") as file:
    json.dump(codes, file)
"""
DOCKERFILE = """\
FROM python:{version}-slim
WORKDIR /app
RUN mkdir animals && for name in cat dog emu owl; do touch animals/$name; done
COPY *.py ./
"""


def _location(root: Path) -> dict[str, object]:
    report = json.loads((root / "report" / "report.json").read_text())
    (location,) = [each["location"] for each in report["results"] if each["location"] is not None]
    assert isinstance(location, dict)
    return location


# One watches by a trace function, the other by the interpreter's own monitoring.
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_the_line_is_found_and_proved(project: MakeProject, version: str) -> None:
    """In the failure, and in the report."""
    project.write(train=FOLDERS, dockerfile=DOCKERFILE.format(version=version))
    result = project.run(
        "-k", "varies", "--container-vary=file-order", "--container-locate",
        "--container-report=report",
    )  # fmt: skip
    text = result.stdout.str()
    assert 'located: train.py:6, in classes: return os.listdir("animals")' in text
    assert "how: the order of a folder's listing" in text
    assert "usually helps: sort the listing" in text
    assert "put into the other side's run the outputs agree" in text
    location = _location(project.root)
    assert location["proven"] is True
    assert location["runs"] == 4


INLINE = """\
import json
import os


def score(values):
    return sum(values) * len(os.environ.get("TZ", ""))


os.makedirs("outputs", exist_ok=True)
with open("outputs/score.json", "w") as file:
    json.dump({"score": score([0.5, 1.5])}, file)
"""


def test_what_is_returned_is_proved_where_it_is_written_at_once(project: MakeProject) -> None:
    project.write(train=INLINE, dockerfile=DOCKERFILE.format(version="3.13"))
    result = project.run("-k", "varies", "--container-vary=timezone", "--container-locate")
    text = result.stdout.str()
    assert "located: train.py:6, in score: return sum(values)" in text
    assert "put into the other side's run the outputs agree" in text


HIDDEN = """\
import json
import os
import sqlite3

base = sqlite3.connect(":memory:")
base.execute("create table t (v int)")
rate = 3 * len(os.environ.get("TZ", ""))
base.execute("insert into t values (?)", (rate,))
total = base.execute("select sum(v) from t").fetchone()[0]
os.makedirs("outputs", exist_ok=True)
with open("outputs/total.json", "w") as file:
    json.dump(total, file)
"""


def test_what_differs_before_is_tried_without_the_origin(project: MakeProject) -> None:
    """A database hides that it leads there."""
    project.write(train=HIDDEN, dockerfile=DOCKERFILE.format(version="3.13"))
    result = project.run("-k", "varies", "--container-vary=timezone", "--container-locate")
    text = result.stdout.str()
    assert "located: train.py:7: rate = 3 * len(" in text
    assert "how: an environment variable" in text


def test_a_failure_offers_to_look(project: MakeProject) -> None:
    """With the option that does."""
    project.write(train=FOLDERS, dockerfile=DOCKERFILE.format(version="3.13"))
    text = project.run("-k", "varies", "--container-vary=file-order").stdout.str()
    assert "add --container-locate to find the line (mostly 4 more runs, at most 10)" in text
    assert "located" not in text


def test_an_entrypoint_without_python_is_not_located(project: MakeProject) -> None:
    """And why is said."""
    project.write(
        "[tool.mlcontainer.entrypoints.train]\n"
        'command = ["sh", "-c", "mkdir -p outputs; ls -U animals > outputs/names.txt"]\n'
        'outputs = ["outputs/*"]\n',
        dockerfile=DOCKERFILE.format(version="3.13"),
    )
    result = project.run("-k", "varies", "--container-vary=file-order", "--container-locate")
    text = result.stdout.str()
    assert "where it comes in: not located" in text
    assert "the entrypoint starts no Python" in text


def test_secrets_stay_hidden(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of statements are shown, but for those."""
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    program = FOLDERS.replace("names = classes()", "names = classes() + [os.environ['TOKEN']]")
    program = program.replace("enumerate(names)", "enumerate(names[:4])")
    project.write(
        "[tool.mlcontainer.entrypoints.train]\n"
        'command = ["python", "train.py"]\n'
        'outputs = ["outputs/*"]\n'
        'secrets = { TOKEN = "env:TOKEN" }\n',
        train=program,
        dockerfile=DOCKERFILE.format(version="3.13"),
    )
    result = project.run(
        "-k", "varies", "--container-vary=file-order", "--container-locate",
        "--container-report=report",
    )  # fmt: skip
    # A value with a secret in it is not handed to another run: nothing is proved with it.
    assert "suspected: train.py:6" in result.stdout.str()
    assert "hunter2" not in result.stdout.str()
    for file in (project.root / "report").iterdir():
        assert "hunter2" not in file.read_text()


def test_a_clock_beside_the_drift_is_set_apart(project: MakeProject) -> None:
    """Runs differ in it whether they are watched or not."""
    written = '    json.dump({"codes": codes, "created": time.time()}, file)'
    program = FOLDERS.replace("    json.dump(codes, file)", written)
    program = program.replace("import os\n", "import os\nimport time\n", 1)
    project.write(train=program, dockerfile=DOCKERFILE.format(version="3.13"))
    result = project.run("-k", "varies", "--container-vary=file-order", "--container-locate")
    assert "located: train.py:7, in classes: " in result.stdout.str()
