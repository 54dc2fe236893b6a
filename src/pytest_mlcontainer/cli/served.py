"""What a server that a project starts tells of itself: its port, its health, who can reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.cli.program_needs import program_needs
from pytest_mlcontainer.cli.project_commands import PORT, file_name
from pytest_mlcontainer.cli.scripts import starts_server
from pytest_mlcontainer.cli.source_files import python_files, read_source
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words

_SERVERS = ("uvicorn", "gunicorn", "fastapi", "flask", "hypercorn", "waitress-serve", "streamlit")
_HEALTH = re.compile(
    r"""["'](/(?:(?:[\w-]+/){0,3}health(?:z|check|_check|-check)?"""
    r"""|(?:ready|readyz|readiness|ping|live|livez|liveness|alive|heartbeat|status)(?:/[\w/-]*)?"""
    r"""|health[\w/-]*|up))["']"""
)
# `--port 80`, `-p 80`, `--bind=0.0.0.0:80`, `${PORT:-80}`.
_PORT_OF_WORDS = re.compile(
    r"(?:^|\s)(?:(?:--?p(?:ort)?|--server\.port)[= ]|(?:--bind|-b|--listen)[= ][^\s:]*:)"
    r"(?:\$\{\w+:-)?([0-9]{2,5})\b"
)
# Where a server listens that is not told, whatever EXPOSE says, and the variable that tells it.
_OWN_PORTS = {
    "streamlit": (8501, "STREAMLIT_SERVER_PORT"),
    "waitress-serve": (8080, ""),
    "flask": (5000, "FLASK_RUN_PORT"),
    "uvicorn": (8000, "UVICORN_PORT"),
    "gunicorn": (8000, "PORT"),
    "hypercorn": (8000, ""),
    "fastapi": (8000, "PORT"),
}
_PORTS_OF_CODE = {"run": 5000, "uvicorn.run": 8000, "launch": 7860}
_HAS_SETTINGS = re.compile(r"\s(?:--config|-c)\b")
_ONLY_INSIDE = ("uvicorn", "hypercorn", "gunicorn", "flask")  # unless they are told
_HOST_OF_WORDS = re.compile(r"\s(?:--host|--bind|--config|--uds|--fd|-[bhc])\b")
_HOST_VARIABLES = ("UVICORN_HOST", "FLASK_RUN_HOST", "GUNICORN_CMD_ARGS", "GRADIO_SERVER_NAME",
                   "HOST")  # fmt: skip
_RUN_OF_CODE = re.compile(r"\b((?:app|application|uvicorn|demo)\.(?:run|launch))\(([^)]*)\)")
_PORT_ASKED_FOR = re.compile(r"\$\{?(\w*PORT)\b(?!:)")
_ROUTES = re.compile(r"^\s*@\w+\.(?:route|get|post|put|api_route)\(", re.MULTILINE)
_MORE_ROUTES = re.compile(r"include_router|register_blueprint|\.mount\(|add_url_rule|add_resource")


@dataclass(frozen=True)
class GuessedServer:
    """A server, as its words and its code tell.

    Args:
        health: the path that says whether it is well.
        env: variables that its words ask for and the image does not give.
        lacks: why nothing outside its container reaches it; "" where nothing says so.
    """

    port: int
    health: str
    env: tuple[tuple[str, str], ...]
    lacks: str


def is_server(recipe: DockerfileSummary) -> bool:
    """Whether the image starts a server that loads a module of the project."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    return any(file_name(word) in _SERVERS for word in words)


def serves(code: str) -> bool:
    """Whether a program of a container with a port may wait at it."""
    return (
        starts_server(code) or re.search(r"(?i)serv(?:e|ing)|listen|socket|flask", code) is not None
    )


def server_of(
    root: Path, words: Sequence[str], code: str, recipe: DockerfileSummary
) -> GuessedServer:
    """A server, by the words that start it: its port, and a variable that the words ask for."""
    program = next((name for name in map(file_name, words) if name in _SERVERS), "")
    told = _PORT_OF_WORDS.search(" ".join(words))
    listens = [int(told[1])] if told else []
    if not (told or program) and any(word.endswith((".py", ".ipynb")) for word in words):
        listens = program_needs(code, words, dict(recipe.environment)).ports
    asked = _PORT_ASKED_FOR.search(" ".join(words))
    if not (listens or asked or _HAS_SETTINGS.search(" ".join(words)) or _settings(root)):
        listens = [*_untold(program, code, recipe)]
    if asked and dict(recipe.environment).get(asked[1], "").isdigit():
        listens = [*listens, int(dict(recipe.environment)[asked[1]])]
    port = next(iter(listens), next(iter(recipe.ports), PORT))
    env = ((asked[1], str(port)),) if asked and asked[1] not in recipe.variables else ()
    health, lacks = _health(root, code, recipe), _unreachable(root, program, words, code, recipe)
    return GuessedServer(port, health, env, lacks)


def _settings(root: Path) -> bool:
    """Whether a file beside the project may tell its server a port."""
    streamlit = re.search(r"(?m)^\s*port\s*=", read_source(root / ".streamlit/config.toml"))
    return streamlit is not None or (root / "gunicorn.conf.py").is_file()


def _untold(program: str, code: str, recipe: DockerfileSummary) -> Iterator[int]:
    """Where a server listens that its words and its code tell no port."""
    environment = dict(recipe.environment)
    if program:
        usual, variable = _OWN_PORTS[program]
        told = environment.get(variable, "")
        yield int(told) if told.isdigit() else usual
    else:
        for name, given in _RUN_OF_CODE.findall(code):
            known = name in _PORTS_OF_CODE or name.endswith(".launch") or "Flask(" in code
            if known and not re.search(r"port|\*", given):
                yield _PORTS_OF_CODE.get(name, _PORTS_OF_CODE[name.rpartition(".")[2]])


def _unreachable(
    root: Path, program: str, words: Sequence[str], code: str, recipe: DockerfileSummary
) -> str:
    """Why nothing outside its container reaches a server; "" where nothing says so."""
    if set(_HOST_VARIABLES) & set(recipe.variables) or (root / "gunicorn.conf.py").is_file():
        return ""
    inside = f"{program} listens on 127.0.0.1 alone"
    if program in _ONLY_INSIDE and not _HOST_OF_WORDS.search(" ".join(words)):
        return f"{inside}, because its command names no host"
    calls = _RUN_OF_CODE.findall(code) if not program else ()
    if calls and not any(re.search(r"host|server_name|share|\*", given) for _name, given in calls):
        return f"{calls[0][0]}() names no host, and so listens on 127.0.0.1 alone"
    return ""


def _health(root: Path, code: str, recipe: DockerfileSummary) -> str:
    """The path that says whether a server is well: of its own code first, then of the
    Dockerfile's HEALTHCHECK, then of any code here."""
    own = _HEALTH.search(code)
    if own is not None or recipe.health:
        return own.group(1) if own is not None else recipe.health
    if _ROUTES.search(code) and not _MORE_ROUTES.search(code):
        return "/"  # it has all of its routes
    texts = map(read_source, python_files(root))
    return next((found.group(1) for text in texts if (found := _HEALTH.search(text))), "/")
