"""Debian's Python, moved to where the official images have it: /usr/local.

There it is nobody's package: `pip install` writes to /usr/local/lib/python3.X/site-packages,
`--prefix` and multi-stage COPY lines find what they expect, and `apt-get install python3`
brings Debian's own beside it, all as in the official images.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

from .rootfs import write_files


def is_python_package(name: str, version: str) -> bool:
    """Whether a Debian package is part of Python itself and is moved instead of installed."""
    parts = "-minimal|-stdlib|-venv|-dev|-distutils|-lib2to3|-(pip|setuptools|wheel)-whl"
    return bool(re.fullmatch(rf"(lib)?python(3|{re.escape(version)})({parts})?(t64)?", name))


def move(unpacked: Path, root: Path, version: str, triplet: str) -> None:
    """Move Python's files from where Debian unpacks them to /usr/local in `root`."""
    local = root / "usr/local"
    name = f"python{version}"
    for source, target in (
        (f"usr/lib/{name}", local / "lib" / name),
        (f"usr/bin/{name}", local / "bin" / name),
        (f"usr/include/{name}", local / "include" / name),
        (f"usr/include/{triplet}/{name}", local / "include" / triplet / name),
        ("usr/share/python-wheels", root / "usr/share/python-wheels"),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(unpacked / source), str(target))
    for library in (unpacked / "usr/lib" / triplet).glob(f"lib{name}.so*"):
        shutil.move(str(library), str(local / "lib" / library.name))
    for command in ("python", "python3"):
        (local / "bin" / command).symlink_to(name)
    _undo_debian_ways(local / "lib" / name)


def _undo_debian_ways(library: Path) -> None:
    """Take back what Debian changed so that its packages and pip's stay apart."""
    for name in ("EXTERNALLY-MANAGED", "sitecustomize.py", "_distutils_system_mod.py"):
        (library / name).unlink(missing_ok=True)
    schemes = library / "sysconfig" / "__init__.py"
    _substitute(
        schemes if schemes.exists() else library / "sysconfig.py",
        (
            ("_LAYOUT', 'posix_local')", "_LAYOUT', 'posix_prefix')"),
            ("prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"),
        ),
    )
    for path in library.glob("_sysconfigdata*.py"):
        if not path.is_symlink():
            _substitute(
                path,
                (
                    ("/usr/lib/python3", "/usr/local/lib/python3"),
                    ("/usr/include/python3", "/usr/local/include/python3"),
                    ("'/usr/bin", "'/usr/local/bin"),
                    ("prefix': '/usr'", "prefix': '/usr/local'"),
                ),
            )
    # `site` is frozen into the interpreter, so its Debian folder is led to the usual one.
    (library / "site-packages").mkdir(exist_ok=True)
    (library / "dist-packages").symlink_to("site-packages")


def _substitute(path: Path, pairs: tuple[tuple[str, str], ...]) -> None:
    text = path.read_text()
    for old, new in pairs:
        text = text.replace(old, new)
    path.write_text(text)


def install_wheel(wheel: Path, root: Path, version: str) -> None:
    """Unpack a pure wheel with its commands, as pip would have."""
    site = root / f"usr/local/lib/python{version}/site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        names = archive.namelist()
    info = site / next(n.split("/")[0] for n in names if n.split("/")[0].endswith(".dist-info"))
    lines = [f"{info.name}/INSTALLER,,\n"]
    write_files(info, {"INSTALLER": "pip\n"})
    for command, target in commands((info / "entry_points.txt"), version).items():
        module, _, function = target.partition(":")
        path = root / "usr/local/bin" / command
        path.write_text(
            f"#!/usr/local/bin/python{version}\nimport sys\n\n"
            f"from {module} import {function}\n\nif __name__ == '__main__':\n"
            f"    sys.exit({function}())\n"
        )
        path.chmod(0o755)
        lines.append(f"../../../bin/{command},,\n")
    with (info / "RECORD").open("a") as record:
        record.writelines(lines)


def commands(entry_points: Path, version: str) -> dict[str, str]:
    """The console scripts of a wheel; pip also gets the name with the version in it."""
    if not entry_points.exists():
        return {}
    section = entry_points.read_text().partition("[console_scripts]")[2].partition("[")[0]
    pairs = (line.partition("=") for line in section.splitlines() if "=" in line)
    found = {name.strip(): target.strip() for name, _, target in pairs}
    if "pip" in found:
        found |= {"pip3": found["pip"], f"pip{version}": found["pip"]}
    return found


def patch_version(root: Path, version: str) -> str:
    """The full version, from the constant in patchlevel.h: 3.13 gives 3.13.5."""
    header = root / f"usr/local/include/python{version}/patchlevel.h"
    match = re.search(r'PY_VERSION\s+"([0-9.]+)', header.read_text())
    return match[1] if match else version


def newest(folder: Path, pattern: str) -> Path | None:
    """The newest file of a pattern; None if there is none."""
    return max(folder.glob(pattern), key=os.path.getmtime, default=None)
