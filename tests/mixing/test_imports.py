"""Which of the packages that differ a project's programs import."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.mixing.changes import changes
from pytest_mlcontainer.mixing.imports import imported_modules, used
from tests.mixing.image_contents import image, package


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import numpy as np, os.path\n", {"numpy", "os"}),
        ("from sklearn.linear_model import Ridge\n", {"sklearn"}),
        ("def f():\n    import torch\n", {"torch"}),
        ("x = 1; import polars\n", {"polars"}),
        ('importlib.import_module("xgboost")\n', {"xgboost"}),
        ("from . import own\n# we import things from there\n", set()),
    ],
)
def test_imports_are_read_off_programs(text: str, modules: set[str]) -> None:
    """Wherever they stand, under their top-level names."""
    assert imported_modules([text]) == modules


def test_what_an_import_needs_is_used_as_well() -> None:
    """Through packages that are the same on both sides; what nothing needs is not."""
    a = image(
        package("app", "1", "middle"), package("middle", "1", "deep>=1"),
        package("deep", "1"), package("other", "1"),
    )  # fmt: skip
    b = image(
        package("app", "1", "middle"), package("middle", "1", "deep>=1"),
        package("deep", "2"), package("other", "2"),
    )  # fmt: skip
    both = (*a.distributions, *b.distributions)

    assert used(changes(a, b), both, frozenset({"app"})) == {"deep"}
    assert used(changes(a, b), both, frozenset({"other", "os"})) == {"other"}
    assert used(changes(a, b), both, frozenset()) == frozenset()
