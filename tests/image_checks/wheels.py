"""Wheels made by hand, so that images install something without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

MODULE = '"""A module."""\n\nNAMES = {"a", "b", "c"}\n'


def write_wheel(
    folder: Path, name: str, version: str = "1.0", requires: str = "", data: bytes = b""
) -> str:
    """Write a wheel with one module; returns its file name.

    Args:
        data: content of a file beside the module, `NAME.bin`.
    """
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files: dict[str, str | bytes] = {f"{name}.bin": data} if data else {}
    files |= {
        f"{name}.py": MODULE,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in (*files, f"{info}/RECORD"))
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for each, text in files.items():
            wheel.writestr(each, text)
    return file.name
