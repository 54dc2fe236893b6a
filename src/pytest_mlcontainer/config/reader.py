"""Reading one TOML table: checked values out, every problem noted with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_mlcontainer.config.words import nearest, show, show_key
from pytest_mlcontainer.errors import MlContainerError

T = TypeVar("T")
D = TypeVar("D")
Parse = Callable[[object], T]


@dataclass(frozen=True)
class TableReader:
    """One table of one file.

    A value that cannot be parsed is noted in `problems` and replaced by the default, so that
    reading goes on and finds the other problems too; the caller raises if there are any.

    Args:
        file: the file's name, for messages.
        path: keys from the document down to this table.
        problems: shared by all readers of one file.
    """

    file: str
    path: tuple[str, ...]
    values: Mapping[str, object]
    problems: list[MlContainerError] = field(default_factory=list)

    @property
    def header(self) -> str:
        return f"[{'.'.join(show_key(key) for key in self.path)}]"

    def note(self, key: str, problem: MlContainerError) -> None:
        """Keep the problem, with this file, this table and `key` in front."""
        what = f"{self.file}: {self.header} {key}: {problem.what}"
        self.problems.append(MlContainerError(what, problem.value, problem.remedy))

    def check(self, key: str, parse: Parse[T], value: object, default: D) -> T | D:
        try:
            return parse(value)
        except MlContainerError as problem:
            self.note(key, problem)
            return default

    def read(self, key: str, parse: Parse[T], default: D) -> T | D:
        """The value at `key`, or the default where it is absent or wrong."""
        if key not in self.values:
            return default
        return self.check(key, parse, self.values[key], default)

    def read_list(self, key: str, parse: Parse[T], default: Sequence[T] = ()) -> tuple[T, ...]:
        """A list, each item parsed; one value alone is a list of one."""
        if key not in self.values:
            return tuple(default)
        value = self.values[key]
        if not isinstance(value, list):
            return self.check(key, lambda single: (parse(single),), value, tuple(default))
        items = [self.check(f"{key}[{i}]", parse, raw, None) for i, raw in enumerate(value)]
        return tuple(item for item in items if item is not None)

    def read_pairs(
        self, key: str, parse_name: Parse[str], parse_value: Parse[str]
    ) -> tuple[tuple[str, str], ...]:
        """A table of names to strings."""
        pairs = []
        for raw_name, raw_value in self.table(key).values.items():
            place = f"{key}.{show_key(raw_name)}"
            name = self.check(place, parse_name, raw_name, None)
            value = self.check(place, parse_value, raw_value, None)
            if name is not None and value is not None:
                pairs.append((name, value))
        return tuple(pairs)

    def table(self, key: str) -> TableReader:
        """The table at `key`; an empty one where it is absent or no table."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            remedy = f"write {show_key(key)} = {{ name = … }}, or a table of its own"
            self.note(show_key(key), MlContainerError("has to be a table", show(value), remedy))
            value = {}
        return TableReader(self.file, (*self.path, key), value, self.problems)

    def refuse_unknown(
        self, known: Sequence[str], elsewhere: Callable[[str, object], str | None]
    ) -> None:
        """Note every key that is not known here.

        Args:
            elsewhere: for a key and its value, the instruction where it belongs, if it does.
        """
        for key, value in self.values.items():
            if key in known:
                continue
            found = nearest(key, known)
            remedy = elsewhere(key, value)
            if remedy is None and found:
                remedy = f"did you mean {found}?"
            self.problems.append(
                MlContainerError(
                    f"{self.file}: unknown key in {self.header}",
                    f"{show_key(key)} = {show(value)}",
                    remedy or f"remove it; known here: {', '.join(known)}",
                )
            )
