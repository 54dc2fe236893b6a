"""What the project's own modules do when a program imports them, by their code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

_DEEPEST: Final = 4
_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_AT_STARTUP: Final = "startup"


def imported_code(
    code: str, find: Callable[[str], str], *, serves: bool
) -> Iterator[tuple[str, str, str]]:
    """Of each module of the project that a program imports, its name, what runs then and what is
    called of it later, and the whole of it; nothing where the source cannot be parsed.

    Args:
        code: the program's source.
        find: the source of a module by its dotted name; "" where it is none of the project's.
        serves: a server, whose functions run when it is asked, which is no hindrance to its start.
    """
    known: set[str] = set()
    waiting = [(_at_start(code, set()) if serves else code, 0)]
    while waiting:
        text, depth = waiting.pop(0)
        used = _names(text)
        for name in _imported(text):
            source = "" if name in known or depth == _DEEPEST else find(name)
            known.add(name)
            if source:
                runs = _at_start(source, used)
                waiting.append((runs, depth + 1))
                yield name, runs, source


def _at_start(code: str, used: set[str]) -> str:
    """A module without the functions and classes that nothing names, and without what it does as a
    program.

    Args:
        used: names that its importer uses.
    """
    tree = _parsed(code)
    named = {each.name: each for each in tree.body if isinstance(each, _Named)}
    loose = [each for each in tree.body if not isinstance(each, _Named) and not _is_main(each)]
    wanted = {name for each in loose for name in _names_in(each)} | used
    wanted |= {n for n, each in named.items() if _AT_STARTUP in _decorators(each)}
    kept: set[str] = set()
    while wanted & named.keys() - kept:
        name = min(wanted & named.keys() - kept)
        kept.add(name)
        wanted |= _names_in(named[name])
    body = [each for each in tree.body if each in loose or getattr(each, "name", "") in kept]
    return ast.unparse(ast.Module(body, []))


def _parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _decorators(node: _Named) -> str:
    return " ".join(map(ast.unparse, node.decorator_list))


def _names(code: str) -> set[str]:
    return _names_in(_parsed(code))


def _names_in(node: ast.AST) -> set[str]:
    """All names that are used below a node, of attributes too."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


def _imported(code: str) -> Iterator[str]:
    """Dotted names of what a module imports first; of `from a import b` both `a` and `a.b`."""
    for each in _parsed(code).body:
        match each:
            case ast.Import(names):
                yield from (one.name for one in names)
            case ast.ImportFrom(str(module), names, 0):
                yield from (module, *(f"{module}.{one.name}" for one in names))
