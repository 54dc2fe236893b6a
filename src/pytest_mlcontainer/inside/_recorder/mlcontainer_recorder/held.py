"""What plain objects of the standard library hold: patterns, zones, spans, partials, iterators.

They keep it where no attribute is, so that each looks like any other of its kind. Each is asked
for it in the way that its own module has for that; nothing is consumed, and none of the program's
code is called.
"""

import contextvars
import datetime
import decimal
import fractions
import functools
import operator
import pathlib
import re
import struct
import types


def _kinds(*values):
    return tuple({type(each) for each in values})


def _iterators():
    """The kinds of iterators that the interpreter has for its own containers."""
    some = {0: 0}
    parts = ([], (), "", b"", bytearray(), some, set(), some.values(), some.items())
    found = _kinds(*map(iter, (*parts, range(0), range(1 << 70))))
    return (
        *found,
        *_kinds(reversed([]), reversed(range(0))),
        map,
        filter,
        zip,
        enumerate,
        reversed,
    )


_VIEWS = _kinds({}.keys(), {}.values(), {}.items())
_HASHES = frozenset("_hashlib _md5 _sha1 _sha2 _sha256 _sha512 _sha3 _blake2".split())
_ARITHMETIC = tuple("prec rounding Emin Emax capitals clamp".split())
_BUILT_IN = (types.BuiltinFunctionType, type([].__len__))


def described(value):
    """The kind of such an object, and what it holds by name; None of others."""
    kind = type(value)
    reader = _READERS.get(kind)
    if reader is None and kind.__module__ in _HASHES and hasattr(kind, "hexdigest"):
        reader = _of_hash
    if reader is None and kind.__module__ == "zoneinfo":
        reader = _of_zone
    if reader is None and kind.__module__ == "logging" and hasattr(kind, "formatTime"):
        reader = _of_formatter
    found = reader(value) if reader is not None else None
    return None if found is None else (kind.__name__, found)


def _of_function(value):
    """Of one that was made with values: those that it has for arguments, and those around it."""
    found = dict(value.__kwdefaults__ or {})
    found.update(enumerate(value.__defaults__ or ()))
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not bound yet
    if not found:
        return None  # told apart by its name alone
    return {"code": "%s.%s" % (value.__module__, value.__qualname__), **_named(found)}


def _named(found):
    return {"(%s)" % name: part for name, part in found.items()}


def _of_method(value):
    return {"function": value.__func__, "self": value.__self__}


def _of_built_in(value):
    owner = value.__self__
    if owner is None or isinstance(owner, (types.ModuleType, type)):
        return None
    return {"function": value.__name__, "self": owner}


def _of_partial(value):
    return {"function": value.func, "given": list(value.args), "named": dict(value.keywords)}


def _of_getter(value):
    return {"given": list(value.__reduce__()[1])}


def _of_iterator(value):
    return {str(at): part for at, part in enumerate(value.__reduce__()[1:]) if part is not None}


def _of_span(value):
    return {"start": value.start, "stop": value.stop, "step": value.step}


def _of_pattern(value):
    return {"pattern": value.pattern, "flags": value.flags}


def _of_duration(value):
    return {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}


def _of_fixed_zone(value):
    return {"zone": str(value), "offset": value.utcoffset(None)}


def _of_zone(value):
    return {"key": getattr(value, "key", None)}


def _of_view(value):
    return {"items": list(value)}


def _of_proxy(value):
    return {"items": dict(value.items())}


def _of_bytes(value):
    return {"format": value.format, "bytes": value.tobytes()}


def _of_structure(value):
    return {"format": value.format, "size": value.size}


def _of_context(value):
    return {name: getattr(value, name) for name in _ARITHMETIC}


def _of_variable(value):
    return {"name": value.name, "value": value.get(None)}


def _of_formatter(value):
    return {name: getattr(value, name, None) for name in ("_fmt", "datefmt")}


def _of_hash(value):
    return {"name": value.name, "digest": value.copy().hexdigest() if value.digest_size else None}


def _of_code(value):
    plain = [each for each in value.co_consts if not isinstance(each, types.CodeType)]
    inner = [each for each in value.co_consts if isinstance(each, types.CodeType)]
    return {"code": value.co_code, "values": plain, "names": list(value.co_names), "inner": inner}


_READERS = {
    **dict.fromkeys(_BUILT_IN, _of_built_in),
    **dict.fromkeys((operator.itemgetter, operator.attrgetter, operator.methodcaller), _of_getter),
    **dict.fromkeys(_iterators(), _of_iterator),
    **dict.fromkeys(_VIEWS, _of_view),
    types.CodeType: _of_code,
    types.FunctionType: _of_function,
    types.MappingProxyType: _of_proxy,
    types.MethodType: _of_method,
    datetime.timedelta: _of_duration,
    datetime.timezone: _of_fixed_zone,
    decimal.Context: _of_context,
    contextvars.ContextVar: _of_variable,
    functools.partial: _of_partial,
    memoryview: _of_bytes,
    range: _of_span,
    slice: _of_span,
    struct.Struct: _of_structure,
    type(re.compile("")): _of_pattern,
}


# Methods of the plain class itself: one of a class that is made of it may be the program's code.
_PLAIN = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.conjugate),
    (bytes, lambda value: bytes.join(b"", (value,))),
    (datetime.datetime, datetime.datetime.isoformat),
    (datetime.date, datetime.date.isoformat),
    (datetime.time, datetime.time.isoformat),
    (datetime.timedelta, _of_duration),
    (decimal.Decimal, decimal.Decimal.__str__),
    (fractions.Fraction, fractions.Fraction.__str__),
    (pathlib.PurePath, pathlib.PurePath.__str__),
)


def plain_value(value):
    """What an object of a class that is made of a plain one holds of that; None of others."""
    for kind, read in _PLAIN:
        if isinstance(value, kind):
            return read(value)
    return None


class State:
    """What is kept of an object that others hold, too: what it is to be set to."""

    def __init__(self, data):
        self.data = data


def kept(value):
    """What a context variable, or a context of decimal numbers, is set to; None of others."""
    if type(value) is contextvars.ContextVar:
        return None if value.get(None) is None else State(value.get())
    return State(_of_context(value)) if type(value) is decimal.Context else None


def fill(here, state):
    """Set such an object to what was kept of another; whether that was done."""
    if type(here) is contextvars.ContextVar:
        here.set(state.data)
    elif type(here) is decimal.Context:
        for name, part in state.data.items():
            setattr(here, name, part)
    else:
        return False
    return True
