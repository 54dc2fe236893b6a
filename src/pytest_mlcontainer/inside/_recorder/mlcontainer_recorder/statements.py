"""A file's statements: where each stands, what it reads, what it may change, what it calls."""

import ast
import builtins

from . import inner_code, randomness

_LONGEST = 160
_BACKWARD = ("backward", "grad")
_SIMPLE = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return, ast.Raise, ast.Assert,
    ast.Delete, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass, ast.Break,
    ast.Continue,
)  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class CodeStatement:
    """One simple statement, or the head of a compound one.

    Attributes:
        number: in the order in which statements were first met.
        kind: the syntax tree's name of it.
        reads: names and chains of attributes that it reads, like `self.scale`.
        binds: those that it binds; where it sets an element, the container.
        calls: dotted names of what it calls; `set` and `@` where it makes a set or multiplies
            matrices.
        met: how often it was begun.
        quiet: how often it has to have been begun before it is looked at again.
        aimed: whether something is done there.
        backward: whether gradients are taken or used there.
        alone: whether no other statement begins on its line.
    """

    __slots__ = (
        "aimed",
        "alone",
        "backward",
        "binds",
        "bytes_read",
        "calls",
        "end",
        "file",
        "function",
        "kind",
        "line",
        "met",
        "number",
        "quiet",
        "reads",
        "text",
        "touches",
    )  # fmt: skip

    def __init__(self, file, line, end, kind, text):
        self.number, self.file, self.line, self.end, self.kind = None, file, line, end, kind
        self.reads, self.binds, self.touches, self.calls = (), (), (), ()
        self.text, self.met, self.bytes_read, self.function = text, 0, 0, ""
        self.aimed, self.backward, self.quiet, self.alone = False, False, 0, True

    def take(self, before):
        """Stand for a statement before it on its line, too: which is executed is not told."""
        self.line, self.alone = before.line, False
        if self.kind == "Expr" and before.kind in ("Assign", "AugAssign"):
            self.kind = before.kind
        for name in ("reads", "binds", "touches", "calls"):
            names = (*getattr(before, name), *getattr(self, name))
            setattr(self, name, tuple(dict.fromkeys(names)))
        self.backward = self.backward or before.backward

    @property
    def simple(self):
        """Whether it is no head of a loop, so that its own lines never mean a new turn."""
        return self.kind not in ("For", "AsyncFor", "While")


class FileStatements(dict):
    """Each line of a source text → its statement.

    Attributes:
        inner: name and first line of each lambda and generator expression → each line of it → what
            stands for it.
    """

    def __init__(self):
        super().__init__()
        self.inner = {}

    def every(self):
        """All statements, and what stands for inner code."""
        found = set(self.values())
        for lines in self.inner.values():
            found.update(lines.values())
        return found


def statements_of(file, text):
    """The statements of a source text.

    Raises:
        SyntaxError, ValueError, RecursionError: it cannot be parsed.
    """
    lines, found = text.splitlines(), FileStatements()
    tree = ast.parse(text)
    _walk(tree, file, lines, found, "")
    for node in ast.walk(tree):
        name = inner_code.name_of(node)
        if name is not None:
            _note_inner(node, name, found)
    return found


def _note_inner(node, name, found):
    around = found.get(node.lineno)
    if around is None:
        return
    known = found.inner.get((name, node.lineno), {}).get(node.lineno)
    seen, (parts, bound) = _ExpressionNames(), inner_code.parts_of(node)
    for part in parts:
        seen.visit(part)
    if name == inner_code.INNER[1]:
        seen.reads.append(inner_code.ITERATED)
    # Two of one kind on a line are not told apart.
    statement = known or CodeStatement(
        around.file, node.lineno, node.end_lineno, type(node).__name__, around.text
    )
    statement.function = around.function
    seen.local.update(bound)
    for each, more in (("reads", seen.reads), ("touches", seen.touches), ("calls", seen.calls)):
        names = dict.fromkeys((*getattr(statement, each), *more))
        kept = (one for one in names if each == "calls" or one.split(".")[0] not in seen.local)
        setattr(statement, each, tuple(kept))
    statement.binds = tuple(dict.fromkeys((*statement.binds, *bound)))
    lines = found.inner.setdefault((name, node.lineno), {})
    for each in range(node.lineno, node.end_lineno + 1):
        lines[each] = statement


def _walk(node, file, lines, found, function):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            _note(child, file, lines, found, function)
        within = function
        if isinstance(child, _SCOPES):
            within = "%s.%s" % (function, child.name) if function else child.name
        if not isinstance(child, ast.expr):
            _walk(child, file, lines, found, within)


def _note(node, file, lines, found, function):
    line, end = node.lineno, node.end_lineno
    kind = type(node).__name__
    given = _given_to(node) if isinstance(node, _FUNCTIONS) else []
    if not isinstance(node, _SIMPLE):
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        first = getattr(body[0], "lineno", None) if body else None
        if first is None and body:  # a case of `match`
            first = getattr(body[0].pattern, "lineno", end + 1)
        end = max(line, (first or end + 1) - 1)
    if given:
        line = min([line] + [each.lineno for each in node.decorator_list])
    shown = " ".join(each.strip() for each in lines[line - 1 : end])
    statement = CodeStatement(file, line, end, kind, shown[:_LONGEST])
    statement.function = function
    if given:
        _read_definition(node, given, statement)
    elif not isinstance(node, _SCOPES) and not isinstance(node, ast.Try):
        _read(node, statement)
    before = found.get(line)
    if before is not None and before.function == function and line == before.end:
        statement.take(before)
    for each in range(min(line, statement.line), end + 1):
        found[each] = statement


def _given_to(node):
    """What a function is defined with: values of its arguments, and decorators that are called."""
    found = [each for each in (*node.args.defaults, *node.args.kw_defaults) if each is not None]
    found = [each for each in found if not isinstance(each, ast.Constant)]
    return found + [each for each in node.decorator_list if isinstance(each, ast.Call)]


def _read_definition(node, given, statement):
    made = ast.Assign([ast.Name(node.name, ast.Store())], ast.List(given, ast.Load()))
    _read(made, statement)
    # What its body reads may be a variable of the function around, which it holds from now on.
    inner = (each for part in node.body for each in ast.walk(part) if isinstance(each, ast.Name))
    statement.reads = tuple(dict.fromkeys((*statement.reads, *(each.id for each in inner))))


def _read(node, statement):
    """What its own expressions read, bind and call; a body's statements have their own."""
    seen = _ExpressionNames()
    for field, value in ast.iter_fields(node):
        if field in ("body", "orelse", "finalbody", "handlers", "cases"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                seen.visit(part)
    if isinstance(node, ast.AugAssign):
        name = _chain(node.target)
        if name:
            seen.reads.append(name)
    local = seen.local
    for name in ("reads", "binds", "touches"):
        chains = dict.fromkeys(getattr(seen, name))
        setattr(statement, name, tuple(each for each in chains if each.split(".")[0] not in local))
    statement.calls = tuple(dict.fromkeys(seen.calls))
    if randomness.seeds(statement.calls):
        statement.reads += randomness.NAMES
        statement.touches += randomness.NAMES
    used = (*statement.calls, *statement.reads, *statement.binds)
    statement.backward = any(word in name for name in used for word in _BACKWARD)


def _chain(node):
    """`a.b.c` of a name with attributes; "" of anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def _root(node):
    """The chain below subscripts and calls: of `a.b[0].c`, `a.b`."""
    while True:
        found = _chain(node)
        if found:
            return found
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return ""


class _ExpressionNames(ast.NodeVisitor):
    def __init__(self):
        self.reads, self.binds, self.touches, self.calls = [], [], [], []
        self.local = set()

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            self.reads.append(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.binds.append(node.id)

    def visit_Attribute(self, node):
        name = _chain(node)
        if isinstance(node.ctx, ast.Load):
            if name:
                self.reads.append(name)
            else:
                self.visit(node.value)
        elif name and isinstance(node.ctx, ast.Store):
            self.binds.append(name)
        else:
            self.visit(node.value)

    def visit_Subscript(self, node):
        if isinstance(node.ctx, ast.Store):
            name = _root(node.value)
            if name:
                self.binds.append(name)
                self.reads.append(name)
        self.generic_visit(node)

    def visit_Call(self, node):
        name = _chain(node.func)
        if name:
            self.calls.append(name)
            owner = name.rpartition(".")[0]
            if owner or not hasattr(builtins, name):
                self.reads.append(owner or name)
                self.touches.append(owner or name)
        else:
            if isinstance(node.func, ast.Attribute):
                self.calls.append("." + node.func.attr)
                self._touch(node.func.value)
            self.visit(node.func)
        for part in [*node.args, *[each.value for each in node.keywords]]:
            self._touch(part)
            self.visit(part)

    def _touch(self, node):
        name = _root(node)
        names = (
            [name] if name else [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        )
        self.touches += names

    def visit_NamedExpr(self, node):
        self.binds.append(node.target.id)
        self.visit(node.value)

    def visit_Set(self, node):
        self.calls.append("set")
        self.generic_visit(node)

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.MatMult):
            self.calls.append("@")
        self.generic_visit(node)

    def visit_Lambda(self, node):
        for part in ast.walk(node.args):
            if isinstance(part, ast.arg):
                self.local.add(part.arg)
        self.visit(node.body)

    def visit(self, node):
        if isinstance(node, ast.SetComp):
            self.calls.append("set")
        if isinstance(node, _COMPREHENSIONS):
            for part in node.generators:
                for name in ast.walk(part.target):
                    if isinstance(name, ast.Name):
                        self.local.add(name.id)
        if isinstance(node, ast.withitem) and node.optional_vars is not None:
            self.visit(node.context_expr)
            self.visit(node.optional_vars)
            return None
        return super().visit(node)
