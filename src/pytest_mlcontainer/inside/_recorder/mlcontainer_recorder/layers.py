"""Layers of libraries that run below one statement: of PyTorch's modules, what each makes of what.

No hook is set, which would take other ways through PyTorch: the interpreter tells of their
`forward` functions, as of all others.
"""

import threading

from . import tensors

NAME = "forward"
_MOST = 400  # below one statement


class Layers:
    """Notes what the modules below a statement were given, and what they gave.

    Args:
        stream: where it goes.
        sketcher: says what values are.
    """

    def __init__(self, stream, sketcher):
        self._stream, self._sketcher = stream, sketcher
        self._running = threading.local()

    def begun(self, frame, statement, place):
        """A `forward` of a library's begins, below a statement at a place in the tree of calls.

        Args:
            statement: to which what has to be read counts.

        Returns:
            Whether its end has to be told of.
        """
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        module = frame.f_locals.get(names[0]) if names else None
        layers = tensors.modules_of(module)
        running = self._stack()
        if layers is None:
            return False
        if running and running[0][1] != place:
            if place.startswith(running[0][1] + ">"):
                return False  # below a function of the project's that a library calls
            del running[:]  # what raised has never ended
        if not running:
            self._running.names = {id(each): name for name, each in layers}
            self._running.count = 0
        self._running.count += 1
        if self._running.count > _MOST:
            return False
        given = [self._digest(frame.f_locals.get(name), statement) for name in names[1:]]
        running.append((id(frame), place, statement, module, self._running.count, given))
        return True

    def ended(self, frame, value):
        """It has given a value; or none, where it raised."""
        running = self._stack()
        while running and running[-1][0] != id(frame):
            running.pop()
        if not running:
            return
        _frame, place, statement, module, number, given = running.pop()
        name = self._running.names.get(id(module), "")
        kind = type(module).__name__
        self._stream.write("m", place, number, name, kind, given, self._digest(value, statement))

    def _stack(self):
        if not hasattr(self._running, "stack"):
            self._running.stack = []
        return self._running.stack

    def _digest(self, value, statement):
        before = self._sketcher.bytes_read
        found = self._sketcher.sketch(value)
        statement.bytes_read += self._sketcher.bytes_read - before
        return found["d"] if found else ""
