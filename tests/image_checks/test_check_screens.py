"""What the checks that start and build the image print where they fail: one screen, as it reads.

The texts are in `tests/golden/check_screens`; `UPDATE_GOLDEN=1` writes them, to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.fixture_types import FailureOf
from tests.image_checks.wheels import write_wheel
from tests.sample_project import BASE, MakeProject

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "check_screens"
SCREEN_LINES = 40
CONFIG = """\
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]

[tool.mlcontainer.image]
lint = false
size = false
gpu = false
cache = true
rebuild = true

[tool.mlcontainer.image.start]
serves = true
timeout = 2
stop-timeout = 2
user = "app"
labels = ["org.opencontainers.image.source"]
"""
DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /app
COPY . .
RUN pip install --no-index --root-user-action ignore -r requirements.txt
RUN date > built
CMD python -c "import time; time.sleep(600)"; true
"""


def settled(text: str) -> str:
    """Without what is another in every session."""
    text = re.sub(r"\d+\.\d s\b", "N s", text)
    text = re.sub(r"\b1[789]\d{8}\b", "TIME", text)
    text = re.sub(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d( [AP]M)? UTC \d{4}", "DATE", text)
    return text.rstrip() + "\n"


@pytest.mark.usefixtures("containerd_store")
def test_a_failure_of_each_check_fits_a_screen_and_reads_as_it_did(
    project: MakeProject, failure_of: FailureOf
) -> None:
    (project.root / "requirements.txt").write_text(f"./{write_wheel(project.root, 'numbers')}\n")
    project.write(CONFIG, dockerfile=DOCKERFILE)
    result = project.run("-k", "start or cache or rebuild")
    result.assert_outcomes(failed=3)
    for name in ("start", "cache", "rebuild"):
        said = settled(failure_of(result, f"image::{name}"))
        golden = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(said)
        assert said == golden.read_text(), name
        assert len(said.splitlines()) <= SCREEN_LINES, name
