"""The outputs that a run declares, and what they are called."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pytest_mlcontainer.globs import covers, fixed_part


@dataclass(frozen=True)
class DeclaredOutputs:
    """The declared outputs of a run, and the working directory they refer to.

    Args:
        patterns: globs, relative to `workdir` or absolute.
        workdir: absolute path in the container.
    """

    patterns: tuple[str, ...]
    workdir: str

    def roots(self) -> tuple[str, ...]:
        """The fewest container paths that hold everything declared; none lies in another."""
        paths = sorted({self.absolute(fixed_part(clean(pattern))) for pattern in self.patterns})
        kept: list[str] = []
        for path in paths:
            if not any(path == above or path.startswith(as_folder(above)) for above in kept):
                kept.append(path)
        return tuple(kept)

    def folders(self) -> tuple[str, ...]:
        """The container folders into which what is declared is written, where that is known."""
        parts = [(fixed_part(clean(pattern)), clean(pattern)) for pattern in self.patterns]
        return tuple(
            self.absolute(fixed if fixed != whole else posixpath.dirname(whole))
            for fixed, whole in parts
        )

    def absolute(self, name: str) -> str:
        """An output name as an absolute path in the container."""
        return posixpath.normpath(posixpath.join(self.workdir, name))

    def name_of(self, path: str) -> str | None:
        """The output name of an absolute container path; None for what was not declared."""
        relative = None
        if path.startswith(as_folder(self.workdir)):
            relative = path[len(as_folder(self.workdir)) :]
        for pattern in self.patterns:
            name = path if pattern.startswith("/") else relative
            if name and covers(clean(pattern), name):
                return name
        return None


def clean(pattern: str) -> str:
    return posixpath.normpath(pattern)


def as_folder(path: str) -> str:
    return path if path.endswith("/") else path + "/"
