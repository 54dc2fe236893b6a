"""Where secrets come from and go, for builds and for runs; their values are read later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pytest_mlcontainer.config.paths import parse_local_path, parse_workdir
from pytest_mlcontainer.config.reader import TableReader
from pytest_mlcontainer.config.values import parse_text, parse_variable_name
from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Entrypoint, Secret

# Folders that engines mount something of their own on, so that a file put there is not seen.
_MOUNTED = ("/proc", "/sys", "/dev", "/tmp")


def read_build_secrets(top: TableReader, root: Path) -> tuple[Secret, ...]:
    """BuildKit's id → where the secret is.

    Args:
        root: what paths are relative to.
    """
    return _read(top, "build-secrets", _parse_build_id, root)


def read_secrets(reader: TableReader, root: Path, base: tuple[Secret, ...]) -> tuple[Secret, ...]:
    """Name of a variable, or absolute container path → where the secret is; `base` is merged."""
    merged = {secret.id: secret for secret in base}
    merged |= {secret.id: secret for secret in _read(reader, "secrets", _parse_destination, root)}
    return tuple(merged.values())


def note_secrets(reader: TableReader, entry: Entrypoint, base: Entrypoint | None = None) -> None:
    """What else is given to a run under the same name, or at the same path.

    Args:
        base: what holds for all entrypoints, whose own problems are noted already.
    """
    known = () if base is None else tuple(_all_clashes(base))
    for id, problem in _all_clashes(entry):
        if (id, problem.what) not in {(each, other.what) for each, other in known}:
            reader.note(f"secrets.{show_key(id)}", problem)


def _all_clashes(entry: Entrypoint) -> Iterator[tuple[str, MlContainerError]]:
    for secret in entry.secrets:
        yield from ((secret.id, problem) for problem in _clashes(secret.id, entry))


def _usual(path: str) -> str:
    """Where secrets usually are."""
    return show(f"/run/secrets/{path.rstrip('/').rpartition('/')[2] or 'token'}")


def _clashes(id: str, entry: Entrypoint) -> Iterator[MlContainerError]:
    if id in dict(entry.env):
        yield MlContainerError("is set by env too", id, "remove it from one of the two")
    if entry.seeds and id == entry.seed_env:
        remedy = "name another variable for the seed: seed-env"
        yield MlContainerError("is the variable of the seeds", id, remedy)
    for source, target in entry.inputs:
        if id.startswith("/") and (
            f"{id}/".startswith(f"{target}/") or target.startswith(f"{id}/")
        ):
            yield MlContainerError(
                f"goes where the input {show(source)} goes",
                target,
                f"give it a path of its own: {_usual(id)}",
            )


def _read(
    reader: TableReader, key: str, parse_id: Callable[[str], str], root: Path
) -> tuple[Secret, ...]:
    secrets = [
        reader.check(f"{key}.{show_key(name)}", partial(_parse, parse_id, name, root), value, None)
        for name, value in reader.table(key).values.items()
    ]
    return tuple(secret for secret in secrets if secret is not None)


def _parse(parse_id: Callable[[str], str], name: str, root: Path, value: object) -> Secret:
    id = parse_id(name)
    text = parse_text(value)
    kind, _, rest = text.partition(":")
    if kind == "file" and rest:
        return Secret(id, file=parse_local_path(rest, root))
    if kind == "env" and rest:
        return Secret(id, env=parse_variable_name(rest))
    # The text may be the secret itself, written here by mistake: it is not shown.
    raise MlContainerError(
        "does not say where the secret is",
        f"a string of {len(text)} characters",
        'write "file:path/to/secret" or "env:NAME"',
    )


def _parse_build_id(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise MlContainerError(
            "not an id for a secret", show(name), "use letters, digits, _, - and ."
        )
    return name


def _parse_destination(name: str) -> str:
    if "/" not in name:
        return parse_variable_name(name)
    path = parse_workdir(name)
    if path.count("/") < 2 or name.endswith("/"):
        remedy = f"write the path of a file in a folder: {_usual(path)}"
        raise MlContainerError("not the path of a file in a folder", show(name), remedy)
    above = next((folder for folder in _MOUNTED if path.startswith(f"{folder}/")), None)
    if above is not None:
        remedy = f"write {_usual(path)}"
        what = f"would be hidden by what engines mount on {above}"
        raise MlContainerError(what, show(name), remedy)
    return path
