"""Values of names in a frame: looking them up, keeping them, and putting others in their place."""

import dis
import functools
import pickle
import sys
import types

from . import held, randomness, tensors
from .inner_code import ITERATED

_NOTHING = object()
MISSING = _NOTHING
_PLAIN_STATE = getattr(object, "__getstate__", None)
_FUNCTIONS = 100  # that one compiled function may call


def look_up(frame, chain):
    """The value of `a.b.c`, as dictionaries, slots and classes have it; `MISSING` where not.

    Properties and `__getattr__` are never called: they end the chain there, with the object.
    """
    if chain in randomness.NAMES:
        found = randomness.state(chain)
        return _NOTHING if found is None else found
    if chain == ITERATED:
        return _variable(frame, chain)
    names = chain.split(".")
    value = _variable(frame, names[0])
    for name in names[1:]:
        found = _attribute(value, name)
        if found is _NOTHING:
            return _NOTHING if isinstance(value, types.ModuleType) else value
        value = found
    return value


def seen_whole(frame, chains):
    """Those of `a.b` of which the object is seen in the place of its part, as its code answers."""
    found = []
    for chain in chains:
        owner = chain.rpartition(".")[0]
        value = look_up(frame, chain) if owner else _NOTHING
        if value is not _NOTHING and value is look_up(frame, owner):
            found.append(chain)
    return tuple(found)


def _attribute(value, name):
    fields = getattr(value, "__dict__", None) if _is_open(value) else None
    if fields is not None and name not in fields:
        fields = tensors.fields_of(value)
    if fields is not None and name in fields:
        return fields[name]
    kind = type(value)
    for each in value.__mro__ if issubclass(kind, type) else kind.__mro__:
        found = vars(each).get(name, _NOTHING)
        if found is not _NOTHING:
            return slots_of(value).get(name, _NOTHING) if hasattr(found, "__get__") else found
    return _NOTHING


def slots_of(value):
    """What an object holds in slots, by name."""
    found = {}
    for kind in type(value).__mro__:
        for name, part in vars(kind).items() if "__slots__" in vars(kind) else ():
            if type(part) is types.MemberDescriptorType:
                try:
                    found[name] = part.__get__(value)
                except AttributeError:
                    continue  # nothing was ever put there
    return found


def _variable(frame, name):
    for space in (frame.f_locals, frame.f_globals):
        if name in space:
            return space[name]
    return _NOTHING


def captured(frame, calls):
    """Names of the frame's module that compiled functions read, whose lines nobody tells of.

    Args:
        calls: names of functions; those that were not compiled are left alone.
    """
    found, seen = {}, set()
    waiting = [_compiled(look_up(frame, name)) for name in calls]
    while waiting and len(seen) < _FUNCTIONS:
        function = waiting.pop()
        if function is None or function in seen or function.__globals__ is not frame.f_globals:
            continue
        seen.add(function)
        for name in _globals_of(function.__code__):
            value = frame.f_globals.get(name, _NOTHING)
            if isinstance(value, types.FunctionType):
                waiting.append(value)
            elif name not in frame.f_locals or frame.f_locals is frame.f_globals:
                found[name] = None
                waiting.append(_compiled(value))
    return tuple(found)


def _compiled(value):
    """The plain function that an object made faster: of `jax.jit`, `tf.function`, Numba."""
    fields = getattr(value, "__dict__", None) if _is_open(value) else None
    if not isinstance(fields, dict) or isinstance(value, types.FunctionType):
        return None
    function = fields.get("__wrapped__")
    return function if isinstance(function, types.FunctionType) else None


@functools.lru_cache(maxsize=1000)
def _globals_of(code):
    found = [each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"]
    parts = [_globals_of(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return tuple(dict.fromkeys([*found, *(name for part in parts for name in part)]))


def _is_open(value):
    return isinstance(getattr(type(value), "__dict__", None), types.MappingProxyType)


def pickled(found, backward=False):
    """Values by name, pickled as they are at this moment; and names of those that cannot be.

    Args:
        backward: whether gradients are taken in the statement.
    """
    kept, left = {}, []
    for name, value in found.items():
        try:
            found = held.kept(value) or tensors.packed(value, backward)
            kept[name] = pickle.dumps(found, 4)
        except Exception:
            left.append(name)
    return kept, left


def unpickled(data):
    """A value that was pickled."""
    return pickle.loads(data)


def save(path, kept):
    """Add pickled values to a file, which other processes add to."""
    with open(path, "ab") as file:
        file.write(pickle.dumps(kept, 4))


def load(path):
    """What `save` wrote, in all processes."""
    found = {}
    with open(path, "rb") as file:
        while file.peek(1):
            found.update(pickle.load(file))
    return found


def put(frame, chain, value):
    """Put a value in a name's place; whether that could be done.

    A container or array that others may hold too is filled with what the value holds, where both
    are of one kind: then all who hold it see the value.
    """
    if chain in randomness.NAMES:
        return randomness.restore(chain, value)
    here = look_up(frame, chain)
    if here is not _NOTHING and fill(here, value):
        return True
    if isinstance(value, held.State):
        return False
    if isinstance(value, tensors.Packed):
        value = value.alone()
        if value is None:
            return False
    owner, _, name = chain.rpartition(".")
    if owner:
        holder = look_up(frame, owner)
        return _set(holder, name, value)
    local, everywhere = frame.f_locals, frame.f_globals
    if chain in local or local is everywhere:
        local[chain] = value
        if local is not everywhere and sys.version_info < (3, 13):
            # Asking for f_locals once more would read the old values back.
            import ctypes

            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        return True
    if chain in everywhere:
        everywhere[chain] = value
        return True
    return False


def _set(holder, name, value):
    fields = getattr(holder, "__dict__", None)
    if isinstance(fields, dict):
        fields[name] = value
    elif isinstance(holder, type):
        type.__setattr__(holder, name, value)
    elif name in slots_of(holder):
        object.__setattr__(holder, name, value)
    else:
        return False
    return True


def exchanged(here, value):
    """What a function returns in the place of a value: that, filled, or else the other one."""
    if fill(here, value) or isinstance(value, held.State):
        return here
    other = value.alone() if isinstance(value, tensors.Packed) else value
    return here if other is None and isinstance(value, tensors.Packed) else other


def fill(here, value):
    """Give what is here what a value holds, where both are of one kind; whether that was done."""
    if isinstance(value, tensors.Packed):
        return tensors.fill(here, value)
    if isinstance(value, held.State):
        return held.fill(here, value)
    kind = type(here)
    if kind is not type(value):
        return False
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is numpy.ndarray:
        if here.shape != value.shape or here.dtype != value.dtype or not here.flags.writeable:
            return False
        numpy.copyto(here, value)
        return True
    bits = getattr(numpy, "random", None)
    if bits is not None and kind is getattr(bits, "Generator", None):
        return _fill_generator(here, value)
    if kind is list:
        here[:] = value
        return True
    if kind in (dict, set):
        here.clear()
        here.update(value)
        return True
    if (kind.__reduce__, kind.__reduce_ex__) != (object.__reduce__, object.__reduce_ex__):
        return _fill_with_state(here, value)
    fields, others = getattr(here, "__dict__", None), getattr(value, "__dict__", None)
    if isinstance(fields, dict) and isinstance(others, dict) and fields:
        fields.clear()
        fields.update(others)
        return True
    return False


def _fill_with_state(here, value):
    """The same of an object that says itself how it is pickled: its attributes may not be all."""
    take, give = getattr(here, "__setstate__", None), getattr(value, "__getstate__", None)
    if take is None or give is None or getattr(type(value), "__getstate__", None) is _PLAIN_STATE:
        return False
    state = give()
    if state is None:
        return False  # all of it is in what the object is made with
    take(state)
    return True


def _fill_generator(here, value):
    """The same of a generator of NumPy's, whose bits come from another object."""
    if type(here.bit_generator) is not type(value.bit_generator):
        return False
    here.bit_generator.state = value.bit_generator.state
    return True
