"""Lambdas and generator expressions: code that a statement makes, and another one may have run.

Each is as a statement of its own, that reads what its expression reads, and gives a result. Where
the statement that makes it runs it too, `sorted(rows, key=lambda row: row.name)`, that tells all.
"""

import ast

INNER = ("<lambda>", "<genexpr>")
ITERATED = ".0"  # the name by which a generator expression knows what it goes through


def name_of(node):
    """What its code is called; None of other expressions."""
    if isinstance(node, ast.Lambda):
        return INNER[0]
    return INNER[1] if isinstance(node, ast.GeneratorExp) else None


def parts_of(node):
    """The expressions that it evaluates, and the names that it binds."""
    if isinstance(node, ast.Lambda):
        return [node.body], []
    found, bound = [node.elt], []
    for place, part in enumerate(node.generators):
        found += part.ifs + ([part.iter] if place else [])
        names = [each for each in ast.walk(part.target) if isinstance(each, ast.Name)]
        bound += [each.id for each in names]
    return found, bound


def made_by(statement, code):
    """Whether a statement makes a lambda or generator expression: then it tells of it, too."""
    return code.co_name in INNER and statement.line <= code.co_firstlineno <= statement.end
