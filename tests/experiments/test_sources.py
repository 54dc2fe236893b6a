"""Which programs of a project are read."""

from __future__ import annotations

from pathlib import Path

from pytest_mlcontainer.experiments.sources import read_sources


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
