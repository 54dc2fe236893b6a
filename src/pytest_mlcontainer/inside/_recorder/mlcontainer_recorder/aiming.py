"""A pass that is aimed at a few statements: values are kept there, or put in their place."""

import os
import sys

from . import values
from .returns import Returns

RESULT = "return"
VALUES = "values.pickle"
_MOST = 64 << 20


class Aiming:
    """What is done at chosen statements, each time that they are executed.

    Args:
        asked: of each, `number` (by which its values are known), `stream` (the process, or
            `program`, its arguments), `file`, `line`, and `names` of the values; `RESULT` alone
            for what is returned there.
        put: whether the values of `VALUES` are put there, those of the first execution at the
            first; else those that are there are kept. When they are many, only the last are.
        stream: this process's.
        folder: where values are kept, or lie.
    """

    def __init__(self, asked, put, stream, folder):
        name = os.path.basename(stream.claim())[: -len(".jsonl")]
        self._asked = {
            (each["file"], each["line"]): (each["number"], each["names"])
            for each in asked
            if (each["program"] == sys.argv if each["program"] else each["stream"] == name)
        }
        self._files = {file for file, _line in self._asked}
        results = {at: number for at, (number, names) in self._asked.items() if RESULT in names}
        self._returns = Returns(results, self._exchanged)
        self._put, self._stream = put, stream
        self._path = os.path.join(folder, VALUES)
        self._values = values.load(self._path) if put and self._asked else {}
        self._bytes, self._done, self._last = 0, {}, {}

    def is_in(self, file):
        """Whether any of the statements is in this file."""
        return file in self._files

    def read(self, told, file, text):
        """A file of the project's was read; see `Returns.read`."""
        self._returns.read(told, file, text)

    def wants(self, statement):
        """Whether anything is done at a statement."""
        asked = (statement.file, statement.line) in self._asked
        return asked or self._returns.defines(statement)

    def ends(self, frame, statement):
        """A statement has been executed."""
        if self._returns.defines(statement):
            self._returns.replace(frame, statement)
        number, names = self._asked.get((statement.file, statement.line), (None, (RESULT,)))
        if RESULT in names:
            return  # done before it ended
        key = self._next(number)
        keep = self._put_all if self._put else self._keep
        left = keep(frame, key, names, statement.backward)
        if left:
            self._stream.write("unput", number, left)

    def _next(self, number):
        turn = self._done[number] = self._done.get(number, 0) + 1
        return number, turn

    def _exchanged(self, number, value):
        """What a function returns in the place of a value."""
        key = self._next(number)
        if not self._put:
            left = self._keep_values(key, {RESULT: value})
        elif key in self._values and RESULT in self._values[key]:
            return values.exchanged(value, values.unpickled(self._values[key][RESULT]))
        else:
            left = [] if number in self._values else [RESULT]
        if left:
            self._stream.write("unput", number, left)
        return value

    def _keep(self, frame, key, names, backward):
        found = {name: values.look_up(frame, name) for name in names}
        there = {name: value for name, value in found.items() if value is not values.MISSING}
        return self._keep_values(key, there, backward) + [
            name for name in names if name not in there
        ]

    def _keep_values(self, key, there, backward=False):
        """Keep what there is; returns the names of what cannot be."""
        kept, left = values.pickled(there, backward)
        number, _turn = key
        if self._bytes > _MOST:
            self._values.pop(self._last.get(number), None)
            self._last[number] = key
            self._values[number] = "thinned"
        self._values[key] = kept
        self._bytes += sum(map(len, kept.values()))
        return left

    def _put_all(self, frame, key, names, _backward):
        if key not in self._values:
            return [] if key[0] in self._values else names
        kept = self._values[key]
        return [
            name
            for name in names
            if name not in kept or not values.put(frame, name, values.unpickled(kept[name]))
        ]

    def end(self):
        """Write what was kept since it was written last."""
        if not self._put and self._values:
            values.save(self._path, self._values)
            self._values = {}
