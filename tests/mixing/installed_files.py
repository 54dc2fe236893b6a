"""Distributions on disk, for tests, as pip leaves them."""

from __future__ import annotations

from pathlib import Path


def write(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def installed(site: Path, name: str, version: str, files: dict[str, str]) -> str:
    """A distribution as pip leaves it; returns the name of its metadata folder."""
    info = f"{name}-{version}.dist-info"
    files = {**files, f"{info}/METADATA": f"Name: {name}\nVersion: {version}\n"}
    for path, text in files.items():
        write(site / path, text)
    lines = [f"{path},sha256=x,{len(text)}" for path, text in files.items()]
    write(site / info / "RECORD", "\n".join([*lines, f"{info}/RECORD,,"]))
    return info
