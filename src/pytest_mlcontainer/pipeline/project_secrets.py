"""Secrets of the projects that one process works on: what is wrong with them, who gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from pathlib import Path

from pytest_mlcontainer.config.words import show_key
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Entrypoint, Settings
from pytest_mlcontainer.secrets import (
    NOTHING,
    Disclosed,
    Redactor,
    disclose,
    find_problems,
    read_values,
)


class ProjectSecrets:
    """The secrets of every project that was worked on so far.

    Args:
        environ: where values are read, each time anew.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._values: dict[Path, Redactor] = {}

    @property
    def hidden(self) -> Redactor:
        """Knows the secrets of all of them."""
        with self._lock:
            return reduce(or_, self._values.values(), NOTHING)

    def hidden_of(self, settings: Settings) -> Redactor:
        """Knows all that one project's secrets are now, and were before in this session."""
        runs = (secret for entry in settings.entrypoints for secret in entry.secrets)
        secrets = dict.fromkeys((*settings.build.secrets, *runs))
        now = read_values(secrets, self._environ)
        with self._lock:
            found = self._values.get(settings.file, Redactor()) | now
            self._values[settings.file] = found
            return found

    def disclosed(self, settings: Settings, entry: Entrypoint) -> Disclosed:
        """What a run is given of its entrypoint's secrets, read now."""
        return disclose(entry.secrets, self._environ, self.hidden_of(settings))

    def check(self, settings: Settings, entry: Entrypoint) -> None:
        """Refuse what cannot be read, or could not be kept from being seen.

        Raises:
            ConfigError: with every problem.
        """
        self.hidden_of(settings)  # also where another worker makes the run
        problems = secret_problems(settings, (entry,), self._environ)
        if problems:
            raise ConfigError(str(settings.file), problems)


def secret_problems(
    settings: Settings, entries: Iterable[Entrypoint], environ: Mapping[str, str]
) -> tuple[MlContainerError, ...]:
    """What is wrong with secrets that these entrypoints are given."""
    problems: dict[str, MlContainerError] = {}
    for entry in entries:
        for secret, problem in find_problems(entry.secrets, environ):
            what = f"{settings.file.name}: secrets.{show_key(secret.id)}: {problem.what}"
            error = MlContainerError(what, problem.value, problem.remedy)
            problems.setdefault(str(error), error)
    return tuple(problems.values())


def build_secret_problems(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[MlContainerError, ...]:
    """What is wrong with secrets of the build, but for missing files, which `check_files` names."""
    where = f"{settings.file.name}: [tool.mlcontainer] build-secrets"
    return tuple(
        MlContainerError(
            f"{where}.{show_key(secret.id)}: {problem.what}", problem.value, problem.remedy
        )
        for secret, problem in find_problems(settings.build.secrets, environ, build=True)
        if secret.file is None or secret.file.is_file()
    )
