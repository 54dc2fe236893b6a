"""Which number a user of an image has."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from pytest_mlcontainer.engines import ContainerSpec, Engine
from pytest_mlcontainer.model import Image, Platform
from pytest_mlcontainer.outputs.tar import Content, DamagedTarError, read_members

NON_ROOT: Final = "non-root"
_PASSWD: Final = "/etc/passwd"
_MOST_BYTES: Final = 1 << 20


def user_number(text: str, passwd: str) -> int | None:
    """Of a user as USER has it; None where the image knows no such name.

    Args:
        text: `app`, `1000`, `app:users`; "" is root.
        passwd: the image's `/etc/passwd`.
    """
    name = text.partition(":")[0]
    if not name:
        return 0
    if name.isdigit():
        return int(name)
    rows = (line.split(":") for line in passwd.splitlines())
    found = (row[2] for row in rows if len(row) > 2 and row[0] == name)
    number = next(found, "")
    return int(number) if number.isdigit() else 0 if name == "root" else None


def read_passwd(engine: Engine, image: Image, platform: Platform) -> str:
    """The image's `/etc/passwd`; "" where it has none.

    Raises:
        EngineError: the engine goes away or does not answer.
    """
    spec = ContainerSpec(image.reference, platform, command=("none",), passing=True)
    with engine.container(spec) as container:
        stream = container.get(_PASSWD)
        if stream is None:
            return ""
        with closing(stream):
            content = Content(stream)
            try:
                for header in read_members(content):
                    if header.size_bytes <= _MOST_BYTES:
                        return bytes(content.read(_MOST_BYTES)).decode("utf-8", "replace")
            except DamagedTarError:
                pass
    return ""
