"""Which installed package a file belongs to, as the lists of package managers in the image say."""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PYC = re.compile(r"^(.*/)?__pycache__/([^/]+?)\.(?:cpython|pypy|graalpy)[^/]*\.pyc$")
# Folders at the root that are links into /usr on merged systems; dpkg's lists have both forms.
_MERGED = re.compile(r"^(?:bin|sbin|lib|lib32|lib64|libx32)/")


@dataclass(frozen=True, order=True, slots=True)
class Package:
    """One installed package.

    Args:
        manager: `python`, `deb`, `apk` or `conda`.
        name: in the manager's own spelling; of a Python distribution normalised.
    """

    manager: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


class PackageFiles:
    """Which package each path belongs to.

    Args:
        texts: visible files that say what is installed, by path.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._owners: dict[str, Package] = {}
        self.packages: tuple[Package, ...] = ()
        found: set[Package] = set()
        versions = _deb_versions(texts)
        for path, text in texts.items():
            for package, files in _lists_in(path, text, versions):
                found.add(package)
                for file in files:
                    self._owners[file] = package
        self.packages = tuple(sorted(found))

    def owner(self, path: str) -> Package | None:
        """The package of a file; bytecode belongs to that of its source."""
        found = self._owners.get(path)
        if found is None and path.startswith("usr/"):
            merged = path.removeprefix("usr/")
            found = self._owners.get(merged) if _MERGED.match(merged) else None
        if found is None and (compiled := _PYC.match(path)) is not None:
            found = self._owners.get(f"{compiled[1] or ''}{compiled[2]}.py")
        return found


def python_distribution(folder: str) -> Package | None:
    """The distribution of a `.dist-info` folder, by its name."""
    stem = posixpath.basename(folder).removesuffix(".dist-info")
    name, dash, version = stem.rpartition("-")
    if not dash:
        return None
    return Package("python", re.sub(r"[-_.]+", "-", name).lower(), version.replace("_", "-"))


def _lists_in(
    path: str, text: str, versions: Mapping[str, str]
) -> Iterator[tuple[Package, Iterator[str]]]:
    """The packages that a file lists, each with the paths of its files."""
    folder, _slash, name = path.rpartition("/")
    if name == "RECORD" and (package := python_distribution(folder)) is not None:
        yield package, _in_record(folder, text)
    elif folder == "var/lib/dpkg/info" and name.endswith(".list"):
        deb = name.removesuffix(".list").partition(":")[0]
        yield Package("deb", deb, versions.get(deb, "")), _absolute(text)
    elif folder == "var/lib/dpkg/status.d" and name.endswith(".md5sums"):
        deb = name.removesuffix(".md5sums")
        yield Package("deb", deb, versions.get(deb, "")), _in_sums(text)
    elif path.endswith("lib/apk/db/installed"):
        yield from _in_apk(text)
    elif folder.endswith("conda-meta") and name.endswith(".json"):
        yield from _in_conda(folder.removesuffix("conda-meta"), text)


def _in_record(folder: str, text: str) -> Iterator[str]:
    site = "/" + posixpath.dirname(folder)
    try:
        for row in csv.reader(text.splitlines()):
            if row and row[0]:
                yield posixpath.normpath(posixpath.join(site, row[0])).lstrip("/")
    except csv.Error:
        return  # what came before stands


def _absolute(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("/") and line != "/.":
            yield line.lstrip("/")


def _in_sums(text: str) -> Iterator[str]:
    for line in text.splitlines():
        _sum, _space, path = line.partition("  ")
        if path:
            yield path.lstrip("./")


def _deb_versions(texts: Mapping[str, str]) -> dict[str, str]:
    """Of dpkg's list of what is installed; of distroless images, which have a file for each."""
    versions: dict[str, str] = {}
    for path, text in texts.items():
        if path == "var/lib/dpkg/status" or path.startswith("var/lib/dpkg/status.d/"):
            name = ""
            for line in text.splitlines():
                key, _colon, value = line.partition(": ")
                if key == "Package":
                    name = value.strip()
                elif key == "Version" and name:
                    versions[name] = value.strip()
    return versions


def _in_apk(text: str) -> Iterator[tuple[Package, Iterator[str]]]:
    for block in text.split("\n\n"):
        name = version = folder = ""
        files = []
        for line in block.splitlines():
            key, value = line[:2], line[2:]
            if key == "P:":
                name = value
            elif key == "V:":
                version = value
            elif key == "F:":
                folder = value
            elif key == "R:":
                files.append(posixpath.join(folder, value))
        if name:
            yield Package("apk", name, version), iter(files)


def _in_conda(prefix: str, text: str) -> Iterator[tuple[Package, Iterator[str]]]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(raw, dict) and isinstance(raw.get("files"), list) and raw.get("name"):
        package = Package("conda", str(raw["name"]), str(raw.get("version") or ""))
        yield package, (posixpath.join(prefix, str(file)) for file in raw["files"])
