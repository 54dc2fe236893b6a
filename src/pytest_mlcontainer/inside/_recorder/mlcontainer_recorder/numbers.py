"""Sketches of numbers: arrays, NumPy's scalars, and lists of floats.

From the projection of two arrays their distance can be estimated: with random signs s and B sums
over buckets, the squared distance of the sums of x and y has the squared Euclidean distance of x
and y as its expectation, with a relative standard deviation of at most sqrt(2 / B) (Charikar, Chen,
Farach-Colton 2002; Thorup, Zhang 2004).
"""

import array
import struct

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

BUCKETS = 16
SHOWN = 16
TEXT_SHOWN = 120
_SIGNS = 4093
_UNORDERED = 1 << 16


def digest(*parts):
    """A digest of some bytes, as text."""
    found = blake2b(digest_size=9)
    for part in parts:
        found.update(part)
        found.update(b"\0")
    return found.hexdigest()


def plain(number):
    """A number as JSON can hold it, exactly; what it cannot hold is text."""
    if type(number) in (int, bool):
        return int(number) if -(2**53) < number < 2**53 else str(number)
    number = float(number)
    return number if number - number == 0.0 else repr(number)


def _signs():
    """A fixed pattern of +1 and -1, from the MINSTD generator of Park and Miller (1988)."""
    state, found = 20260101, []
    for _ in range(_SIGNS):
        state = state * 48271 % 2147483647
        found.append(1.0 if state & 0x4000 else -1.0)
    return found


_PATTERN = _signs()


def of_floats(value):
    """Of a list of floats, as of an array of float64, where NumPy is not loaded."""
    sums, largest, total, odd = [0.0] * BUCKETS, 0.0, 0.0, 0
    for place, each in enumerate(value):
        each = float(each)
        if each - each != 0.0:
            odd += 1
            continue
        sums[place % BUCKETS] += each * _PATTERN[place % _SIGNS]
        largest = max(largest, abs(each))
        total += each * each
    floats = [float(each) for each in value]
    data = array.array("d", floats).tobytes()
    return {
        "t": "array",
        "dtype": "float64",
        "shape": [len(floats)],
        "d": digest(b"float64", str([len(floats)]).encode(), data),
        "o": digest(*[struct.pack("<d", each) for each in sorted(floats)]),
        "p": [plain(each) for each in sums],
        "norm": plain(total**0.5),
        "max": plain(largest),
        "odd": odd,
        "v": [plain(each) for each in floats] if len(floats) <= SHOWN else None,
    }


def of_scalar(value):
    """Of a scalar of NumPy."""
    found = {"t": "array", "dtype": str(value.dtype), "shape": [], "odd": 0}
    found["d"] = found["o"] = digest(str(value.dtype).encode(), value.tobytes())
    item = value.item()
    if type(item) in (int, float, bool):
        found["v"] = [plain(item)]
        found["max"] = found["norm"] = plain(abs(float(item)))
    else:
        found["v"] = [str(item)[:TEXT_SHOWN]]
    return found


def digest_of(numpy, value):
    """The digest of an array without Python objects: of its dtype, shape and elements."""
    flat = numpy.ascontiguousarray(value).reshape(-1)
    raw = flat.view("u1") if flat.dtype.itemsize else flat
    shape = str(list(value.shape))
    return digest(str(value.dtype).encode(), shape.encode(), raw.data)


def of_array(numpy, value, name):
    """Of an array without Python objects; its errors of arithmetic are not told of.

    Args:
        name: its digest.
    """
    flat = numpy.ascontiguousarray(value).reshape(-1)
    found = {
        "t": "array",
        "dtype": str(value.dtype),
        "shape": list(value.shape),
        "d": name,
        "odd": 0,
    }
    if value.dtype.kind in "biufc" and value.size:
        with numpy.errstate(all="ignore"):
            found.update(_projection(numpy, flat))
        found["o"] = _unordered(numpy, flat)
        if value.size <= SHOWN and value.dtype.kind != "c":
            found["v"] = [plain(each) for each in flat.tolist()]
    elif value.size <= SHOWN:
        found["v"] = [str(each)[:TEXT_SHOWN] for each in flat.tolist()]
    return found


def _projection(numpy, flat):
    if flat.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    sums, largest, total, odd = numpy.zeros(BUCKETS), 0.0, 0.0, 0
    step = _SIGNS * BUCKETS * 16
    pattern = numpy.tile(numpy.asarray(_PATTERN), -(-min(step, flat.size) // _SIGNS))
    for start in range(0, flat.size, step):
        part = flat[start : start + step].astype(numpy.float64)
        finite = numpy.isfinite(part)
        if not finite.all():
            odd += int(part.size - finite.sum())
            part[~finite] = 0.0
        largest = max(largest, float(numpy.abs(part).max()))
        total += float(numpy.add.reduce(part * part))
        part *= pattern[: part.size]
        whole = part.size // BUCKETS * BUCKETS
        sums += numpy.add.reduce(part[:whole].reshape(-1, BUCKETS), axis=0)
        sums[: part.size - whole] += part[whole:]
    return {
        "p": [plain(each) for each in sums.tolist()],
        "norm": plain(total**0.5),
        "max": plain(largest),
        "odd": odd,
    }


def _unordered(numpy, flat):
    """A digest of the elements, whatever their order; none of very many."""
    if flat.size > _UNORDERED:
        return None
    return digest(str(flat.dtype).encode(), numpy.sort(flat).tobytes())
