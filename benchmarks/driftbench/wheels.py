"""Wheels of the small packages that cases of two images install, made without any build tool."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

# Wheels of the same sources have to be the same file, so that the image is built once.
_MOMENT = (2025, 1, 1, 0, 0, 0)
_REQUIRES = "requires.txt"


def write_wheels(packages: Path, wheels: Path) -> None:
    """A wheel for each folder `NAME-VERSION` of modules, with what its `requires.txt` lists."""
    wheels.mkdir(exist_ok=True)
    for folder in sorted(packages.iterdir()):
        name, _, version = folder.name.rpartition("-")
        _write(wheels / f"{folder.name}-py3-none-any.whl", _members(folder, name, version))


def _members(folder: Path, name: str, version: str) -> dict[str, bytes]:
    info = f"{name}-{version}.dist-info"
    needed = folder / _REQUIRES
    requires = needed.read_text(encoding="utf-8").split() if needed.exists() else []
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {each}" for each in requires]
    tags = ["Wheel-Version: 1.0", "Generator: driftbench", "Root-Is-Purelib: true"]
    members = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    members[f"{info}/METADATA"] = _lines(metadata)
    members[f"{info}/WHEEL"] = _lines([*tags, "Tag: py3-none-any"])
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in members.items()]
    members[f"{info}/RECORD"] = _lines([*record, f"{info}/RECORD,,"])
    return members


def _write(file: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), data)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
