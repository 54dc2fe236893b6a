"""What helps a run that failed, from one line of what it printed and from how it was set up."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.engines.denials import allow_denied
from pytest_mlcontainer.globs import covers, fixed_part
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.clues import CLUES, DISTRIBUTIONS, Clue

_NOT_THERE: Final = re.compile(
    r"No such file or directory|Directory nonexistent|non-existent directory|Parent directory \S+ "
    r"does not exist|can't open file|\bnot found\.?$|Found no valid file for"
)
_ERROR: Final = re.compile(
    r"^(\w+\.)*\w*(Error|Exception|NotFound\w*)\b|^\S+: (line )?\d*:? ?|^\S*python\S*: |^OSError"
)
_QUOTED: Final = re.compile(r"name = '([^']+)'|(?<!\w)['\"]([^'\"]+)['\"]")
_BARE: Final = (
    re.compile(r"(?:cannot create|Parent directory|line \d+:) (?:regular file )?([^\s:;'\"]+)"),
    re.compile(r"^\w[\w.+-]*: (?:cannot \w+ )?(/?[^\s:;'\"]+): No such file"),
    re.compile(r"Error: ([^\s:;'\"]+)"),
)
_NETWORK: Final = re.compile(
    r"(Errno -?\d+\]?|Error|error|Exception|urlopen|Caused by|Connection|failed|fatal|host name)"
    r".*(name resolution|Name or service not known|Network is unreachable|nodename nor servname)"
    r"|NameResolutionError|NewConnectionError|Failed to establish a new connection"
    r"|[Cc]ould(n't| not) resolve host|unable to resolve host|could not translate host name"
    r"|getaddrinfo (failed|EAI_AGAIN|ENOTFOUND)|UnknownHostException|dns resolution failed"
    r"|EndpointConnectionError|LocalEntryNotFoundError|[Cc]ouldn't connect to 'http"
    r"|Max retries exceeded with url|URL fetch failure on|CommError|Cannot connect to host"
    r"|gaierror|Error loading \w+: <urlopen error|Could not find a version that satisfies the "
    r"requirement \S+ \(from versions: none\)|ConnectTimeout|Connection to \S+ timed out"
    r"|^curl: \((6|7|28)\)"
)
_UNEXPANDED: Final = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Z_][A-Z0-9_]*)")
_READ_ONLY: Final = re.compile(r"Read-only file system")
_CLOSED_DATABASE: Final = re.compile(
    r"attempt to write a readonly database|OperationalError\W+unable to open database file"
)
_PERMISSION: Final = re.compile(
    r"\[Errno 13\]|[Pp]ermission denied|PermissionDeniedError|PermissionError"
)
_PRIVILEGE: Final = re.compile(
    r"operation not permitted|no new privileges|effective uid is not 0|^sudo: ", re.I
)
_CREATES: Final = re.compile(
    r"non-existent directory|Parent directory|cannot create|Directory nonexistent"
    r"|Unable to (synchronously )?create file|open\w*\([^)]*['\"](w|a|x|wb|ab|xb|w\+)['\"]"
    r"|\.(to_csv|to_parquet|savefig|save|dump|savez\w*|save_model|write_text|write_bytes)\("
)


@dataclass(frozen=True)
class Case:
    """What is known of a run that failed.

    Args:
        printed: its last lines.
        table: where its settings belong, as `[tool.mlcontainer.entrypoints.train]`.
        gpus: what it was given.
        in_container: False on this machine itself.
        outputs: what it declares; `workdir` is what relative paths refer to.
        inputs: where what it is given lies, as declared.
        root: whether it ran as root; None where that is not known.
    """

    printed: str
    exit_code: int | None
    limits: Limits
    table: str
    gpus: str | None = None
    emulated: bool = False
    in_container: bool = True
    outputs: tuple[str, ...] = ()
    workdir: str = "/"
    inputs: tuple[str, ...] = ()
    root: bool | None = None


@dataclass(frozen=True)
class Symptom:
    """What it died of, to be put in parentheses ("" for what its own words say), and what to do."""

    cause: str
    remedy: str


def remedy_of(case: Case, line: str, lines: list[str]) -> Symptom | None:
    """What one line says of the failure, and what helps; None for lines that say nothing.

    Args:
        lines: all telling lines.
    """
    for clue in CLUES:
        found = _by_clue(case, clue, line, lines)
        if found is not None:
            return found
    return _denied(case, line) or _network(case, line) or _missing(case, line, lines)


def _by_clue(case: Case, clue: Clue, line: str, lines: list[str]) -> Symptom | None:
    found = clue.pattern.search(line)
    if found is None or (clue.near is not None and not any(map(clue.near.search, lines))):
        return None
    groups = found.groupdict()
    name = next((groups[key] for key in ("name", "other", "third") if groups.get(key)), "")
    package = DISTRIBUTIONS.get(name) or DISTRIBUTIONS.get(name.partition(".")[0])
    words = {"name": name, "table": case.table, "hint": f" (`{package}`)" if package else ""}
    return Symptom(clue.cause.format(**words), clue.remedy.format(**words))


def _network(case: Case, line: str) -> Symptom | None:
    if not _NETWORK.search(line):
        return None
    if case.limits.network == "none" and case.in_container:
        return Symptom(
            "it looks for the network",
            "the run has no network, so that it cannot quietly fetch anything: declare what it "
            f'needs as inputs, or network = "bridge" in {case.table}',
        )
    return Symptom(
        "a host was not reached",
        "try the address from the engine's machine; behind a proxy set HTTPS_PROXY in env; better "
        f"fetch it once and declare it as inputs in {case.table}",
    )


def _denied(case: Case, line: str) -> Symptom | None:
    if _READ_ONLY.search(line):
        return Symptom("", "inputs are read-only: let it copy them, or write elsewhere")
    if _CLOSED_DATABASE.search(line):
        return Symptom("", _folder_remedy(case, None))
    permission, privilege = _PERMISSION.search(line), _PRIVILEGE.search(line)
    if not _ERROR.search(line) and not privilege and "denied" not in line.lower():
        return None
    if not permission and not privilege:
        return None
    if re.match(r"\w+Error: (?!.*(Errno|[Pp]ermission denied:|: Permission denied))", line):
        return None  # the words stand in somebody's own message
    allowed = allow_denied(case.printed, case.table, root=case.root) if case.in_container else ""
    files = permission and not (privilege and allowed)
    if not files:
        return Symptom("", allowed) if allowed else None
    path = _path(line)
    folder = _folder_remedy(case, _folder_of(case, path) if path else None)
    return Symptom("", f"{folder}; {allowed}" if allowed else folder)


def _missing(case: Case, line: str, lines: list[str]) -> Symptom | None:
    """A file or folder that is not there: of its outputs, or of what it reads."""
    if not _NOT_THERE.search(line) or not _ERROR.search(line):
        return None
    path = _path(line)
    if path is None:
        return _unread(case, "what it reads", "data") if "FileNotFoundError: " in line else None
    variable = _UNEXPANDED.search(path)
    if variable and case.in_container:
        return Symptom(
            f"no shell has put a value in place of {variable[0]}",
            'words in the exec form (`["python", …]`) are handed on as they are written: '
            f'write the value, or let a shell do it: command = ["sh", "-c", "…"] in {case.table}',
        )
    if _is_output(case, path) or any(_CREATES.search(each) for each in lines[-4:]):
        folder = _folder_of(case, path)
        if folder is not None:
            return Symptom(f"the folder {folder} is not there", _folder_remedy(case, folder))
    return _unread(case, path, posixpath.dirname(path) or "data")


def _unread(case: Case, what: str, folder: str) -> Symptom:
    """A file that it reads and that is not there."""
    if not case.in_container:
        return Symptom(f"{what} is not there", "make it, or declare it as inputs")
    return Symptom(
        f"{what} is not in the image, nor among its inputs",
        f'declare what it reads: inputs = {{ "data" = "{folder}" }} for '
        'a folder of the project, needs = ["…"] for what another entrypoint writes, both in '
        f"{case.table}; or COPY it in the Dockerfile (.dockerignore leaves files out)",
    )


def _path(line: str) -> str | None:
    """The path that a line names."""
    quoted: list[str] = [one or two for one, two in _QUOTED.findall(line)]
    found = [each for each in quoted if "/" in each or "." in each or len(quoted) == 1]
    if found and not re.search(r"\s", found[0]):
        return found[0]
    for pattern in _BARE:
        bare = pattern.search(line)
        if bare is not None and ("/" in bare[1] or "." in bare[1] or pattern is _BARE[0]):
            return str(bare[1])
    return None


def _relative(case: Case, path: str) -> str:
    inside = case.workdir.rstrip("/") + "/"
    return path[len(inside) :] if path.startswith(inside) and inside != "/" else path


def _is_output(case: Case, path: str) -> bool:
    """Whether a path is one of its outputs, a folder that holds some, or beside them."""
    name = posixpath.normpath(_relative(case, path))
    for pattern in case.outputs:
        clean = posixpath.normpath(pattern)
        if covers(clean, name) or covers(posixpath.dirname(clean) or "\0", name):
            return True
        if fixed_part(clean) == name or fixed_part(clean).startswith(f"{name}/"):
            return True
    return False


def _folder_of(case: Case, path: str) -> str | None:
    """The folder in which a path would be, itself where it looks like one; None for what lies in
    the working directory, which is there."""
    name = posixpath.normpath(_relative(case, path))
    folder = posixpath.dirname(name) if posixpath.splitext(name)[1] else name
    return folder if folder.strip("/.") else None


def _folder_remedy(case: Case, folder: str | None) -> str:
    """How a folder gets one that it may write to; None is the working directory."""
    if not case.in_container:
        return "make it a folder that this user may write to"
    if folder is None:
        return (
            f"give {case.workdir} to its user in the Dockerfile (RUN chown, before USER), or let "
            f'it write to a folder of its own, which writable = ["outputs"] in {case.table} makes'
        )
    return (
        "a folder that its user may write to is made by "
        f'writable = ["{folder}"] in {case.table}, or by mkdir and chown in the Dockerfile'
    )
