"""The states of the generators that a process has for all: Python's, NumPy's and PyTorch's."""

import pickle
import sys

NAMES = ("(random)", "(numpy.random)", "(torch.random)")
_TORCH = NAMES[2]
_LIBRARIES = ("random", "numpy.random", "torch.random")
_READERS = ("getstate", "get_state", "get_rng_state")
_WRITERS = ("setstate", "set_state", "set_rng_state")
_SEEDS = ("seed", "manual_seed", "seed_all", "set_seed", "seed_everything", "set_random_seed")


def seeds(calls):
    """Whether any of the functions that a statement calls seeds generators, by its name."""
    return any(call.rpartition(".")[2].endswith(_SEEDS) for call in calls)


def state(name):
    """A generator's state, as bytes; None where the program has not imported its library."""
    number = NAMES.index(name)
    library = sys.modules.get(_LIBRARIES[number])
    read = getattr(library, _READERS[number], None)
    if read is None:
        return None
    found = read()
    # Of PyTorch's it is a tensor, which is pickled with its address.
    return pickle.dumps(found.tolist() if name == _TORCH else found, 4)


def restore(name, data):
    """Give a generator the state that another one had; whether that was done."""
    number = NAMES.index(name)
    write = getattr(sys.modules.get(_LIBRARIES[number]), _WRITERS[number], None)
    if write is None:
        return False
    found = pickle.loads(data)
    write(sys.modules["torch"].tensor(found).byte() if name == _TORCH else found)
    return True
