"""What a build context holds for a build: all of a folder but what its .dockerignore leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from docker.utils.build import PatternMatcher


def context_files(context: Path, dockerfile: Path) -> Iterator[tuple[str, int]]:
    """Names, with slashes, and sizes in bytes of all files, folder after folder.

    Links count as nothing. Folders that cannot be read are left out.

    Args:
        dockerfile: one of its own, `<Dockerfile>.dockerignore`, comes before the context's.
    """
    matcher = PatternMatcher(_patterns(context, dockerfile))
    kept = tuple(each.cleaned_pattern for each in matcher.patterns if each.exclusion)
    for folder, folders, files in os.walk(context):
        inside = Path(folder).relative_to(context).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        folders[:] = [
            name for name in sorted(folders) if _is_entered(matcher, f"{prefix}{name}", kept)
        ]
        for name in sorted(files):
            if not _is_out(matcher, f"{prefix}{name}"):
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except OSError:
                    continue
                yield f"{prefix}{name}", 0 if path.is_symlink() else status.st_size


def _is_entered(matcher: PatternMatcher, name: str, kept: tuple[str, ...]) -> bool:
    """Whether anything in a folder may be in the context: it is, or what `!` brings back."""
    return not _is_out(matcher, name) or any(
        each.startswith((f"{name}/", "*")) and each != ".dockerignore" for each in kept
    )


def _is_out(matcher: PatternMatcher, name: str) -> bool:
    return bool(matcher.matches(name))  # type: ignore[arg-type]  # text is what it wants


def _patterns(context: Path, dockerfile: Path) -> list[str]:
    for file in (
        dockerfile.with_name(f"{dockerfile.name}.dockerignore"),
        context / ".dockerignore",
    ):
        try:
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            continue
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return []
