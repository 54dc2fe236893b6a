"""Changes of what Python does, to try from outside what a change of the program would do.

They have to be made before the program imports anything: `pathlib` and others keep the functions
that are there when they are imported.
"""

import os
import random
import sys

_PROCESSORS = 4
_SEED = 0
_NUMPY = "numpy.random"


def make(names):
    """Make the changes of these names."""
    for name in names:
        _CHANGES[name]()


def sort_listings():
    """Folders list their files in alphabetical order."""
    listdir, scandir = os.listdir, os.scandir

    def sorted_listdir(*arguments, **named):
        return sorted(listdir(*arguments, **named))

    def sorted_scandir(*arguments, **named):
        return _Sorted(scandir(*arguments, **named))

    os.listdir, os.scandir = sorted_listdir, sorted_scandir


class _Sorted:
    """What `os.scandir` gives, sorted by name."""

    def __init__(self, entries):
        self._entries = entries
        self._sorted = None

    def __iter__(self):
        return self

    def __next__(self):
        if self._sorted is None:
            self._sorted = iter(sorted(self._entries, key=lambda entry: entry.name))
        return next(self._sorted)

    def __enter__(self):
        return self

    def __exit__(self, *_raised):
        self.close()

    def close(self):
        self._entries.close()


def seed():
    """Generators of random numbers begin with a constant, whatever they are given."""
    plain = random.Random.seed

    def constant(self, *_given, **_named):
        return None if isinstance(self, random.SystemRandom) else plain(self, _SEED)

    random.Random.seed = constant
    random.seed = random._inst.seed
    random.seed()
    _seed_numpy()


def _seed_numpy():
    """NumPy draws its entropy from `secrets`; what is given to it is put aside when it is there."""
    import secrets

    drawn = random.Random(_SEED)
    secrets.randbits = drawn.getrandbits
    sys.meta_path.insert(0, _AfterImport())


class _AfterImport:
    """Changes NumPy's functions right after it is imported."""

    def find_spec(self, name, path=None, _target=None):
        if name != _NUMPY:
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executed(module):
                execute(module)
                _constant(module)

            spec.loader.exec_module = executed
        return spec


def _constant(module):
    seed, default_rng = module.seed, getattr(module, "default_rng", None)
    module.seed = lambda _seed=None: seed(_SEED)
    if default_rng is None:
        return
    kinds = tuple(
        getattr(module, name) for name in ("BitGenerator", "Generator") if hasattr(module, name)
    )

    def constant_rng(given=None):
        # What is a generator already was seeded where it was made.
        return default_rng(given if isinstance(given, kinds) else _SEED)

    module.default_rng = constant_rng


def fix_processors():
    """The number of processors that programs are told is a constant."""
    os.cpu_count = lambda: _PROCESSORS
    if hasattr(os, "process_cpu_count"):
        os.process_cpu_count = lambda: _PROCESSORS
    if hasattr(os, "sched_getaffinity"):
        os.sched_getaffinity = lambda _process: set(range(_PROCESSORS))


_CHANGES = {
    "sort-listings": sort_listings,
    "seed": seed,
    "fix-processors": fix_processors,
}
