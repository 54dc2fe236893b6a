"""The program that lists and moves distributions, in folders of this machine."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.inside import transplant
from tests.mixing.installed_files import installed, write


def test_a_distribution_moves_with_its_libraries_scripts_and_metadata(tmp_path: Path) -> None:
    """And nothing of the old one stays, byte code included; other packages are not touched."""
    site, donor = tmp_path / "lib" / "python" / "site-packages", tmp_path / "donor"
    there = Path(f"{donor}{site}")
    old = installed(site, "alpha", "1", {"alpha/a.py": "1", "alpha/gone.py": "1"})
    write(site / "alpha" / "__pycache__" / "gone.cpython-313.pyc", "stale")
    installed(site, "beta", "1", {"beta/b.py": "1", "shared/b.py": "1"})
    new = installed(there, "alpha", "2", {
        "alpha/a.py": "2", "alpha.libs/libx.so": "2", "shared/a.py": "2",
        "../../../bin/alpha": "#!/opt/donor/python\nrun",
    })  # fmt: skip
    transplant.apply({
        "donor": str(donor),
        "drop": [{"site": str(site), "info": old}],
        "take": [{"site": str(site), "info": new, "into": str(site)}],
        "folders": [], "cache_tag": "other", "python": "/opt/donor/python",
    })  # fmt: skip
    left = {str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").rglob("*")
            if path.is_file() and "alpha" in str(path)}  # fmt: skip
    assert {path.rpartition("site-packages/")[2] for path in left} == {
        "alpha/a.py", "alpha.libs/libx.so", f"{new}/METADATA", f"{new}/RECORD",
    }  # fmt: skip
    assert (site / "alpha" / "a.py").read_text() == "2"
    assert (site / "shared" / "a.py").exists()
    assert (site / "shared" / "b.py").exists()
    assert (tmp_path / "bin" / "alpha").read_text().splitlines()[0] == f"#!{sys.executable}"


def test_without_a_record_the_importable_folder_is_the_distribution(tmp_path: Path) -> None:
    """As the packages of a Linux distribution are."""
    info = tmp_path / "old_one-1.egg-info"
    write(info / "PKG-INFO", "Name: old.one\nVersion: 1\n")
    write(info / "top_level.txt", "old_module\n")
    write(tmp_path / "old_module" / "x.py", "")
    write(tmp_path / "elsewhere.py", "")
    files = transplant.owned_files("", str(tmp_path), info.name)
    assert "old_module/x.py" in files
    assert "elsewhere.py" not in files


def test_the_projects_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Files that only A has go; a virtual environment in it stays."""
    donor, here = tmp_path / "donor", tmp_path / "app"
    write(here / "old.py", "1")
    write(here / ".env" / "pyvenv.cfg", "")
    write(here / ".env" / "lib" / "x.py", "1")
    write(Path(f"{donor}{here}") / "pkg" / "new.py", "2")
    transplant.apply({
        "donor": str(donor), "drop": [], "take": [], "cache_tag": "", "python": "",
        "folders": [{"from": str(here), "into": str(here), "to": str(here)}],
    })  # fmt: skip
    found = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert found == {"pkg/new.py", ".env/pyvenv.cfg", ".env/lib/x.py"}


@pytest.mark.parametrize("size", [1000, (1 << 20) + 1, 5 << 20])
def test_a_change_anywhere_in_a_file_is_a_change(tmp_path: Path, size: int) -> None:
    """Weights that were trained further begin and end as before."""
    weights, further = (tmp_path / name for name in ("weights.bin", "further.bin"))
    content = bytearray(size)
    weights.write_bytes(content)
    content[size // 2] = 1
    further.write_bytes(content)

    assert transplant._digest(str(weights)) != transplant._digest(str(further))


def test_the_script_says_what_this_python_has() -> None:
    """The same list as importlib's, read without it, in the text that images are given."""
    from importlib import metadata

    text = Path(transplant.__file__).read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", text, "list-packages"], capture_output=True, text=True, check=True
    )
    import zlib

    packed = done.stdout.split(transplant.MARKER)[1]
    told = json.loads(zlib.decompress(base64.b64decode(packed)))
    seen = {each["name"]: each["version"] for each in told["distributions"]}
    known = {
        re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version
        for each in metadata.distributions()
    }
    assert seen == known
    assert next(each for each in told["distributions"] if each["name"] == "numpy")["bound"]
