"""What the project holds → the text of a first `[tool.mlcontainer]`, with what was guessed said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_mlcontainer.cli.guessed_entrypoint import Guess
from pytest_mlcontainer.cli.guesses import guess_entrypoints
from pytest_mlcontainer.dockerfile import DockerfileSummary, parse_dockerfile, read_dockerfile
from pytest_mlcontainer.model import PRINTED

_NOTHING_SAID = (
    "",
    "# Nothing here says how a program of the project starts in the image. For example:",
    "# [tool.mlcontainer.entrypoints.train]",
    '# command = ["python", "train.py"]',
    '# outputs = ["outputs/*"]',
)
_LOCKS = ("uv.lock", "poetry.lock", "pylock.toml", "pdm.lock", "Pipfile.lock")
_INSTALLS_LOCK = re.compile(
    r"\buv (?:sync|run|export)\b|\b(?:poetry|pdm|pipenv) (?:install|sync|export)\b"
    r"|\b(?:uv|poetry|pdm|Pipfile)\.lock\b|\bpylock\b"
)


def propose(root: Path, document: Mapping[str, Any], dockerfiles: Sequence[Path]) -> str:
    """The table's text.

    Args:
        document: what `pyproject.toml` holds.
        dockerfiles: the one that is meant, then others that are only named.
    """
    recipe = parse_dockerfile(read_dockerfile(dockerfiles[0]))
    guesses = guess_entrypoints(root, document, recipe)
    lines = ["[tool.mlcontainer]", *_top(root, dockerfiles, recipe)]
    for guess in guesses.entrypoints:
        block = [f"[tool.mlcontainer.entrypoints.{guess.name}]", *_entrypoint(guess)]
        block += _inputs(root, recipe, guess)
        if guess.lacks:
            block = [f"# Left out: {guess.lacks}.", *(f"# {line}" for line in block)]
        lines += ["", *block]
    if not guesses.entrypoints:
        lines += _NOTHING_SAID
    lines += [f"# {note}." for note in guesses.notes]
    lines += _image_checks(root, recipe)
    return "\n".join(lines) + "\n"


def _top(root: Path, dockerfiles: Sequence[Path], recipe: DockerfileSummary) -> Iterator[str]:
    first, *others = (path.relative_to(root).as_posix() for path in dockerfiles)
    if others:
        yield f"# Also here: {', '.join(others)}."
    if first != "Dockerfile":
        yield f"dockerfile = {_text(first)}"
    wheels = [source for source in recipe.copied if source.endswith(".whl")]
    if wheels:
        folder = wheels[0].rpartition("/")[0] or "."
        where = "" if folder == "dist" else f" --out-dir {folder}"
        yield f"# The Dockerfile copies {wheels[0]}, so it is made before each build."
        yield f"before-build = {_list([f'uv build --wheel{where}'])}"
    if recipe.platform:
        yield "# The only one, because the Dockerfile's FROM fixes it."
        yield f"platforms = {_list([recipe.platform])}"
    else:
        yield "# The first is the reference; `mlcontainer doctor` says which of them run here."
        yield 'platforms = ["linux/amd64", "linux/arm64"]'


def _entrypoint(guess: Guess) -> Iterator[str]:
    yield f"# Guessed from {guess.source}."
    if guess.entrypoint is not None:
        yield "# In place of the image's own ENTRYPOINT, which starts something else."
        yield f"entrypoint = {_list(guess.entrypoint)}"
    if guess.command is None:
        yield "# No command: the image's own."
    else:
        yield f"command = {_list(guess.command)}"
    for name, value in guess.env:
        yield f"# The command asks for {name}, which the image does not set."
        yield f"env = {{ {name} = {_text(value)} }}"
    if guess.needs:
        yield "# Its files are put at the same paths."
        yield f"needs = {_list(guess.needs)}"
    if guess.port is not None:
        yield "# Guessed; the server must listen on 0.0.0.0 in the container."
        yield f"port = {guess.port}"
        also = ", or says that it has no such page" if guess.health == "/" else ""
        yield f"# It is ready when this path answers with success{also}."
        yield f"health = {_text(guess.health)}"
    elif guess.outputs and set(guess.outputs) <= set(PRINTED):
        yield f"# Guessed: {guess.output_source}. So what it prints is compared."
        yield f"outputs = {_list(guess.outputs)}"
    elif guess.outputs:
        yield (
            f"# Guessed: {guess.output_source}. What it writes and what is compared, relative to "
            "WORKDIR."
        )
        yield f"outputs = {_list(guess.outputs)}"
    else:
        yield "# Nothing here says what it writes. Name it, and it is compared:"
        yield '# outputs = ["outputs/*"]'


def _inputs(root: Path, recipe: DockerfileSummary, guess: Guess) -> Iterator[str]:
    """Files and the folder of data that the image does not hold."""
    named = [file for file in guess.unmet.inputs if not file.startswith("data/")]
    copied = any(source == "." or source.split("/")[0] == "data" for source in recipe.copied)
    left_out = len(named) < len(guess.unmet.inputs)
    if left_out or (guess.port is None and not copied and (root / "data").is_dir()):
        named.insert(0, "data")
    if named:
        pairs = ", ".join(f"{_text(each)} = {_text(each)}" for each in named)
        yield f"inputs = {{ {pairs} }}  # guessed: here, and the image does not copy it"


def _image_checks(root: Path, recipe: DockerfileSummary) -> list[str]:
    """What holds the image against a lock, where there is one."""
    lock = next((name for name in _LOCKS if (root / name).is_file()), None)
    if lock is None:
        return []
    if _INSTALLS_LOCK.search("\n".join((*recipe.runs, *recipe.copied))):
        said = f"# What is installed in the image has to be what {lock} says."
        return ["", "[tool.mlcontainer.image]", said, "environment = true"]
    return [
        "",
        f"# The Dockerfile does not install from {lock}. This would hold the image against it:",
        "# [tool.mlcontainer.image]",
        "# environment = true",
    ]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: list[str] | tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, values))}]"
