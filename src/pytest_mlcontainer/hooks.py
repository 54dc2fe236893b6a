"""What other packages, and a project's own conftest.py, can add: formats, variations, engines.

A plugin is a module (or any object) with one of the functions, or several,

    @hookimpl
    def mlcontainer_comparators() -> list[Comparator]: ...

    @hookimpl
    def mlcontainer_variations() -> list[Family]: ...

    @hookimpl
    def mlcontainer_engines() -> list[EngineKind]: ...

that a package names under the entry points of the group `mlcontainer`, or that stands in a
`conftest.py` or a pytest plugin. `docs/extending.md` shows it step by step. Nothing is loaded
before it is needed (something has to be compared, an engine has a scheme that is none of Docker's),
and a plugin that does not work is an error, never left out: without its comparator, its files would
be compared byte by byte, and drift for no reason.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from pytest_mlcontainer.engines import EngineKind, EngineRequest, Kinds
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import (
    DOCKER_SCHEMES,
    Capabilities,
    Comparator,
    Family,
    Knobs,
    NotExercised,
    Situation,
    Variation,
)

__all__ = [
    "Capabilities",
    "Comparator",
    "EngineKind",
    "EngineRequest",
    "Family",
    "Knobs",
    "NotExercised",
    "Situation",
    "Variation",
    "hookimpl",
    "hookspec",
    "load_comparators",
    "load_engines",
    "load_families",
    "schemes_of",
]

T = TypeVar("T", Comparator, Family, EngineKind)
Plugins = Iterable[tuple[str, object]]

PROJECT = "mlcontainer"
GROUP = "mlcontainer"
_PREFIX = "mlcontainer_"
_COMPARATORS = "mlcontainer_comparators"
_VARIATIONS = "mlcontainer_variations"
_ENGINES = "mlcontainer_engines"
_HOOKS = {Comparator: _COMPARATORS, Family: _VARIATIONS, EngineKind: _ENGINES}

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")  # as of RFC 3986, in lower case

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(PROJECT)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(PROJECT)


class Specification:
    """The hooks that there are."""

    @hookspec
    def mlcontainer_comparators(self) -> Iterable[Comparator]:  # type: ignore[empty-body]
        """Formats that this plugin adds; they are asked before those that come with the package.

        Called once in a process, before the first comparison.
        """

    @hookspec
    def mlcontainer_variations(self) -> Iterable[Family]:  # type: ignore[empty-body]
        """Families of variations that this plugin adds to those that come with the package.

        Called once in a process, before anything is varied.
        """

    @hookspec
    def mlcontainer_engines(self) -> Iterable[EngineKind]:  # type: ignore[empty-body]
        """Kinds of engines that this plugin adds, chosen by the scheme of an engine's URL.

        Called whenever a URL has a scheme that is none of Docker's.
        """


def load_comparators(
    others: Plugins = (), blocked: Callable[[str], bool] = lambda _name: False
) -> tuple[Comparator, ...]:
    """The comparators of all plugins: of entry points, and of `others`.

    Args:
        others: names and plugins from elsewhere, such as conftest modules; those without a hook
            of ours are passed over.
        blocked: whether the plugin of an entry point, by its name, is not wanted.

    Returns:
        In the order in which they are asked: of two plugins, the one registered last comes first.

    Raises:
        MlContainerError: a plugin cannot be loaded, or gives something else than comparators.
    """
    hooks = _manager(others, blocked).hook.mlcontainer_comparators.get_hookimpls()
    return _gathered(hooks, Comparator, "comparator", {})


def load_families(
    known: tuple[Family, ...],
    others: Plugins = (),
    blocked: Callable[[str], bool] = lambda _name: False,
) -> tuple[Family, ...]:
    """`known`, then the families of variations of all plugins; otherwise as `load_comparators`."""
    hooks = _manager(others, blocked).hook.mlcontainer_variations.get_hookimpls()
    taken = {family.name: "this package" for family in known}
    return (*known, *_gathered(hooks, Family, "variation", taken))


def load_engines(
    others: Plugins = (), blocked: Callable[[str], bool] = lambda _name: False
) -> tuple[EngineKind, ...]:
    """The kinds of engines of all plugins; otherwise as `load_comparators`."""
    hooks = _manager(others, blocked).hook.mlcontainer_engines.get_hookimpls()
    taken = ("docker", *(f"{scheme}://" for scheme in DOCKER_SCHEMES))
    return _gathered(hooks, EngineKind, "kind of engine", dict.fromkeys(taken, "this package"))


def schemes_of(kinds: Kinds) -> Callable[[], tuple[str, ...]]:
    """The schemes of kinds of engines, loaded when asked for."""
    return lambda: tuple(scheme for kind in kinds() for scheme in kind.schemes)


def _manager(others: Plugins, blocked: Callable[[str], bool]) -> _Manager:
    manager = _Manager(PROJECT)
    manager.add_hookspecs(Specification)
    for entry in entry_points(group=GROUP):
        if not blocked(entry.name):
            _register(manager, _load(entry), _name(entry))
    for name, plugin in others:
        if any(each.startswith(_PREFIX) for each in dir(plugin)):
            _register(manager, plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _wrong(manager.get_name(error.plugin) or "", str(error)) from error
    return manager


class _Manager(pluggy.PluginManager):
    """As pytest's own: a function called like a hook is one, marked or not."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        # Before anything is looked up: a plugin of pytest may have properties that do things.
        if not name.startswith(_PREFIX):
            return None
        options = super().parse_hookimpl_opts(plugin, name)
        unmarked = options is None and name in _HOOKS.values()
        return {} if unmarked and inspect.isroutine(getattr(plugin, name, None)) else options


def _load(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:
        raise MlContainerError(
            f"the plugin {_name(entry)} cannot be loaded",
            f"{entry.value}: {type(error).__name__}: {error}",
            "repair or uninstall it; pytest does without it after `-p no:" + entry.name + "`",
        ) from error


def _name(entry: EntryPoint) -> str:
    return f"{entry.name} of {entry.dist.name}" if entry.dist is not None else entry.name


def _register(manager: _Manager, plugin: object, name: str) -> None:
    # A package may be a plugin of pytest as well: the same module, found twice.
    if manager.is_registered(plugin):
        return
    if manager.has_plugin(name):
        raise _wrong(name, "two plugins have this name")
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise _wrong(name, str(error)) from error


def _gathered(
    hooks: list[pluggy.HookImpl], kind: type[T], noun: str, taken: dict[str, str]
) -> tuple[T, ...]:
    """What all plugins give, each of a name of its own.

    Args:
        taken: names that are in use, with whose they are.
    """
    owners = dict(taken)
    found: list[T] = []
    for hook in reversed(hooks):
        for each in _asked(hook, kind):
            _check(hook.plugin_name, each)
            for name in _names(each):
                if name in owners:
                    what = f"a {noun} is called {name!r}, as one of {owners[name]} is"
                    raise _wrong(hook.plugin_name, what)
                owners[name] = hook.plugin_name
            found.append(each)
    return tuple(found)


def _names(given: Comparator | Family | EngineKind) -> tuple[str, ...]:
    """What nothing else of its sort may be called."""
    schemes = given.schemes if isinstance(given, EngineKind) else ()
    return (given.name, *(f"{scheme}://" for scheme in schemes))


def _asked(hook: pluggy.HookImpl, kind: type[T]) -> list[T]:
    """What one plugin gives.

    Raises:
        MlContainerError: it raises, or gives something else.
    """
    name = _HOOKS[kind]
    try:
        given: Any = hook.function()
        wrong = given is None or isinstance(given, (str, *_HOOKS))
        listed: list[Any] | None = None if wrong else list(given)
    except Exception as error:
        what = f"{name}() raised {type(error).__name__}: {error}"
        raise _wrong(hook.plugin_name, what) from error
    if listed is None:
        raise _wrong(hook.plugin_name, f"{name}() returned {given!r:.200}, expected a list of them")
    found: list[T] = []
    for each in listed:
        if not isinstance(each, kind):
            what = f"{name}() returned a list with {each!r:.200}, which is no {kind.__name__}"
            raise _wrong(hook.plugin_name, what)
        found.append(each)
    return found


def _check(plugin: str, given: Comparator | Family | EngineKind) -> None:
    """Refuse what would be found out later, or never."""
    if isinstance(given, EngineKind):
        _check_kind(plugin, given)
    elif isinstance(given, Family):
        _check_family(plugin, given)
    else:
        _check_comparator(plugin, given)


def _check_kind(plugin: str, kind: EngineKind) -> None:
    name, schemes = kind.name, kind.schemes
    problem = ""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        problem = f"a kind of engine is called {name!r}, expected a name such as 'kubernetes'"
    elif not isinstance(schemes, tuple) or not schemes:
        problem = f"schemes of {name} is {schemes!r:.200}, expected a tuple such as ('k8s',)"
    elif not all(isinstance(each, str) and _SCHEME.fullmatch(each) for each in schemes):
        problem = f"schemes of {name} is {schemes!r:.200}, expected words such as 'k8s'"
    elif not callable(kind.open):
        problem = f"open of {name} is {kind.open!r:.200}, expected a function of an EngineRequest"
    if problem:
        raise _wrong(plugin, problem)


def _check_family(plugin: str, family: Family) -> None:
    problem = ""
    if not isinstance(family.name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", family.name):
        problem = f"a variation's name is {family.name!r}, expected one such as 'my-cache'"
    elif not callable(family.choose):
        problem = f"choose of {family.name} is {family.choose!r:.200}, expected a function"
    elif family.pin is not None and not callable(family.pin):
        problem = f"pin of {family.name} is {family.pin!r:.200}, expected a function"
    else:
        for hint in family.hints:
            try:
                re.compile(hint)
            except re.error as error:
                problem = (
                    f"a hint of {family.name} is no regular expression: {hint!r:.200}: {error}"
                )
    if problem:
        raise _wrong(plugin, problem)


def _check_comparator(plugin: str, comparator: Comparator) -> None:
    name, suffixes = comparator.name, comparator.suffixes
    problem = ""
    if not isinstance(name, str) or not name.strip():
        problem = f"a comparator's name is {name!r}, expected a short text such as 'avro'"
    elif not callable(comparator.read):
        problem = f"read of {name} is {comparator.read!r:.200}, expected a function of a path"
    elif not isinstance(suffixes, tuple) or not all(isinstance(each, str) for each in suffixes):
        problem = f"suffixes of {name} is {suffixes!r:.200}, expected a tuple such as ('.avro',)"
    elif any(not each.startswith(".") or each == "." for each in suffixes):
        wrong = next(each for each in suffixes if not each.startswith(".") or each == ".")
        problem = f"a suffix of {name} is {wrong!r:.200}, expected one with a dot such as '.avro'"
    elif comparator.recognises is not None and not callable(comparator.recognises):
        problem = f"recognises of {name} is {comparator.recognises!r:.200}, expected a function"
    elif comparator.recognises is None and not suffixes:
        problem = f"{name} has neither suffixes nor recognises, so that no file can be of it"
    if problem:
        raise _wrong(plugin, problem)


def _wrong(plugin: str, problem: str) -> MlContainerError:
    return MlContainerError(
        f"the plugin {plugin} cannot be used",
        problem,
        "docs/extending.md of pytest-mlcontainer shows what a plugin looks like",
    )
