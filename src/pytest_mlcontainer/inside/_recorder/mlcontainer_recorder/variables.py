"""What Keras and TensorFlow have: layers, models, optimizers and variables, as numbers by name.

A model's numbers lie in variables that optimizers, too, hold. Here each is flat, and variables are
filled where they are. Nothing is read while a function is being traced, where numbers are none yet.
"""

import sys

_MOST = 20000


def described(value):
    """The kind of a layer, model, optimizer or generator, and what it holds; None of others."""
    kind = _kind_of(value)
    if kind is None:
        return None
    found = _numbers(_variables(kind, value))
    return None if found is None else (type(value).__name__, {**found, **_settings(kind, value)})


def kept(value):
    """Numbers of variables by name, with which another side's can be filled; None of others."""
    kind = _kind_of(value)
    return None if kind is None else _numbers(_variables(kind, value))


def fill(here, numbers):
    """Give variables the numbers that were kept of others; whether that was done."""
    kind = _kind_of(here)
    own = {} if kind is None else _variables(kind, here)
    if own.keys() != numbers.keys():
        return False
    for name, each in own.items():
        if tuple(each.shape) != numbers[name].shape:
            return False
        each.assign(numbers[name])
    return True


def _kind_of(value):
    """The class of these libraries that a value is of: Layer, Optimizer, Variable, Generator."""
    if "keras" not in sys.modules and "tensorflow" not in sys.modules:
        return None
    for each in type(value).__mro__:
        library = each.__module__.partition(".")[0]
        if library in ("keras", "tf_keras", "tensorflow") and each.__name__ in _READERS:
            return each
    return None


def _variables(kind, value):
    found = _READERS[kind.__name__](kind, value)
    named = list(enumerate(found[:_MOST]))
    return {"%d:%s" % (at, getattr(each, "path", each.name)): each for at, each in named}


def _numbers(variables):
    numpy, tensorflow = sys.modules.get("numpy"), sys.modules.get("tensorflow")
    if numpy is None or (tensorflow is not None and not tensorflow.executing_eagerly()):
        return None
    return {name: numpy.array(each.numpy()) for name, each in variables.items()}


def _of_layer(kind, value):
    own = list(kind.variables.fget(value))
    optimizer = getattr(value, "optimizer", None)
    return own + ([] if optimizer is None else _of_optimizer(type(optimizer), optimizer))


def _of_optimizer(_kind, value):
    found = value.variables
    return list(found() if callable(found) else found)


def _of_variable(_kind, value):
    return [value]


def _of_generator(_kind, value):
    return [value.state]


def _settings(kind, value):
    """What layers of these libraries were given, and plain attributes of the program's own."""
    if kind.__name__ != "Layer":
        return {}
    parts = [value, *getattr(value, "layers", [])]
    found = {}
    for at, each in enumerate(parts):
        for name, part in list(vars(each).items()):
            if not name.startswith("_") and type(part) in (int, float, str, bool):
                found["%d.%s" % (at, name)] = part
    return found


_READERS = {
    "Generator": _of_generator,
    "Layer": _of_layer,
    "Optimizer": _of_optimizer,
    "SeedGenerator": _of_generator,
    "Variable": _of_variable,
}
