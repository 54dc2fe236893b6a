"""Reading a Dockerfile for what its last stage tells about running it.

No replacement for BuildKit's parser: what is not understood is passed over, because all that is
read here only becomes a proposal.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DockerfileSummary:
    """What a Dockerfile's last stage says.

    Args:
        entrypoint, command: arguments; the shell form becomes `/bin/sh -c …`.
        ports: of EXPOSE, in its order.
        copied: sources of COPY and ADD from the context, in all stages.
        platform: of a FROM with a fixed `--platform`, in the last stage.
        placed: sources of COPY and ADD from the context, with the absolute path each gets.
        path: folders that ENV puts on PATH.
        health: the path that HEALTHCHECK asks a server of its own for.
    """

    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    copied: tuple[str, ...] = ()
    platform: str = ""
    placed: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] = ()
    health: str = ""


def parse_dockerfile(text: str) -> DockerfileSummary:
    """Read all instructions; a stage begins with what the stage that it is made FROM says."""
    stages: dict[str, DockerfileSummary] = {}
    now, name, copied = DockerfileSummary(), "", list[str]()
    for word, rest in _instructions(text):
        if word == "FROM":
            stages[name] = now
            base, name, platform = _parse_from(rest)
            now = replace(stages.get(base, DockerfileSummary()), platform=platform)
        elif word in ("COPY", "ADD"):
            copied += _sources(rest)
            now = replace(now, placed=(*now.placed, *_placed(rest, now.workdir)))
        elif word == "WORKDIR":
            now = replace(now, workdir=rest)
        elif word == "ENV":
            now = replace(now, path=(*_on_path(rest), *now.path))
        elif word == "HEALTHCHECK":
            now = replace(now, health=_health(rest))
        elif word == "ENTRYPOINT":
            # As docker does: a new ENTRYPOINT forgets the base's CMD.
            now = replace(now, entrypoint=_arguments(rest), command=())
        elif word == "CMD":
            now = replace(now, command=_arguments(rest))
        elif word == "EXPOSE":
            ports = (int(found) for found in re.findall(r"\b(\d+)\b(?:/tcp)?(?!/udp)", rest))
            now = replace(now, ports=(*now.ports, *ports))
    return replace(now, copied=tuple(copied))


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Instruction and the rest of its line, with continuations joined and heredocs left out."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while re.search(r"[\\`]\s*$", whole):
            following = next(lines, None)
            whole = re.sub(r"[\\`]\s*$", " ", whole)
            if following is None:
                break
            whole += "\\" if following.lstrip().startswith("#") else following
        word, _, rest = whole.strip().partition(" ")
        for end in re.findall(r"<<-?[\"']?(\w+)[\"']?", rest):
            while (skipped := next(lines, None)) is not None and skipped.strip() != end:
                pass
        yield word.upper(), rest.strip()


def _parse_from(rest: str) -> tuple[str, str, str]:
    """Base, stage name and fixed platform of a FROM."""
    found = re.fullmatch(r"(?:--platform=(\S+)\s+)?(\S+)(?:\s+as\s+(\S+))?\s*", rest, re.IGNORECASE)
    if found is None:
        return "", "", ""
    platform, base, name = found.groups()
    fixed = platform if platform and "$" not in platform else ""
    return base, name or "", fixed


def _sources(rest: str) -> list[str]:
    if "--from" in rest:
        return []
    words = _arguments(rest) if rest.startswith("[") else tuple(rest.split())
    words = tuple(word for word in words if not word.startswith(("--", "<<")))
    return [word.removeprefix("./") or "." for word in words[:-1]]


def _placed(rest: str, workdir: str) -> tuple[tuple[str, str], ...]:
    """Each source of a COPY with the absolute path of what it becomes; with a slash at its end
    where a file goes into that folder, which a folder's content does in any case."""
    sources = _sources(rest)
    words = _arguments(rest) if rest.startswith("[") else tuple(rest.split())
    if not sources or set("*?$") & set(words[-1]):
        return ()
    place = posixpath.normpath(posixpath.join("/", workdir, words[-1]))
    into = words[-1].endswith(("/", ".")) or len(sources) > 1
    return tuple((source, f"{place}/" if into else place) for source in sources)


def _on_path(rest: str) -> tuple[str, ...]:
    found = re.search(r"""(?:^|\s)PATH(?:=|\s+)["']?([^\s"']+)""", rest)
    parts = found.group(1).split(":") if found is not None else ()
    return tuple(part.rstrip("/") for part in parts if part.startswith("/"))


def _health(rest: str) -> str:
    found = re.search(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?(/[\w./-]*)", rest)
    return found.group(1) if found is not None else ""


def _arguments(rest: str) -> tuple[str, ...]:
    if rest.startswith("["):
        try:
            return tuple(map(str, json.loads(rest)))
        except (ValueError, TypeError):
            pass  # docker takes what is no JSON for a shell command
    return ("/bin/sh", "-c", rest)


def command_words(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command, also of one in a shell."""
    if arguments[:2] != ("/bin/sh", "-c"):
        return arguments
    try:
        return tuple(shlex.split(arguments[2]))
    except ValueError:
        return tuple(arguments[2].split())
