"""`env`: variables that come from a machine and not from the project.

A container gets none of them by itself; scripts, CI services and users pass them on.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import (
    HOST,
    Choice,
    Family,
    Knobs,
    NotExercised,
    Situation,
    Variation,
)

# What machines set for people and services. None of them is how a library is configured.
USUAL: Final = (
    ("CI", "true"),
    ("COLUMNS", "200"),
    ("DEBUG", "1"),
    ("EDITOR", "vi"),
    ("LOGNAME", "jenkins"),
    ("TERM", "xterm-256color"),
    ("USER", "jenkins"),
    ("VERBOSE", "1"),
)
# Each of them is what another family varies, which is named then.
_OF_OTHERS: Final = frozenset(
    {
        "ATEN_CPU_CAPABILITY", "GLIBC_TUNABLES", "HOME", "HOSTNAME", "LANG", "LANGUAGE",
        "LD_PRELOAD", "MKL_CBWR", "MKL_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES",
        "NUMEXPR_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS",
        "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE",
        "OPENBLAS_NUM_THREADS", "PATH", "PWD", "PYTHONCOERCECLOCALE", "PYTHONHASHSEED",
        "PYTHONUTF8", "PYTHON_CPU_COUNT", "QEMU_CPU", "TZ",
    }
)  # fmt: skip
_PREFIXES: Final = ("LC_", "MLCONTAINER_")


def choose(situation: Situation) -> Choice:
    """With what a machine may have; on `host`, which has it, without."""
    wanted = {**dict(USUAL), **dict(situation.leaked)}
    env = tuple(
        (name, value)
        for name, value in sorted(wanted.items())
        if name not in situation.pinned
        and name not in _OF_OTHERS
        and not name.startswith(_PREFIXES)
    )
    if not env:
        return NotExercised("the project sets all of them itself")
    witness = ("environment.names",)
    if situation.platform != HOST:
        return Variation("env", "leaked", Knobs(env=env), witness)
    names = tuple(name for name, _value in env)
    return Variation("env", "unset", Knobs(unset=names), witness)


FAMILY: Final = Family(
    "env",
    "variables that leak from machines",
    choose,
    hints=(
        r"\benviron\.(?:get|setdefault|items|copy|keys)\(",
        r"\bgetenv\(",
        r"\benviron\[[^\]\n]*\](?!\s*=[^=])",
        r"\bin os\.environ\b|\bdict\(os\.environ\)",
        r"\bload_dotenv\(|\bBaseSettings\b|\benvvar\s*=|\bdecouple\b",
        r"\bgetpass\.getuser\(|\bget_terminal_size\(|\bisatty\(",
    ),
    weight=1.0,
)
