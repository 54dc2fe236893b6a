"""What a program needs that a run of the image does not give it, and so why it would not start."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from pytest_mlcontainer.cli.image_holds import file_at, installs_project, place_in_image
from pytest_mlcontainer.cli.imported_code import imported_code
from pytest_mlcontainer.cli.installed_packages import absent_library
from pytest_mlcontainer.cli.network_calls import PRETRAINED, SERVICES
from pytest_mlcontainer.cli.program_needs import ProgramNeeds, broken_line, program_needs
from pytest_mlcontainer.cli.source_files import (
    code_of,
    python_files,
    read_program,
    read_source,
)
from pytest_mlcontainer.dockerfile import DockerfileSummary
from pytest_mlcontainer.engines.docker.contexts import context_files

# What a build may get or make, whose names nobody knows without building it.
_MADE_IN_BUILD: Final = re.compile(
    r"\bpython[\d.]* (?!-m (?:pip|venv|ensurepip)\b|-?-V|--version)|\bdvc (?:pull|repro)\b"
    r"|\b(?:curl|wget) .*\w+://|\bdownload\b|\bgit (?:clone|lfs)\b"
    r"|\b(?:gsutil|aws|gdown|make|unzip|tar) "
)
_BUILDS: Final = re.compile(r"(?m)^\[build-system\]|\bsetup\(|^\[options\]")
_POINTER: Final = b"version https://git-lfs"
_INPUT_OPTION: Final = re.compile(
    r"--?(?:data(?:set)?|input|in|train|config)(?:[-_]?(?:file|path))?"
)
_DATA_FILE: Final = re.compile(r"[\w./-]+\.(?:csv|tsv|parquet|json|ya?ml|npy|npz|txt|xlsx|pkl|h5)")
_SAVED_MODEL: Final = (
    "model.safetensors", "pytorch_model.bin", "tf_model.h5", "adapter_config.json",
    "tokenizer_config.json", "tokenizer.json",
)  # fmt: skip
_DOTENV: Final = ".env"
_NAMED: Final = re.compile(r"(?m)^[ \t]*(?:export[ \t]+)?(\w+)[ \t]*=")
_ALWAYS_SET: Final = ("HOME", "PATH", "HOSTNAME", "PWD")
OF_THE_SYSTEM: Final = (
    "/bin/",
    "/dev/",
    "/etc/",
    "/lib/",
    "/proc/",
    "/sys/",
    "/tmp/",
    "/usr/",
    "/var/",
)


@dataclass(frozen=True)
class Unmet:
    """What is not there.

    Args:
        files: which it reads, and which neither the image nor the project has.
        inputs: files of the project that it reads and the image does not have.
        fetched: what it gets over a network; "" for nothing.
        reason: what else it lacks; "" for nothing.
        kept_by_dvc: those of the files that `dvc pull` brings.
    """

    files: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    fetched: str = ""
    reason: str = ""
    kept_by_dvc: frozenset[str] = frozenset()

    def why_not(self, files: Sequence[str], *, serves: bool) -> str:
        """Why it would not start; "" where nothing says so.

        Args:
            files: those of its files that nothing else makes.
            serves: a server, which has a network.
        """
        if self.reason:
            return self.reason
        if self.fetched and not serves:
            return f"it gets {self.fetched} over a network, which a run has only with `network`"
        if files:
            brings = "; `dvc pull` brings it" if files[0] in self.kept_by_dvc else ""
            return f"it reads {files[0]}, which neither the image nor the project has{brings}"
        return ""


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def _declared(root: Path) -> Iterator[str]:
    """What the files say that declare packages of others."""
    named = ("*requirements*.txt", "pyproject.toml", "setup.*", "environment.y*ml", "Pipfile")
    yield from (read_source(file) for pattern in named for file in root.glob(pattern))


def _given_file(argv: Sequence[str]) -> Iterator[str]:
    """The file that a script is given first, or as what it works on."""
    at = next((at for at, word in enumerate(argv) if word.endswith((".py", ".sh"))), len(argv))
    for before, word in pairwise(argv[at:]):
        is_input = _INPUT_OPTION.fullmatch(before) if before.startswith("-") else before == argv[at]
        if is_input and _DATA_FILE.fullmatch(word):
            yield word


class ImageProvisions:
    """What an image gives to programs of its project: the files of `context`, which may be imported
    by the names in `modules`; more files where the build `makes_files`.

    Args:
        root: the project, which is the context of the build.
    """

    def __init__(self, root: Path, recipe: DockerfileSummary) -> None:
        self.root, self.recipe = root, recipe
        self.context: frozenset[str] = frozenset(
            name for name, _size in context_files(root, root / "Dockerfile")
        )
        parts = (part for name in self.context for part in Path(name).parts)
        self.modules: frozenset[str] = frozenset({".", *(p.removesuffix(".py") for p in parts)})
        made = any(_MADE_IN_BUILD.search(run) for run in recipe.runs)
        self.makes_files = made or bool(recipe.unpacked)

    def unmet(self, code: str, argv: Sequence[str], *, serves: bool = False) -> Unmet:
        """What a program lacks there.

        Args:
            code: its source; "" where that is not known.
            argv: what starts it.
            serves: a server, of whose modules that counts what it needs for its start.
        """
        needs = program_needs(code, argv, dict(self.recipe.environment))
        self._add_imported(needs, code, argv, serves=serves)
        if PRETRAINED in needs.fetches and self._has_models():
            needs.fetches.remove(PRETRAINED)
        self._add_started(needs)
        if self.makes_files:
            needs.reads = []
            needs.fetches = [each for each in needs.fetches if each in SERVICES]
        reads = dict.fromkeys((*needs.reads, *_given_file(argv)))
        absent = [file for file in reads if not self.has(file)]
        inputs = [file for file in absent if (self.root / file.lstrip("/")).is_file()]
        files = tuple(file for file in absent if file not in inputs)
        fetched = next((each for each in needs.fetches if not (self.root / each).exists()), "")
        reason = self._reason(code, argv, needs) or self._pointer(reads)
        kept = frozenset(file for file in files if self._is_kept_by_dvc(file))
        return Unmet(files, tuple(inputs), fetched, reason, kept)

    def source_at(self, path: str) -> str:
        """The source of the project's file that a command names; "" where there is none."""
        name = file_at(self.root, path, self.recipe, self.context)
        return "" if name is None else read_program(self.root / name)

    def module_source(self, name: str) -> str:
        """The source of the project's module that a command names; "" where there is none."""
        return code_of(self.root, name)

    def _add_imported(
        self, needs: ProgramNeeds, code: str, argv: Sequence[str], *, serves: bool
    ) -> None:
        """What a program needs through the project's modules that it imports."""
        environ = dict(self.recipe.environment)
        written = set(needs.writes)
        for _name, runs, whole in self._followed(code, argv, serves=serves):
            theirs = program_needs(runs, (), environ)
            written |= set(program_needs(whole, (), environ).writes)
            needs.reads += theirs.reads
            needs.fetches += theirs.fetches
            needs.variables += theirs.variables
            needs.settings += theirs.settings
        if not serves:
            needs.reads += program_needs(self.with_imported(code, argv), argv, environ).reads
        normal = {posixpath.normpath(each) for each in written}
        needs.reads = [each for each in needs.reads if posixpath.normpath(each) not in normal]

    def imported(self, code: str, argv: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Names and sources of the project's modules that a program imports, and those of theirs.

        Args:
            argv: what starts it.
        """
        for name, _runs, whole in self._followed(code, argv, serves=False):
            yield name, whole

    def with_imported(self, code: str, argv: Sequence[str]) -> str:
        """A program's source behind what it uses of the project's modules that it imports.

        Args:
            argv: what starts it.
        """
        used = [runs for _name, runs, _whole in self._followed(code, argv, serves=False)]
        return "\n".join((*reversed(used), code))

    def _followed(
        self, code: str, argv: Sequence[str], *, serves: bool
    ) -> Iterator[tuple[str, str, str]]:
        beside = [str(Path(word).parent) for word in argv if word.endswith(".py")]

        def find(name: str) -> str:
            paths = (f"{folder}/{name.replace('.', '/')}.py" for folder in beside)
            return next(filter(None, map(self.source_at, paths)), "") or self.module_source(name)

        return imported_code(code, find, serves=serves)

    def _has_models(self) -> bool:
        """Whether the image gets a model as libraries of models save one."""
        return any(Path(each).name in _SAVED_MODEL for each in self.context)

    def _add_started(self, needs: ProgramNeeds) -> None:
        """What the scripts need that a program starts as programs of their own."""
        environ = dict(self.recipe.environment)
        theirs = [program_needs(self._script(each), (), environ) for each in needs.starts]
        made = {posixpath.normpath(file) for each in (needs, *theirs) for file in each.writes}
        for each in theirs:
            needs.fetches += each.fetches
            needs.reads += (file for file in each.reads if posixpath.normpath(file) not in made)

    def _script(self, path: str) -> str:
        """The source of a script that a program names; "" where it is not known which one."""
        name = path.removeprefix("./")
        found = [each for each in self.context if each == name or each.endswith(f"/{name}")]
        only = read_source(self.root / found[0]) if len(found) == 1 else ""
        return self.source_at(path) or only

    def _absent_module(self, needs: ProgramNeeds) -> str:
        """The first of the project's modules that a program imports and the image lacks."""
        is_package = _BUILDS.search("\n".join(_declared(self.root)))
        if self.makes_files or (is_package and installs_project(self.recipe)):
            return ""
        files = [file.relative_to(self.root) for file in python_files(self.root)]
        declared = "\n".join((*self.recipe.runs, *_declared(self.root)))
        for name in needs.required:
            here = [file for file in files if name in file.with_suffix("").parts]
            near = any(file.parts[0] in (name, f"{name}.py", "src") for file in here)
            there = any(
                file.as_posix() in self.context
                and place_in_image(self.root, self.root / file, self.recipe)
                for file in here
            )
            theirs = re.search(rf"(?i)\b{re.escape(name)}\b", declared)
            if near and not (there or theirs or name in sys.stdlib_module_names):
                return name
        return ""

    def _pointer(self, reads: Iterable[str]) -> str:
        """What is said of a file that Git LFS has and nobody has fetched; "" for none."""
        for file in reads:
            name = file_at(self.root, file, self.recipe, self.context)
            if name is not None and _is_pointer(self.root / name):
                return f"it reads {file}, a pointer of Git LFS; `git lfs pull` brings the file"
        return ""

    def _is_kept_by_dvc(self, file: str) -> bool:
        path = Path(file.lstrip("/"))
        above = (each for each in (path, *path.parents) if each.name)
        return any((self.root / f"{each}.dvc").is_file() for each in above)

    def has(self, file: str) -> bool:
        """Whether a program there finds a file that it calls so."""
        if file.startswith(OF_THE_SYSTEM):
            return True
        return file_at(self.root, file, self.recipe, self.context) is not None

    def _kept_variables(self) -> Iterator[str]:
        """Names of variables in a file `.env` that the image has."""
        if self.has(_DOTENV):
            yield from _NAMED.findall(read_source(self.root / _DOTENV))

    def _reason(self, code: str, argv: Sequence[str], needs: ProgramNeeds) -> str:
        broken = broken_line(code)
        if broken:
            return broken
        if needs.asks:
            return "it asks whoever runs it for input, and a run has nobody who answers"
        if needs.options:
            return f"it cannot be started without {needs.options[0]}"
        absent = self._absent_module(needs)
        if absent:
            return f"it imports {absent}, which the image does not have"
        library = absent_library(self.root, needs.required, self.recipe, self.context)
        if library and not self.makes_files:
            return f"it imports {library}, which the image does not install"
        kept = set(self._kept_variables())
        known = {*self.recipe.variables, *_ALWAYS_SET, *kept}
        asked = next((name for name in needs.variables if name not in known), "")
        if asked:
            return f"it asks for the variable {asked}, which the image does not set"
        setting = next((name for name in needs.settings if name not in kept), "")
        if setting:
            return f"it reads {setting} from a file .env, which the image does not have"
        said = "\n".join((code, *self.recipe.runs))
        for name, url in self.recipe.servers:
            library = name.partition("_")[0].lower()
            used = rf"\b(?:import|from) {library}\b|\b{name}\b"
            if library in argv or re.search(used, said):
                return f"{name} names {url}, and a run has no such server"
        return ""
