"""What a test does with a fixture that the fixture does not offer, as an error in three parts."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, ParamSpec, TypeVar

from pytest_mlcontainer.errors import MisuseError
from pytest_mlcontainer.model import Platform

P = ParamSpec("P")
T = TypeVar("T")

_SHOWN = 80
_NOT = re.compile(
    r"'(\w+)' object (?:is not (?:callable|iterable|subscriptable|an iterator)"
    r"|does not support .+)|cannot unpack non-iterable (\w+) object"
    r"|argument of type '(\w+)' is not .+"
)
# Class of what a fixture is → how it is called in tests, and how it is used.
_USES: Final[Mapping[str, tuple[str, str]]] = {
    "Image": (
        "project_image, an image,",
        "read project_image.platform, .workdir, .env, …; another platform's image is "
        'run_entrypoint.image("linux/arm64")',
    ),
    "Run": (
        "a run",
        'read run.output("outputs/metrics.json"), run.outputs, run.stdout, …; another run is '
        'run_entrypoint("train", env={…})',
    ),
    "RunningServer": ("inference_server", "ask inference_server.url"),
    "PlatformMatrix": (
        "platform_matrix",
        'write platform_matrix.run("train"), or loop over platform_matrix for its platforms',
    ),
    "OutputComparison": ("compare_outputs", "write compare_outputs(run, reference)"),
    "Project": ("run_entrypoint", 'write run_entrypoint("train")'),
}


def checked(fixture: str, example: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a call with arguments that there are not an error in three parts.

    Args:
        fixture: what stands before the parentheses in a test.
        example: a call as it should be.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise _unbound(fixture, example, signature, kwargs, error) from None
            return function(*args, **kwargs)

        return call

    return decorate


def require_text(fixture: str, argument: str, value: object, example: str) -> None:
    """Raises MisuseError unless the value is text."""
    if not isinstance(value, str):
        raise _wrong(fixture, argument, "text", value, example)


def require_switch(fixture: str, argument: str, value: object) -> None:
    """Raises MisuseError unless the value is true or false."""
    if not isinstance(value, bool):
        raise _wrong(fixture, argument, "True or False", value, f"{argument}=False")


def require_platform(fixture: str, value: object) -> None:
    """Raises MisuseError unless the value is a platform or its name; None is the reference's."""
    if value is not None and not isinstance(value, (str, Platform)):
        example = 'platform="linux/arm64", or one of platform_matrix'
        raise _wrong(fixture, "platform", "a platform or its name", value, example)


def require_run_arguments(
    name: object, env: object, timeout: object, repeat: object, vary: object
) -> None:
    """What `run_entrypoint` is given.

    Raises:
        MisuseError: one of them is of another type, or no number that makes sense.
    """
    fixture = "run_entrypoint"
    require_text(fixture, "name", name, 'run_entrypoint("train")')
    if env is not None:
        pairs = env.items() if isinstance(env, Mapping) else ((None, None),)
        if not all(isinstance(each, str) for pair in pairs for each in pair):
            raise _wrong(fixture, "env", "names and values, all text,", env, 'env={"SEED": "7"}')
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout < math.inf):  # type: ignore[operator]
        raise _wrong(fixture, "timeout", "a number of seconds", timeout, "timeout=60")
    whole = isinstance(repeat, int) and not isinstance(repeat, bool)
    if not whole or repeat < 0:  # type: ignore[operator]
        raise _wrong(fixture, "repeat", "0 or another whole number", repeat, "repeat=1")
    names = (vary,) if isinstance(vary, str) else vary
    sequence = isinstance(names, Sequence)
    if not sequence or not all(isinstance(each, str) for each in names):  # type: ignore[attr-defined]
        raise _wrong(fixture, "vary", "names of variations", vary, 'vary=["threads"]')


def misuse_of(error: BaseException) -> MisuseError | None:
    """What Python says of one of our fixtures, with how it is used; None for any other error."""
    if isinstance(error, AttributeError):
        name = type(error.obj).__name__
        ours = type(error.obj).__module__.startswith("pytest_mlcontainer.")
        if ours and name in _USES and error.name is not None:
            return _no_attribute(error.obj, name, error.name)
    if isinstance(error, TypeError) and not isinstance(error, MisuseError):
        found = _NOT.fullmatch(str(error))
        name = "" if found is None else next(filter(None, found.groups()), "")
        if name in _USES:
            what, use = _USES[name]
            return MisuseError(f"{what} cannot be used like this", str(error), use)
    return None


def _no_attribute(thing: object, name: str, attribute: str) -> MisuseError:
    what, use = _USES[name]
    return MisuseError(
        f"{what} has nothing of this name",
        attribute,
        f"{_meant(attribute, (each for each in dir(thing) if each[0] != '_'))}{use}",
    )


def _unbound(
    fixture: str,
    example: str,
    signature: inspect.Signature,
    given: Mapping[str, object],
    error: TypeError,
) -> MisuseError:
    names = [name for name in signature.parameters if name != "self"]
    unknown = [name for name in given if name not in names]
    if unknown:
        meant = _meant(unknown[0], names)
        return MisuseError(
            f"{fixture} takes no argument of this name",
            f"{unknown[0]}={_short(given[unknown[0]])}",
            f"{meant}it takes {', '.join(names)}: {example}",
        )
    return MisuseError(f"{fixture} was called with other arguments than it takes", str(error),
                       f"write {example}")  # fmt: skip


def _wrong(fixture: str, argument: str, wanted: str, value: object, example: str) -> MisuseError:
    kind = type(value).__name__
    return MisuseError(
        f"{fixture}: {argument} has to be {wanted}", f"{_short(value)} ({kind})", f"write {example}"
    )


def wrong_comparison(what: str, value: object) -> MisuseError:
    """That `compare_outputs` was given something else than runs."""
    inside = value.values() if isinstance(value, Mapping) else value
    kinds = ""
    if isinstance(inside, Iterable) and not isinstance(inside, (str, bytes)):
        kinds = ", ".join(sorted({type(each).__name__ for each in inside}))
    of = f" of {kinds}" if kinds else ""
    return MisuseError(
        f"compare_outputs: {what}",
        f"{type(value).__name__}{of}" if of else f"{_short(value)} ({type(value).__name__})",
        'write compare_outputs(run, reference), or compare_outputs(platform_matrix.run("train"))',
    )


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
