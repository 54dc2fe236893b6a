"""What a project's files say about its entrypoints. All of it is a guess, and says where from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_mlcontainer.cli.image_holds import (
    installs_project,
    interpreter,
    place_in_image,
    runner,
    shown_from,
)
from pytest_mlcontainer.cli.scripts import asked_for, does_something, serving_command
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words

_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "fit"),
    "infer": ("infer", "inference", "predict", "prediction", "score"),
    "serve": ("serve", "server", "serving", "api", "app"),
}
_FOLDERS = (".", "src", "scripts", "app", "bin")
_WRITTEN = ("outputs", "output", "artifacts", "models", "model", "results", "checkpoints",
            "predictions", "out")  # fmt: skip
# A program that infers names the folders of models because it reads them.
_PREDICTED = tuple(
    each for each in _WRITTEN if each not in ("artifacts", "models", "model", "checkpoints")
)
_SERVERS = ("uvicorn", "gunicorn", "fastapi", "flask", "hypercorn", "waitress-serve", "streamlit")
_PORT = 8000
_ASKED_FOR_HELP = ("--help", "-h", "help", "--version", "-V")
_WRAPPERS = ("tini", "dumb-init", "docker-init")
_HEALTH = re.compile(
    r"""["'](/(?:(?:[\w-]+/){0,3}health(?:z|check|_check|-check)?"""
    r"""|(?:ready|readyz|readiness|ping|live|livez|liveness|alive|heartbeat|status)(?:/[\w/-]*)?"""
    r"""|health[\w/-]*|up))["']"""
)
_WAITS = re.compile(r"(?:python|pypy|ipython|node|julia|R|(?:ba|da|z|c)?sh)[\d.]*")
_USUAL_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_ABSOLUTE = re.compile(
    rf"""["'](/[\w.-]+(?:/[\w.-]+)*?/(?:{"|".join(_WRITTEN)}))(?:/[^"']*)?["']"""
)
_PATH_EXPECTED = (
    r"(?:Path\(|join\((?:[^()]*,)?\s*|\s/\s*|\bmakedirs\(|\bmkdir\(|\brglob\(|\bdefault\s*=\s*"
    r"|(?:dir|folder|path|out|output|outputs|root)\w*(?:\s*:\s*\w+)?\s*=\s*)"
)
_NOT_OURS = ("venv", "env", "node_modules", "__pycache__", "site-packages", "build", "dist")
_DEEPEST, _MOST_SOURCES = 6, 2000
_LARGEST_SOURCE_BYTES = 1_000_000


@dataclass(frozen=True)
class Guess:
    """One entrypoint.

    Args:
        command: None leaves the image's own CMD.
        entrypoint: replaces the image's; None keeps it.
        port: set for a server.
        source: where the guess comes from, for a comment.
        outputs: () where nothing tells what it writes.
        output_source: where they come from.
    """

    name: str
    source: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    output_source: str = ""
    needs: tuple[str, ...] = ()
    port: int | None = None
    health: str = "/"


@dataclass(frozen=True)
class Guesses:
    """What is guessed of a whole project.

    Args:
        entrypoints: training first; none where nothing says how one starts.
        notes: what looked like one and is none, and why.
    """

    entrypoints: tuple[Guess, ...]
    notes: tuple[str, ...] = ()


def guess_entrypoints(
    root: Path, document: Mapping[str, Any], recipe: DockerfileSummary
) -> Guesses:
    """The entrypoints of a project.

    Args:
        document: what `pyproject.toml` holds.
    """
    found: dict[str, Guess] = {}
    codes: dict[str, str] = {}
    notes: list[str] = []
    for name, argv, source, code in (
        *_commands(root, document, recipe, notes),
        *_programs(root, recipe),
    ):
        if name not in found:
            found[name] = _guess(root, name, argv, source, code, recipe)
            codes[name] = code
    own = _own_command(root, recipe)
    if own is not None and (not found or (own.port is not None and "serve" not in found)):
        found.setdefault(own.name, own)
    ordered = [found[name] for name in (*_WORDS, "run") if name in found]
    train = found.get("train")
    if train is not None and train.outputs:
        trained = codes.get("train", "")
        ordered = [
            guess if guess is train else _after(train, guess, trained, codes.get(guess.name, ""))
            for guess in ordered
        ]
    return Guesses(tuple(ordered), tuple(notes))


def _after(train: Guess, guess: Guess, trained: str, code: str) -> Guess:
    """One that gets what training writes, and so must not declare that as its own outputs."""
    guess = replace(guess, needs=("train",))
    if guess.port is not None or set(guess.outputs) - set(train.outputs):
        return guess
    theirs = {pattern.partition("/")[0] for pattern in train.outputs}
    own = [folder for folder in _WRITTEN if folder not in theirs and _mentions(code, folder)]
    if own:
        return replace(guess, outputs=(f"{own[0]}/*",), output_source=f"the code names {own[0]}")
    known = set(_files(trained, theirs))
    files = tuple(file for file in _files(code, theirs) if file not in known)
    if files:
        told = f"the code names {files[0]}, and training's does not"
        return replace(guess, outputs=files, output_source=told)
    told = f"nothing says that it writes files of its own beside training's {train.outputs[0]}"
    return replace(guess, outputs=("stdout",), output_source=told)


def _commands(
    root: Path, document: Mapping[str, Any], recipe: DockerfileSummary, notes: list[str]
) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """Name, arguments, origin and source code of everything that looks like an entrypoint, that
    the image holds, and that starts without more.

    Args:
        notes: to which it adds what does not.
    """
    project = document.get("project")
    scripts = project.get("scripts") if isinstance(project, Mapping) else None
    if isinstance(scripts, Mapping):
        started = command_words((*recipe.entrypoint, *recipe.command))
        installed = installs_project(recipe)
        for script, target in scripts.items():
            if installed or script in map(_name, started):
                yield from _console_scripts(root, script, str(target), runner(recipe))
    for file in _scripts(root):
        kind, place = _kind(file.stem), place_in_image(root, file, recipe)
        if kind is None or place is None:
            continue
        shown = file.relative_to(root).as_posix()
        code = _read(file)
        if file.suffix != ".py":
            if os.access(file, os.X_OK):
                yield kind, (str(place),), f"the script {shown}", code
            continue
        from_there = shown_from(recipe.workdir, place)
        argv = _program(kind, from_there, code, recipe)
        asked = asked_for(code)
        if asked and not _runs_by_itself(("python", from_there), recipe):
            notes.append(f"{shown} cannot be started without {asked}")
        elif argv:
            yield kind, (*runner(recipe), *argv), shown, code


def _program(kind: str, shown: str, code: str, recipe: DockerfileSummary) -> tuple[str, ...]:
    """What starts a Python file; () for a module that only defines."""
    python = interpreter(recipe)
    if _runs_by_itself((python, shown), recipe):
        return (python, shown)
    if kind == "serve":
        return serving_command(python, shown, code, recipe.ports[0] if recipe.ports else _PORT)
    return (python, shown) if does_something(code) else ()


def _console_scripts(
    root: Path, script: str, target: str, through: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """A console script that does one of the things, or that has subcommands for them."""
    code = _code_of(root, target)
    kind = _kind(script)
    if kind is not None:
        yield kind, (*through, script), f"[project.scripts] {script}", code
        return
    for kind, words in _WORDS.items():
        for word in words[:3]:
            if re.search(rf"""(["']){word}\1|def {word}\(""", code):
                told = f"[project.scripts] {script}, which says {word}"
                yield kind, (*through, script, word), told, code


def _programs(
    root: Path, recipe: DockerfileSummary
) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    """The same for files that the Dockerfile copies into a folder that is on PATH."""
    folders = {*recipe.path, *_USUAL_PATH}
    for source, place in recipe.placed:
        copied = root / source
        inside = sorted(copied.glob("*")) if copied.is_dir() else [copied]
        for file in inside:
            into = copied.is_dir() or place.endswith("/")
            end = PurePosixPath(place, file.name) if into else PurePosixPath(place)
            kind = _kind(end.stem)
            if kind is None or str(end.parent) not in folders or not file.is_file():
                continue
            code = _read(file)
            if re.match(r"#!\s*\S", code):
                shown = file.relative_to(root).as_posix()
                # Without its bit, which COPY keeps, it has to be handed to its interpreter.
                interpreter = PurePosixPath(code.splitlines()[0][2:].split()[-1]).name
                argv = (end.name,) if os.access(file, os.X_OK) else (interpreter, str(end))
                yield kind, argv, f"{shown}, which the image has on its PATH", code


def _guess(
    root: Path, name: str, argv: tuple[str, ...], source: str, code: str, recipe: DockerfileSummary
) -> Guess:
    entrypoint, command = _beside(argv, recipe)
    if name == "serve":
        port = recipe.ports[0] if recipe.ports else _PORT
        health = _health(root, code, recipe)
        return Guess(name, source, command, entrypoint, port=port, health=health)
    outputs, told = _outputs(code, _WRITTEN if name != "infer" else _PREDICTED)
    return Guess(name, source, command, entrypoint, outputs, told)


def _beside(
    argv: tuple[str, ...], recipe: DockerfileSummary
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """`entrypoint` and `command` that make an image with its own ENTRYPOINT run `argv`."""
    own = recipe.entrypoint
    if _runs_by_itself(argv, recipe):
        return None, None
    if not own or Path(own[0]).name in _WRAPPERS or own[0].endswith(".sh"):
        return None, None if argv == recipe.command else argv
    if argv[: len(own)] == own:
        rest = argv[len(own) :]
        return None, None if rest == recipe.command else rest
    return (), argv


def _runs_by_itself(argv: tuple[str, ...], recipe: DockerfileSummary) -> bool:
    """Whether the image's own command starts this script, in whatever words."""
    if not argv[-1].endswith(".py"):
        return False
    words = command_words((*recipe.entrypoint, *recipe.command))
    started = {_name(word) for word in words if word.endswith(".py")}
    modules = {word.partition(":")[0].rpartition(".")[2] for word in words if ":" in word}
    return _name(argv[-1]) in started or _stem(argv[-1]) in modules


def _own_command(root: Path, recipe: DockerfileSummary) -> Guess | None:
    """What the image runs by itself; None where its Dockerfile does not say, and for a shell or
    an interpreter that is told nothing."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    if not words or all(_WAITS.fullmatch(_name(word)) for word in words):
        return None
    source = f"the image's own command: {' '.join(words)}"
    if set(words) & set(_ASKED_FOR_HELP):
        told = f"{source}; a server that another command starts needs `command` and `port`"
        return Guess("run", told if recipe.ports else source)
    if recipe.ports or any(_name(word) in _SERVERS for word in words):
        port = recipe.ports[0] if recipe.ports else _PORT
        served = (_code_of(root, word) for word in words if ":" in word)
        code = next((code for code in served if code), "")
        return Guess("serve", source, port=port, health=_health(root, code, recipe))
    name = next((kind for kind in map(_kind, map(_stem, words)) if kind), "run")
    return Guess(name if name != "serve" else "run", source)


def _outputs(code: str, usual: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The folder that a source file writes to, if it names a usual one."""
    for folder in usual:
        if _mentions(code, folder):
            return (f"{folder}/*",), f"the code names {folder}"
    absolute = _ABSOLUTE.search(code)
    if absolute is not None:
        return (f"{absolute.group(1)}/*",), f"the code names {absolute.group(1)}"
    return (), ""


def _mentions(code: str, folder: str) -> bool:
    """Whether a text is a path in this folder, or the folder where a path is expected: the word
    alone may be anything, a key for example."""
    inside = rf"""["'](?:\./)?{folder}/[^"']*["']"""
    itself = rf"""{_PATH_EXPECTED}["'](?:\./)?{folder}["']"""
    return re.search(f"{inside}|{itself}", code) is not None


def _files(code: str, folders: Iterable[str]) -> Iterator[str]:
    """Files in one of these folders that the source names, each once."""
    names = "|".join(map(re.escape, folders))
    found = re.findall(rf"""["'](?:\./)?((?:{names})/[\w./-]+\.\w+)["']""", code)
    yield from dict.fromkeys(found)


def _health(root: Path, code: str, recipe: DockerfileSummary) -> str:
    """The path that says whether a server is well: of its own code first, then of the
    Dockerfile's HEALTHCHECK, then of any code here."""
    own = _HEALTH.search(code)
    if own is not None or recipe.health:
        return own.group(1) if own is not None else recipe.health
    texts = map(_read, _sources(root))
    return next((found.group(1) for text in texts if (found := _HEALTH.search(text))), "/")


def _kind(name: str) -> str | None:
    """`bikes-train` and `train_model` are `train`; `trainer` says nothing."""
    parts = re.split(r"[^a-z]+", name.lower())
    return next((kind for kind, words in _WORDS.items() if set(parts) & set(words)), None)


def _stem(word: str) -> str:
    return Path(word).stem


def _name(word: str) -> str:
    return Path(word).name


def _code_of(root: Path, target: str) -> str:
    """The source of `package.module:function`."""
    path = target.partition(":")[0].replace(".", "/")
    places = (f"{base}{path}{end}" for base in ("src/", "") for end in (".py", "/__init__.py"))
    return next((_read(root / place) for place in places if (root / place).is_file()), "")


def _scripts(root: Path) -> Iterator[Path]:
    """Files that may be started: Python ones, and ones without a suffix that begin with `#!`."""
    for folder in _FOLDERS:
        for file in sorted((root / folder).glob("*")):
            if file.is_file() and (
                file.suffix == ".py" or (not file.suffix and _read(file).startswith("#!"))
            ):
                yield file


def _sources(root: Path) -> Iterator[Path]:
    """The project's Python files, the uppermost first; tests last, which name what they ask for."""
    found: list[Path] = []
    for name, folders, files in os.walk(root):
        folder = Path(name)
        depth = len(folder.relative_to(root).parts)
        folders[:] = sorted(
            each
            for each in folders
            if depth < _DEEPEST and not each.startswith(".") and each not in _NOT_OURS
        )
        found += (folder / file for file in sorted(files) if file.endswith(".py"))
        if len(found) > _MOST_SOURCES:
            break
    yield from sorted(found, key=lambda file: (_is_test(file.relative_to(root)), len(file.parts)))


def _is_test(file: Path) -> bool:
    return file.name.startswith("test_") or any(part in ("test", "tests") for part in file.parts)


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST_SOURCE_BYTES:
            return ""
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
