"""What is known of functions of the project's, and of frames that execute them."""

import dis

ALL = 64  # how often calls, and executions of a statement, are all looked at


class FrameState:
    """What is known of one frame.

    Attributes:
        path: its place among all calls.
        turns: of each statement, how often this frame began it.
        pending: the statement that is being executed, its turn, what it read, and how often it was
            begun in this process; or None.
        calls: of each name of a function, how often the pending statement has called it.
        giving: as `pending`, of a `return` after which the frame went on, to leave a `with`.
        late: whether it is a call after those that are all watched.
        statements: each line of its file → its statement.
    """

    __slots__ = (
        "calls", "code", "giving", "late", "path", "pending", "statements", "turns", "watched",
    )  # fmt: skip

    def __init__(self, function, path, watched):
        self.code, self.path, self.watched = function.code, path, watched
        self.statements, self.late = function.statements, function.count > ALL
        self.turns, self.pending, self.giving, self.calls = {}, None, None, {}


class OwnFunction:
    """What is known of one function of the project's.

    Attributes:
        statements: each line of its file → its statement.
        own: its own statements.
        count: how often it was called.
        aimed: whether something is done at one of its statements.
        going: the addresses of its frames that are told of.
    """

    __slots__ = ("aimed", "code", "count", "going", "own", "statements")

    def __init__(self, code, statements):
        self.code, self.statements, self.count, self.going = code, statements, 0, set()
        lines = [line for _offset, line in dis.findlinestarts(code)]
        self.own = {statements[line] for line in lines if line in statements}
        self.aimed = any(statement.aimed for statement in self.own)
