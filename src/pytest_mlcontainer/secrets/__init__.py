"""Values that must not be shown: reading them, and taking them out of text and bytes."""

from __future__ import annotations

from pytest_mlcontainer.secrets.names import exposed_arguments, is_secret_name
from pytest_mlcontainer.secrets.reading import (
    Disclosed,
    disclose,
    find_problems,
    read_value,
    read_values,
)
from pytest_mlcontainer.secrets.redactor import NOTHING, Redactor, Search, Stream, Value

__all__ = [
    "NOTHING",
    "Disclosed",
    "Redactor",
    "Search",
    "Stream",
    "Value",
    "disclose",
    "exposed_arguments",
    "find_problems",
    "is_secret_name",
    "read_value",
    "read_values",
]
