"""What a Python program reads, writes and asks of the world: by its code, which is never run."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_mlcontainer.cli.decided_branches import as_decided
from pytest_mlcontainer.cli.network_calls import STARTS, URL, fetched_by
from pytest_mlcontainer.cli.program_names import ENVIRON, ProgramNames, assigned_names

_PATH: Final = re.compile(r"(?:\./)?/?[\w.-]+(?:[/ ][\w.()-]+)*\.\w*[A-Za-z]\w*")
_READS: Final = re.compile(r"(?:read|load)_\w+|load|loadtxt|genfromtxt|imread|safe_load_file")
_WRITES: Final = re.compile(
    r"to_(?:csv|json|parquet|pickle|feather|excel)|savefig|save_model|save|savez"
    r"|savez_compressed|savetxt|dump|imwrite"
    r"|write_(?:text|bytes|csv|json|ndjson|parquet|ipc|avro|excel|gexf|graphml|gml|edgelist)"
)
_OF_PATH: Final = ("write_text", "write_bytes")  # whose file is not among their arguments
_FILLS: Final = re.compile(
    r"(?i)\.to_sql\(|\b(?:insert|replace) (?:or \w+ )?into\b|\bcreate table\b"
)
_LISTENS: Final = ("port", "server_port")
_LOGS: Final = re.compile(r"(?i)(?:.*\.)?_?log(?:ger|ging)?\.(?:debug|info|warning|error|critical)")
_SCRIPT: Final = re.compile(r"[\w./-]+\.py\b")
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
        settings: those that it takes out of a file `.env`, likewise.
        saves: False where each of its calls that write is one that may be left out.
        hides: whether it may write under a name that is not known.
        prints: whether it prints.
        logs: whether it writes a log, which goes to stderr where nothing says otherwise.
        asks: whether it waits for what somebody types.
        imports: the first names of the modules that it imports.
        required: those without which it does not start.
        starts: scripts that it starts as programs of their own.
        options: that it is not given, and without whose value it reads nothing.
        ports: at which it says that something listens.
    """

    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    fetches: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    saves: bool = True
    hides: bool = False
    prints: bool = False
    logs: bool = False
    asks: bool = False
    imports: set[str] = field(default_factory=set)
    required: list[str] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


def program_needs(
    code: str, argv: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> ProgramNeeds:
    """Of a program's source; nothing where that cannot be parsed.

    Args:
        argv: the command that starts it; an argument that is given there has no default.
        environ: variables that it finds set.
    """
    try:
        return _needs_of(ast.parse(code), argv, environ or {})
    except (SyntaxError, ValueError, RecursionError):
        return ProgramNeeds()


def broken_line(code: str) -> str:
    """Where a source is none for any Python, and why; "" where it may be for another one."""
    try:
        ast.parse(code)
    except IndentationError as error:
        if not isinstance(error, TabError):  # tabs may be right for Python 2
            return f"line {error.lineno} is no Python: {error.msg}"
    except (SyntaxError, ValueError, RecursionError):
        pass
    return ""


def unread_line(code: str) -> str:
    """Where a source is none for the Python that reads it here, and why; "" where it is one."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _needs_of(tree: ast.Module, argv: Sequence[str], environ: Mapping[str, str]) -> ProgramNeeds:
    tree = as_decided(tree, environ)
    names, found, spared = ProgramNames(tree, argv, environ), ProgramNeeds(), set[str]()
    found.imports = set(_imported(tree))
    at_start = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    found.required = [name for each in at_start for name in _imported(each) if name != "."]
    saving = [off for node, off in _walk(tree, names, tolerant=False) if _is_saving(node)]
    found.saves = not saving or not all(saving)
    of_dotenv = frozenset(_of_dotenv(tree))
    for node, tolerant in _walk(tree, names, tolerant=False):
        if isinstance(node, ast.Call):
            _add_call(node, names, found, spared, tolerant=tolerant)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ENVIRON:
            name = names.text(node.slice)
            if isinstance(node.ctx, ast.Store) or tolerant:
                spared.add(name)
            else:
                found.variables.append(name)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in of_dotenv:
            found.settings += [] if tolerant else [names.text(node.slice)]
        elif isinstance(node, ast.If) and _ASKS.search(ast.unparse(node.test)):
            spared |= set() if _ends(node.body) else {names.text(e) for e in ast.walk(node.test)}
    found.writes += _filled_databases(tree, names)
    spared |= {posixpath.normpath(each) for each in (*found.writes, *spared) if each}
    found.reads = [each for each in found.reads if posixpath.normpath(each) not in spared]
    found.variables = [each for each in found.variables if each and each not in spared]
    found.settings = [each for each in found.settings if each]
    found.fetches = [each for each in dict.fromkeys(found.fetches) if each]
    found.options = [each for each in found.options if each]
    return found


def _of_dotenv(tree: ast.AST) -> Iterator[str]:
    """Names of what is read out of files of variables."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], value) if "dotenv_values(" in ast.unparse(value):
                yield name


def _filled_databases(tree: ast.Module, names: ProgramNames) -> list[str]:
    """Files of databases that a program opens, where it puts anything into one."""
    if not _FILLS.search(ast.unparse(tree)):
        return []
    opened = (
        names.text(each.args[0])
        for each in ast.walk(tree)
        if isinstance(each, ast.Call) and each.args and ast.unparse(each.func) == "sqlite3.connect"
    )
    return [each for each in opened if _PATH.fullmatch(each)]


def _is_saving(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (
        _WRITES.fullmatch(ast.unparse(node.func).rpartition(".")[2]) is not None
    )


def _add_call(
    call: ast.Call, names: ProgramNames, found: ProgramNeeds, spared: set[str], *, tolerant: bool
) -> None:
    """Sort what one call is given into what is read, written and fetched."""
    whole = ast.unparse(call.func)
    last = whole.rpartition(".")[2]
    values = (*call.args[:2], *(keyword.value for keyword in call.keywords))
    given = [text for each in values for text in names.texts(each)]
    if last in _OF_PATH and isinstance(call.func, ast.Attribute):
        given = [names.text(call.func.value)]
    files = [each for each in given if _PATH.fullmatch(each) and not URL.match(each)]
    if last == "open":
        mode = next((each for each in given if re.fullmatch(r"[rwaxbt+]{1,3}", each)), "r")
        last = "save" if set(mode) & set("wax") else "load"
    found.prints |= whole == "print"
    found.logs |= _LOGS.fullmatch(whole) is not None
    ports = (names.text(each.value) for each in call.keywords if each.arg in _LISTENS)
    found.ports += (int(each) for each in ports if re.fullmatch(r"[1-9][0-9]{1,4}", each))
    found.hides |= _WRITES.fullmatch(last) is not None and not files
    if tolerant:
        spared |= set(files)
    elif STARTS.fullmatch(whole):
        inside = (each for each in ast.walk(call) if isinstance(each, ast.Constant | ast.Name))
        texts = (text for each in inside for text in names.texts(each))
        found.starts += (name for each in texts for name in _SCRIPT.findall(each))
    elif whole == "input" and not names.count("input"):
        found.asks = True
    elif _WRITES.fullmatch(last):
        found.writes += files
    elif _READS.fullmatch(last):
        found.reads += files if call.args and len(names.texts(call.args[0])) > 1 else files[:1]
        found.fetches += (names.address(each) for each in values)
        found.options += (names.unset(each) for each in call.args[:1])
    if not tolerant:
        found.fetches.append(fetched_by(call, names, given))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module, _, level):
                yield "." if level else str(module).partition(".")[0]


def _walk(node: ast.AST, names: ProgramNames, *, tolerant: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All below, in the order of lines, each with whether it may fail or be left out."""
    yield node, tolerant
    for name, value in ast.iter_fields(node):
        inside = tolerant
        match node:
            case ast.Try(handlers=handlers) if name == "body":
                inside |= all(_goes_on(each.body, value, names) for each in handlers)
            case ast.If(test) | ast.IfExp(test) if name in ("body", "orelse"):
                inside |= _ASKS.search(ast.unparse(test)) is not None
                inside |= name == "body" and names.is_off(test)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _walk(each, names, tolerant=inside)


def _goes_on(handler: Sequence[ast.stmt], tried: Sequence[ast.stmt], names: ProgramNames) -> bool:
    """Whether a program can do without what it tried: it has another value for what that gives."""
    if _ends(handler):
        return False
    if any(isinstance(each, ast.Return | ast.Continue) for each in handler):
        return True
    given = {name for each in tried for name in assigned_names(each)}
    instead = {name for each in handler for name in assigned_names(each)}
    return all(name in instead or names.count(name) > 1 for name in given)


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a branch ends the program."""
    inside = [each for statement in body for each in ast.walk(statement)]
    return any(
        isinstance(each, ast.Raise)
        or (isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] in _ENDS)
        for each in inside
    )
