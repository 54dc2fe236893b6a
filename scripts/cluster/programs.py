"""Kubernetes' own programs and kube-router, built by Go from its module proxy.

Go's configuration on this machine (proxy, checksum database, caches) is used as it is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.engine.emulation import foreign, native
from scripts.engine.problems import SetupError, say

from . import versions
from .cache import made_once

_MODULE = "k8s.io/kubernetes"
_ROUTER = "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
_PAUSE = Path(__file__).with_name("pause.go")
# The least that a build needs while it runs, beside Go's own caches (another 4 GB, once).
_SPACE_BYTES = 2 << 30


def folder_name() -> str:
    """Which programs these are, as the name of their folder in the cache."""
    return (
        f"programs-kubernetes-{versions.KUBERNETES}-kube-router-{versions.KUBE_ROUTER}"
        f"-{native().debian}-{versions.RECIPE}"
    )


def ensure(cache: Path, environ: Mapping[str, str]) -> Path:
    """The folder with all programs, built where no earlier run has.

    Raises:
        SetupError: there is no Go, no room, or it does not build; with Go's last words.
    """
    return made_once(
        cache / folder_name(), lambda folder, lock: _Build(folder, lock, environ).run()
    )


def missing_go(environ: Mapping[str, str], cache: Path) -> str:
    """What Go is missing for, in words; empty where it is there, or all is built already."""
    if (cache / folder_name()).exists() or shutil.which("go", path=environ.get("PATH")):
        return ""
    return "Go 1.24 or newer on PATH (to build Kubernetes)"


@dataclass(frozen=True)
class _Build:
    """One build of all programs into a folder."""

    folder: Path
    # Handed on to Go: while it builds, also after this process was killed, nobody else begins.
    lock: int
    environ: Mapping[str, str]

    def run(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < _SPACE_BYTES:
            raise SetupError(
                "There is too little room to build Kubernetes",
                f"{free >> 20} MiB free for {self.folder}",
                "Free 2 GiB there, and 4 GiB for Go's caches (`go env GOCACHE GOMODCACHE`).",
            )
        work = self.folder / "work"
        work.mkdir()
        self._declare(work)
        say(f"building Kubernetes {versions.KUBERNETES}: 10 minutes, or 1 from Go's cache")
        packages = [f"{_MODULE}/cmd/{name}" for name in versions.KUBERNETES_PROGRAMS]
        self._build(work, self.folder, packages)
        other = foreign().debian
        say(f"building the kubelet for linux/{other}: 6 minutes, or 10 seconds from Go's cache")
        target = self.folder / f"kubelet-{other}"
        self._build(work, target, [f"{_MODULE}/cmd/kubelet"], GOARCH=other, CGO_ENABLED="0")
        say(f"building kube-router {versions.KUBE_ROUTER}: 4 minutes, or 5 seconds")
        router = f"{_ROUTER}@{versions.KUBE_ROUTER}"
        self._go(work, "install", router, GOBIN=str(self.folder))
        self._go(work, "build", "-o", str(self.folder / "pause"), str(_PAUSE), CGO_ENABLED="0")
        shutil.rmtree(work)

    def _declare(self, work: Path) -> None:
        """Write a module that needs Kubernetes with its staged modules as they were released."""
        asked = f"{_MODULE}@{versions.KUBERNETES}"
        answer = self._go(work, "mod", "download", "-json", asked)
        text = Path(json.loads(answer)["GoMod"]).read_text()
        (work / "go.mod").write_text(module_text(text, versions.KUBERNETES))

    def _build(self, work: Path, output: Path, packages: Sequence[str], **variables: str) -> None:
        version = f"-X k8s.io/component-base/version.gitVersion={versions.KUBERNETES}"
        options = ("-mod=mod", "-trimpath", "-ldflags", f"-s -w {version}", "-o", str(output))
        self._go(work, "build", *options, *packages, **variables)

    def _go(self, work: Path, *arguments: str, **variables: str) -> str:
        """Run one command of Go; what it printed on stdout."""
        try:
            done = subprocess.run(
                ("go", *arguments),
                cwd=work,
                env={**self.environ, "GOWORK": "off", **variables},
                capture_output=True,
                text=True,
                pass_fds=(self.lock,),
            )
        except FileNotFoundError as error:
            raise SetupError(
                "There is no Go to build Kubernetes with", error, HOW_TO_GET_GO
            ) from error
        if done.returncode:
            words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
            raise SetupError(f"`go {' '.join(arguments)[:120]}` failed", words, remedy(words))
        return done.stdout


HOW_TO_GET_GO = (
    "Install Go 1.24 or newer (https://go.dev/doc/install) and have it on PATH, or set KUBECONFIG "
    "to a cluster that you have, then run this again."
)


def remedy(words: str) -> str:
    """The next step where Go's last words were these."""
    if "no space left" in words:
        return "Free 6 GiB for the programs and Go's caches (`go env GOCACHE GOMODCACHE`)."
    if re.search(r"requires go|toolchain", words):
        return HOW_TO_GET_GO
    return "See that Go reaches its module proxy (`go env GOPROXY`), then run this again."


def module_text(kubernetes: str, version: str) -> str:
    """A go.mod with which Kubernetes can be built from its released modules.

    Its own go.mod replaces them by folders, which another module does not have.

    Args:
        kubernetes: The text of Kubernetes' go.mod.
        version: Kubernetes' version, as `v1.34.4`; its modules have `v0.34.4`.
    """
    staged = sorted(set(re.findall(r"(k8s\.io/[a-z0-9-]+) => \./staging", kubernetes)))
    go = re.search(r"^go \S+$", kubernetes, re.MULTILINE)
    replaced = "".join(f"\t{name} => {name} v0.{version.removeprefix('v1.')}\n" for name in staged)
    return (
        f"module cluster.test/kubernetes\n\n{go[0] if go else ''}\n\n"
        f"require {_MODULE} {version}\n\nreplace (\n{replaced})\n"
    )
