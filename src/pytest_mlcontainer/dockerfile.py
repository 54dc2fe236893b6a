"""A Dockerfile as instructions: the one reader, for all who ask what a build would do.

It knows what BuildKit knows of lines: directives, the escape character, continuations, comments,
heredocs, flags. Variables stay as they are written.
"""

from __future__ import annotations

import ast
import difflib
import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

# One of the `# key=value` lines that a Dockerfile begins with; any other line ends them.
_DIRECTIVE = re.compile(r"\s*#\s*([A-Za-z][\w-]*)\s*=\s*(\S+)")
_FLAG = re.compile(r"--([\w.-]+)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"""(?:^|\s)\d*<<(-?)["']?([^\s<>|&;"']+)""")
_HEREDOCS_IN = ("ADD", "COPY", "RUN")
_INSTRUCTIONS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
     "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)  # fmt: skip
# `NAME=http://name:80`: a name without a dot is one of a network of containers.
_SERVER = re.compile(r"""(?:^|\s)(\w+)(?:=|\s)["']?(\w+://(?!localhost\b)[a-z][\w-]*:\d+)""")
_MKDIR = re.compile(r"\bmkdir ([^&;|\n]+)")
_TO_THE_CONTEXT = re.compile(r"\A(?:\.{0,2}/)+")  # a build gets nothing from above its context
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ARCHIVE = re.compile(r"\.(?:tar(?:\.(?:gz|bz2|xz|zst))?|tgz|tbz2?|txz)$")
_SHELL = re.compile(r"(?:/(?:usr/)?bin/)?(?:ba|da|z)?sh")
_SHELL_FLAG = re.compile(r"-[a-z]*c")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Args:
        word: its name in capitals.
        flags: `--from=build` as ("from", "build"), in their order.
        rest: what follows those, in one line and without the text of heredocs.
        line: where it begins, from 1 on.
        heredocs: the texts of its heredocs, in their order.
    """

    word: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    line: int = 0
    heredocs: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command of a CMD or ENTRYPOINT; the shell form becomes `/bin/sh -c …`."""
        listed = self._listed()
        return ("/bin/sh", "-c", self.rest) if listed is None else listed

    @property
    def copied(self) -> tuple[tuple[str, ...], str]:
        """What a COPY or ADD takes from the context, and where it puts that; ((), "") if nothing.

        Sources begin with no `./`, `../` or `/`; the context itself is `.`.
        """
        if self.word not in ("COPY", "ADD") or "from" in dict(self.flags):
            return (), ""
        listed = self._listed()
        unquoted = (re.sub(r"""["']""", "", word) for word in self.rest.split())
        words = listed if listed is not None else tuple(unquoted)
        words = tuple(word for word in words if not word.startswith("<<"))
        sources = tuple(_TO_THE_CONTEXT.sub("", word, count=1) or "." for word in words[:-1])
        return (sources, words[-1]) if sources else ((), "")

    def _listed(self) -> tuple[str, ...] | None:
        if self.rest.startswith("["):
            try:
                return tuple(map(str, json.loads(self.rest)))
            except (ValueError, TypeError):
                pass  # docker takes what is no JSON for a shell command
        return None


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
        runs: what RUN executes, with the texts of heredocs, in all stages.
        variables: names that ENV and ARG give values, in all stages.
        environment: names and values of ENV, but for those that are made of what is not known.
        folders: absolute paths of those that WORKDIR, COPY, ADD and `mkdir` make.
        servers: variables that name a server of another container, with its URL.
        base: the image that the last stage is made from; "" where that is not known.
        brought: absolute paths of what the stages get from others, and of heredocs.
        unknown: words at the begin of an instruction that are none, each with its line.
        unpacked: archives that ADD unpacks, in all stages.
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
    runs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    folders: frozenset[str] = frozenset()
    servers: tuple[tuple[str, str], ...] = ()
    base: str = ""
    brought: tuple[str, ...] = ()
    unknown: tuple[tuple[str, int], ...] = ()
    unpacked: tuple[str, ...] = ()


def read_dockerfile(file: Path) -> str:
    """Its text, with replacement characters for bytes that are no UTF-8."""
    return file.read_text(encoding="utf-8-sig", errors="replace")


def parse_directives(text: str) -> tuple[tuple[str, str], ...]:
    """Name, in small letters, and value of each directive, one for each of the first lines."""
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        directive = _DIRECTIVE.match(line)
        if directive is None:
            break
        found.append((directive[1].lower(), directive[2]))
    return tuple(found)


def parse_instructions(text: str) -> Iterator[Instruction]:
    """All instructions of all stages, in their order."""
    escape = re.escape("`" if dict(parse_directives(text)).get("escape") == "`" else "\\")
    continuation = re.compile(rf"(?<!{escape}){escape}[ \t]*$")
    lines = enumerate(text.replace("\r\n", "\n").split("\n"), 1)
    whole, first = "", 0
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first or number
        whole += continuation.sub("", line)
        if continuation.search(line):
            continue
        yield _instruction(whole, first, lines)
        whole, first = "", 0
    if whole.strip():
        yield _instruction(whole, first, lines)


def _instruction(line: str, first: int, following: Iterator[tuple[int, str]]) -> Instruction:
    """That of a joined line; takes the text of its heredocs from the lines that follow.

    Args:
        first: the number of the first line of those that were joined.
    """
    word, _, rest = re.sub(r"\s+", " ", line.strip(), count=1).partition(" ")
    word, flags = word.upper(), list[tuple[str, str]]()
    while (flag := _FLAG.match(rest)) is not None:
        flags.append((flag[1], flag[2] or ""))
        rest = rest[flag.end() :]
    opened = _HEREDOC.findall(rest) if word in _HEREDOCS_IN else ()
    heredocs = tuple(_heredoc(end, following, tabs=bool(dash)) for dash, end in opened)
    return Instruction(word, tuple(flags), rest.strip(), first, heredocs)


def _heredoc(end: str, following: Iterator[tuple[int, str]], *, tabs: bool) -> str:
    """The lines up to its end; with `tabs` leading ones do not count, as in `<<-`."""
    taken = []
    for _number, raw in following:
        line = raw.lstrip("\t") if tabs else raw
        if line == end:
            break
        taken.append(line)
    return "\n".join(taken)


def copied_sources(text: str) -> tuple[str, ...]:
    """What COPY and ADD take from the context, in all stages; see `Instruction.copied`."""
    return tuple(source for each in parse_instructions(text) for source in each.copied[0])


def near_stage(stages: Iterable[str], image: str) -> str | None:
    """The stage that an image's name may be a slip of the pen for; None for any other name.

    Args:
        stages: names, in small letters.
        image: as it stands in a FROM or `--from`, perhaps with the tag that BuildKit adds.
    """
    name = image.removesuffix(":latest").lower()
    if set("/:@$.") & set(name):
        return None
    others = sorted(set(stages) - {"", name})
    return next(iter(difflib.get_close_matches(name, others, 1, cutoff=0.75)), None)


def stage_names(text: str) -> tuple[str, ...]:
    """Of a Dockerfile's stages, in small letters; "" for one without a name."""
    froms = (each.rest for each in parse_instructions(text) if each.word == "FROM")
    return tuple(_base_and_name(rest)[1] for rest in froms)


def parse_dockerfile(text: str) -> DockerfileSummary:
    """Read all instructions; a stage begins with what the stage that it is made FROM says."""
    stages: dict[str, DockerfileSummary] = {}
    now, name = DockerfileSummary(), ""
    for each in parse_instructions(text):
        if each.word == "FROM":
            stages[name] = now
            base, name = _base_and_name(each.rest)
            platform = dict(each.flags).get("platform", "")
            fixed = "" if "$" in platform else platform
            image = "" if "$" in base.partition(":")[0] else base
            now = replace(stages.get(base, DockerfileSummary(base=image)), platform=fixed)
        else:
            now = _summarised(now, each)
    every = tuple(parse_instructions(text))
    runs = tuple("\n".join((each.rest, *each.heredocs)) for each in every if each.word == "RUN")
    given = " ".join(each.rest for each in every if each.word in ("ENV", "ARG"))
    variables = tuple(re.findall(r"(?:^|\s)([A-Za-z_]\w*)(?==|\s)", given))
    unknown = tuple((e.word, e.line) for e in every if e.word not in _INSTRUCTIONS)
    found = replace(now, copied=copied_sources(text), runs=runs, variables=variables)
    added = (source for each in every if each.word == "ADD" for source in each.copied[0])
    unpacked = tuple(each for each in added if _ARCHIVE.search(each))
    servers = tuple(_SERVER.findall(given))
    return replace(found, servers=servers, unknown=unknown, unpacked=unpacked)


def _base_and_name(rest: str) -> tuple[str, str]:
    """Of a FROM, in small letters; names of stages have no case."""
    base, *named = rest.lower().split() or [""]
    return base, named[1] if named[:1] == ["as"] and len(named) == 2 else ""


def _summarised(now: DockerfileSummary, each: Instruction) -> DockerfileSummary:
    """What is known after one more instruction of a stage."""
    match each.word:
        case "COPY" | "ADD":
            placed = _placed(each, now)
            made = {
                place if place.endswith("/") else posixpath.dirname(place) for _, place in placed
            }
            brought = () if placed else (_place_of(each, now),)
            return replace(
                now,
                placed=(*now.placed, *placed),
                folders=now.folders | _with_parents(made),
                brought=(*now.brought, *brought),
            )
        case "WORKDIR":
            place = posixpath.join(now.workdir, each.rest)
            return replace(now, workdir=place, folders=now.folders | _with_parents({place}))
        case "RUN":
            words = " ".join(_MKDIR.findall(each.rest)).split()
            made = {posixpath.join("/", now.workdir, word) for word in words if word[0] != "-"}
            return replace(now, folders=now.folders | _with_parents(made))
        case "ENV":
            rest = _with_values(each.rest, dict(now.environment))
            environment = (*now.environment, *_environment(rest))
            path = (*_on_path(rest), *now.path)
            return replace(now, path=path, environment=environment)
        case "HEALTHCHECK":
            return replace(now, health=_health(each.rest))
        case "ENTRYPOINT":
            # As docker does: a new ENTRYPOINT forgets the base's CMD.
            return replace(now, entrypoint=each.arguments, command=())
        case "CMD":
            return replace(now, command=each.arguments)
        case "EXPOSE":
            ports = (int(port) for port in re.findall(r"\b(\d+)\b(?:/tcp)?(?!/udp)", each.rest))
            return replace(now, ports=(*now.ports, *ports))
    return now


def _with_parents(folders: Iterable[str]) -> set[str]:
    """Folders, and those that they are in, with nothing at their ends."""
    paths = [PurePosixPath("/", folder) for folder in folders]
    return {str(each) for path in paths for each in (path, *path.parents)}


def _placed(each: Instruction, now: DockerfileSummary) -> tuple[tuple[str, str], ...]:
    """Each source of a COPY with the absolute path of what it becomes; with a slash at its end
    where a file goes into that folder, which a folder's content does in any case."""
    sources, target = each.copied
    if not sources or set("*?$") & set(target):
        return ()
    place = posixpath.normpath(posixpath.join("/", now.workdir, target))
    into = target.endswith(("/", ".")) or len(sources) > 1 or place in now.folders
    return tuple((source, f"{place}/" if into else place) for source in sources)


def _place_of(each: Instruction, now: DockerfileSummary) -> str:
    """Where a COPY puts what does not come from the context under a name that is known."""
    target = re.sub(r"""["'\[\]]""", "", each.rest.split()[-1]) if each.rest else ""
    return posixpath.normpath(posixpath.join("/", now.workdir, target))


def _with_values(rest: str, environment: Mapping[str, str]) -> str:
    """What an ENV says, with the values of variables that those before it have set."""
    return _VARIABLE.sub(lambda used: environment.get(used[1] or used[2], used[0]), rest)


def _environment(rest: str) -> Iterator[tuple[str, str]]:
    """Each `NAME=value` of an ENV, or its one `NAME value`."""
    try:
        words = shlex.split(rest)
    except ValueError:
        return
    if words and "=" not in words[0]:
        words = [f"{words[0]}={' '.join(words[1:])}"]
    pairs = (word.partition("=") for word in words)
    yield from ((name, value) for name, _, value in pairs if "$" not in value)


def _on_path(rest: str) -> tuple[str, ...]:
    found = re.search(r"""(?:^|\s)PATH(?:=|\s+)["']?([^\s"']+)""", rest)
    parts = found.group(1).split(":") if found is not None else ()
    return tuple(part.rstrip("/") for part in parts if part.startswith("/"))


def _health(rest: str) -> str:
    found = re.search(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?(/[\w./-]*)", rest)
    return found.group(1) if found is not None else ""


def shell_text(arguments: tuple[str, ...]) -> str:
    """What a command hands to a shell, as `sh -c` does; "" where it starts something else."""
    shell = arguments[:2] if len(arguments) > 2 else ("", "")
    handed = _SHELL.fullmatch(shell[0]) and _SHELL_FLAG.fullmatch(shell[1])
    return arguments[2] if handed else ""


def command_words(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command, also of one in a shell."""
    text = shell_text(arguments)
    if not text:
        return arguments
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def meant_words(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a list that is no JSON, because of its quotes, its spaces or a last comma, so
    that Docker hands it to a shell; () where it is none, and where nobody knows its words."""
    text = shell_text(arguments)
    if not text.startswith("["):
        return ()
    text = re.sub("[\u2018\u2019]", "'", re.sub("[\u201c\u201d\u201e\u201f]", '"', text))
    try:
        listed = ast.literal_eval(re.sub(r"\s", " ", text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    words = listed if isinstance(listed, list) else []
    return tuple(words) if all(isinstance(each, str) for each in words) else ()
