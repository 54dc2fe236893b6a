"""Changes of the environment that must not change results: their names, and how to apply one.

A family of knobs has one file. What it offers depends on the platform, and what a project sets
itself stays as it is.
"""

from __future__ import annotations

from pytest_mlcontainer.model import HOST, Pairs, Platform
from pytest_mlcontainer.variations import blas_kernel, hash_seed, simd, threads
from pytest_mlcontainer.variations.variation import Variation

__all__ = ["Variation", "changes", "harmless"]


def harmless(platform: Platform) -> tuple[Variation, ...]:
    """Variations by which a tolerance is calibrated, each with a run of its own.

    On `host` there are those that any machine has.
    """
    architecture = "" if platform == HOST else platform.architecture
    return (
        *threads.SETTINGS,
        *blas_kernel.settings(architecture),
        *simd.settings(architecture),
        *hash_seed.SETTINGS,
    )


def changes(variation: Variation, env: Pairs) -> Pairs:
    """What the variation adds to an environment; empty where the project sets all of it itself.

    A variable that the project sets is the same on every platform, so it is no source of drift.
    """
    pinned = dict(env)
    return tuple((name, value) for name, value in variation.env if name not in pinned)
