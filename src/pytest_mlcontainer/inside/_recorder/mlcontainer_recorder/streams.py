"""Where a process writes what it saw: lines of JSON, in a file of its own."""

import collections
import json
import os
import sys
import threading

PARENT = "MLCONTAINER_RECORDING_PARENT"
_FLUSHED = 1 << 16
_MOST = 24 << 20
_LAST = 4000


class RecordStream:
    """One process's file; made when there is something to write.

    Children get their names in the order in which they begin to write: `0`, then `0.0`, `0.1`.
    """

    def __init__(self, folder):
        self._folder = folder
        self._parent = os.environ.get(PARENT, "")
        self._lines, self._waiting, self._written = [], 0, 0
        self._last = collections.deque(maxlen=_LAST)
        self._lock = threading.RLock()
        self._file = None
        self.known = set()
        self.full = False

    def write(self, *parts):
        """Note a line; when there is no more room, only the last ones are kept."""
        line = json.dumps(parts, separators=(",", ":"))
        with self._lock:
            if self.full:
                self._last.append(line)
                return
            self._lines.append(line)
            self._waiting += len(line)
            if self._waiting >= _FLUSHED:
                self.flush()

    def sketch(self, found):
        """The name by which a sketch is known, which is written at its first use."""
        name = found["d"]
        if name not in self.known:
            self.known.add(name)
            self.write("k", name, found)
        return name

    def flush(self):
        """Hand over what waits."""
        with self._lock:
            if not self._lines:
                return
            text = "\n".join(self._lines) + "\n"
            self._lines, self._waiting = [], 0
            data = text.encode("utf-8", "surrogatepass")
            self._append(data)
            self._written += len(data)
            self.full = self._written > _MOST

    def end(self):
        """Write what is left, the last of what had no room too."""
        with self._lock:
            self.flush()
            if self._last:
                self.full, left = False, list(self._last)
                self._last.clear()
                self._lines = [json.dumps(["thinned"]), *left]
                self.flush()

    def forked(self):
        """In a child: a file of its own, and nothing of what the parent has still to write."""
        self._lock = threading.RLock()
        self._lines, self._waiting, self._written, self._file = [], 0, 0, None
        self._last.clear()
        self.known, self.full = set(), False
        self._parent = os.environ.get(PARENT, "")

    def claim(self):
        """The process's name, and its file, where it has none yet."""
        with self._lock:
            if self._file is None:
                self._file = self._claimed()
                head = {"argv": [str(each) for each in sys.argv], "pid": os.getpid()}
                head["python"] = "%d.%d.%d" % sys.version_info[:3]
                head["parent"] = self._parent
                self._append((json.dumps(["process", head]) + "\n").encode("utf-8", "replace"))
                os.environ[PARENT] = os.path.basename(self._file)[:-6]
        return self._file

    def _claimed(self):
        number = 0
        while True:
            name = "%s.%d" % (self._parent, number) if self._parent else str(number)
            path = os.path.join(self._folder, name + ".jsonl")
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            except FileExistsError:
                number += 1
                continue
            return path

    def _append(self, data):
        try:
            file = os.open(self.claim(), os.O_APPEND | os.O_WRONLY)
        except OSError:
            return  # no room, or no permission: a recording that stops is seen to have stopped
        try:
            os.write(file, data)
        except OSError:
            pass
        finally:
            os.close(file)
