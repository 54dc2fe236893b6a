"""Which function makes which check: the one table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.image_checks.cache import check_cache
from pytest_mlcontainer.image_checks.environment import check_environment
from pytest_mlcontainer.image_checks.gpu.check import check_gpu
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.lint import check_sources
from pytest_mlcontainer.image_checks.rebuild import check_rebuild
from pytest_mlcontainer.image_checks.size.check import check_size
from pytest_mlcontainer.image_checks.slim import check_slim
from pytest_mlcontainer.image_checks.start import check_start
from pytest_mlcontainer.image_checks.vulnerabilities import check_vulnerabilities
from pytest_mlcontainer.model import CheckReport

MakeCheck = Callable[[CheckInputs], CheckReport]

# The names are those of `model.IMAGE_CHECKS`, which says what each needs and how it is set.
CHECKS: Final[Mapping[str, MakeCheck]] = MappingProxyType(
    {
        "lint": check_sources,
        "size": check_size,
        "gpu": check_gpu,
        "environment": check_environment,
        "vulnerabilities": check_vulnerabilities,
        "start": check_start,
        "cache": check_cache,
        "rebuild": check_rebuild,
        "slim": check_slim,
    }
)
