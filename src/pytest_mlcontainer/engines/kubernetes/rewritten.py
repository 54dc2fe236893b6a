"""What a cluster has made of a pod: its admission plugins and policies may change any.

A run whose program, image or variables are others is not the project's. All else is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_mlcontainer.engines.failures import cut_line
from pytest_mlcontainer.engines.kubernetes.pod_states import PROGRAM, troubled_containers
from pytest_mlcontainer.errors import EngineError

_CONTAINERS: Final = ("initContainers", "containers")
_PROGRAMS: Final = ("command", "args", "workingDir")
_REMEDY: Final = (
    "have whoever runs the cluster except the namespace; some such policies let a pod be, by a "
    "label or an annotation (metadata, under pod of [tool.mlcontainer.kubernetes])"
)


def check_rewritten(asked: Mapping[str, Any], pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Hold a pod against the `spec` that was asked for; returns what is another, and harmless.

    Raises:
        EngineError: another program would run, or with other variables.
    """
    wanted, found = _containers(asked), _containers(pod["spec"])
    wrong = list(_wrong(wanted[PROGRAM], found.get(PROGRAM, {}))) if PROGRAM in wanted else []
    if wrong:
        what = "the cluster runs something else in the pod than the project's program"
        raise EngineError(what, "; ".join(wrong), _REMEDY)
    notes = [f"container {name} was added" for name in found if name not in wanted]
    for name, container in wanted.items():
        given = found.get(name, {})
        notes += _differing(f"securityContext of {name}", container, given, "securityContext")
        if given.get("image") != container.get("image"):
            notes.append(f"image of {name}: {given.get('image')}")
    notes += _differing("securityContext", asked, pod["spec"], "securityContext")
    return tuple(map(cut_line, notes))


def why_added_fails(asked: Mapping[str, Any], pod: Mapping[str, Any]) -> EngineError | None:
    """Why a container that was not asked for keeps the pod from running, if one does."""
    added = _containers(pod["spec"]).keys() - _containers(asked).keys()
    for name, said in troubled_containers(pod):
        if name in added:
            what = "a container that the cluster has added to the pod does not run"
            return EngineError(what, f"{name}: {said}", _REMEDY)
    return None


def _containers(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for kind in _CONTAINERS for each in spec.get(kind) or ()}


def _wrong(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    if _content(wanted["image"]) != _content(str(found.get("image"))):
        yield f"image {found.get('image')}, and not {wanted['image']}"
    for key in _PROGRAMS:
        if wanted.get(key) != found.get(key):
            yield f"another {key}"
    # An empty value is not kept.
    values = {each["name"]: each.get("value", "") for each in found.get("env") or ()}
    for each in wanted.get("env") or ():
        if values.get(each["name"]) != each["value"]:
            yield f"another value of {each['name']}"


def _content(image: str) -> str:
    """A mirror of a registry has the same by the same digest."""
    return image.partition("@")[2] or image


def _differing(
    what: str, asked: Mapping[str, Any], found: Mapping[str, Any], key: str
) -> Iterator[str]:
    wanted, given = _kept(asked.get(key)), _kept(found.get(key))
    for name in sorted({*wanted, *given}):
        if wanted.get(name) != given.get(name):
            yield f"{name} of {what}: {given.get(name)}, and not {wanted.get(name)}"


def _kept(value: Any) -> Any:
    """As a cluster keeps a mapping: without its empty lists."""
    if isinstance(value, Mapping):
        return {key: _kept(each) for key, each in value.items() if each != []}
    return {} if value is None else value
