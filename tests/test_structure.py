"""Who imports whom, and through which doors effects go: the table of CONTRIBUTING.md, held."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

from scripts.architecture import drawing, essential, page, read_table

REPOSITORY = Path(__file__).parent.parent
PACKAGE = "pytest_mlcontainer"
SOURCES = REPOSITORY / "src" / PACKAGE

DOORS = {
    "pytest": {"plugin"},
    "_pytest": set(),
    "xdist": {"plugin"},
    "docker": {"engines/docker"},
    "testcontainers": {"engines/docker"},
    "requests": {"engines/docker"},
    "urllib3": {"engines/docker", "engines/kubernetes"},
    "kubernetes": {"engines/kubernetes"},
    "websocket": {"engines/kubernetes"},
    "subprocess": {"engines", "compare/readers"},
    "multiprocessing": set(),
    "pty": set(),
}
STARTS_PROCESSES = re.compile(
    r"(system|popen|fork|forkpty|posix_spawnp?|exec[lv]p?e?|spawn[lv]p?e?)$"
)
MUTATES = {
    "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "add", "discard",
    "update", "setdefault", "popitem", "appendleft", "popleft",
}  # fmt: skip


_ONE_TEXT = "a program for images, which is sent as one text"
LONG_MODULES = {
    "inside/known_answers.py": _ONE_TEXT,
    "inside/pickle_reader.py": _ONE_TEXT,
    "inside/probe.py": _ONE_TEXT,
    "inside/transplant.py": _ONE_TEXT,
    "runs/clues.py": "one table of patterns",
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(SOURCES).as_posix()

    @property
    def row(self) -> str:
        """The row of the table that it belongs to; "" for the package itself."""
        parts = self.path.relative_to(SOURCES).with_suffix("").parts
        return "" if parts == ("__init__",) else parts[0]

    def is_in(self, rooms: set[str]) -> bool:
        """Whether it belongs to one of these rows, or lies in one of these folders."""
        return self.row in rooms or any(self.name.startswith(f"{room}/") for room in rooms)

    @property
    def tree(self) -> ast.Module:
        return parsed(self.path)

    @property
    def dotted(self) -> str:
        """Its name where it is imported."""
        parts = (PACKAGE, *self.path.relative_to(SOURCES).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def targets(self) -> Iterator[str]:
        return (name for name, _line in self.imported())

    def imported(self) -> Iterator[tuple[str, int]]:
        """Dotted names of what is imported anywhere in it, and the line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = [PACKAGE, *self.path.relative_to(SOURCES).parent.parts]
                module = node.module or ""
                if node.level:
                    module = ".".join((*above[: len(above) + 1 - node.level], module)).rstrip(".")
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno

    def reads(self, of: str) -> Iterator[tuple[str, int]]:
        """Attributes of the module `of` that are used, however they were imported."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == of:
                    yield node.attr, node.lineno
            elif isinstance(node, ast.ImportFrom) and node.module == of:
                yield from ((alias.name, node.lineno) for alias in node.names)


MODULES = tuple(Module(path) for path in sorted(SOURCES.rglob("*.py")))


PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = read_table(PAGE)
ROOMS = {"compare": read_table(PAGE, "rooms of compare")}


def test_the_drawing_is_that_of_the_table() -> None:
    """`python scripts/architecture.py` makes it anew."""
    text = (REPOSITORY / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    assert text == page(text, drawing(PAGE))


def test_what_is_drawn_leads_to_all_that_may_be_imported() -> None:
    """Arrows that are left out follow from the others."""
    arrows: dict[str, set[str]] = {}
    for name, other in essential(TABLE):
        arrows.setdefault(name, set()).add(other)
    for name, allowed in TABLE.items():
        reached: set[str] = set()
        left = [name]
        while left:
            new = arrows.get(left.pop(), set()) - reached
            reached |= new
            left += new
        assert allowed <= reached, name


def test_the_page_of_architecture_names_what_is_there() -> None:
    """Paths in it are those of files and folders."""
    text = (REPOSITORY / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w*(?:\.\w+)?)`", text))
    assert named
    places = (REPOSITORY, SOURCES)
    assert {each for each in named if not any((p / each).exists() for p in places)} == set()


@pytest.mark.parametrize("table", [TABLE, *ROOMS.values()], ids=["structure", *ROOMS])
def test_the_table_names_rows_above_only(table: dict[str, frozenset[str]]) -> None:
    """So that imports point one way."""
    rows = list(table)
    for number, (name, allowed) in enumerate(table.items()):
        assert allowed <= set(rows[:number]), f"{name}: {allowed - set(rows[:number])}"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_of_a_package_import_what_their_row_allows(package: str) -> None:
    """What is at the package's own top may import all of them; nothing in a room the top."""
    table, inside = ROOMS[package], f"{PACKAGE}.{package}."
    broken = []
    for module in MODULES:
        parts = module.path.relative_to(SOURCES).with_suffix("").parts
        if module.row != package or parts[1:] == ("__init__",):
            continue
        room = parts[1]
        assert room in table, f"{module.name} is in no room of CONTRIBUTING.md"
        for name, line in module.imported():
            other = name.removeprefix(inside).partition(".")[0]
            if name.startswith(inside) and other not in {room, *table[room]}:
                broken.append(f"{module.name}:{line}: {room} imports {other}")
    assert broken == []


def test_every_module_has_a_row() -> None:
    """A new responsibility is a decision, written down."""
    assert {module.row for module in MODULES} - {""} <= set(TABLE)
    assert len(MODULES) > 30


def test_modules_import_what_their_row_allows() -> None:
    """Nothing else of this package, also in functions."""
    broken = []
    for module in MODULES:
        for name, line in module.imported():
            package, _dot, rest = name.partition(".")
            row = rest.partition(".")[0]
            if package == PACKAGE and row in TABLE and row not in {module.row, *TABLE[module.row]}:
                broken.append(f"{module.name}:{line}: {module.row} imports {row}")
    assert broken == []


def test_no_imports_go_round_in_a_circle() -> None:
    """Also not within a package, and not where only a type checker would see it."""
    names = {module.dotted: module for module in MODULES}
    imports = {
        name: {found for found in map(partial(nearest, names), module.targets()) if found != name}
        for name, module in names.items()
    }
    left = dict(imports)
    while leaves := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in leaves}
    circles = {name: sorted(found & left.keys()) for name, found in left.items()}
    assert circles == {}


def nearest(names: Collection[str], name: str) -> str:
    """The module of ours that a dotted name is in; "" for what is not ours."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name


def test_effects_go_through_their_doors() -> None:
    """One place touches pytest, one talks to engines and starts processes."""
    broken = [
        f"{module.name}:{line}: {name}"
        for module in MODULES
        for name, line in module.imported()
        if not module.is_in(DOORS.get(name.partition(".")[0], {module.row}))
    ]
    broken += [
        f"{module.name}:{line}: os.{name}"
        for module in MODULES
        for name, line in module.reads("os")
        if STARTS_PROCESSES.match(name) and not module.is_in(DOORS["subprocess"])
    ]
    assert broken == []


def test_no_room_but_the_command_knows_of_docker() -> None:
    """Runs, images and cleaning work with any engine; `mlcontainer doctor` looks at Docker's."""
    docker = f"{PACKAGE}.engines.docker"
    broken = [
        f"{module.name}:{line}: {name}"
        for module in MODULES
        for name, line in module.imported()
        if name.startswith(docker) and module.row not in ("engines", "cli")
    ]
    assert broken == []


def test_the_environment_is_read_at_the_edge() -> None:
    """The core gets what it needs as values, so that it does the same for all who call it."""
    broken = [
        f"{module.name}:{line}: {of}.{name}"
        for module in MODULES
        for of, forbidden in (("os", {"environ", "environb", "getenv"}), ("sys", {"argv"}))
        for name, line in module.reads(of)
        if name in forbidden
        # What is sent into images reads the environment there, not ours.
        and module.row not in ("plugin", "cli", "inside")
    ]
    assert broken == []


def test_no_import_is_for_type_checkers_alone() -> None:
    """It would hide an import cycle; `plugin` may name pytest's types that way, to start fast."""
    broken = [
        f"{module.name}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If)
        and "TYPE_CHECKING" in ast.unparse(node.test)
        and module.row != "plugin"
    ]
    assert broken == []


def test_no_module_keeps_state() -> None:
    """What a module assigns at its top is never changed afterwards."""
    assert [line for module in MODULES for line in changed_state(module.name, module.tree)] == []


def changed_state(name: str, tree: ast.Module) -> Iterator[str]:
    """Where something assigned at the top of a module is rebound or mutated."""
    top = {
        target.id
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"{name}:{node.lineno}: global {', '.join(node.names)}"
        changed: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changed = node.func.value if node.func.attr in MUTATES else None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            changed = node.value
        elif isinstance(node, ast.AugAssign):
            changed = node.target
        if isinstance(changed, ast.Name) and changed.id in top - local_names(tree, node):
            yield f"{name}:{changed.lineno}: {changed.id}"


def local_names(tree: ast.Module, wanted: ast.AST) -> set[str]:
    """Names that a function around this node assigns or takes, which hide those at the top."""
    hidden: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        inside = list(ast.walk(function))
        if any(node is wanted for node in inside):
            hidden |= {node.arg for node in inside if isinstance(node, ast.arg)}
            hidden |= {
                node.id
                for node in inside
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return hidden


@pytest.mark.parametrize(
    "source",
    [
        "seen = []\ndef f():\n    seen.append(1)",
        "seen = {}\ndef f():\n    seen['a'] = 1",
        "seen: dict = {}\ndef f():\n    del seen['a']",
        "seen = set()\nclass A:\n    def f(self):\n        seen.add(1)",
        "count = 0\ndef f():\n    global count\n    count = 1",
        "seen = []\nseen += [1]",
    ],
)
def test_changed_state_is_found(source: str) -> None:
    """The check above can fail."""
    assert list(changed_state("m", ast.parse(source))) != []


@pytest.mark.parametrize(
    "source",
    [
        "seen = []\ndef f():\n    seen = []\n    seen.append(1)",
        "seen = ()\ndef f(seen):\n    seen.append(1)",
        "class A:\n    def f(self):\n        self.seen.append(1)",
        "names = {'a': 1}\ndef f():\n    return names['a']",
    ],
)
def test_local_names_are_no_state(source: str) -> None:
    """The check above does not cry wolf."""
    assert list(changed_state("m", ast.parse(source))) == []


def test_functions_fit_one_look() -> None:
    """At most 40 lines, without the docstring."""
    long = []
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
                if lines > 40:
                    long.append(f"{module.name}:{node.lineno}: {node.name} has {lines} lines")
    assert long == []


def test_modules_have_400_lines_at_most_or_a_reason() -> None:
    """A reason goes with the module's length."""
    lines = {module.name: module.path.read_bytes().count(b"\n") for module in MODULES}
    assert {name for name, count in lines.items() if count > 400} == LONG_MODULES.keys()


def test_a_class_name_means_one_thing() -> None:
    """Also private classes: whoever searches for a name finds one class."""
    defined: dict[str, list[str]] = {}
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, []).append(f"{module.name}:{node.lineno}")
    assert {name: places for name, places in defined.items() if len(places) > 1} == {}


def test_the_glossary_names_what_is_there() -> None:
    """A term and its class change together; a list too long to read is no glossary."""
    found = re.search(r"<!-- glossary:.*?-->\n(.*?)\n<!-- end", PAGE, re.DOTALL)
    assert found is not None
    rows = [line.strip("|").split("|") for line in found[1].splitlines()[2:]]
    terms = [cells[0].strip() for cells in rows]
    assert terms == sorted(set(terms))
    assert len(terms) <= 40
    there = {module.name.removesuffix(".py") for module in MODULES}
    for module in MODULES:
        there |= {node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)}
    named = {name for cells in rows for name in re.findall(r"`([^`]+)`", cells[2])}
    assert named <= there, named - there


def test_no_third_party_import_at_the_top_but_declared_ones() -> None:
    """Whatever is imported comes with the package: the standard library, or a dependency."""
    declared = set(
        re.findall(
            r'^ +"([A-Za-z0-9_-]+)', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE
        )
    )
    known = {
        *sys.stdlib_module_names,
        PACKAGE,
        "tomllib",
        "_pytest",
        "xdist",
    }
    known |= {name.replace("-", "_") for name in declared}
    unknown = {
        f"{module.name}:{line}: {name}"
        for module in MODULES
        for name, line in module.imported()
        if name.partition(".")[0] not in known
    }
    assert unknown == set()
