"""Which code is the project's own, and the statements of its files."""

import os
import sys
import sysconfig

from .inner_code import INNER
from .statements import statements_of

_HIDDEN_CODE = ("<listcomp>", "<dictcomp>", "<setcomp>")
_INSTALLED = ("site-packages", "dist-packages")
_SENT = "<dynamic-code>"  # by cloudpickle, of functions that are pickled by what they hold
_GENERATED = "__autograph_generated_file"  # by TensorFlow, of functions that it compiles


class OwnCode:
    """The files of one process's project, each read when code of it is first met.

    Args:
        stream: where it is told that a file cannot be read.
        packages: names of installed packages that are the project's own.
        aims: what is done at chosen statements; or None.
        records: whether everything is recorded; else only files in which something is done.
    """

    def __init__(self, stream, packages, aims, records):
        self._stream, self._packages, self._aims, self._records = stream, packages, aims, records
        self._here = os.path.join(os.getcwd(), "")
        self._files, self._sent = {}, {}
        self._libraries = _library_folders()

    def statements(self, code):
        """Each line of the code's file → its statement; None where it is not to be watched."""
        if code.co_name in _HIDDEN_CODE:
            return None
        file = self.file_of(code)
        if file not in self._files:
            self._files[file] = self._read(file) if self._is_ours(file) else None
        found = self._files[file]
        if found is not None and code.co_name in INNER:
            return found.inner.get((code.co_name, code.co_firstlineno))
        return found

    def file_of(self, code):
        """The file that code is from.

        Functions that joblib or Spark send to another process have lost its name, but not their
        module's.
        """
        if code.co_filename != _SENT:
            return code.co_filename
        known = self._sent.get(id(code))
        if known is None or known[0] is not code:
            frame = sys._getframe(1)
            while frame is not None and frame.f_code is not code:
                frame = frame.f_back
            if frame is None:
                return _SENT
            known = self._sent[id(code)] = code, frame.f_globals.get("__file__") or _SENT
        return known[1]

    def _is_ours(self, file):
        name = os.path.basename(file)
        if file.startswith("<") or name.startswith(_GENERATED):
            return False
        if "." in name and not name.endswith((".py", ".pyw")):
            return False
        path = os.path.abspath(file)
        for name in _INSTALLED:
            _before, found, inside = path.rpartition("%s%s%s" % (os.sep, name, os.sep))
            if found:
                return inside.split(os.sep)[0].partition(".")[0] in self._packages
        return not path.startswith(self._libraries)

    def _read(self, file):
        told = self.told(file)
        if not self._records and not self._aims.is_in(told):
            return None
        try:
            with open(file, "rb") as source:
                text = source.read().decode("utf-8-sig")
            found = statements_of(told, text)
            if self._aims is not None:
                self._aims.read(told, file, text)
        except (OSError, ValueError, SyntaxError, RecursionError):
            self._stream.write("unread", told)
            return None
        for statement in set(found.values()):
            statement.aimed = self._aims is not None and self._aims.wants(statement)
        return found

    def told(self, file):
        """A file's name below the folder in which the program was started, or of packages."""
        path = os.path.abspath(file)
        for name in _INSTALLED:
            path = path.rpartition("%s%s%s" % (os.sep, name, os.sep))[2]
        return path[len(self._here) :] if path.startswith(self._here) else path

    def forked(self):
        """In a child: no statement has been told of."""
        for file in self._files.values():
            for statement in () if file is None else file.every():
                statement.number = None


def _library_folders():
    """Where the standard library and the recorder lie."""
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib") if name in paths]
    found.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(os.path.join(each, "") for each in found)
