"""The configuration's files: reading `pyproject.toml`, and whether what it names is there."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mlcontainer.config.copied import copied_secrets
from pytest_mlcontainer.config.settings import parse_settings
from pytest_mlcontainer.config.targets import Schemes
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Settings

_MENTION = re.compile("ml[-_.]?container", re.IGNORECASE)
# Where a file that is no TOML means the table: a heading or a key; no comment, no dependency.
_TABLE = re.compile(
    r"""^[ \t]*(?:\[+[ \t]*["']?tool["']?[ \t]*\.|["']?tool["']?[ \t]*[.=]|)[^#\n"']*["']?"""
    r"""(?<![-\w])ml[-_]?containers?["']?[ \t]*(?:[\].=]|$)""",
    re.IGNORECASE | re.MULTILINE,
)
_LINE_SHOWN = 90
_TOML_REMEDIES = (
    ("Invalid value", "correct this line; text needs quotes"),
    ("twice", "keep one of the two"),
    ("overwrite", "keep one of the two"),
)
_SEARCH_DEPTH = 3
_SEARCH_FOLDERS = 500
_SKIPPED_FOLDERS = ("node_modules", "venv", "site-packages", "__pycache__", "build", "dist")


def has_table(file: Path) -> bool:
    """Whether the file has our table, or one that is surely meant for it, or would if it was TOML.

    `load` then says what there is, or what is wrong.
    """
    try:
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return False
    if not _MENTION.search(text):
        return False  # nine projects in ten; they need not pay for parsing
    try:
        tools = tomllib.loads(text.removeprefix("\ufeff")).get("tool")
    except (ValueError, RecursionError):
        return _TABLE.search(text) is not None
    return isinstance(tools, Mapping) and any(_is_meant(name) for name in tools)


def load(file: Path, machine: str, schemes: Schemes = lambda: ()) -> Settings | None:
    """The settings in `file`, or None if it has no `[tool.mlcontainer]`.

    Args:
        machine: this machine's processor, as `platform.machine()` gives it.
        schemes: of engines that plugins add, as of `parse_engine`.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or the table has problems.
    """
    text = _read_text(file)
    if not _MENTION.search(text):
        return None  # nine projects in ten; they need not pay for parsing
    document = _parse_toml(text, file)
    tools = document.get("tool")
    if not isinstance(tools, Mapping):
        return None
    if "mlcontainer" not in tools:
        _refuse_misspelt(tools, file)
        return None
    table = tools["mlcontainer"]
    if not isinstance(table, Mapping):
        what = f"{file.name}: [tool] mlcontainer: has to be a table"
        remedy = "write [tool.mlcontainer] on a line of its own and its keys below"
        raise ConfigError(str(file), [MlContainerError(what, show(table), remedy)])
    return parse_settings(table, file, machine, _project_name(document), schemes)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = MlContainerError(
            f"{file.name}: cannot be read", error.strerror or str(error), "check the path"
        )
        raise ConfigError(str(file), [problem]) from error
    except UnicodeDecodeError as error:
        problem = MlContainerError(
            f"{file.name}: not UTF-8, which TOML has to be",
            f"byte {error.object[error.start]:#04x} at offset {error.start}",
            "save the file as UTF-8",
        )
        raise ConfigError(str(file), [problem]) from error


def _parse_toml(text: str, file: Path) -> Mapping[str, object]:
    try:
        table: Mapping[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(file), [_toml_problem(text, file, str(error))]) from error
    return table


def _toml_problem(text: str, file: Path, message: str) -> MlContainerError:
    """The parser's message (the only place where it keeps the position) with the line it means."""
    lines = text.rstrip("\n").split("\n")
    found = re.search(r" ?\(at line (\d+), column (\d+)\)", message)
    if not found and "at end of document" not in message:
        return MlContainerError(f"{file.name}: not valid TOML", message, "correct the file")
    row = min(int(found[1]) if found else len(lines), len(lines))
    line = lines[row - 1]
    column = min(int(found[2]) if found else len(line) + 1, len(line) + 1)
    reason = message.replace(found[0] if found else " (at end of document)", "")
    return MlContainerError(
        f"{file.name}:{row}:{column}: not valid TOML",
        f"{reason}\n{_pointed_at(line, row, column)}",
        next((remedy for word, remedy in _TOML_REMEDIES if word in reason), "correct this line"),
    )


def _pointed_at(line: str, row: int, column: int) -> str:
    """The line, or what is around the column of a long one, with a caret below the column."""
    start = max(0, column - _LINE_SHOWN // 2) if len(line) > _LINE_SHOWN else 0
    part = line[start : start + _LINE_SHOWN]
    shown = "".join(char if char.isprintable() else " " for char in part)
    margin = " " * len(str(row))
    return f"{row} | {shown}\n{margin} | {' ' * (column - 1 - start)}^"


def _refuse_misspelt(tools: Mapping[str, object], file: Path) -> None:
    """A table that is surely meant for this plugin must not be passed over in silence."""
    for name in tools:
        if _is_meant(name):
            problem = MlContainerError(
                f"{file.name}: this table is not read",
                f"[tool.{show_key(name)}]",
                "rename it to [tool.mlcontainer]",
            )
            raise ConfigError(str(file), [problem])


def _is_meant(name: str) -> bool:
    return re.fullmatch("(pytest)?mlcontainers?", re.sub("[-_.]", "", name.lower())) is not None


def _project_name(document: Mapping[str, object]) -> str:
    project = document.get("project")
    name = project.get("name") if isinstance(project, Mapping) else None
    return name if isinstance(name, str) else ""


def line_of_table(file: Path, entrypoint: str = "") -> int:
    """Where a file declares an entrypoint, or all of ours, as lines are counted from 0 on.

    Args:
        entrypoint: its name; "" for the table itself.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    name = re.escape(entrypoint)
    patterns = [rf"\s*\[\s*tool\.mlcontainer\.entrypoints\.[\"']?{name}[\"']?\s*\]"]
    patterns = [*(patterns if entrypoint else ()), r"\s*\[\s*tool\.mlcontainer\s*[\].]"]
    found = (
        number
        for pattern in patterns
        for number, line in enumerate(lines)
        if re.match(pattern, line)
    )
    return next(found, 0)


def check_files(settings: Settings) -> tuple[MlContainerError, ...]:
    """What a build needs and is not there; for an image that is not built nothing is needed."""
    build = settings.build
    where = f"{settings.file.name}: [tool.mlcontainer]"
    problems = []
    if not build.context.is_dir():
        problems.append(
            MlContainerError(
                f"{where} context: no such folder",
                f'"{build.context}"',
                f"give the folder that the build sends to the engine, relative to {settings.root}",
            )
        )
    if not build.dockerfile.is_file():
        what = "it is not a file" if build.dockerfile.exists() else "there is no Dockerfile"
        problems.append(
            MlContainerError(
                f"{where} dockerfile: {what}",
                f'"{build.dockerfile}"',
                _dockerfile_remedy(settings.root),
            )
        )
    for secret in build.secrets:
        if secret.file is not None and not secret.file.is_file():
            problems.append(
                MlContainerError(
                    f"{where} build-secrets.{show_key(secret.id)}: no such file",
                    f'"{secret.file}"',
                    "create it, or correct the path (~ and variables are not expanded)",
                )
            )
    for secret, source in copied_secrets(settings):
        problems.append(
            MlContainerError(
                f"{where} {build.dockerfile.name} copies the file of the secret {secret.id} into "
                "the image",
                f"COPY {source} takes {secret.file}",
                f"name it in {build.context / '.dockerignore'}, or keep it outside the context",
            )
        )
    return tuple(problems)


def _dockerfile_remedy(root: Path) -> str:
    found = [str(path.relative_to(root)) for path in _dockerfiles(root)]
    image = "test an image that is already built with --container-image=REF"
    if not found:
        return f"write a Dockerfile there, or {image}"
    others = f" (also here: {', '.join(found[1:6])})" if found[1:] else ""
    return f"set dockerfile = {show(found[0])}{others}, or {image}"


def _dockerfiles(root: Path) -> Iterator[Path]:
    """Files that look like a Dockerfile at most a few folders down, nearest first."""
    folders = [(root, 0)]
    for visited, (folder, depth) in enumerate(folders):
        if visited == _SEARCH_FOLDERS:
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_file() and _looks_like_dockerfile(entry.name):
                yield Path(entry.path)
            elif depth < _SEARCH_DEPTH and _worth_searching(entry):
                folders.append((Path(entry.path), depth + 1))


def _worth_searching(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") or entry.name in _SKIPPED_FOLDERS
    return not hidden and entry.is_dir(follow_symlinks=False)


def _looks_like_dockerfile(name: str) -> bool:
    found = re.fullmatch(
        r"((docker|container)file([.-].+)?|.+\.(docker|container)file)", name.lower()
    )
    return found is not None and not name.endswith((".dockerignore", "~"))
