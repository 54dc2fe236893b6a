"""What two builds that differ are told as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.image_checks.rebuild.reasons import ExplainedFile, Origin
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

_LINK: Final = "https://docs.docker.com/build/ci/github-actions/reproducible-builds/"
_COUNTED: Final = ("RUN", "COPY", "ADD", "WORKDIR")
_SHOWN: Final = 3
_CONSEQUENCES: Final = (Origin.RECORD,)

_WHAT: Final[Mapping[Origin, str]] = MappingProxyType(
    {
        Origin.TIME: "the time of the build is in",
        Origin.BYTECODE: "compiled Python differs:",
        Origin.LOG: "logs of the build are in the image:",
        Origin.CACHE: "caches differ:",
        Origin.RECORD: "lists of installed files differ, with the digests of what they list:",
        Origin.ORDER: "the same comes in another order:",
        Origin.VERSION: "another version was downloaded:",
        Origin.LOCALE: "compiled locales differ:",
        Origin.PLACE: "a temporary folder of the build is named in",
        Origin.RANDOM: "a name, id or digest that is another in each build:",
        Origin.UNKNOWN: "files differ:",
        Origin.ATTRIBUTES: "modes or owners differ:",
    }
)
_MENDS: Final[Mapping[Origin, str]] = MappingProxyType(
    {
        Origin.TIME: "write no time, or that of SOURCE_DATE_EPOCH: `ARG SOURCE_DATE_EPOCH` behind "
        "FROM gives it to RUN",
        Origin.BYTECODE: "ARG SOURCE_DATE_EPOCH behind FROM: pip then writes .pyc files without a "
        "time\nor none at all: pip install --no-compile, and ENV PYTHONDONTWRITEBYTECODE=1",
        Origin.LOG: "delete them in the same RUN: … && rm -rf /var/log/*",
        Origin.CACHE: "it follows from what it lists: mend that, and it is the same, too",
        Origin.RECORD: "mend what it lists, and it is the same, too",
        Origin.ORDER: "sort what is written: a set, os.listdir and find give any order",
        Origin.VERSION: "install from a lock: exact versions with hashes (uv lock, pip-compile "
        "--generate-hashes), and for apt a snapshot of the archive",
        Origin.LOCALE: "delete the archive, or set LANG=C.UTF-8, which needs none",
        Origin.PLACE: "build in a folder with a name of its own, not in one that mktemp chose",
        Origin.RANDOM: "remove it in the same RUN, or make it from what is built",
        Origin.UNKNOWN: "look at what this instruction writes there",
        Origin.ATTRIBUTES: "set them in the Dockerfile: COPY --chmod, --chown",
    }
)


def findings_of(
    layer: int,
    instruction: Instruction | None,
    made_by: str,
    explained: tuple[ExplainedFile, ...],
    confirmed: Mapping[str, str],
    place: str,
    recipe: Recipe,
) -> Iterator[ImageFinding]:
    """Those of one layer, one for each reason.

    Args:
        layer: its number, from 0 on.
        instruction: the one that made it; None where that is not known.
        made_by: the same in the words of the image's history.
        confirmed: paths with the change of the Dockerfile under which two builds agreed there.
        place: of the Dockerfile.
        recipe: its stages.
    """
    for reason in Origin:
        group = [each for each in explained if each.reason is reason]
        if not group:
            continue
        paths = [f"/{each.change.path}" for each in group]
        whose = f"layer {layer + 1}" if instruction is None else f"`{_short(made_by)}`"
        shown = [f"{each.evidence}" for each in group[:1]]
        why = f"in {whose}; /{group[0].change.path}: {shown[0]}"
        ended = sorted({confirmed[path] for path in (e.change.path for e in group)
                        if path in confirmed})  # fmt: skip
        tried = [] if not ended else [_tried(group, confirmed, ended[0])]
        yield ImageFinding(
            reason.value,
            Severity.WARNING if reason in _CONSEQUENCES else Severity.ERROR,
            f"{_WHAT[reason]} {first_and_count(paths, _SHOWN)}",
            place if instruction is not None else f"layer {layer + 1}",
            None if instruction is None else instruction.line,
            why="\n".join(filter(None, (why, _copied_from(instruction, recipe), *tried))),
            mend=_mend(reason, group[0].change.path),
            link=_LINK,
        )


def _mend(reason: Origin, path: str) -> str:
    if reason is Origin.CACHE and "/.cache/" in f"/{path}":
        return (
            "leave it out of the layer: `pip install --no-cache-dir`, ENV UV_NO_CACHE=1\n"
            f"or RUN --mount=type=cache,target=/{path.partition('.cache/')[0]}.cache …"
        )
    if reason is Origin.CACHE and path.startswith("var/"):
        return f"delete it in the same RUN: … && rm -rf /{path.rpartition('/')[0]}/*"
    return _MENDS[reason]


def _copied_from(instruction: Instruction | None, recipe: Recipe) -> str:
    """Of a COPY from another stage, which made the files; "" for all else."""
    name = "" if instruction is None else dict(instruction.flags).get("from", "")
    for number, stage in enumerate(recipe.stages):
        if name and name.lower() in (stage.name, str(number)):
            return f"copied from the stage that begins at line {stage.start.line}, which made them"
    return ""


def _tried(group: list[ExplainedFile], confirmed: Mapping[str, str], shown: str) -> str:
    count = sum(confirmed.get(each.change.path) == shown for each in group)
    which = "they differ" if count == len(group) else f"{count} of them differ"
    return f"built twice more with {shown}, {which} no more"


def _short(made_by: str) -> str:
    text = made_by.removesuffix(" # buildkit").replace("/bin/sh -c ", "", 1)
    return text if len(text) <= 100 else text[:99] + "…"


def layer_instructions(recipe: Recipe, history: tuple[str, ...]) -> tuple[Instruction | None, ...]:
    """The instruction that made each layer; None for the base's, and where that is not clear.

    Args:
        history: what made each layer, as the image's history has it.
    """
    body = [each for stage in recipe.in_image for each in stage.body if each.word in _COUNTED]
    found: list[Instruction | None] = [None] * len(history)
    for place, made_by in zip(reversed(range(len(history))), reversed(history), strict=True):
        if not body or made_by.split()[:1] != [body[-1].word]:
            break
        found[place] = body.pop()
    return tuple(found) if not body else (None,) * len(history)
