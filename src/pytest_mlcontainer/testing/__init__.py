"""What everything that plugins add has to keep to, as tests: for authors of plugins.

    from pytest_mlcontainer.testing import ComparatorContract

    class TestScores(ComparatorContract):
        filename = "test.scores"
        ...

Subclass the contract of what you add, in a module of tests; pytest collects the rest. This package
runs them for what it brings itself.
"""

from __future__ import annotations

from pytest_mlcontainer.testing.comparators import ComparatorContract
from pytest_mlcontainer.testing.engines import EngineContract, OpenedEngine
from pytest_mlcontainer.testing.variations import VariationContract, usual_situation

__all__ = [
    "ComparatorContract",
    "EngineContract",
    "OpenedEngine",
    "VariationContract",
    "usual_situation",
]
