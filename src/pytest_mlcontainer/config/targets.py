"""Where a run happens: text → platform, GPUs, engine.

As in `values`, what is raised reads well after a key; whoever knows the key puts it in front.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pytest_mlcontainer.config.words import nearest, show, suggest
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import DOCKER_SCHEMES, HOST, KUBERNETES_SCHEME, Platform

Schemes = Callable[[], Iterable[str]]

NO_GPU: Final = "none"

_ARCHITECTURES: Final[Mapping[str, tuple[str, str]]] = {
    "amd64": ("amd64", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "arm64": ("arm64", ""),
    "aarch64": ("arm64", ""),
    "arm": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "386": ("386", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loong64": ("loong64", ""),
    "loongarch64": ("loong64", ""),
}
# A variant that says nothing beyond the architecture is dropped, as containerd does.
_VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "amd64": {"v1": "", "v2": "v2", "v3": "v3", "v4": "v4"},
    "arm64": {"v8": ""},
    "arm": {"v5": "v5", "v6": "v6", "v7": "v7"},
}
_KNOWN_PLATFORMS: Final = (
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/loong64",
    "native",
    "host",
)

_CDI_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*/[a-z][a-z0-9_-]*=[a-z0-9][a-z0-9_.:-]*", re.I)
_GPU_KEYS: Final = ("count", "device", "capabilities", "driver", "options")
_GPU_REMEDY: Final = (
    'write it as after docker run --gpus: "all", "2", "device=0,1", "capabilities=utility", '
    f'a CDI name ("nvidia.com/gpu=all"), or "{NO_GPU}"'
)

_ENGINE_REMEDY: Final = (
    'give a URL ("unix:///var/run/docker.sock", "tcp://host:2376", "ssh://user@host", '
    '"kubernetes://CONTEXT/NAMESPACE") or the name of a docker context'
)
_OWN_SCHEMES: Final = (*DOCKER_SCHEMES, KUBERNETES_SCHEME)


def parse_platform(text: str, machine: str) -> Platform:
    """The platform that `text` names.

    Args:
        text: `linux/arm64`, `linux/arm/v7`, a shorthand (`arm64`, `x86_64`), `host`, or `native`.
        machine: this machine's processor, as `platform.machine()` gives it; `native` stands for it.
    """
    word = text.strip().lower()
    if word == "host":
        return HOST
    if word == "native":
        native = _linux_platform(machine.lower())
        if native is None:
            raise MlContainerError(
                "no platform is known for this machine's processor, so native means nothing here",
                show(machine),
                "name the platform instead, such as linux/amd64",
            )
        return native
    platform = _linux_platform(word.removeprefix("linux/"))
    if platform is None:
        alias = None if nearest(word, _KNOWN_PLATFORMS) else nearest(word, _ARCHITECTURES)
        meant = f"linux/{_ARCHITECTURES[alias][0]}" if alias else word
        raise MlContainerError("not a platform", show(text), suggest(meant, _KNOWN_PLATFORMS))
    return platform


def _linux_platform(word: str) -> Platform | None:
    name, slash, variant = word.partition("/")
    if name not in _ARCHITECTURES:
        return None
    architecture, default_variant = _ARCHITECTURES[name]
    if not slash:
        return Platform("linux", architecture, default_variant)
    known = _VARIANTS.get(architecture, {}).get(variant)
    return None if known is None else Platform("linux", architecture, known)


def parse_gpus(text: str) -> str:
    """Check `text` as `docker run --gpus` does and hand it back unchanged.

    Beyond docker's own syntax these are taken: a CDI name, `none`, and `device=0,1` without the
    inner quotes that docker needs (docker reads the `1` as a second count and refuses it).
    """
    if text == NO_GPU or _CDI_NAME.fullmatch(text):
        return text
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise MlContainerError(f"not a GPU request ({error})", show(text), _GPU_REMEDY) from error
    reason = _gpu_fault(fields)
    if reason:
        raise MlContainerError(f"not a GPU request ({reason})", show(text), _GPU_REMEDY)
    return text


def _gpu_fault(fields: list[str]) -> str:
    """Why the fields are no GPU request, or nothing. Follows docker/cli `opts/gpus.go`."""
    seen: list[str] = []
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals and _continues_a_list(field, seen):
            continue
        if not equals:
            key, value = "count", field
        if key not in _GPU_KEYS:
            return f"unknown key {key!r}"
        if key in seen:
            return f"{key} is given twice"
        if key == "count" and not re.fullmatch("all|[1-9][0-9]{0,8}", value):
            return "the count has to be all or a number from 1"
        if not all(value.split(",")):
            return f"{key} has no value"
        seen.append(key)
    if "count" in seen and "device" in seen:
        return "a count and devices exclude each other"
    return "" if seen else "it is empty"


def _continues_a_list(field: str, seen: list[str]) -> bool:
    if not field or field == "all" or not seen:
        return False
    is_count = field.isdigit()
    return seen[-1] == "device" or (seen[-1] == "capabilities" and not is_count)


def parse_engine(text: str, schemes: Schemes = lambda: ()) -> str:
    """An engine's URL, or the name of a docker context.

    Args:
        schemes: those of engines that plugins add; not asked for where it is one of Docker's.
    """
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme not in _OWN_SCHEMES and scheme not in (added := tuple(schemes())):
            raise MlContainerError(
                "an engine's URL cannot begin like this",
                show(text),
                suggest(scheme, (*_OWN_SCHEMES, *added)),
            )
        if (rest or scheme == KUBERNETES_SCHEME) and not re.search(r"\s", rest):
            return text
    elif re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", text):
        return text
    remedy = _ENGINE_REMEDY
    if text.startswith("/"):
        remedy = f'write "unix://{text}"'
    elif re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]+", text):
        remedy = f'write "tcp://{text}"'
    raise MlContainerError("not an engine", show(text), remedy)
