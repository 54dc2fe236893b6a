"""Values that functions return, where nothing binds them to a name.

A function that runs cannot be made to return something else. So as soon as it is defined it gets
other code, compiled from its own source, in which `return x` hands on what an exchange makes of x.
"""

import ast
import builtins
import types

_EXCHANGE = "__mlcontainer_exchange__"
_DEEPEST = 8  # decorators on top of one another
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Returns:
    """The `return` statements of a program that are aimed at.

    Args:
        numbers: of each, file and line → its number.
        exchange: called with a number and the value; gives what is returned.
    """

    def __init__(self, numbers, exchange):
        self._numbers = numbers
        self._defined, self._codes = {}, {}
        setattr(builtins, _EXCHANGE, exchange)

    def read(self, told, file, text):
        """Learn which functions of a file have such statements.

        Args:
            told: the file's name in `numbers`; `file` is the one in code.

        Raises:
            SyntaxError, ValueError, RecursionError: the text cannot be parsed.
        """
        numbers = {line: number for (name, line), number in self._numbers.items() if name == told}
        if not numbers:
            return
        tree = ast.parse(text)
        for node in _outermost(tree):
            if any(node.lineno <= line <= node.end_lineno for line in numbers):
                # A statement begins with the decorators where these are given something.
                for line in (node.lineno, _first_line(node)):
                    self._defined[told, line] = (node.name, _first_line(node), file)
        rewritten = ast.fix_missing_locations(_Rewritten(numbers).visit(tree))
        self._codes[told] = compile(rewritten, file, "exec", dont_inherit=True)

    def defines(self, statement):
        """Whether a statement defines such a function."""
        return (statement.file, statement.line) in self._defined

    def replace(self, frame, statement):
        """Give the function that has just been defined its other code."""
        name, first, file = self._defined[statement.file, statement.line]
        for key, value in list(frame.f_locals.items()):
            if not key.endswith(name):  # `_Model__fit` of a method `__fit`
                continue
            function = _function_of(value, name, first, file)
            code = function and _code_of(self._codes[statement.file], function.__code__)
            if code:
                function.__code__ = code
                return


class _Rewritten(ast.NodeTransformer):
    def __init__(self, numbers):
        self._numbers = numbers

    def visit_Return(self, node):
        number = self._numbers.get(node.lineno)
        if number is not None and node.value is not None:
            name = ast.Name(_EXCHANGE, ast.Load())
            call = ast.Call(name, [ast.Constant(number), node.value], [])
            node.value = ast.copy_location(call, node.value)
        return node


def _outermost(tree):
    """Functions that are in no other one."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, _FUNCTIONS):
            yield child
        elif not isinstance(child, ast.expr):
            yield from _outermost(child)


def _first_line(node):
    return min([node.lineno] + [each.lineno for each in node.decorator_list])


def _function_of(value, name, first, file):
    """The function of the project's below what decorators made of it."""
    for _ in range(_DEEPEST):
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if isinstance(value, types.FunctionType):
            code = value.__code__
            if (code.co_name, code.co_firstlineno, code.co_filename) == (name, first, file):
                return value
        fields = getattr(value, "__dict__", None)
        value = fields.get("__wrapped__") if isinstance(fields, dict) else None
    return None


def _code_of(code, wanted):
    """The code of the same function in other code; None where it is not there."""
    for each in code.co_consts:
        if not isinstance(each, types.CodeType):
            continue
        same = (each.co_name, each.co_firstlineno) == (wanted.co_name, wanted.co_firstlineno)
        if same and each.co_freevars == wanted.co_freevars:
            return each
        found = _code_of(each, wanted)
        if found is not None:
            return found
    return None
