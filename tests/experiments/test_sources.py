"""Which programs of a project are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.experiments.sources import read_sources, reads_file_times


def test_sources_are_a_projects_own_programs(tmp_path: Path) -> None:
    """Tests, builds, hidden folders and installed packages are none, nor is what is too large."""
    for name in ("train.py", "lib/data.py", "run.sh", "README.md", "tests/test_it.py", ".x/a.py",
                 ".venv/lib/b.py", "build/c.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}")
    (tmp_path / "generated.py").write_text("x = 1\n" * 100_000)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "latin.py").write_bytes(b"# \xe9")
    found = dict(read_sources(tmp_path))
    assert found == {
        "latin.py": "# \ufffd",
        "lib/data.py": "# lib/data.py",
        "run.sh": "# run.sh",
        "train.py": "# train.py",
    }


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("newest = max(os.path.getmtime(each) for each in files)", True),
        ("age = now - path.stat().st_mtime_ns", True),
        ("size = path.stat().st_size", False),
    ],
)
def test_programs_that_ask_when_a_file_was_changed_are_known(
    tmp_path: Path, text: str, asks: bool
) -> None:
    """What a build makes has another time in each image: no platform is to be blamed for that."""
    (tmp_path / "train.py").write_text(text)
    assert reads_file_times(tmp_path) is asks
