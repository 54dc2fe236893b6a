"""Texts that names in a Python program stand for, by its code, which is never run.

Only what stands there in words counts: names that are put together from a constant, from the
default of an argument, from what a function is called with or the image's variables say, or with
`join`, `Path` and `/`.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

ENVIRON: Final = ("os.environ", "environ")
GETS_VARIABLE: Final = ("os.getenv", "getenv", "os.environ.get", "environ.get")
_SCHEME: Final = re.compile(r"(?:https?|ftp|s3|gs|hf)://")
_CALLS_DEEP: Final = 3  # a path that one function hands to the next
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class ProgramNames:
    """Texts that names in a program stand for."""

    def __init__(self, tree: ast.AST, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self._environ = {**environ, **dict(_variables_set(tree))}
        self._known: dict[str, str] = {}
        self._unset = _options_unset(tree, argv)
        self._as_mapping = frozenset(_options_as_mapping(tree))
        self._several: dict[str, tuple[str, ...]] = {}
        self._addresses: dict[str, str] = {}
        functions = _functions(tree)
        self._stores = Counter(assigned_names(tree))
        self._add_options(tree, argv)
        for node in ast.walk(tree):
            match node:
                case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
                    text = "" if value is None else self.text(value)
                    self._known[name] = text if self._known.get(name, text) == text else ""
                    address = "" if value is None else self.address(value)
                    if address:
                        self._addresses.setdefault(name, address)
        self._bind(tree, functions)

    def _add_options(self, tree: ast.AST, argv: Sequence[str]) -> None:
        """Learn what the arguments are that a program is not given."""
        for node in ast.walk(tree):
            match node:
                case ast.Call(ast.Attribute(attr="add_argument"), [*flags], keywords):
                    options = [self.text(each) for each in flags]
                    stored = next((k.value for k in keywords if k.arg == "action"), None)
                    is_flag = stored is not None and self.text(stored) == "store_true"
                    usual = ast.Constant(value=False) if is_flag else None
                    default = next((k.value for k in keywords if k.arg == "default"), usual)
                    if default is not None and not set(options) & set(argv):
                        name = max(options, key=len, default="").lstrip("-").replace("-", "_")
                        self._known[f"args.{name}"] = self.text(default)

    def _bind(self, tree: ast.AST, functions: Mapping[str, _Function]) -> None:
        """Learn what functions are called with."""
        assigned = set(self._known)
        for _ in range(_CALLS_DEEP):
            given: defaultdict[str, set[str]] = defaultdict(set)
            for node in ast.walk(tree):
                match node:
                    case ast.Call(ast.Name(name) | ast.Attribute(attr=name)) if name in functions:
                        for parameter, value in _arguments(node, functions[name]):
                            given[parameter].add(self.text(value))
                    case ast.Assign([ast.Attribute(ast.Name("self"), attr)], value):
                        given[f"self.{attr}"].add(self.text(value))
            for name in given.keys() - assigned:
                texts = sorted(given[name])
                self._known[name] = "" if len(texts) > 1 else texts[0]
                self._several[name] = tuple(texts) if all(texts) else ()

    def count(self, name: str) -> int:
        """How often a name gets a value."""
        return self._stores[name]

    def variable(self, name: str) -> str:
        """What an environment variable is set to; "" where that is not known."""
        return self._environ.get(name, "")

    def unset(self, node: ast.AST) -> str:
        """The option whose value an expression is, and which has none; "" for anything else."""
        return self._unset.get(ast.unparse(node), "")

    def is_off(self, test: ast.expr) -> bool:
        """Whether a branch is entered only with an argument that is not given."""
        inner = test.left if isinstance(test, ast.Compare) else test
        if self.unset(inner):
            return not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is | ast.Eq))
        return isinstance(inner, ast.Attribute) and self.text(inner) == "False"

    def texts(self, node: ast.AST) -> tuple[str, ...]:
        """All that a parameter comes to; else what `text` says."""
        several = self._several.get(node.id, ()) if isinstance(node, ast.Name) else ()
        return several or (self.text(node),)

    def text(self, node: ast.AST) -> str:
        """What an expression comes to; "" where that is not known."""
        match node:
            case ast.Constant(value):
                return str(value)
            case ast.Name(name):
                return self._known.get(name, "")
            case ast.Subscript(of, key) if ast.unparse(of) in ENVIRON:
                return self._environ.get(self.text(key), "")
            case ast.Call(of, [key, *usual]) if ast.unparse(of) in GETS_VARIABLE:
                otherwise = self.text(usual[0]) if usual else ""
                return self._environ.get(self.text(key), otherwise)
            case ast.Subscript(ast.Name(name), ast.Constant(str(key))) if name in self._as_mapping:
                return self._known.get(f"args.{key}", "")
            case ast.Attribute(ast.Name("self"), attr):
                return self._known.get(f"self.{attr}", "")
            case ast.Attribute(ast.Name(), attr):
                return self._known.get(f"args.{attr}", "")
            case ast.BinOp(left, ast.Div(), right):
                return self._joined([left, right])
            case ast.Call(ast.Name("Path" | "str" | "int"), [*parts]) | ast.Call(
                ast.Attribute(attr="join" | "Path"), [*parts]
            ):
                return self._joined(parts)
        return ""

    def address(self, node: ast.AST) -> str:
        """The URL that an expression makes, with `…` for what comes after what is known of it; ""
        where it makes none, or nothing says so."""
        whole = self.text(node)
        if whole:
            return whole if _SCHEME.match(whole) else ""
        match node:
            case ast.JoinedStr([first, *_]):
                inner = first.value if isinstance(first, ast.FormattedValue) else first
                start = self.address(inner)
            case ast.BinOp(left, ast.Add() | ast.Div(), _):
                start = self.address(left)
            case ast.BinOp(left, ast.Mod(), _):
                start = self.address(left).partition("%")[0]
            case ast.Call(ast.Attribute(left, "format" | "strip" | "rstrip")):
                start = self.address(left).partition("{")[0]
            case ast.Name(name) | ast.Attribute(ast.Name("self" | "cls"), name):
                start = self._addresses.get(name, "")
            case _:
                start = ""
        return f"{start.removesuffix('…')}…" if start else ""

    def _joined(self, parts: Sequence[ast.AST]) -> str:
        texts = [self.text(each) for each in parts]
        return posixpath.join(*texts) if texts and all(texts) else ""


def _variables_set(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Environment variables to which a program itself gives a value that stands there."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Subscript(of, ast.Constant(str(name)))], ast.Constant(str(value))):
                if ast.unparse(of) in ENVIRON:
                    yield name, value
            case ast.Call(of, [ast.Constant(str(name)), ast.Constant(str(value))]):
                if ast.unparse(of) in ("os.environ.setdefault", "environ.setdefault"):
                    yield name, value


def _options_unset(tree: ast.AST, argv: Sequence[str]) -> dict[str, str]:
    """Options of argparse that are None because a program is not given them, by the expression
    that has their value; none where the program may give them one itself."""
    parsed = {"args"}
    options: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Attribute(attr="parse_args"))):
                parsed.add(name)
            case ast.Call(ast.Attribute(attr="set_defaults")):
                return {}
            case ast.Call(ast.Attribute(attr="add_argument"), [*flags], keywords) if not (
                {each.arg for each in keywords} & {None, "default", "required", "action", "nargs"}
            ):
                texts = [each.value for each in flags if isinstance(each, ast.Constant)]
                words = {word.partition("=")[0] for word in argv}
                longest = str(max(texts, key=lambda text: len(str(text)), default=""))
                if longest.startswith("-") and not words & {str(text) for text in texts}:
                    called = longest.lstrip("-").replace("-", "_")
                    named = [k.value.value for k in keywords if k.arg == "dest"
                             and isinstance(k.value, ast.Constant)]  # fmt: skip
                    options[str((*named, called)[0])] = longest
    given = {ast.unparse(t) for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets}
    named_so = {f"{name}.{option}": flag for name in parsed for option, flag in options.items()}
    return {each: flag for each, flag in named_so.items() if each not in given}


def _options_as_mapping(tree: ast.AST) -> Iterator[str]:
    """Names of what `vars` makes of the arguments of a program."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("vars"), [_])):
                yield name


def _functions(tree: ast.AST) -> dict[str, _Function]:
    """The functions that a call by name means: a class is called as its `__init__` is. Their
    parameters get names that no other function has, everywhere in them."""
    found: dict[str, _Function] = {}
    count = Counter[str]()
    for node in ast.walk(tree):
        for function in node.body if isinstance(node, ast.ClassDef | ast.Module) else ():
            if isinstance(function, _Function):
                starts = isinstance(node, ast.ClassDef) and function.name == "__init__"
                name = node.name if isinstance(node, ast.ClassDef) and starts else function.name
                found[name] = function
                count[name] += 1
                _scope(function, name)
    return {name: function for name, function in found.items() if count[name] == 1}


def _scope(function: _Function, name: str) -> None:
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    known = {each.arg for each in parameters} - {"self", "cls"}
    for each in parameters:
        each.arg = f"{name}({each.arg})" if each.arg in known else each.arg
    for node in (inside for statement in function.body for inside in ast.walk(statement)):
        if isinstance(node, ast.Name) and node.id in known:
            node.id = f"{name}({node.id})"


def _arguments(call: ast.Call, function: _Function) -> Iterator[tuple[str, ast.expr]]:
    """Each parameter of a function with what a call gives it, or what it is without."""
    listed = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    named = [each.arg for each in function.args.kwonlyargs]
    usual = dict(zip(reversed(listed), reversed(function.args.defaults), strict=False))
    usual |= {a: each for a, each in zip(named, function.args.kw_defaults, strict=True) if each}
    positional = [each for each in listed if each not in ("self", "cls")]
    keys = {each.partition("(")[2].removesuffix(")"): each for each in (*positional, *named)}
    given = dict(zip(positional, call.args, strict=False))
    given |= {keys[each.arg]: each.value for each in call.keywords if each.arg in keys}
    yield from (usual | given).items()


def assigned_names(statement: ast.AST) -> Iterator[str]:
    for each in ast.walk(statement):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
