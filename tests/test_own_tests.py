"""What all tests here keep to."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OURS = ("pytest_mlcontainer", "benchmarks", "scripts")
FILES = sorted(TESTS.rglob("*.py"))


def ours_in(tree: ast.Module) -> set[str]:
    """Names by which a module knows what it imports of ours."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.asname or alias.name for alias in node.names]
            found |= {name.split(".")[0] for name in names if name.split(".")[0] in OURS}
    return found


def changed_in(tree: ast.Module) -> Iterator[str]:
    """What calls of `setattr`, a fixture's or Python's, change: names and texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
            if name == "setattr":
                target = node.args[0]
                said = target.value if isinstance(target, ast.Constant) else ast.unparse(target)
                yield str(said).split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_nothing_of_ours_is_patched(file: Path) -> None:
    """What a test needs another way is an argument, which others can give as well."""
    tree = ast.parse(file.read_text())
    assert not {*changed_in(tree)} & {*ours_in(tree), *OURS}


def test_computing_time_is_compared_with_computing_time_alone() -> None:
    """Seconds that fit a fast machine fail on a slow one; see `growth`."""
    clock = "process" + "_time"
    assert [file.name for file in FILES if clock in file.read_text()] == ["growth.py"]


def test_where_the_client_of_clusters_is_not_installed_its_tests_are_skipped() -> None:
    """The extra `kubernetes` is optional; a module that fails to be collected ends the session."""
    imports = re.compile(r"^from (tests|pytest_mlcontainer\.engines)\.kubernetes", re.MULTILINE)
    modules = [each for each in FILES if each.name.startswith("test_")]
    asked = [str(each) for each in modules if imports.search(each.read_text())]
    script = (
        "import sys; sys.modules['kubernetes'] = None; import pytest; "
        "sys.exit(pytest.main(['--collect-only', '-qrs', '-p', 'no:cacheprovider', *sys.argv[1:]]))"
    )
    done = subprocess.run((sys.executable, "-c", script, *asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" in done.stdout
