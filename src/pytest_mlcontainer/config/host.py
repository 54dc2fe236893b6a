"""What the platform `host`, a copy of the project without a container, cannot give."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.config.words import show, show_key
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Entrypoint, Settings


def check_host(settings: Settings) -> tuple[MlContainerError, ...]:
    """Why the entrypoints cannot run on `host`: one problem for each key. Servers are left out.

    `parse_settings` asks this when `host` is among the configured platforms; whoever selects
    `host` by other means has to ask.
    """
    return tuple(
        problem
        for entry in settings.entrypoints
        if entry.server is None
        for problem in _host_problems(settings.file.name, entry)
    )


def _host_problems(file: str, entry: Entrypoint) -> Iterator[MlContainerError]:
    table = f"[tool.mlcontainer.entrypoints.{show_key(entry.name)}]"
    absolute = {
        "outputs": [path for path in entry.outputs if path.startswith("/")],
        "writable": [path for path in entry.writable if path.startswith("/")],
        "workdir": [entry.workdir] if entry.workdir is not None else [],
    }
    for key, paths in absolute.items():
        if paths:
            yield MlContainerError(
                f"{file}: {table} {key}: the platform host has no container, "
                "so it cannot have absolute container paths",
                ", ".join(show(path) for path in paths),
                "remove workdir or remove host from the platforms"
                if key == "workdir"
                else "write them relative to the working directory, "
                "or remove host from the platforms",
            )
    files = [secret.id for secret in entry.secrets if secret.id.startswith("/")]
    if files:
        yield MlContainerError(
            f"{file}: {table} secrets: the platform host has no container, "
            "so no file can be put at a container path",
            ", ".join(map(show, files)),
            "give them as variables, or remove host from the platforms",
        )
    if not entry.command and not entry.entrypoint:
        yield MlContainerError(
            f"{file}: {table} command: the platform host has no image whose command it could use",
            "no command",
            'add command = ["python", "…"], or remove host from the platforms',
        )
