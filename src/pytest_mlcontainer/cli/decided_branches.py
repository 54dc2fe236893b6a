"""Branches of a Python program that the image's variables decide, by its code, which is never run.

`if os.getenv("STAGE", "local") == "local"` is entered where the image sets no STAGE; where it sets
another one, what stands there neither runs nor gives names their values.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

from pytest_mlcontainer.cli.program_names import ENVIRON, GETS_VARIABLE, assigned_names


def as_decided(tree: ast.Module, environ: Mapping[str, str]) -> ast.Module:
    """The program without the branches that are not entered; the tree itself is changed.

    Args:
        environ: variables that it finds set.
    """
    counts = Counter(assigned_names(tree))
    told: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], value) if counts[name] == 1:
                text = _variable(value, environ)
                if text is not None:
                    told[name] = text
    _Deciding(told, environ).visit(tree)
    return tree


def _variable(node: ast.expr, environ: Mapping[str, str]) -> str | None:
    """What a variable is that an expression asks for; None where that is not known, and for
    another expression."""
    match node:
        case ast.Call(of, [ast.Constant(str(name)), ast.Constant(str(usual))], []):
            return environ.get(name, usual) if ast.unparse(of) in GETS_VARIABLE else None
        case ast.Call(of, [ast.Constant(str(name))], []):
            return environ.get(name) if ast.unparse(of) in GETS_VARIABLE else None
        case ast.Subscript(of, ast.Constant(str(name))):
            return environ.get(name) if ast.unparse(of) in ENVIRON else None
    return None


class _Deciding(ast.NodeTransformer):
    """Puts what is entered in the place of a branch.

    Args:
        told: texts of names that a variable has given them.
    """

    def __init__(self, told: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._told, self._environ = told, environ

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        match node.test:
            case ast.Compare(left, [ast.Eq() | ast.NotEq() as operator], [ast.Constant(str(text))]):
                known = self._told.get(left.id) if isinstance(left, ast.Name) else None
                known = _variable(left, self._environ) if known is None else known
                if known is not None:
                    entered = (known == text) is isinstance(operator, ast.Eq)
                    return (node.body if entered else node.orelse) or [ast.Pass()]
        return node
