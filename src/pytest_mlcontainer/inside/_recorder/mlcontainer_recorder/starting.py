"""Begins to watch, by what this Python has for it."""

import atexit
import opcode
import os
import sys
import threading

from . import streams
from .aiming import Aiming
from .asking import FOLDER
from .sketches import Sketcher
from .watching import Watcher

_TOOL = 4
_NAME = "mlcontainer"
_GIVEN_UP = 1 << 22  # lines of one frame
_GENERATORS = 0x20 | 0x80 | 0x200  # of code: generators, coroutines, and both at once
_YIELDS = {opcode.opmap[name] for name in ("YIELD_VALUE", "YIELD_FROM") if name in opcode.opmap}


def start(asked):
    """Watch this process from here on.

    Args:
        asked: what the recorder is to do, as of `asking`.
    """
    folder = os.environ[FOLDER]
    stream = streams.RecordStream(folder)
    stream.claim()
    aims = Aiming(asked["aims"], asked["put"], stream, folder) if asked.get("aims") else None
    packages = frozenset(asked.get("packages", ()))
    records, dense = asked.get("records", True), asked.get("dense", False)
    watcher = Watcher(stream, Sketcher(), packages, aims, records, dense)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=watcher.forked)
    backend = MonitoringBackend(watcher) if _monitoring_is_free() else TraceBackend(watcher)
    backend.start()

    def end():
        if not backend.works():
            stream.write("lost", "another trace function was set")
        if aims is not None:
            aims.end()
        stream.write("end")
        stream.end()

    atexit.register(end)


def _monitoring_is_free():
    return hasattr(sys, "monitoring") and sys.monitoring.get_tool(_TOOL) is None


def _yields(frame):
    """Whether a frame that is left will be gone on with."""
    code = frame.f_code
    return bool(code.co_flags & _GENERATORS) and code.co_code[frame.f_lasti] in _YIELDS


class TraceBackend:
    """By `sys.settrace`."""

    def __init__(self, watcher):
        self._watcher = watcher

    def start(self):
        """Watch all threads."""
        threading.settrace(self._call)
        sys.settrace(self._call)

    def works(self):
        """Whether nobody has set another trace function."""
        return sys.gettrace() == self._call

    def _call(self, frame, _event, _argument):
        watcher = self._watcher
        statements = watcher.statements(frame.f_code)
        if statements is None:
            layer = watcher.may_be_layer(frame.f_code) and watcher.layer_called(frame)
            return self._layer if layer else None
        if frame.f_code.co_flags & _GENERATORS and watcher.knows(frame):
            state = watcher.resumed(frame)
        else:
            state = watcher.called(frame)
        if state is None:
            return None
        failed, seldom = [], [0]

        def local(frame, event, argument):
            if event == "line":
                statement = statements.get(frame.f_lineno)
                if statement is None:
                    return local
                if state.pending is None and statement.met + 1 < statement.quiet:
                    statement.met += 1
                    return local
                del failed[:]
                # A frame is given up whole or not at all.
                if not watcher.line(frame, frame.f_lineno, statements):
                    seldom[0] += 1
                    frame.f_trace_lines = seldom[0] < _GIVEN_UP
            elif event == "exception":
                failed[:] = [argument[1]]
            elif event == "return":
                if failed and argument is None:
                    watcher.unwound(frame, failed[0])
                else:
                    watcher.returned(frame, argument, "yield" if _yields(frame) else "return")
                del failed[:]
            return local

        return local

    def _layer(self, frame, event, argument):
        frame.f_trace_lines = False
        if event == "return":
            self._watcher.layer_returned(frame, argument)
        return self._layer


class MonitoringBackend:
    """By `sys.monitoring`, where code that is not the project's runs as fast as ever."""

    def __init__(self, watcher):
        self._watcher = watcher
        self._busy = threading.local()

    def works(self):
        """Whether the interpreter still tells of lines."""
        return sys.monitoring.get_tool(_TOOL) == _NAME

    def start(self):
        """Watch all threads."""
        on = sys.monitoring
        on.use_tool_id(_TOOL, _NAME)
        events = on.events
        for event, callback in (
            (events.PY_START, self._started),
            (events.PY_RESUME, self._resumed),
            (events.PY_RETURN, self._returned),
            (events.PY_YIELD, self._yielded),
            (events.PY_UNWIND, self._unwound),
            (events.LINE, self._line),
        ):
            on.register_callback(_TOOL, event, callback)
        on.set_events(_TOOL, events.PY_START | events.PY_UNWIND)

    def _quietly(self, tell, code, *arguments):
        """Tell the watcher, whose own work is not watched."""
        if getattr(self._busy, "now", False):
            return None
        statements = self._watcher.statements(code)
        if statements is None and not self._watcher.may_be_layer(code):
            return sys.monitoring.DISABLE
        self._busy.now = True
        try:
            return tell(sys._getframe(2), statements, *arguments)
        finally:
            self._busy.now = False

    def _started(self, code, _offset):
        return self._quietly(self._begin, code)

    def _begin(self, frame, statements):
        events, on = sys.monitoring.events, sys.monitoring
        if statements is None:
            if self._watcher.layer_called(frame):
                on.set_local_events(_TOOL, frame.f_code, events.PY_RETURN)
            return None
        code, wanted = frame.f_code, 0
        if self._watcher.called(frame) is not None or self._watcher.has_frames(code):
            wanted = events.LINE | events.PY_RETURN | events.PY_YIELD | events.PY_RESUME
        if on.get_local_events(_TOOL, code) != wanted:
            on.set_local_events(_TOOL, code, wanted)
        return on.DISABLE if not wanted and self._watcher.is_tiring(code) else None

    def _line(self, code, number):
        # What most lines come to is here, since a loop comes here very often.
        state = self._watcher.states.get(id(sys._getframe(1)))
        if state is not None and state.pending is None and state.code is code:
            statement = state.statements.get(number)
            if statement is None:
                return None
            if statement.met + 1 < statement.quiet:
                statement.met += 1
                return None
        return self._quietly(self._at_line, code, number)

    def _at_line(self, frame, statements, number):
        return None if self._watcher.line(frame, number, statements) else sys.monitoring.DISABLE

    def _resumed(self, code, _offset):
        return self._quietly(lambda frame, _statements: self._watcher.resumed(frame), code)

    def _returned(self, code, _offset, value):
        return self._quietly(self._return, code, value)

    def _return(self, frame, statements, value):
        end = self._watcher.layer_returned if statements is None else self._watcher.returned
        end(frame, value)

    def _yielded(self, code, _offset, value):
        return self._quietly(
            lambda frame, _statements: self._watcher.returned(frame, value, "yield"), code
        )

    def _unwound(self, code, _offset, error):
        if self._watcher.statements(code) is not None:
            self._quietly(lambda frame, _statements: self._watcher.unwound(frame, error), code)
