"""What a Python script does when it is started alone: by its code, which is read and never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

_REQUIRED: Final = (
    re.compile(r"""\.add_argument\(\s*["']([^-"'][^"']*)["'](?![^()]*\bnargs\s*=\s*["'][?*])"""),
    re.compile(r"""\.add_argument\(\s*["'](-[^"']+)["'][^()]*\brequired\s*=\s*True"""),
    re.compile(r"""\bclick\.argument\(\s*["']([^"']+)["'](?![^()]*\b(?:default|required)\s*=)"""),
    re.compile(r"""\bclick\.option\(\s*["'](-[^"']+)["'][^()]*\brequired\s*=\s*True"""),
    re.compile(r"""\b(\w+)\s*:[^=\n]+=\s*typer\.(?:Argument|Option)\(\s*\.\.\."""),
)
_BARE_ARGUMENT: Final = re.compile(r"\bsys\.argv\[[12]\]")
_COUNTED: Final = re.compile(r"\blen\(\s*(?:sys\.)?argv\s*\)")
_SERVES: Final = re.compile(
    r"\b(?:app|application|server|socketio|uvicorn|waitress|mcp)\.(?:run|serve)\("
    r"|\brun_app\(|\.launch\(|\bserve_forever\(|\brun_simple\("
)
_ASGI: Final = re.compile(r"^(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:\w+\.)?(?:FastAPI|Starlette|Litestar)\(",
                          re.MULTILINE)  # fmt: skip
_WSGI: Final = re.compile(r"^(\w+)\s*=\s*(?:\w+\.)?Flask\(", re.MULTILINE)
_STREAMLIT: Final = re.compile(r"^\s*import streamlit\b|^from streamlit\b", re.MULTILINE)
# Calls that prepare, and by themselves make no program of a module.
_PREPARE: Final = frozenset(
    {"append", "insert", "basicConfig", "getLogger", "filterwarnings", "simplefilter", "use",
     "load_dotenv", "setLevel", "addHandler", "seed", "manual_seed", "set_option", "register",
     "include_router", "add_middleware", "mount", "Path", "set_page_config", "setdefault"}
)  # fmt: skip
_APPS: Final = ("FastAPI", "Starlette", "Litestar", "Flask", "CORS", "CORSMiddleware")
_LOADS: Final = ("load", "load_model", "open", "join", "getenv")
_APP: Final = re.compile(rf"^\w+(?:\s*:\s*\w+)?\s*=\s*(?:\w+\.)?(?:{'|'.join(_APPS[:4])})\(",
                         re.MULTILINE)  # fmt: skip
_EVERYWHERE: Final = "0.0.0.0"  # an address inside the container


def does_something(code: str) -> bool:
    """Whether a module is a program: it does more than define what others use.

    What cannot be parsed, for another Python for example, is taken for one.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError):
        return True
    defines = any(isinstance(each, ast.FunctionDef | ast.ClassDef) for each in body)
    return any(_acts(each, defines=defines) for each in body)


def does_nothing(code: str, own: Collection[str]) -> str:
    """Why a program ends at once when it is started by its path, said of it; "" where it may do
    something, also by what it imports.

    Args:
        own: first names of the project's modules, which may do something when they are imported.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    if not body:
        return "is empty"
    imported = {name.partition(".")[0] for each in body for name in _imported(each)}
    if imported & set(own):
        return ""
    acts = [each for each in body if not _only_defines(each, ())]
    if not acts:
        return "only defines"
    if all(_only_defines(each, (*_APPS, *_LOADS)) for each in acts) and _APP.search(code):
        return "defines a server and does not start it"
    return ""


def module_name(shown: str, code: str) -> str:
    """What a script has to be started as, with `-m`, because it imports from the folder that it is
    in by that folder's name, or from beside itself; "" for one that is started by its path."""
    parts = PurePosixPath(shown).with_suffix("").parts
    if len(parts) < 2 or "sys.path" in code or not all(map(str.isidentifier, parts)):
        return ""
    imports = rf"^\s*(?:from|import) {parts[0]}\b|^from \.+\w* import "
    return ".".join(parts) if re.search(imports, code, re.MULTILINE) else ""


def starts_server(code: str) -> bool:
    """Whether a script ends in a server that waits for requests."""
    return _SERVES.search(code) is not None


def asked_for(code: str, given: Sequence[str] = ()) -> str:
    """The first argument that a program cannot be started without; "" for none.

    Args:
        given: those that it is started with.
    """
    named = {word.partition("=")[0] for word in given}
    for pattern in _REQUIRED:
        for found in pattern.finditer(code):
            there = named & set(re.findall(r"[\w-]+", found[0]))
            if not there and (found[1].startswith("-") or not given):
                return found[1]
    if not given and _BARE_ARGUMENT.search(code) and not _COUNTED.search(code):
        return "sys.argv[1]"
    return ""


def serving_command(python: str, shown: str, code: str, port: int) -> tuple[str, ...]:
    """What starts the server that a script defines; () where it defines none.

    Args:
        python: what the interpreter is called there.
        shown: its path as a command in the image names it.
    """
    if _SERVES.search(code):
        return (python, shown)
    path = PurePosixPath(shown)
    asgi, wsgi = _ASGI.search(code), _WSGI.search(code)
    if asgi is not None:
        where = () if str(path.parent) == "." else ("--app-dir", str(path.parent))
        server = (python, "-m", "uvicorn", f"{path.stem}:{asgi[1]}", *where)
        return (*server, "--host", _EVERYWHERE, "--port", str(port))
    if wsgi is not None:
        server = (python, "-m", "flask", "--app", shown, "run")
        return (*server, "--host", _EVERYWHERE, "--port", str(port))
    if _STREAMLIT.search(code):
        server = (python, "-m", "streamlit", "run", shown, "--server.headless", "true")
        return (*server, "--server.port", str(port))
    return ()


def _imported(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Import(names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module, _, level):
            yield "." if level else str(module)


def _only_defines(statement: ast.stmt, harmless: Sequence[str]) -> bool:
    """Whether a statement gives something a name, and calls nothing but what prepares.

    Args:
        harmless: further names of what may be called.
    """
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return True
        case ast.ClassDef() | ast.Pass() | ast.Expr(ast.Constant()):
            return True
        case ast.Assign() | ast.AnnAssign() | ast.Expr(ast.Call()):
            calls = [each for each in ast.walk(statement) if isinstance(each, ast.Call)]
            return all(_called(each.func) in (*_PREPARE, *harmless) for each in calls)
    return False


def _acts(statement: ast.stmt, *, defines: bool) -> bool:
    match statement:
        case ast.Expr(ast.Call(function)):
            return _called(function) not in _PREPARE
        case ast.For() | ast.While() | ast.With():
            return True
        case ast.If(test):
            return "TYPE_CHECKING" not in ast.unparse(test)
        case ast.Assign(value=ast.Call(function)):
            return not defines and _called(function) not in _PREPARE
    return False


def _called(function: ast.expr) -> str:
    """The last name of what is called."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
