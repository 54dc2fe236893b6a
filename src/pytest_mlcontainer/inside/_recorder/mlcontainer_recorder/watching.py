"""Watches the project's own code, statement by statement, from inside its process.

Before a statement is executed, what it reads is sketched; after it, what it bound or may have
changed. Both go to the process's stream, with the place of the statement in the tree of calls, by
which two runs can be held against each other. Code of libraries and of the standard library runs
unwatched. From Python 3.12 on the interpreter's own monitoring tells of lines, before that a trace
function does.

A statement that is executed very often is looked at less and less: all of its first `ALL` times,
then at powers of two, and never again once that has been `_LONGEST` times. The same holds for the
calls of a function, whose statements are not even counted in a call that is not watched; in a
watched one after the first `ALL`, each is looked at the first `_EARLY` times. All depends on
nothing but how often it was, so that two runs look at the same.
"""

import os
import threading

from . import randomness, values
from .frames import ALL, FrameState, OwnFunction
from .inner_code import INNER, made_by
from .layers import NAME, Layers
from .own_code import OwnCode

_FEW = 8
_EARLY = 2
_DEEPEST = 200  # frames of libraries between two of the project's
_LONGEST = 1 << 17
_READ = 16 << 20
_SILENT = frozenset({"Import", "ImportFrom", "FunctionDef", "AsyncFunctionDef", "ClassDef", "Try"})
_GIVING = ("Return", "Lambda")
# What may end the process there and then, without what is done at a usual end.
_LEAVING = frozenset(
    ["_exit", "os._exit", "os.abort", "os.kill", "os.killpg"]
    + ["os.exec" + how for how in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")]
)


class Watcher:
    """Sees lines, calls and returns of one process.

    Args:
        stream: where it goes.
        sketcher: says what values are.
        packages: names of installed packages that are the project's own.
        aims: what is done at chosen statements; or None.
        records: whether everything is recorded; else only what the aims need is looked at.
        dense: whether the beginning is recorded whole, as far as there is room, and not the rest.
    """

    def __init__(self, stream, sketcher, packages, aims=None, records=True, dense=False):
        self.stream, self.sketcher, self.aims, self._records = stream, sketcher, aims, records
        self._dense = dense
        self._code = OwnCode(stream, packages, aims, records)
        self.statements = self._code.statements
        self.states, self._functions = {}, {}
        self._process = os.getpid()
        self._threads, self._next = {}, 0
        self._layers = Layers(stream, sketcher)

    # What happens.

    def called(self, frame):
        """A function of the project's begins.

        Returns:
            What is known of its frame from now on; None where it need not be told of.
        """
        function = self._function(frame.f_code)
        function.count += 1
        state = None
        if function.aimed or (self._records and self._often(function.count)):
            state = self._entered(frame, function)
        if state is None or not (state.watched or function.aimed):
            self.states.pop(id(frame), None)  # of an earlier frame at the same address
            return None
        self.states[id(frame)] = state
        function.going.add(id(frame))
        if state.watched and self._records:
            self._tell_parameters(frame, state, function.count)
            if state.late:
                for statement in function.own:
                    statement.quiet = 0
        self._begin_inner(frame, state)
        return state

    def _begin_inner(self, frame, state):
        """What has one line alone is not told of that where it begins as a generator."""
        if state is not None and frame.f_code.co_name in INNER:
            self.line(frame, frame.f_lineno, state.statements)

    def _function(self, code):
        # By its address: a code's own hash takes long.
        function = self._functions.get(id(code))
        if function is None or function.code is not code:
            function = self._functions[id(code)] = OwnFunction(code, self.statements(code))
        return function

    def has_frames(self, code):
        """Whether frames of a function of the project's are told of."""
        return bool(self._function(code).going)

    def _tell_parameters(self, frame, state, turn):
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
        names = code.co_varnames[:count]
        site = [self._code.told(self._code.file_of(code)), code.co_firstlineno, code.co_name]
        found = self._sketches(frame, names)
        self.stream.write("c", site, state.path, found, turn, self._hidden(frame, names, found))

    def _entered(self, frame, function):
        code = frame.f_code
        if not self._often(function.count):
            return FrameState(function, "", False)
        above, watched = self._caller(frame)
        if above is not None and above.pending is not None:
            if above.code.co_filename == code.co_filename and made_by(above.pending[0], code):
                return None
        if above is None:
            place = "%s>%s#%d" % (self._thread(), code.co_name, function.count)
            return FrameState(function, place, watched)
        base = above.path + "/?"
        if above.pending is not None:
            base = "%s/%d:%d" % (above.path, above.pending[0].line, above.pending[1])
        number = above.calls[code.co_name] = above.calls.get(code.co_name, 0) + 1
        return FrameState(function, "%s>%s#%d" % (base, code.co_name, number), watched)

    def _caller(self, frame):
        """What is known of the function of the project's that called, and whether it is watched.

        There may be frames of libraries between. Of the first function of a thread, None.
        """
        for _ in range(_DEEPEST):
            frame = frame.f_back
            if frame is None:
                return None, True
            if self.statements(frame.f_code) is not None:
                state = self.states.get(id(frame))
                if state is not None and state.code is frame.f_code:
                    return state, state.watched
                if frame.f_code.co_name not in INNER:
                    return None, False
        return None, False

    def may_be_layer(self, code):
        """Whether code of a library's may be what a module of PyTorch's does."""
        return code.co_name == NAME and self._records

    def layer_called(self, frame):
        """Such code begins; whether its end has to be told of."""
        above, _watched = self._caller(frame)
        if above is None or above.pending is None or above.pending[2] is None:
            return False
        statement, turn, _read = above.pending
        place = "%s/%d:%d" % (above.path, statement.line, turn)
        return self._layers.begun(frame, statement, place)

    def layer_returned(self, frame, value):
        """Such code ends."""
        self._layers.ended(frame, value)

    def line(self, frame, number, statements):
        """A line is about to be executed.

        Returns:
            False where it need not be told of again.
        """
        state = self.states.get(id(frame))
        statement = statements.get(number)
        if statement is None:
            return True
        if state is None or state.code is not frame.f_code:
            return True
        if state.pending is None and statement.met + 1 < statement.quiet:
            statement.met += 1
            return True
        pending = state.pending
        if pending is not None:
            if pending[0] is statement and (statement.simple or number != statement.line):
                return True
            if pending[0].kind == "Return" and pending[0].alone:
                state.giving = pending  # what leaves a `with` or a `try` comes before it ends
            self.finished(frame, state)
        statement.met += 1
        turn = state.turns[statement.line] = state.turns.get(statement.line, 0) + 1
        state.calls = {}
        if not self._is_looked_at(state, statement, turn):
            state.pending = (statement, turn, None) if statement.aimed else None
            if not statement.aimed and not self._dense:
                statement.quiet = 1 << statement.met.bit_length()
            return statement.aimed or statement.met < _LONGEST
        # What sets a part by a property changes the object: what that was counts as read.
        names = statement.reads + values.seen_whole(frame, statement.binds)
        before = self.sketcher.bytes_read
        if statement.calls:
            names += values.captured(frame, statement.calls)
            if not _LEAVING.isdisjoint(statement.calls):
                self._hand_over()
        found = self._sketches(frame, names, statement.backward) if names else {}
        statement.bytes_read += self.sketcher.bytes_read - before
        state.pending = (statement, turn, found)
        return True

    def _is_looked_at(self, state, statement, turn):
        if not self._records or not state.watched:
            return False
        if state.late and turn <= _EARLY and statement.bytes_read < _READ:
            return not self.stream.full or not self._dense
        return self._often(statement.met, statement.bytes_read)

    def finished(self, frame, state, result=None):
        """The pending statement of a frame has been executed.

        Args:
            result: a pair of `return` or `yield` and the value; None for other statements.
        """
        pending, state.pending = state.pending, None
        if pending is None:
            return
        statement, turn, read = pending
        if statement.aimed and (result is None or pending is not state.giving):
            self.aims.ends(frame, statement)
        if read is None:
            return
        before = self.sketcher.bytes_read
        bound = self._sketches(frame, statement.binds)
        touched = self._sketches(frame, statement.touches, statement.backward)
        for name, found in touched.items():
            # What was not there was not seeded, where the library's import makes it.
            if read.get(name) != found and (name in read or name not in randomness.IMPORTED):
                bound.setdefault(name, found)
        if result is not None:
            found = self._sketch(result[1])
            if found:
                bound[result[0]] = found
        for name in randomness.NAMES:
            read.pop(name, None)  # how it was before the seed is of no account
        statement.bytes_read += self.sketcher.bytes_read - before
        if statement.kind in _SILENT and not bound:
            return
        if statement.number is None:
            self._tell(statement)
        parts = [statement.number, state.path, turn, read, bound]
        hidden = self._hidden(frame, statement.binds, bound)
        self.stream.write("e", *parts, *([hidden] if hidden else []))

    def returned(self, frame, value, how="return"):
        """A function of the project's returns or yields a value."""
        state = self.states.get(id(frame))
        if state is not None and state.code is frame.f_code:
            kind = state.pending[0].kind if state.pending is not None else ""
            gives = kind in _GIVING or how != "return"
            self.finished(frame, state, (how, value) if gives else None)
            if state.giving is not None and not gives:
                state.pending = state.giving  # told once more, with what it gives
                self.finished(frame, state, (how, value))
        if how == "return":
            self._left(frame, state)

    def is_tiring(self, code):
        """Whether a function will not be looked at again, as it was called too often, or at all."""
        function = self._function(code)
        if function.aimed or not self._records:
            return not function.aimed
        return not self._dense and function.count >= _LONGEST

    def knows(self, frame):
        """Whether a frame was begun, and is not gone."""
        state = self.states.get(id(frame))
        return state is not None and state.code is frame.f_code

    def resumed(self, frame):
        """A generator goes on."""
        state = self.states.get(id(frame))
        self._begin_inner(frame, state)
        return state

    def unwound(self, frame, error):
        """A function of the project's ends with an exception."""
        state = self.states.get(id(frame))
        if state is not None and state.code is frame.f_code:
            if state.pending is not None and self._records:
                statement, turn = state.pending[:2]
                if statement.number is None:
                    self._tell(statement)
                self.stream.write("x", statement.number, state.path, turn, type(error).__name__)
            state.pending = None
            self._left(frame, state)

    def _left(self, frame, state):
        self.states.pop(id(frame), None)
        self._function(frame.f_code).going.discard(id(frame))
        # A child may end without another word after the function that it was made for.
        if state is not None and ("/" not in state.path or os.getpid() != self._process):
            self._hand_over()

    def _hand_over(self):
        """Write what would be lost if the process ended without another word."""
        self.stream.flush()
        if self.aims is not None:
            self.aims.end()

    def forked(self):
        """In a child: what it writes is its own."""
        self.stream.forked()
        self._threads = {}
        self._code.forked()
        self._next = 0

    # How it is told.

    def _tell(self, statement):
        statement.number = self._next
        self._next += 1
        site = {
            "file": statement.file,
            "line": statement.line,
            "end": statement.end,
            "kind": statement.kind,
            "text": statement.text,
            "calls": list(statement.calls)[:20],
            "reads": list(statement.reads),
            "binds": list(statement.binds),
            "function": statement.function,
        }
        self.stream.write("s", statement.number, site)

    def _sketches(self, frame, names, backward=False):
        found = {}
        for name in names:
            value = values.look_up(frame, name)
            if value is values.MISSING:
                continue
            sketch = self._sketch(value, backward)
            if sketch:
                found[name] = sketch
        return found

    def _hidden(self, frame, names, known):
        """Names of values of which nothing can be said → their kinds."""
        pairs = ((name, values.look_up(frame, name)) for name in names if name not in known)
        kinds = {
            name: self.sketcher.hides(each) for name, each in pairs if each is not values.MISSING
        }
        return {name: kind for name, kind in kinds.items() if kind}

    def _sketch(self, value, backward=False):
        found = self.sketcher.sketch(value, backward)
        return self.stream.sketch(found) if found is not None else None

    def _often(self, count, bytes_read=0):
        """Whether to look this time; where much had to be read, more seldom."""
        if self._dense:
            return not self.stream.full and bytes_read < _READ
        most = ALL if bytes_read < _READ else _FEW
        return count <= most or (count & (count - 1) == 0 and count < _LONGEST)

    def _thread(self):
        """The threads of a process, by the order in which they came to the project's code."""
        number = self._threads.setdefault(threading.get_ident(), len(self._threads))
        return "t%d" % number
