"""Debian packages without installing any: apt with its own directories, then unpacking.

Mirror addresses and keys come from the machine's own apt configuration, and so do proxies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from .problems import SetupError, say

APT_ETC = Path("/etc/apt")


@dataclass(frozen=True)
class Source:
    """One entry of apt's sources: where packages come from, and which key signs them."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def for_release(self, old: str, new: str) -> Source:
        """The same source for another release: `bookworm-updates` becomes `trixie-updates`."""
        swapped = (re.sub(rf"^{re.escape(old)}(?=$|[-/])", new, suite) for suite in self.suites)
        return replace(self, suites=tuple(swapped))

    def as_text(self, architecture: str = "") -> str:
        """The entry in deb822 form."""
        lines = [
            "Types: deb",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
        ]
        if architecture:
            lines.append(f"Architectures: {architecture}")
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def parse_deb822(text: str) -> tuple[Source, ...]:
    """The enabled `deb` entries of a .sources file."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            split = {key: tuple(value.split()) for key, value in fields.items()}
            found.append(
                Source(
                    split.get("uris", ()),
                    split.get("suites", ()),
                    split.get("components", ()),
                    fields.get("signed-by", ""),
                )
            )
    return tuple(found)


ONE_LINE = re.compile(
    r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)"
)


def parse_one_line(text: str) -> tuple[Source, ...]:
    """The `deb` lines of a sources.list file."""
    found = []
    for line in text.splitlines():
        match = ONE_LINE.match(line.partition("#")[0].strip())
        if match:
            options = dict(o.partition("=")[::2] for o in (match["options"] or "").split())
            signed_by = options.get("signed-by", "").replace(",", " ")
            rest = tuple(match["rest"].split())
            found.append(Source((match["uri"],), (match["suite"],), rest, signed_by))
    return tuple(found)


def machine_sources(etc: Path = APT_ETC) -> tuple[Source, ...]:
    """All sources of this machine that can be reached by network."""
    found: list[Source] = []
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        found += parse_deb822(path.read_text())
    for path in (etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))):
        if path.exists():
            found += parse_one_line(path.read_text())
    return tuple(s for s in found if not any(uri.startswith("cdrom:") for uri in s.uris))


def release_sources(sources: Sequence[Source], codename: str) -> tuple[Source, ...]:
    """The distribution's own sources (with updates and security), not third parties'."""
    names = {codename, f"{codename}-updates", f"{codename}-security"}
    found = tuple(s for s in sources if names & set(s.suites))
    if not any(codename in s.suites for s in found):
        raise SetupError(
            "apt's configuration names no source for this release",
            codename,
            f"Add the distribution's mirror for {codename} to {APT_ETC}/sources.list.d/.",
        )
    return found


def main_source(sources: Sequence[Source], codename: str) -> Source:
    """The entry that has the release itself, reduced to it."""
    return next(replace(s, suites=(codename,)) for s in sources if codename in s.suites)


@dataclass(frozen=True)
class Apt:
    """apt with its own sources, lists and cache in `home`; the machine's stay as they are."""

    home: Path
    architecture: str

    def configure(self, sources: Sequence[Source], pins: Mapping[str, int]) -> None:
        """Write the configuration; `pins` maps release code names to priorities."""
        for folder in ("lists/partial", "cache/archives/partial", "sources", "pins"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        text = "\n".join(source.as_text(self.architecture) for source in sources)
        (self.home / "sources" / "engine.sources").write_text(text)
        stanzas = (
            f"Package: *\nPin: release n={release}\nPin-Priority: {priority}\n"
            for release, priority in pins.items()
        )
        (self.home / "pins" / "engine").write_text("\n".join(stanzas))
        (self.home / "status").touch()
        (self.home / "apt.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        home = self.home
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": home / "sources",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": home / "pins",
            "Dir::State::lists": home / "lists",
            "Dir::State::status": home / "status",
            "Dir::Cache": home / "cache",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": home,
            "APT::Architecture": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "APT::Get::Assume-Yes": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::GzipIndexes": "false",
            "Acquire::PDiffs": "false",
        }
        hooks = ("APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
        cleared = (*hooks, "DPkg::Post-Invoke", "DPkg::Pre-Invoke", "APT::Architectures")
        lines = [f"#clear {name};" for name in cleared]
        lines += [f'{name} "{value}";' for name, value in options.items()]
        return "\n".join(lines) + f'\nAPT::Architectures {{ "{self.architecture}"; }};\n'

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run apt-get or apt-cache with this configuration; returns what it printed."""
        config = str(self.home / "apt.conf")
        line = (command, "-c", config, *arguments)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        environ.pop("APT_CONFIG", None)
        done = subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environ)
        if done.returncode:
            raise SetupError(
                f"{' '.join((command, *arguments))[:300]} failed",
                (done.stderr.strip() or done.stdout.strip())[-1500:],
                "Check that this machine's own `apt-get update` works, then try again.",
            )
        return done.stdout

    def offered(self, names: Sequence[str], release: str) -> frozenset[str]:
        """Which of these packages the release has (another release's may need a newer libc)."""
        return parse_madison(self.run("apt-cache", "madison", *names), release)

    def download(self, names: Sequence[str], into: Path) -> tuple[Path, ...]:
        """Fetch just these packages (`name` or `name/release`), without what they depend on."""
        into.mkdir(parents=True, exist_ok=True)
        self.run("apt-get", "download", "-q", *names, cwd=into)
        return tuple(sorted(into.glob("*.deb")))

    def download_closure(self, names: Sequence[str]) -> tuple[Path, ...]:
        """Fetch these packages and everything that they depend on."""
        self.run("apt-get", "install", "--download-only", "-q", *names)
        return tuple(sorted((self.home / "cache" / "archives").glob("*.deb")))


def parse_madison(listing: str, release: str) -> frozenset[str]:
    """Package names in `apt-cache madison` lines: `name | version | address suite/part arch …`."""
    suites = (f" {release}/", f" {release}-updates/", f" {release}-security/")
    return frozenset(
        line.partition("|")[0].strip()
        for line in listing.splitlines()
        if any(suite in line for suite in suites)
    )


def unpack_all(packages: Sequence[Path], root: Path) -> None:
    """Unpack packages side by side; the largest first, so that no core idles at the end."""
    root.mkdir(parents=True, exist_ok=True)
    largest_first = sorted(packages, key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        list(pool.map(lambda path: _unpack(path, root), largest_first))


def _unpack(package: Path, root: Path) -> None:
    done = subprocess.run(("dpkg-deb", "-x", package, root), capture_output=True, text=True)
    if done.returncode:
        raise SetupError(
            f"Unpacking {package.name} failed",
            done.stderr.strip(),
            "Free space on the disk, and run this again: everything is fetched anew.",
        )


@dataclass(frozen=True)
class Selection:
    """Packages to unpack: programs, and the libraries that they need."""

    programs: tuple[str, ...]
    # Only those that the machine does not have itself.
    libraries: tuple[str, ...]
    # Packages that are taken from another release than the machine's.
    releases: Mapping[str, str]

    def names(self, offered: frozenset[str]) -> tuple[str, ...]:
        """The packages as apt is asked for them, of those that the release has."""
        installed = subprocess.run(
            ("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n"),
            capture_output=True,
            text=True,
        ).stdout.split("\n")
        present = {line[3:] for line in installed if line.startswith("ii")}
        names = [name for name in self.programs if name in offered or name in self.releases]
        names += [name for name in self.libraries if name in offered and name not in present]
        return tuple(
            f"{name}/{self.releases[name]}" if name in self.releases else name for name in names
        )


def unpack_selection(selection: Selection, apt: Apt, codename: str, root: Path) -> None:
    """Fetch the packages from this machine's mirrors and unpack them below `root`, made anew."""
    own = release_sources(machine_sources(), codename)
    main = main_source(own, codename)
    others = sorted(set(selection.releases.values()))
    apt.configure(
        [*own, *(main.for_release(codename, other) for other in others)],
        {codename: 900, **dict.fromkeys(others, 100)},
    )
    apt.run("apt-get", "update", "-q")
    offered = apt.offered((*selection.programs, *selection.libraries), codename)
    packages = apt.download(selection.names(offered), empty(apt.home / "debs"))
    say(f"unpacking {len(packages)} packages")
    unpack_all(packages, empty(root))


def empty(folder: Path) -> Path:
    """The folder, without what a half-finished attempt left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
