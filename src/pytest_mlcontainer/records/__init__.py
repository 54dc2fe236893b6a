"""A run on disk: a folder that can be moved to another machine and compared there.

record.json      schema, target, exit code, facts, the list of outputs, the rules to compare them by
stdout.log       what it printed
stderr.log
outputs/…        the files it wrote
"""

from __future__ import annotations

from pytest_mlcontainer.records.archive import open_records
from pytest_mlcontainer.records.fields import MAX_RECORD_BYTES
from pytest_mlcontainer.records.folder import (
    find_records,
    is_record,
    keep_record,
    place_run,
    plain_name,
    read_conditions,
    read_record,
    record_name,
    replace_folder,
    write_record,
)
from pytest_mlcontainer.records.schema import (
    FILE,
    OUTPUTS,
    SCHEMA,
    STDERR_LOG,
    STDOUT_LOG,
    Conditions,
    Record,
)

__all__ = [
    "FILE",
    "MAX_RECORD_BYTES",
    "OUTPUTS",
    "SCHEMA",
    "STDERR_LOG",
    "STDOUT_LOG",
    "Conditions",
    "Record",
    "find_records",
    "is_record",
    "keep_record",
    "open_records",
    "place_run",
    "plain_name",
    "read_conditions",
    "read_record",
    "record_name",
    "replace_folder",
    "write_record",
]
