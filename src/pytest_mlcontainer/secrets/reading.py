"""Reading the values of secrets on this machine, and what is wrong with those that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import Pairs, Secret
from pytest_mlcontainer.secrets.forms import LEAST
from pytest_mlcontainer.secrets.redactor import Redactor, Value

MOST = 1 << 20
MOST_LINES = 1000
MOST_IN_VARIABLE = 1 << 17  # Linux's limit on one variable, its name included


@dataclass(frozen=True)
class Disclosed:
    """What one container is given of secrets, and what must not be seen of it afterwards.

    Args:
        variables: name → value.
        files: absolute container path → content.
        hidden: knows at least these values.
    """

    variables: Pairs = field(default=(), repr=False)
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    hidden: Redactor = Redactor()


def read_value(secret: Secret, environ: Mapping[str, str]) -> Value:
    """A secret's value.

    Raises:
        MlContainerError: it cannot be read, or could not be kept from being seen. `what` reads
            well after the key of the secret.
    """
    content = _content(secret, environ)
    if len(content) > MOST:
        raise MlContainerError(
            "is larger than 1 MiB, the most that is looked for in what is shown",
            source_of(secret),
            "give data of this size as an input",
        )
    if content.count(b"\n") > MOST_LINES:
        raise MlContainerError(
            f"has more than {MOST_LINES} lines, the most that are looked for in what is shown",
            source_of(secret),
            "give a secret with fewer lines",
        )
    if len(content.strip()) < LEAST:
        found = "is empty" if not content.strip() else f"has fewer than {LEAST} characters"
        raise MlContainerError(
            found,
            source_of(secret),
            f"set it: a value of at least {LEAST} characters can be told from other text and kept "
            "out of logs; what is no secret belongs in env",
        )
    return Value(secret.id, content)


def read_values(secrets: Iterable[Secret], environ: Mapping[str, str]) -> Redactor:
    """Knows all values that can be read; what is missing cannot be shown either."""
    return Redactor(tuple(_readable(secrets, environ)))


def disclose(secrets: Iterable[Secret], environ: Mapping[str, str], hidden: Redactor) -> Disclosed:
    """Read what a run is given.

    Args:
        hidden: what must not be seen either.

    Raises:
        MlContainerError: see `find_problems`.
    """
    variables, files, values = [], [], []
    for secret in secrets:
        value = read_value(secret, environ)
        values.append(value)
        if secret.id.startswith("/"):
            files.append((secret.id, value.content))
        else:
            variables.append((secret.id, _as_variable(secret, value)))
    return Disclosed(tuple(variables), tuple(files), hidden | Redactor(tuple(values)))


def find_problems(
    secrets: Iterable[Secret], environ: Mapping[str, str], *, build: bool = False
) -> Iterator[tuple[Secret, MlContainerError]]:
    """Each secret that a run, or a build, cannot be given, and why.

    A build may be given an empty one: there is nothing in it that could be seen.
    """
    for secret in secrets:
        try:
            if build:
                if _content(secret, environ).strip():
                    read_value(secret, environ)
            else:
                disclose((secret,), environ, Redactor())
        except MlContainerError as error:
            yield secret, error


def source_of(secret: Secret) -> str:
    """Where the value comes from, in words."""
    return f"the environment variable {secret.env}" if secret.env else f'"{secret.file}"'


def _content(secret: Secret, environ: Mapping[str, str]) -> bytes:
    if secret.file is None:
        text = environ.get(secret.env or "")
        if text is None:
            raise MlContainerError(
                "is not set",
                source_of(secret),
                f"export {secret.env} where pytest is started; in CI from the CI's own secrets",
            )
        return os.fsencode(text)
    if not secret.file.is_file():
        what = "is not a file" if secret.file.exists() else "no such file"
        raise MlContainerError(
            what,
            source_of(secret),
            "create it, or correct the path (~ and variables are not expanded)",
        )
    try:
        with secret.file.open("rb") as file:
            return file.read(MOST + 1)
    except OSError as error:
        raise MlContainerError(
            f"cannot be read ({error.strerror})",
            source_of(secret),
            "make it readable for the user who runs pytest",
        ) from error


def _as_variable(secret: Secret, value: Value) -> str:
    """The text for a variable: a file's without the end of its last line, as `$(cat …)` has it."""
    content = value.content if secret.file is None else value.content.rstrip(b"\r\n")
    if len(content) + len(secret.id) + 2 > MOST_IN_VARIABLE:
        what = f"is too long for a variable, which Linux limits to {MOST_IN_VARIABLE} bytes"
    elif b"\0" in content:
        what = "holds the byte 0, which no variable can"
    else:
        try:
            return content.decode()
        except UnicodeDecodeError:
            what = "is not UTF-8, which engines want of variables"
    remedy = f'give it as a file: "/run/secrets/{secret.id}" = …'
    raise MlContainerError(what, source_of(secret), remedy)


def _readable(secrets: Iterable[Secret], environ: Mapping[str, str]) -> Iterator[Value]:
    for secret in secrets:
        try:
            yield read_value(secret, environ)
        except MlContainerError:
            continue
