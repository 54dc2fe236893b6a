"""Which of a project's locks its image is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.config.settings import parse_settings
from pytest_mlcontainer.image_checks.environment.choosing import ChosenLock, choose_lock

PDM = '[[package]]\nname = "numpy"\nversion = "1.26.4"\ngroups = ["default"]\n'
HASHED = "--hash=sha256:" + "0" * 64
FILES = {
    "pdm.lock": PDM,
    "Pipfile.lock": '{"default": {"numpy": {"version": "==1.26.4"}}, "develop": {}}',
    "tool.txt": f"pdm==2.25.5 {HASHED}\n",
    "base.txt": f"numpy==1.26.4 {HASHED}\n",
    "models.txt": f"torch==2.3.0 {HASHED}\n",
}


def chosen(root: Path, run: str, *names: str) -> ChosenLock:
    for name in names:
        (root / name).write_text(FILES[name])
    (root / "Dockerfile").write_text(f"FROM python:3.12\nRUN {run}\n")
    settings = parse_settings({}, root / "pyproject.toml", "x86_64", "p")
    return choose_lock(settings, None, built=True)


@pytest.mark.parametrize(
    ("run", "names", "place", "extras"),
    [
        ("pdm sync --prod -G ml", ("pdm.lock", "Pipfile.lock"), "pdm.lock", ("ml",)),
        ("pipenv install --deploy --system", ("pdm.lock", "Pipfile.lock"), "Pipfile.lock", ()),
        ("pipenv sync --dev", ("Pipfile.lock",), "Pipfile.lock", ("develop",)),
        ("pip install -r tool.txt && pdm sync", ("pdm.lock", "tool.txt"), "pdm.lock", ()),
    ],
)
def test_it_is_that_of_the_tool_that_installs_the_project(
    run: str, names: tuple[str, ...], place: str, extras: tuple[str, ...], tmp_path: Path
) -> None:
    """And no list of what the tool itself needs."""
    found = chosen(tmp_path, run, *names)
    assert found.lock is not None
    assert (found.lock.place, found.extras, found.lock.complete) == (place, extras, True)


def test_one_of_several_lists_need_not_name_all(tmp_path: Path) -> None:
    found = chosen(tmp_path, "pip install -r base.txt -r models.txt", "base.txt", "models.txt")
    assert found.lock is not None
    assert not found.lock.complete
    assert found.note == "held against base.txt; not against models.txt: name it by lock = …"
    alone = chosen(tmp_path, "pip install -r base.txt", "base.txt")
    assert alone.lock is not None
    assert alone.lock.complete
