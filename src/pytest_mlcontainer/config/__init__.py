"""Raw strings and mappings → `Settings` and `Options`, or every problem at once."""

from pytest_mlcontainer.config.files import check_files, has_table, line_of_table, load
from pytest_mlcontainer.config.host import check_host
from pytest_mlcontainer.config.options import join_vary, parse_options
from pytest_mlcontainer.config.rules import parse_rules
from pytest_mlcontainer.config.settings import parse_settings
from pytest_mlcontainer.config.targets import parse_engine, parse_gpus, parse_platform
from pytest_mlcontainer.config.values import parse_duration, parse_kept, parse_size

__all__ = [
    "check_files",
    "check_host",
    "has_table",
    "join_vary",
    "line_of_table",
    "load",
    "parse_duration",
    "parse_engine",
    "parse_gpus",
    "parse_kept",
    "parse_options",
    "parse_platform",
    "parse_rules",
    "parse_settings",
    "parse_size",
]
