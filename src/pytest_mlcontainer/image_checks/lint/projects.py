"""What files of the project ask of package indexes, where they do not get it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.image_checks.lint.installs import cache_of, pip_arguments
from pytest_mlcontainer.image_checks.lint.network import extra_index_finding
from pytest_mlcontainer.image_checks.lint.shell import shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity

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
    files = dict.fromkeys(
        each
        for name in listed
        for each in _with_included(context / name.removeprefix("./").lstrip("/"))
    )
    for file in files:
        yield from _extra_indexes(file, _shown(file, root))


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


def requires_nothing(folder: Path) -> bool:
    """Whether there is a project in a folder that declares no dependencies."""
    texts = {}
    for name in ("pyproject.toml", "setup.py", "setup.cfg"):
        with suppress(OSError):
            texts[name] = (folder / name).read_text(encoding="utf-8", errors="replace")
    words = (
        r"(?m)^\s*dependencies\s*=|['\"]dependencies['\"]|^\s*\[tool\.poetry|install_requires|\*\*"
    )
    return bool(texts) and not any(re.search(words, text) for text in texts.values())


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


def _requirements(arguments: tuple[str, ...]) -> Iterator[str]:
    for at, word in enumerate(arguments):
        if word in ("-r", "--requirement") and at + 1 < len(arguments):
            yield arguments[at + 1]
        elif word.startswith("--requirement="):
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
