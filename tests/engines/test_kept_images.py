"""What was built stays for the next session, under one name a platform, within a budget."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.engines.docker.kept_images import PREFIX, KeptImage, find_kept, past_budget
from pytest_mlcontainer.engines.docker.sessions import list_images
from tests.sample_project import MakeProject

CONFIG = """
platforms = ["native"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""


def in_session(root: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--container", "-q"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout


def mlcontainer(root: Path, *words: str) -> str:
    command = [str(Path(sys.executable).with_name("mlcontainer")), *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    return done.stdout + done.stderr


@pytest.fixture
def kept(
    project: MakeProject, alone: None, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Any]]:
    """A project's folder, and a way to ask for the names under which its images stay."""
    monkeypatch.delenv("MLCONTAINER_KEEP_IMAGES")
    root = project.write(CONFIG)
    config = root / "pyproject.toml"
    config.write_text(config.read_text().replace('"sample"', '"kept-sample"'))

    def names() -> dict[str, str]:
        images = list_images(engine, filters={"label": ["pytest-mlcontainer.project=kept-sample"]})
        tags = {tag: image["Id"] for image in images for tag in image.get("RepoTags") or ()}
        return {tag: id for tag, id in tags.items() if tag != "<none>:<none>"}

    yield root, names
    for name in names():
        engine.remove_image(name)


def test_an_image_stays_and_the_next_session_takes_it(kept: tuple[Path, Any]) -> None:
    root, names = kept
    in_session(root)
    first = names()
    assert len(first) == 1
    assert next(iter(first)).startswith(f"{PREFIX}kept-sample-")

    in_session(root)
    assert names() == first

    (root / "more.py").write_text("")
    in_session(root)
    assert names().keys() == first.keys()
    assert names() != first, "the name moves to what was built last, and the other image is gone"


def test_clean_and_doctor_know_it(kept: tuple[Path, Any]) -> None:
    root, names = kept
    in_session(root)
    (name,) = names()
    assert re.search(r"kept +ok +\d+ images? for the next session, ", mlcontainer(root, "doctor"))
    said = mlcontainer(root, "clean")
    assert f"removed       image {name}, kept for the next session of kept-sample" in said
    assert not names()


@pytest.mark.parametrize("way", ["key", "size", "variable"])
def test_nothing_stays_that_is_not_wanted_or_does_not_fit(
    kept: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    root, names = kept
    in_session(root)
    assert names()
    config = root / "pyproject.toml"
    if way == "variable":
        monkeypatch.setenv("MLCONTAINER_KEEP_IMAGES", "0")
    else:
        size = "0" if way == "key" else '"1k"'
        table = f"[tool.mlcontainer]\nkeep-images = {size}\n"
        config.write_text(config.read_text().replace("[tool.mlcontainer]\n", table))
    in_session(root)
    assert not names()


def test_the_engine_says_what_was_used_last(
    kept: tuple[Path, Any], engine: docker.APIClient
) -> None:
    root, names = kept
    in_session(root)
    (name,) = names()
    repository = name.rpartition(":")[0]
    engine.tag(name, repository, "later")
    found = [image for image in find_kept(engine) if image.project == "kept-sample"]
    assert [image.name for image in found] == [f"{repository}:later", name]
    assert all(image.size_bytes > 1e6 for image in found)
    assert all(image.age_s is not None and image.age_s < 300 for image in found)


@pytest.mark.parametrize(
    ("sizes", "ages", "gone"),
    [
        ((4, 4, 4), (1, 2, 3), ""),
        ((4, 4, 5), (1, 2, 3), "c"),
        ((13, 4, 4), (1, 2, 3), "a"),
        ((4, 5, 4), (1, 2, 3), "c"),
        ((4, 4, 4), (1, 11, 12), "bc"),
        ((4, 9, 4), (1, 11, 3), "b"),
        ((4, 4, 5), (1, 2, None), "c"),
    ],
)
def test_what_was_not_used_for_longest_goes(
    sizes: tuple[int, ...], ages: tuple[float | None, ...], gone: str
) -> None:
    images = [KeptImage(*each) for each in zip("abc", "ppp", sizes, ages, strict=True)]
    assert "".join(image.name for image in past_budget(images, 12, longest_s=10)) == gone


@pytest.mark.parametrize("way", ["key", "variable"])
def test_what_is_no_size_is_refused(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv("MLCONTAINER_KEEP_IMAGES", "lots")
        root = project.write(CONFIG)
    else:
        root = project.write('keep-images = "lots"\n' + CONFIG)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--container", "-q"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    where = "keep-images" if way == "key" else "MLCONTAINER_KEEP_IMAGES"
    assert where in said
    assert "not a size" in said
    assert "'lots'" in said or '"lots"' in said
