"""What files of the project ask of package indexes, where they do not get it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.image_checks.lint.installs import cache_of, pip_arguments
from pytest_mlcontainer.image_checks.lint.network import extra_index_finding
from pytest_mlcontainer.image_checks.lint.pins import (
    open_arguments,
    unpinned_finding,
    unpinned_requirements,
)
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

_SHOWN: Final = 5
_NAME: Final = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_DEEPEST: Final = 5  # of files that include one another
_LINK: Final = "https://docs.astral.sh/uv/concepts/projects/dependencies/#dependency-sources"


def project_findings(recipe: Recipe, context: Path, root: Path) -> Iterator[ImageFinding]:
    """What is wrong in files that the Dockerfile installs from.

    Args:
        root: the project's folder, to which places are relative.
    """
    commands = [each for one in recipe.instructions for each in shell_commands(one)]
    if any(each.program == "uv" and cache_of(each) is not None for each in commands):
        file = context / "pyproject.toml"
        yield from uv_source_findings(file, _shown(file, root))
    listed = dict.fromkeys(
        name for each in commands for name in _requirements(pip_arguments(each) or ())
    )
    copied = [name for one in recipe.instructions for name in one.copied[0]]
    listed |= dict.fromkeys(name for name in copied if name.endswith(("pip.conf", "pip.ini")))
    for file in _files(context, listed):
        yield from _extra_indexes(file, _shown(file, root))
    freely = [name for each in commands for name in _requirements(open_arguments(each) or ())]
    for file in _files(context, freely):
        yield from _unpinned(file, _shown(file, root))


def uv_source_findings(file: Path, place: str) -> Iterator[ImageFinding]:
    """Sources that uv uses for no package, since none depends on it directly."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except (OSError, ValueError):
        return
    uv = _table(_table(document.get("tool")).get("uv"))
    sources = _table(uv.get("sources"))
    if not sources or "workspace" in uv:
        return
    direct = {_plain(name) for name in _direct(document, uv)}
    for name, source in sources.items():
        if _plain(name) in direct:
            continue
        index = _table(source).get("index") if isinstance(source, Mapping) else None
        yield ImageFinding(
            rule="ML011",
            severity=Severity.WARNING,
            what=f"the source of {name} in [tool.uv.sources] binds nothing: the project does not "
            "depend on it directly",
            place=place,
            line=_line_of(text, name),
            why=f"uv takes {name} from the default index for what depends on it"
            + (f", not from {index}" if isinstance(index, str) else ""),
            mend=f'add it to the dependencies: uv add "{name}", or remove the source',
            link=_LINK,
        )


def _direct(document: Mapping[str, Any], uv: Mapping[str, Any]) -> Iterator[str]:
    project = _table(document.get("project"))
    lists = [project.get("dependencies"), *_table(project.get("optional-dependencies")).values()]
    lists += [*_table(document.get("dependency-groups")).values()]
    lists += [
        uv.get(f"{kind}-dependencies")
        for kind in ("dev", "override", "constraint", "build-constraint")
    ]
    lists += [_table(document.get("build-system")).get("requires")]
    for listed in lists:
        for each in listed if isinstance(listed, list) else ():
            found = _NAME.match(each) if isinstance(each, str) else None
            if found:
                yield found[1]


def _files(context: Path, names: Iterable[str]) -> dict[Path, None]:
    """Those of the context that a Dockerfile names, and those that they include."""
    return dict.fromkeys(
        each
        for name in names
        for each in _with_included(context / name.removeprefix("./").lstrip("/"))
    )


def _requirements(arguments: tuple[str, ...]) -> Iterator[str]:
    for at, word in enumerate(arguments):
        if word in ("-r", "--requirement", "--requirements") and at + 1 < len(arguments):
            yield arguments[at + 1]
        elif word.startswith(("--requirement=", "--requirements=")):
            yield word.partition("=")[2]


def _with_included(file: Path, depth: int = 0) -> Iterator[Path]:
    """A file of requirements, and those that it includes by `-r`; nothing that is not there."""
    if depth > _DEEPEST or not file.is_file():
        return
    yield file
    text = file.read_text(encoding="utf-8", errors="replace")
    for name in re.findall(r"(?m)^\s*(?:-r|--requirement)[ =]\s*(\S+)", text):
        yield from _with_included(file.parent / name, depth + 1)


def _extra_indexes(file: Path, place: str) -> Iterator[ImageFinding]:
    text = file.read_text(encoding="utf-8", errors="replace")
    if "--hash=" in text:
        return  # what is installed is known whatever index it comes from
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*(--)?extra-index-url\b", line):
            yield extra_index_finding(place, number)
            return


def development_findings(recipe: Recipe, place: str, context: Path) -> Iterator[ImageFinding]:
    """Installs that bring the tools of development along, but for stages that are for these."""
    for stage in recipe.stages:
        last = {stage.name, "" if recipe.final is None else recipe.final.name}
        if any(re.search(r"dev|test|lint|docs|ci$", name) for name in last):
            continue
        for each in stage.body:
            groups = [
                group
                for command in shell_commands(each)
                if "UV_NO_DEV" not in {*stage.environment(), *command.settings}
                for group in _brought_groups(command, context / "pyproject.toml")
            ]
            if groups:
                yield ImageFinding(
                    rule="ML017",
                    severity=Severity.INFO,
                    what=f"what only development needs is installed, too: {', '.join(groups)}",
                    place=place,
                    line=each.line,
                    why="each push and pull carries it, and what was tested is not what users run",
                    mend="uv sync --no-dev, poetry install --only main",
                    link="https://docs.astral.sh/uv/concepts/projects/sync/#syncing-development-"
                    "dependencies",
                )


def _brought_groups(command: ShellCommand, file: Path) -> tuple[str, ...]:
    """The groups that a command installs though nobody named them."""
    words = command.words
    narrowed = ("--no-dev", "--no-default-groups", "--only-group", "--only", "--without")
    if words[:2] not in (("uv", "sync"), ("poetry", "install")) or command.has(*narrowed):
        return ()
    try:
        tool = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return ()
    of_tool = _table(_table(tool.get("tool")).get(words[0]))
    if words[0] == "uv":
        old, groups = of_tool.get("dev-dependencies"), _table(tool.get("dependency-groups"))
        asked = of_tool.get("default-groups", ["dev"])
        found = [name for name in groups if groups[name] and name in asked]
        return tuple(found) or (("dev",) if old and "dev" in asked else ())
    groups = {"dev": {"dependencies": of_tool.get("dev-dependencies")}} | dict(
        _table(of_tool.get("group"))
    )
    return tuple(
        name
        for name, group in groups.items()
        if _table(group).get("dependencies") and not _table(group).get("optional")
    )


def _dependencies(text: str) -> str:
    """The requirements of a pyproject.toml, each in its line, and nothing in all others."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = inside or re.match(r"\s*dependencies\s*=\s*\[", line) is not None
        quoted = re.search(r"[\"']([A-Za-z][^\"']*)[\"']", line)
        lines.append(quoted[1] if inside and quoted else "")
        inside = inside and not re.search(r"\]\s*(#.*)?$", line)
    return "\n".join(lines)


def _unpinned(file: Path, place: str) -> Iterator[ImageFinding]:
    text = file.read_text(encoding="utf-8", errors="replace")
    line, names = unpinned_requirements(_dependencies(text) if file.suffix == ".toml" else text)
    if names:
        yield unpinned_finding(
            place,
            line,
            f"no exact version is given for {first_and_count(names, _SHOWN)}",
            f"pip-compile --generate-hashes -o lock.txt {place}\nand install lock.txt, which has "
            "exact versions of these and of all that they need",
        )


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _line_of(text: str, name: str) -> int | None:
    """Of the key below `[tool.uv.sources]`, or of its own table."""
    key = rf"[\"']?{re.escape(name)}[\"']?"
    patterns = (rf"\s*{key}\s*=", rf"\s*\[+\s*tool\.uv\.sources\.{key}\s*\]")
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[", line):
            inside = re.match(r"\s*\[\s*tool\.uv\.sources\s*\]", line) is not None
        if re.match(patterns[1], line) or (inside and re.match(patterns[0], line)):
            return number
    return None
