"""What a source file writes, as far as its text tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from pytest_mlcontainer.cli.program_needs import ProgramNeeds, program_needs
from pytest_mlcontainer.cli.unmet_needs import OF_THE_SYSTEM, ImageProvisions

WRITTEN = ("outputs", "output", "artifacts", "models", "model", "results", "checkpoints",
            "predictions", "out")  # fmt: skip
# A program that infers names the folders of models because it reads them.
PREDICTED = tuple(
    each for each in WRITTEN if each not in ("artifacts", "models", "model", "checkpoints")
)
_MOST_FILES = 8
_ABSOLUTE = re.compile(rf"""["'](/[\w.-]+(?:/[\w.-]+)*?/(?:{"|".join(WRITTEN)}))(?:/[^"']*)?["']""")
_PATH_EXPECTED = (
    r"(?:Path\(|join\((?:[^()]*,)?\s*|\s/\s*|\bmakedirs\(|\bmkdir\(|\brglob\(|\bdefault\s*=\s*"
    # MLflow's `artifact_path` is in its run, and not in the folder that a program works in.
    r"|(?<!artifact_)(?:dir|folder|path|out|output|outputs|root)\w*(?:\s*:\s*\w+)?\s*=\s*)"
)


def outputs_of(
    code: str, usual: tuple[str, ...], gives: ImageProvisions, argv: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """The folder that a source file writes to, if it names a usual one, or the files; what it
    prints where it can write nothing else. And where that is known from.

    Args:
        usual: names of folders.
        argv: what starts it.
    """
    needs = program_needs(code, environ=dict(gives.recipe.environment))
    if not needs.saves:
        return printed(needs), "the code saves something only when it is asked to"
    found = _named_outputs(code, usual, gives)
    if found[0]:
        return found
    whole = program_needs(gives.with_imported(code, argv), argv, dict(gives.recipe.environment))
    files, why = _files_written(whole, gives)
    if files:
        return files, why.replace("the code", "a module that it imports", 1)
    for name, imported in gives.imported(code, argv):
        needed = program_needs(imported)
        theirs = _named_outputs(imported, usual, gives)
        if theirs[0] and (needed.hides or needed.writes):
            return theirs[0], theirs[1].replace("the code", f"{name}, which it imports,", 1)
    if needs.hides or (gives.modules & needs.imports and _may_write(code, gives, argv)):
        return (), ""
    return printed(needs), "the code prints, and writes no file that is known"


def _named_outputs(
    code: str, usual: tuple[str, ...], gives: ImageProvisions
) -> tuple[tuple[str, ...], str]:
    """A folder of outputs that a source names, or the files that it writes, and what says so."""
    for folder in usual:
        if mentions(code, folder):
            return (f"{folder}/*",), f"the code names {folder}"
    absolute = _ABSOLUTE.search(code)
    if absolute is not None:
        return (f"{absolute.group(1)}/*",), f"the code names {absolute.group(1)}"
    needs = program_needs(code, environ=dict(gives.recipe.environment))
    return _files_written(needs, gives)


def _files_written(needs: ProgramNeeds, gives: ImageProvisions) -> tuple[tuple[str, ...], str]:
    """The files that a program writes in the image's working directory, and what says so."""
    written = (_from_workdir(file, gives.recipe.workdir) for file in needs.writes)
    files = tuple(dict.fromkeys(e for e in written if not e.startswith(("..", *OF_THE_SYSTEM))))
    return files[:_MOST_FILES], f"the code writes {files[0]}" if files else ""


def _may_write(code: str, gives: ImageProvisions, argv: Sequence[str]) -> bool:
    """Whether one of the project's modules that a program imports writes something, or one cannot
    be read."""
    read = dict(gives.imported(code, argv))
    names = {name for each in (code, *read.values()) for name in program_needs(each).imports}
    if (names & gives.modules) - {part for name in read for part in name.split(".")}:
        return True
    return any(_writes(each) for each in read.values())


def _writes(code: str) -> bool:
    needs = program_needs(code)
    return bool(needs.hides or needs.writes) or any(mentions(code, each) for each in WRITTEN)


def printed(needs: ProgramNeeds) -> tuple[str, ...]:
    """What a program prints, as an output; () where it prints nothing: nothing would be compared,
    and found to be identical."""
    if needs.prints:
        return ("stdout",)
    return ("stderr",) if needs.logs else ()


def _from_workdir(file: str, workdir: str) -> str:
    path, here = PurePosixPath(file), PurePosixPath("/", workdir)
    return str(path.relative_to(here) if workdir and path.is_relative_to(here) else path)


def mentions(code: str, folder: str) -> bool:
    """Whether a text is a path in this folder, or the folder where a path is expected: the word
    alone may be anything, a key for example."""
    inside = rf"""["'](?:\./)?{folder}/[^"']*["']"""
    itself = rf"""{_PATH_EXPECTED}["'](?:\./)?{folder}["']"""
    return re.search(f"{inside}|{itself}", code) is not None


def files_named(code: str, folders: Iterable[str]) -> Iterator[str]:
    """Files in one of these folders that the source names, each once."""
    names = "|".join(map(re.escape, folders))
    found = re.findall(rf"""["'](?:\./)?((?:{names})/[\w./-]+\.\w+)["']""", code)
    yield from dict.fromkeys(found)
