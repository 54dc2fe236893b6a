"""Hold what numerical libraries compute against plain Python, and print what is wrong.

Sent into images as text, as the probe is, and run by whatever Python 3 they have. Wrong is told
from different by numbers for which rounding does not matter: whole ones, so small that products and
sums of them are exact in any order, by any kernel, and by one that multiplies bfloat16 or TF32.
A product is checked as R. Freivalds does ("Probabilistic machines can use less running time",
1977): times a vector of other numbers, in Python's whole numbers, in n^2 steps and not n^3.

Prints JSON objects behind a marker: for each library one when it begins, one for each kind of
answer that is wrong, and one when all was asked. A library that is not there says nothing.
"""

import cmath
import ctypes
import faulthandler
import importlib
import json
import math
import operator
import random
import sys
import time
from collections.abc import Iterable
from typing import Any

MARKER = "mlcontainer-answers:"
# Of wall clock, after which a library hangs, also on a busy machine where all is emulated; and of
# the processor, after which enough was asked.
_HANGS_S = 600
_ENOUGH_S = 10.0
# Kernels have paths of their own for small matrices, for what is left at their edges, for matrices
# that are long and thin, and for more than one thread.
_SHAPES = ((3, 5, 4), (12, 12, 12), (17, 33, 19), (129, 40, 65), (48, 8, 64), (16, 300, 12))
_SOLVED = (5, 40)
_SUMMED = ((7, 9), (33, 65))
_TRANSFORMED = (16, 30, 37)
_DTYPES = ("float32", "float64")
# The largest whole number of a matrix: with 512 summands exact in 24 and in 53 bits. The first is
# exact in the 8 bits of bfloat16, too.
_LARGEST = {"float32": 63, "float64": 1 << 19}
# Of the largest right value, for what rounds: a factorisation may use bfloat16 where it is told to.
_CLOSE = {"float32": 0.05, "float64": 1e-6}
_CLOSE_TRANSFORM = {"float32": 1e-3, "float64": 1e-9}
_ROWS_SHOWN = 4


class _EnoughError(Exception):
    """The time is up: the libraries that are left are not tested."""


class _Asked:
    """What one library was asked; what it got wrong is printed at once."""

    def __init__(self, library: str) -> None:
        self.library, self.answers, self.wrong = library, 0, 0
        self._end_s = time.process_time() + _ENOUGH_S
        self._told: set[tuple[str, str]] = set()

    def product(
        self,
        what: str,
        dtype: str,
        left: "list[list[int]]",
        right: "list[list[int]]",
        compute: Any,
    ) -> None:
        """Whether it computes left times right: rows of whole numbers, as lists."""
        got = self._compute(what, dtype, compute)
        if got is None:
            return
        weights = _slice(_WEIGHTS, len(right[0]))
        inner = [_dot(row, weights) for row in right]
        rows = enumerate(got)
        bad = [at for at, row in rows if not _is(row, weights, _dot(left[at], inner))]
        if not bad:
            return
        columns = _turned(right)
        rights = [_dot(left[at], column) for at in bad[:_ROWS_SHOWN] for column in columns]
        shown = [each for at in bad[:_ROWS_SHOWN] for each in got[at]]
        size = "%d \u00d7 %d by %d \u00d7 %d" % (len(left), len(right), len(right), len(right[0]))
        share = "%d of %d rows" % (len(bad), len(left))
        self._note(what, "%s, %s" % (what, size), dtype, shown, rights, share)

    def numbers(
        self,
        what: str,
        size: str,
        dtype: str,
        right: "list[Any]",
        close: float,
        compute: Any,
    ) -> None:
        """Whether it computes the numbers, but for `close` of the largest."""
        got = self._compute(what, dtype, compute)
        if got is None:
            return
        bound = close * (max(map(abs, right)) or 1)
        bad = [at for at, each in enumerate(right) if not abs(got[at] - each) <= bound]
        if bad:
            share = "%d of %d values" % (len(bad), len(right))
            self._note(what, "%s, %s" % (what, size), dtype, got, right, share)

    def _compute(self, what: str, dtype: str, compute: Any) -> Any:
        """The answer as lists; None where it raises instead."""
        if time.process_time() > self._end_s:
            raise _EnoughError
        self.answers += 1
        try:
            return compute().tolist()
        except Exception as error:
            text = "%s: %s" % (type(error).__name__, error)
            self._tell(what, dtype, {"what": what, "got": text[:200], "right": "", "error": None})
            return None

    def _note(
        self, kind: str, what: str, dtype: str, got: "list[Any]", right: "list[Any]", share: str
    ) -> None:
        scale = max(map(abs, right)) or 1
        errors = [abs(one - other) for one, other in zip(got, right)]
        # NaN is farther off than anything.
        far = [math.inf if math.isnan(each) else each for each in errors]
        worst = far.index(max(far))
        error = far[worst] / scale
        self._tell(kind, dtype, {
            "what": what, "share": share, "got": _text(got[worst]), "right": _text(right[worst]),
            "error": error if math.isfinite(error) else None,
        })  # fmt: skip

    def _tell(self, kind: str, dtype: str, found: "dict[str, object]") -> None:
        """Each kind once: more shapes of it say nothing new."""
        self.wrong += 1
        if (kind, dtype) not in self._told:
            self._told.add((kind, dtype))
            _say(dict(found, library=self.library, dtype=dtype))


def main() -> None:
    # By a thread of its own: a library that hangs may hold the interpreter.
    faulthandler.dump_traceback_later(_HANGS_S, exit=True)
    seen: set[str] = set()
    for name, look in _LOOKS:
        try:
            library = look()
        except Exception as error:
            _say({"library": name, "unread": repr(error)[:200]})
            continue
        if library is None:
            continue
        # What came with this library; one that brings none along uses another's.
        loaded = [path for path in _libraries() if path not in seen] or _libraries()
        seen.update(loaded)
        _say({"library": name, "version": library[0], "blas": _blas(loaded)})
        _ask(_Asked(name), library[1])


def _ask(asked: "_Asked", ask: Any) -> None:
    begun_s = time.process_time()
    try:
        ask(asked)
        complete = True
    except _EnoughError:
        complete = False
    spent_s = round(time.process_time() - begun_s, 3)
    _say({"library": asked.library, "answers": asked.answers, "wrong": asked.wrong,
          "complete": complete, "cpu_s": spent_s})  # fmt: skip


def _say(found: "dict[str, object]") -> None:
    # What a library prints may lack the end of its line.
    sys.stdout.write("\n" + MARKER + json.dumps(found, sort_keys=True) + "\n")
    sys.stdout.flush()


# What is asked


def _ask_arrays(asked: "_Asked", array: Any, solve: Any, transform: Any) -> None:
    """Products, solves, sums and transforms of arrays that have operators, as NumPy's do."""
    for dtype in _DTYPES:
        _ask_products(asked, dtype, lambda rows, t=dtype: array(rows, t), _SHAPES[:3])
    for dtype in _DTYPES:
        turn = _CLOSE_TRANSFORM[dtype]
        for size in _SOLVED:
            matrix, solution, given = _system(size)
            m, g = array(matrix, dtype), array(given, dtype)
            what, close = "%d unknowns" % size, _CLOSE[dtype]
            asked.numbers("solve", what, dtype, solution, close, lambda m=m, g=g: solve(m, g))
        _ask_sums(asked, dtype, array)
        _ask_transforms(asked, dtype, turn, lambda v, t=dtype: transform(array(v, t)))
    for dtype in _DTYPES:
        _ask_products(asked, dtype, lambda rows, t=dtype: array(rows, t), _SHAPES[3:])


def _ask_products(
    asked: "_Asked", dtype: str, array: Any, shapes: "Iterable[tuple[int, int, int]]"
) -> None:
    for rows, inner, columns in shapes:
        left, right = _whole(dtype, rows, inner), _whole(dtype, inner, columns)
        twice = _turned(left)
        a, b, c, d = array(left), array(right), array(_turned(right)), array(twice)
        for what, other, multiply in (
            ("A @ A.T", twice, lambda a=a: a @ a.T),
            ("A.T @ A", twice, lambda d=d: d.T @ d),
            ("A @ B", right, lambda a=a, b=b: a @ b),
            ("A @ B.T", right, lambda a=a, c=c: a @ c.T),
            ("A.T @ B", right, lambda d=d, b=b: d.T @ b),
        ):
            asked.product(what, dtype, left, other, multiply)
        asked.product("A @ v", dtype, left, [row[:1] for row in right],
                      lambda a=a, b=b: (a @ b[:, 0]).reshape(-1, 1))  # fmt: skip
        asked.product("v @ B", dtype, left[:1], right, lambda a=a, b=b: (a[0] @ b).reshape(1, -1))


def _ask_sums(asked: "_Asked", dtype: str, array: Any) -> None:
    for rows, columns in _SUMMED:
        values = _whole(dtype, rows, columns)
        given, size = array(values, dtype), "%d \u00d7 %d" % (rows, columns)
        down, across = [sum(each) for each in zip(*values)], [sum(each) for each in values]
        asked.numbers("sum(0)", size, dtype, down, 0, lambda g=given: g.sum(0))
        asked.numbers("sum(1)", size, dtype, across, 0, lambda g=given: g.sum(1))
        asked.numbers("sum()", size, dtype, [sum(down)], 0, lambda g=given: g.sum().reshape(1))


def _ask_transforms(asked: "_Asked", dtype: str, close: float, transform: Any) -> None:
    for size in _TRANSFORMED:
        values = _whole("float32", 1, size)[0]
        turn = [cmath.exp(-2j * cmath.pi * at / size) for at in range(size)]
        right = [
            sum(value * turn[place * at % size] for at, value in enumerate(values))
            for place in range(size)
        ]
        what = "%d points" % size
        asked.numbers("FFT", what, dtype, right, close, lambda v=values: transform(v))


# Who is asked


def _numpy() -> Any:
    numpy = _module("numpy")
    if numpy is None:
        return None
    linalg, fft = importlib.import_module("numpy.linalg"), importlib.import_module("numpy.fft")
    return numpy.__version__, lambda asked: _ask_arrays(asked, numpy.array, linalg.solve, fft.fft)


def _scipy() -> Any:
    scipy, numpy = _module("scipy"), _module("numpy")
    if scipy is None or numpy is None:
        return None
    blas, linalg, fft = (
        importlib.import_module("scipy." + name) for name in ("linalg.blas", "linalg", "fft")
    )

    def ask(asked: "_Asked") -> None:
        for dtype, letter in (("float32", "s"), ("float64", "d")):
            gemm, syrk = getattr(blas, letter + "gemm"), getattr(blas, letter + "syrk")
            _ask_fortran(asked, dtype, numpy, gemm, syrk)
            for size in _SOLVED:
                matrix, solution, given = _system(size)
                m, g = numpy.array(matrix, dtype), numpy.array(given, dtype)
                what, close = "%d unknowns" % size, _CLOSE[dtype]
                asked.numbers("solve", what, dtype, solution, close,
                              lambda m=m, g=g: linalg.solve(m, g))  # fmt: skip
                asked.numbers(
                    "cho_solve", what, dtype, solution, close,
                    lambda m=m, g=g: linalg.cho_solve(linalg.cho_factor(m), g),
                )  # fmt: skip
            turn = _CLOSE_TRANSFORM[dtype]
            _ask_transforms(asked, dtype, turn, lambda v, t=dtype: fft.fft(numpy.array(v, t)))

    return scipy.__version__, ask


def _ask_fortran(asked: "_Asked", dtype: str, numpy: Any, gemm: Any, syrk: Any) -> None:
    for rows, inner, columns in _SHAPES:
        left, right = _whole(dtype, rows, inner), _whole(dtype, inner, columns)
        given = (left, right, _turned(right))
        a, b, c = (numpy.array(each, dtype, order="F") for each in given)
        asked.product("syrk", dtype, left, _turned(left),
                      lambda a=a: _mirrored(numpy, syrk(1, a)))  # fmt: skip
        asked.product("gemm", dtype, left, right, lambda a=a, b=b: gemm(1, a, b))
        asked.product(
            "gemm(trans_b)", dtype, left, right, lambda a=a, c=c: gemm(1, a, c, trans_b=1)
        )


def _mirrored(numpy: Any, upper: Any) -> Any:
    return numpy.triu(upper) + numpy.triu(upper, 1).T


def _torch() -> Any:
    torch = _module("torch")
    if torch is None:
        return None

    def array(values: Any, dtype: str) -> Any:
        return torch.tensor(values, dtype=getattr(torch, dtype))

    def ask(asked: "_Asked") -> None:
        with torch.no_grad():
            _ask_arrays(asked, array, torch.linalg.solve, torch.fft.fft)

    return str(torch.__version__), ask


_LOOKS = (("NumPy", _numpy), ("SciPy", _scipy), ("PyTorch", _torch))


def _module(name: str) -> Any:
    """None where there is none."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if getattr(error, "name", None) != name:
            raise
        return None


# Numbers


_random = random.Random(20260501)
_POOL = [2 * _random.random() - 1 for _place in range(4099)]
_POOLS = {dtype: [round(each * most) for each in _POOL] for dtype, most in _LARGEST.items()}
_WEIGHTS = [round(each * (1 << 20)) for each in _POOL]


def _slice(pool: "list[int]", size: int) -> "list[int]":
    """So many numbers from a place of its own: drawing each of them takes ten times as long."""
    start = int(_random.random() * (len(pool) - size))
    return pool[start : start + size]


def _whole(dtype: str, rows: int, columns: int) -> "list[list[int]]":
    return [_slice(_POOLS[dtype], columns) for _row in range(rows)]


def _system(size: int) -> "tuple[list[list[int]], list[int], list[int]]":
    """A symmetric, positive definite matrix, a solution, and what the matrix makes of that."""
    matrix = [[0] * size for _row in range(size)]
    for row in range(size):
        for column in range(row):
            matrix[row][column] = matrix[column][row] = _random.randint(-9, 9)
        matrix[row][row] = 10 * size + row
    solution = [_random.randint(-9, 9) or 1 for _row in range(size)]
    return matrix, solution, [_dot(row, solution) for row in matrix]


def _dot(one: "Iterable[int]", other: "Iterable[int]") -> int:
    return sum(map(operator.mul, one, other))


def _turned(rows: "list[list[int]]") -> "list[list[int]]":
    return [list(column) for column in zip(*rows)]


def _is(row: "list[float]", weights: "list[int]", right: int) -> bool:
    """Whether a row of floats has only whole numbers, and the right ones."""
    try:
        whole = list(map(int, row))
    except (ValueError, OverflowError):
        return False
    return whole == row and _dot(whole, weights) == right


def _text(number: Any) -> str:
    if isinstance(number, complex):
        return "%.6g%+.6gj" % (number.real, number.imag)
    return "%.9g" % number


# Whose kernels


_BLAS = ("openblas", "mkl_rt", "mkl_core", "blis", "libblas", "cblas", "flexiblas", "armpl", "nvpl")


def _libraries() -> "list[str]":
    """Files of BLAS libraries that are loaded."""
    found: dict[str, None] = {}
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            for line in file:
                path = line.rstrip("\n").partition("/")[2]
                if any(name in path.rpartition("/")[2] for name in _BLAS):
                    found["/" + path] = None
    except OSError:
        pass
    return list(found)


def _blas(loaded: "list[str]") -> str:
    """What a BLAS says of itself: "OpenBLAS 0.3.30, kernel ARMV8SVE"; else its file's name."""
    for path in loaded:
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("64_", "_64", ""):
                config = getattr(library, prefix + "_get_config" + suffix, None)
                core = getattr(library, prefix + "_get_corename" + suffix, None)
                if config is None or core is None:
                    continue
                config.restype = core.restype = ctypes.c_char_p
                told = config().decode("ascii", "replace").split()
                named = " ".join(told[:2]) if told[:1] == ["OpenBLAS"] else "OpenBLAS"
                return "%s, kernel %s" % (named, core().decode("ascii", "replace"))
    return loaded[0].rpartition("/")[2] if loaded else ""


if __name__ == "__main__":
    main()
