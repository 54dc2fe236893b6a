"""The states of the generators that a process has for all: of Python and of libraries."""

import pickle
import sys

_SEEDS = ("seed", "manual_seed", "seed_all", "set_seed", "seed_everything", "set_random_seed")


class _Global:
    """A library's generator, by the functions of a module that read and write its state."""

    def __init__(self, module, read, write):
        self._module, self._read, self._write = module, read, write

    def state(self):
        """None where the program has not imported it."""
        read = getattr(sys.modules.get(self._module), self._read, None)
        return None if read is None else read()

    def restore(self, state):
        """Whether that was done."""
        write = getattr(sys.modules.get(self._module), self._write, None)
        if write is not None:
            write(state)
        return write is not None


class _OfTorch(_Global):
    """As a list: the tensor would be pickled with its address."""

    def state(self):
        found = super().state()
        return None if found is None else found.tolist()

    def restore(self, state):
        torch = sys.modules.get("torch")
        return torch is not None and super().restore(torch.tensor(state).byte())


class _OfTensorFlow(_Global):
    """The seed that all operations share, and how far seeds were drawn from it."""

    def _context(self):
        module = sys.modules.get("tensorflow.python.eager.context")
        context = module.context() if module is not None else None
        return context if getattr(context, "_rng", None) is not None else None

    def state(self):
        context = self._context()
        return None if context is None else (context._seed, context._rng.getstate())

    def restore(self, state):
        seed, drawn = state
        if not super().restore(seed):
            return False
        self._context()._rng.setstate(drawn)
        return True


_GENERATORS = {
    "(random)": _Global("random", "getstate", "setstate"),
    "(numpy.random)": _Global("numpy.random", "get_state", "set_state"),
    "(torch.random)": _OfTorch("torch.random", "get_rng_state", "set_rng_state"),
    "(tensorflow.random)": _OfTensorFlow("tensorflow.python.framework.random_seed", "", "set_seed"),
}
NAMES = tuple(_GENERATORS)
IMPORTED = ("(numpy.random)", "(torch.random)")  # which have a state as soon as they are there


def seeds(calls):
    """Whether any of the functions that a statement calls seeds generators, by its name."""
    return any(call.rpartition(".")[2].endswith(_SEEDS) for call in calls)


def state(name):
    """A generator's state, as bytes; None where the program has not imported its library."""
    found = _GENERATORS[name].state()
    return None if found is None else pickle.dumps(found, 4)


def restore(name, data):
    """Give a generator the state that another one had; whether that was done."""
    return _GENERATORS[name].restore(pickle.loads(data))
