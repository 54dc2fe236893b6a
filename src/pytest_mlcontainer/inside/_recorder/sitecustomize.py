"""Starts the recorder in any Python that is started with its folder in PYTHONPATH.

What the image itself has under this name is executed too, and the folder leaves the search path,
so that the program finds what it would find without.
"""

import os
import sys


def _begin():
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        from mlcontainer_recorder.asking import asked

        wanted = asked()
        if wanted.get("changes"):
            from mlcontainer_recorder import changes

            changes.make(wanted["changes"])
        if wanted.get("records", True) or wanted.get("aims"):
            from mlcontainer_recorder.starting import start

            start(wanted)
    except Exception as error:
        sys.stderr.write("mlcontainer: nothing is recorded: %r\n" % (error,))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != here]
    _hand_on()


def _hand_on():
    """Execute what the image has under this name, and leave it in this module's place."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        module = sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("MLCONTAINER_RECORDING"):
    _begin()
