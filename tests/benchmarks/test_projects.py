"""Projects of others that are run before a release: what passes, and what does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.projects import PinnedProject, main
from tests.sample_project import BASE


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (("train",), "print(1)", "passes"),
        (("train", "serve"), "print(1)", "init finds train"),
        (("train",), "exit(3)", "exited with code 3"),
    ],
)
def test_a_project_passes_where_what_it_has_is_found_and_runs(
    tmp_path: Path,
    engine: object,
    capsys: pytest.CaptureFixture[str],
    found: tuple[str, ...],
    code: str,
    said: str,
) -> None:
    project = tmp_path / "owner/name"
    project.mkdir(parents=True)
    (project / "Dockerfile").write_text(f"FROM {BASE}\nWORKDIR /app\nCOPY train.py .\n")
    (project / "train.py").write_text(f"{code}\n")
    for command in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a",
                                                   "commit", "-qm", "a")):  # fmt: skip
        subprocess.run(("git", *command), cwd=project, check=True)
    head = subprocess.run(("git", "rev-parse", "HEAD"), cwd=project, capture_output=True, text=True)
    pinned = PinnedProject("owner/name", head.stdout.strip(), found)

    status = main(["--url", f"{tmp_path}/{{}}"], [pinned])

    assert said in capsys.readouterr().out
    assert status == (0 if said == "passes" else 1)
