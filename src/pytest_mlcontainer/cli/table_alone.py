"""`mlcontainer test`: pytest on the table alone, whatever the project's own pytest needs.

A project's settings name plugins, options and warnings of packages that are installed in its image
and not here, and its conftest.py imports them; pytest ends on those before it collects anything.
The table needs none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_mlcontainer.config.files import has_table
from pytest_mlcontainer.engines.process import become
from pytest_mlcontainer.errors import MlContainerError

_FILE = "pyproject.toml"
_HOOKS = ("mlcontainer_comparators", "mlcontainer_variations")


def run_table(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Become a pytest that runs the table of the working directory; returns only in tests.

    Args:
        words: what follows `mlcontainer test`: pytest's options and items of the table.

    Raises:
        MlContainerError: there is no table.
    """
    folder = Path.cwd()
    named = any(_FILE in word for word in words if not word.startswith("-"))
    if not named and not ((folder / _FILE).is_file() and has_table(folder / _FILE)):
        raise MlContainerError(
            "there is no [tool.mlcontainer] here",
            str(folder / _FILE),
            "go to the folder of the project's pyproject.toml, or name it: mlcontainer test "
            "DIR/pyproject.toml; `mlcontainer init` writes a first one",
        )
    hooks = _unloaded_hooks(folder)
    if hooks:
        print(f"conftest.py is not loaded: {', '.join(hooks)} of it do not count", file=sys.stderr)
    become(command(words, named=named), environment(environ))
    return 0


def command(words: Sequence[str], *, named: bool) -> list[str]:
    """The words of that pytest."""
    parallel = any(word.startswith(("-n", "--numprocesses", "--dist")) for word in words)
    return [
        *(sys.executable, "-m", "pytest"),
        # No header, which would show the null device as the file of the settings.
        *("-c", os.devnull, "--rootdir", ".", "--no-header", "--noconftest", "-p", "mlcontainer"),
        *(("-p", "xdist") if parallel else ()),
        "--container",
        *words,
        *(() if named else (_FILE,)),
    ]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Its variables: no other plugins, and no options of the user's."""
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTEST_")}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _unloaded_hooks(folder: Path) -> list[str]:
    """Hooks of ours that the project's conftest.py has."""
    try:
        text = (folder / "conftest.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [hook for hook in _HOOKS if f"def {hook}(" in text]
