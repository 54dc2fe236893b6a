"""What a Python program reads, writes and asks of the world: by its code, which is never run.

Only what stands there in words counts: names that are put together from a constant, from the
default of an argument, or with `join`, `Path` and `/`.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

_PATH: Final = re.compile(r"(?:\./)?/?[\w.-]+(?:[/ ][\w.()-]+)*\.\w+")
_URL: Final = re.compile(r"(?:https?|s3|gs|ftp)://\S+")
_READS: Final = re.compile(
    r"read_(?:csv|table|parquet|excel|json|pickle|feather|hdf)|load|loadtxt|genfromtxt|imread"
    r"|load_model|safe_load_file"
)
_WRITES: Final = re.compile(
    r"to_(?:csv|json|parquet|pickle|feather|excel)|savefig|save_model|save|savez"
    r"|savez_compressed|savetxt|dump|imwrite"
)
_FETCHES: Final = re.compile(
    r"fetch_(?:openml|california_housing|20newsgroups|covtype|olivetti_faces|lfw_\w+|kddcup99|rcv1)"
    r"|snapshot_download|hf_hub_download"
)
_ASKS_URL: Final = re.compile(r"requests\.\w+|.*\b(?:urlretrieve|urlopen|set_tracking_uri)")
_FETCHERS: Final = (
    "nltk.download",
    "gdown.download",
    "wget.download",
    "kagglehub.dataset_download",
)
_HUB: Final = ("from_pretrained", "pipeline", "load_dataset", "SentenceTransformer")
_ASKS: Final = re.compile(r"exist|is_?file|is_?dir")
_ENDS: Final = ("exit", "_exit", "abort", "quit")


@dataclass
class ProgramNeeds:
    """What one needs.

    Args:
        reads: files without which it ends.
        writes: files that it makes, in the order of its lines.
        fetches: what it gets over a network.
        variables: environment variables without which it ends.
        saves: False where each of its calls that write is one that may be left out.
    """

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    fetches: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    saves: bool = True


def program_needs(code: str, argv: Sequence[str] = ()) -> ProgramNeeds:
    """Of a program's source; nothing where that cannot be parsed.

    Args:
        argv: the command that starts it; an argument that is given there has no default.
    """
    try:
        return _needs_of(ast.parse(code), argv)
    except (SyntaxError, ValueError, RecursionError):
        return ProgramNeeds()


def _needs_of(tree: ast.Module, argv: Sequence[str]) -> ProgramNeeds:
    names, found, spared = _Names(tree, argv), ProgramNeeds(), set[str]()
    saving = [off for node, off in _walk(tree, names, tolerant=False) if _is_saving(node)]
    found.saves = not saving or not all(saving)
    for node, tolerant in _walk(tree, names, tolerant=False):
        if isinstance(node, ast.Call):
            _add_call(node, names, found, spared, tolerant=tolerant)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in (
            "os.environ",
            "environ",
        ):
            name = names.text(node.slice)
            if isinstance(node.ctx, ast.Store) or tolerant:
                spared.add(name)
            else:
                found.variables.append(name)
        elif isinstance(node, ast.If) and _ASKS.search(ast.unparse(node.test)):
            spared |= set() if _ends(node.body) else {names.text(e) for e in ast.walk(node.test)}
    spared |= {posixpath.normpath(each) for each in (*found.writes, *spared) if each}
    found.reads = [each for each in found.reads if posixpath.normpath(each) not in spared]
    found.variables = [each for each in found.variables if each and each not in spared]
    return found


def _is_saving(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (
        _WRITES.fullmatch(ast.unparse(node.func).rpartition(".")[2]) is not None
    )


def _add_call(
    call: ast.Call, names: _Names, found: ProgramNeeds, spared: set[str], *, tolerant: bool
) -> None:
    """Sort what one call is given into what is read, written and fetched."""
    whole = ast.unparse(call.func)
    last = whole.rpartition(".")[2]
    given = [names.text(each) for each in (*call.args[:2], *(k.value for k in call.keywords))]
    files = [each for each in given if _PATH.fullmatch(each) and not _URL.match(each)]
    addresses = [each for each in given if _URL.fullmatch(each)]
    if last == "open":
        mode = next((each for each in given if re.fullmatch(r"[rwaxbt+]{1,3}", each)), "r")
        last = "save" if set(mode) & set("wax") else "load"
    if tolerant:
        spared |= set(files)
    elif _WRITES.fullmatch(last):
        found.writes += files
    elif _READS.fullmatch(last):
        found.reads += files[:1]
        found.fetches += addresses
    elif whole in _FETCHERS or _FETCHES.fullmatch(last):
        found.fetches.append((addresses or [whole])[0])
    elif _ASKS_URL.fullmatch(whole) and addresses:
        found.fetches.append(addresses[0])
    elif last in _HUB and given and re.match(r"\w", given[0]) and not files:
        found.fetches.append(given[0])
    elif any(k.arg == "download" and names.text(k.value) == "True" for k in call.keywords):
        found.fetches.append(whole)


class _Names:
    """Texts that names in a program stand for."""

    def __init__(self, tree: ast.AST, argv: Sequence[str]) -> None:
        self._known: dict[str, str] = {}
        self._stores = Counter(_assigned(tree))
        for node in ast.walk(tree):
            match node:
                case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
                    text = "" if value is None else self.text(value)
                    self._known[name] = text if self._known.get(name, text) == text else ""
                case ast.Call(ast.Attribute(attr="add_argument"), [*flags], keywords):
                    options = [self.text(each) for each in flags]
                    stored = next((k.value for k in keywords if k.arg == "action"), None)
                    is_flag = stored is not None and self.text(stored) == "store_true"
                    usual = ast.Constant(value=False) if is_flag else None
                    default = next((k.value for k in keywords if k.arg == "default"), usual)
                    if default is not None and not set(options) & set(argv):
                        name = max(options, key=len, default="").lstrip("-").replace("-", "_")
                        self._known[f"args.{name}"] = self.text(default)

    def count(self, name: str) -> int:
        """How often a name gets a value."""
        return self._stores[name]

    def is_off(self, test: ast.expr) -> bool:
        """Whether a branch is entered only with an argument that is not given."""
        inner = test.left if isinstance(test, ast.Compare) else test
        return isinstance(inner, ast.Attribute) and self.text(inner) == "False"

    def text(self, node: ast.AST) -> str:
        """What an expression comes to; "" where that is not known."""
        match node:
            case ast.Constant(value):
                return str(value)
            case ast.Name(name):
                return self._known.get(name, "")
            case ast.Attribute(ast.Name(), attr):
                return self._known.get(f"args.{attr}", "")
            case ast.BinOp(left, ast.Div(), right):
                return self._joined([left, right])
            case ast.Call(ast.Name("Path" | "str"), [*parts]) | ast.Call(
                ast.Attribute(attr="join" | "Path"), [*parts]
            ):
                return self._joined(parts)
        return ""

    def _joined(self, parts: Sequence[ast.AST]) -> str:
        texts = [self.text(each) for each in parts]
        return posixpath.join(*texts) if texts and all(texts) else ""


def _walk(node: ast.AST, names: _Names, *, tolerant: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All below, in the order of lines, each with whether it may fail or be left out."""
    yield node, tolerant
    for name, value in ast.iter_fields(node):
        inside = tolerant
        match node:
            case ast.Try(handlers=handlers) if name == "body":
                inside |= all(_goes_on(each.body, value, names) for each in handlers)
            case ast.If(test) if name in ("body", "orelse"):
                inside |= _ASKS.search(ast.unparse(test)) is not None
                inside |= name == "body" and names.is_off(test)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _walk(each, names, tolerant=inside)


def _goes_on(handler: Sequence[ast.stmt], tried: Sequence[ast.stmt], names: _Names) -> bool:
    """Whether a program can do without what it tried: it has another value for what that gives."""
    if _ends(handler):
        return False
    if any(isinstance(each, ast.Return | ast.Continue) for each in handler):
        return True
    given = {name for each in tried for name in _assigned(each)}
    instead = {name for each in handler for name in _assigned(each)}
    return all(name in instead or names.count(name) > 1 for name in given)


def _assigned(statement: ast.AST) -> Iterator[str]:
    for each in ast.walk(statement):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a branch ends the program."""
    inside = [each for statement in body for each in ast.walk(statement)]
    return any(
        isinstance(each, ast.Raise)
        or (isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] in _ENDS)
        for each in inside
    )
