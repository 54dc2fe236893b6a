"""Names under which secrets usually go."""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.model import BuildSettings

_SECRET: Final = re.compile(
    r"(^|[_.-])(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRETS|CREDENTIALS?|(API|ACCESS|PRIVATE|"
    r"SECRET|AUTH|SIGNING)[_.-]?KEY)([_.-](VALUE|\d+))?$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name usually holds a secret."""
    return _SECRET.search(name) is not None


def exposed_arguments(build: BuildSettings) -> tuple[str, ...]:
    """What to know of build arguments that are called like secrets, one line for each."""
    return tuple(
        f"build-args.{name}: whoever has the image can read build arguments in its history; "
        "a secret belongs in build-secrets"
        for name, value in build.args
        if value and _SECRET.search(name)
    )
