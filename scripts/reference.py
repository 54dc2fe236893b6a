"""Write into the reference what the code says of itself: options, keys, fixtures, hooks, schema.

    python scripts/reference.py          write it
    python scripts/reference.py --check  fail where a page is not what the code says

It stands between two comments, `<!-- NAME: made by scripts/reference.py -->` and `<!-- end of NAME
-->`; the words around it are written by hand.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pytest_mlcontainer import plugin
from pytest_mlcontainer.cli.command_line import command_parser
from pytest_mlcontainer.config import keys
from pytest_mlcontainer.hooks import Specification
from pytest_mlcontainer.model import IMAGE_CHECKS
from pytest_mlcontainer.plugin import fixtures

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
_PART = re.compile(
    r"(<!-- (\w+): made by scripts/reference\.py -->\n).*?(<!-- end of \2 -->)", re.DOTALL
)
_OF_CHECKS = tuple(dict.fromkeys(key for check in IMAGE_CHECKS for key in check.keys))
_SECTIONS = (
    ("The image", keys.BUILD_KEYS, "project"),
    ("Where it runs", keys.MATRIX_KEYS, "project"),
    ("A run", keys.RUN_KEYS, "project, entrypoint"),
    ("An entrypoint", keys.ENTRYPOINT_KEYS, "entrypoint"),
    ("Comparison rules", keys.RULE_KEYS, "rule"),
    ("Kubernetes", ("kubernetes", *keys.CLUSTER_KEYS), "kubernetes"),
    ("Checks of the image", ("image", *keys.CHECK_KEYS, *_OF_CHECKS), "image"),
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# What the command line says


class _Recorded:
    """Stands for pytest's parser: it keeps the options that the plugin adds."""

    def __init__(self) -> None:
        self.options: list[tuple[str, Mapping[str, object]]] = []

    def getgroup(self, _name: str, _description: str = "") -> _Recorded:
        return self

    def addoption(self, name: str, **attributes: object) -> None:
        self.options.append((name, attributes))


def pytest_options() -> str:
    recorded = _Recorded()
    plugin.pytest_addoption(recorded)  # type: ignore[arg-type]
    return table(
        ("option", "what `pytest --help` says"),
        ((f"`{_shown(name, each)}`", _cell(str(each["help"]))) for name, each in recorded.options),
    )


def _shown(name: str, attributes: Mapping[str, object]) -> str:
    metavar = str(attributes.get("metavar") or "").replace("|", "\\|")
    if not metavar:
        return name
    return f"{name}[={metavar}]" if attributes.get("nargs") == "?" else f"{name}={metavar}"


def commands() -> str:
    parts = []
    for name, parser in subcommands().items():
        rows = [(_argument(action), _cell(action.help or "")) for action in _arguments(parser)]
        parts.append(f"`mlcontainer {name}`: {parser.description}.")
        if rows:
            parts.append(table(("argument", "what `--help` says"), rows))
    return "\n\n".join(parts)


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """Each subcommand of `mlcontainer`, with its parser."""
    (found,) = (
        action.choices
        for action in command_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._actions if action.dest != "help")


def _argument(action: argparse.Action) -> str:
    metavar = action.metavar or (" or ".join(action.choices) if action.choices else "")
    words = ", ".join(action.option_strings)
    return f"`{_cell(f'{words} {metavar}'.strip())}`"


# What the configuration takes


def all_keys() -> str:
    where: dict[str, tuple[str, str]] = {}
    for heading, names, place in _SECTIONS:
        for name in names:
            where.setdefault(name, (place, heading))
    rows = []
    for name, (place, heading) in sorted(where.items()):
        rows.append((f"`{name}`", place, f"[{heading}](#{heading.lower().replace(' ', '-')})"))
    return table(("key", "may stand in a table of", "section"), rows)


# What tests and plugins use


def all_fixtures() -> str:
    rows = []
    for each in ast.parse(inspect.getsource(fixtures)).body:
        if isinstance(each, ast.FunctionDef):
            (decorator,) = each.decorator_list
            scope = re.search(r"scope='(\w+)'", ast.unparse(decorator))
            said = (ast.get_docstring(each) or "").partition("\n\n")[0]
            rows.append((f"`{each.name}`", scope[1] if scope else "function", _cell(said)))
    return table(("fixture", "scope", "what it is"), rows)


def run_arguments() -> str:
    from pytest_mlcontainer.plugin.api import OutputComparison, Project

    rows = [
        (f"`{function}`", f"`{name}`", _cell(text))
        for function, documented in (
            ("run_entrypoint", Project.__call__),
            ("compare_outputs", OutputComparison.__call__),
        )
        for name, text in documented_arguments(documented).items()
    ]
    return table(("fixture", "argument", "meaning"), rows)


def documented_arguments(function: Callable[..., object]) -> dict[str, str]:
    """What a docstring says of each argument, below `Args:`."""
    documented = inspect.getdoc(function) or ""
    section = documented.partition("Args:\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section, re.MULTILINE | re.DOTALL))


def all_hooks() -> str:
    hooks = sorted(name for name in vars(Specification) if name.startswith("mlcontainer_"))
    rows = []
    for name in hooks:
        function = getattr(Specification, name)
        returned = str(inspect.signature(function).return_annotation)
        rows.append((f"`{name}() -> {returned}`", _cell(inspect.getdoc(function) or "")))
    return table(("hook", "what it gives"), rows)


# What report.json holds


def report_schema() -> str:
    schema = json.loads((PAGES / "report.schema.json").read_text(encoding="utf-8"))
    objects = {"the report": schema, **schema["$defs"]}
    return "\n\n".join(
        f"**{name}**\n\n{_properties(each)}" for name, each in objects.items() if _has_fields(each)
    )


def _has_fields(schema: Mapping[str, object]) -> bool:
    return "properties" in schema


def _properties(schema: Mapping[str, Mapping[str, Mapping[str, object]]]) -> str:
    required = schema.get("required", {})
    rows = []
    for name, each in schema["properties"].items():
        kind = _kind(each) + ("" if name in required else "; may be missing")
        rows.append((f"`{name}`", kind, _cell(str(each.get("description", "")))))
    return table(("field", "type", "remark"), rows)


def _kind(schema: object) -> str:
    """The type in words: `list of comparison`, `text or null`."""
    if not isinstance(schema, Mapping):
        return "anything"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_kind(each) for each in schema.get("anyOf") or schema["oneOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    words = {"string": "text", "object": "table"}
    kinds = schema.get("type", "anything")
    return " or ".join(words.get(k, k) for k in ([kinds] if isinstance(kinds, str) else kinds))


PARTS: Mapping[str, Callable[[], str]] = {
    "options": pytest_options,
    "commands": commands,
    "keys": all_keys,
    "fixtures": all_fixtures,
    "arguments": run_arguments,
    "hooks": all_hooks,
    "schema": report_schema,
}


def page(text: str) -> str:
    """The text of a page with its parts as the code has them now."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


def outdated() -> dict[Path, str]:
    """Pages that are not what the code says, with what they should be."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.md"))}
    new = {path: page(text) for path, text in texts.items()}
    return {path: text for path, text in new.items() if text != texts[path]}


def main() -> int:
    pages = outdated()
    if "--check" in sys.argv:
        return int(bool(pages))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
