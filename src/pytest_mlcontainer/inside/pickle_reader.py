"""Open one pickle inside the project's image, and write what is in it as plain values.

Sent into images as text and run there by whatever Python 3 they have: it imports the standard
library, and what the pickle itself brings in. Old Pythons read it too, so annotations are text.

    python pickle_reader.py PICKLE FOLDER [FOLDER OF MODULES ...]

FOLDER receives `tree.jsonl`, a line for each value in the order found, and `arrays.bin`, the arrays
of numbers one after another, each of them a whole npy file. A line is an object with

    n    name, `steps[0][1].coef_`; t  type, `numpy.ndarray`; and one of
    of   how many values it holds, for what is no value itself
    v    None, a boolean, a number or a text;  i  an integer of any size, as text
    c    [real, imaginary];  b  bytes, as hexadecimal digits
    s    texts (or None), with their shape in d
    a    [place in arrays.bin, bytes, name of the dtype where npy has none for it]
    x    why it cannot be looked into

and the last line is {"end": number of lines, "cut": whether there was more than is looked at}. What
cannot be opened gives `failure.json` instead.
"""

import array
import copyreg
import datetime
import decimal
import enum
import fractions
import hashlib
import importlib
import io
import itertools
import json
import os
import pathlib
import pickle
import re
import struct
import sys
import traceback
import types
import uuid
import zipfile
from typing import Any

MAX_ITEMS = 250000
MAX_DEPTH = 200
_KEY = 200
_TEXT_BYTES = 1 << 20
_BYTES = 256
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray)
_WITH_SLOTS = ([dict, dict], [type(None), dict])
_HOLDING = (dict, list, tuple, set, frozenset)
_AS_TEXT = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    decimal.Decimal,
    enum.Enum,
    fractions.Fraction,
    pathlib.PurePath,
    range,
    slice,
    type(re.compile("")),
    uuid.UUID,
)
_BY_NAME = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.GeneratorType,
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NUMPY_WRAPPER = "joblib.numpy_pickle"
_UNPACKERS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ", "lzma"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x78", "zlib"),
    (b"\x04\x22\x4d\x18", "lz4.frame"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
)


def main() -> None:
    source, into = sys.argv[1], sys.argv[2]
    # Modules beside the program's script are found as they were when it ran.
    sys.path[:1] = list(dict.fromkeys([*sys.argv[3:], os.getcwd()]))
    ours = sys.modules["__main__"]
    # What the program's own script had defined would otherwise be looked for in this one.
    sys.modules["__main__"] = _Script("__main__")
    try:
        found = load(source)
        with Writer(into) as writer:
            write_items(found, writer)
    except BaseException as error:
        with open(os.path.join(into, "failure.json"), "w") as file:
            json.dump(_failure(error), file)
    del ours


def load(path: str) -> object:
    """What is in the file, by whichever library wrote it."""
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"PK\x03\x04"):
        return _load_zip(path)
    if start.startswith(b"\x93NUMPY"):
        return importlib.import_module("numpy").load(path, allow_pickle=True)
    if any(start.startswith(magic) for magic, _name in _UNPACKERS):
        return _load_compressed(path, start)
    if _is_old_torch(path):
        return _load_torch(path)
    try:
        with open(path, "rb") as file:
            return _Unpickler(file).load()
    except _WrittenByJoblibError:
        return importlib.import_module("joblib").load(path)


def _load_zip(path):
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
    if all(name.endswith(".npy") for name in names):
        with importlib.import_module("numpy").load(path, allow_pickle=True) as arrays:
            return {name: arrays[name] for name in arrays.files}
    if any(name.endswith("/constants.pkl") for name in names):
        module = importlib.import_module("torch").jit.load(path, map_location="cpu")
        code = {name: _script(each) for name, each in module.named_modules()}
        return {"code": code, "state": dict(module.state_dict())}
    return _load_torch(path)


def _script(module):
    try:
        return module.code
    except (AttributeError, RuntimeError):  # it has no method of its own
        return None


def _load_torch(path):
    torch = importlib.import_module("torch")
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except TypeError as error:  # older than 1.13
        if "weights_only" not in str(error):
            raise
        return torch.load(path, map_location="cpu")


def _load_compressed(path, start):
    try:
        joblib = importlib.import_module("joblib")
    except ImportError:
        name = next(name for magic, name in _UNPACKERS if start.startswith(magic))
        module = importlib.import_module(name)
        if name == "zlib":
            with open(path, "rb") as file:
                return _Unpickler(io.BytesIO(module.decompress(file.read()))).load()
        with module.open(path, "rb") as file:
            return _Unpickler(file).load()
    return joblib.load(path)


def _is_old_torch(path):
    """A file of torch before 1.6: a pickle of its magic number, then more pickles."""
    with open(path, "rb") as file:
        return b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in file.read(64)


class _WrittenByJoblibError(Exception):
    """The pickle has arrays between its parts, as joblib writes them."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module == _NUMPY_WRAPPER:
            raise _WrittenByJoblibError()
        if module == "torch.storage" and name == "_load_from_bytes":
            return _storage_from_bytes
        return pickle.Unpickler.find_class(self, module, name)


def _storage_from_bytes(data):
    """Tensors of a GPU, on a machine that may have none."""
    return _load_torch(io.BytesIO(data))


class _Named(type):
    """Stands in also for what is defined inside a class: `Outer.Inner`."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Named(name, (_Stand,), {"__module__": cls.__module__})
        made.__qualname__ = cls.__qualname__ + "." + name
        setattr(cls, name, made)
        return made


class _Stand(metaclass=_Named):
    """Stands for a class (or function) of the program's own script, `__main__`, which is not run.

    It takes whatever the class was made and filled with.
    """

    def __new__(cls, *args, **kwargs):
        made = object.__new__(cls)
        made.__dict__["(made of)"] = (args, kwargs)
        return made

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        self.__dict__["(state)"] = state

    def append(self, value):
        self.__dict__.setdefault("(list)", []).append(value)

    def extend(self, values):
        self.__dict__.setdefault("(list)", []).extend(values)

    def __setitem__(self, key, value):
        self.__dict__.setdefault("(dict)", {})[key] = value


class _Script(types.ModuleType):
    """The module `__main__` of a pickle."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Named(name, (_Stand,), {"__module__": "__main__"})
        setattr(self, name, made)
        return made


class Writer:
    """Writes values by name. A name that is there already gets a number."""

    def __init__(self, folder: str) -> None:
        self._tree = open(os.path.join(folder, "tree.jsonl"), "w", encoding="ascii")
        self._arrays = open(os.path.join(folder, "arrays.bin"), "wb")
        self._names: "dict[str, int]" = {}
        self._placed: "dict[int, Any]" = {}
        self.count: int = 0
        self.cut: bool = False

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        if kind is None:
            self._tree.write(json.dumps({"end": self.count, "cut": self.cut}) + "\n")
        self._tree.close()
        self._arrays.close()

    def unique(self, name: str) -> str:
        """The name, or the first free one that begins with it."""
        times = self._names.get(name, 0)
        self._names[name] = times + 1
        return self.unique(name + "#" + str(times + 1)) if times else name

    def put(self, name: str, kind: str, **value: object) -> None:
        self.count += 1
        line = dict(value, n=name, t=kind)
        self._tree.write(json.dumps(line) + "\n")

    def put_array(self, name: str, kind: str, data: Any, known_as: str = "") -> None:
        """A NumPy array of anything but objects; the same one is written once."""
        key = id(data)
        if key not in self._placed:
            from numpy.lib import format as npy

            start = self._arrays.tell()
            npy.write_array(self._arrays, data, allow_pickle=False)
            # With the array, so that no other gets its id.
            self._placed[key] = (start, self._arrays.tell() - start, data)
        start, size, _kept = self._placed[key]
        self.put(name, kind, a=[start, size, known_as])

    def put_numbers(self, name: str, kind: str, code: str, values: Any) -> None:
        """A list of numbers, where there may be no NumPy."""
        data = values if isinstance(values, bytes) else array.array(code, values).tobytes()
        order = {"?": "|", "B": "|"}.get(code, "<" if sys.byteorder == "little" else ">")
        dtype = order + {"?": "b1", "B": "u1", "q": "i8", "d": "f8", "f": "f4"}[code]
        width = int(dtype[2:])
        text = "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }\n"
        header = (text % (dtype, len(data) // width)).encode("ascii")
        start = self._arrays.tell()
        self._arrays.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)
        self.put(name, kind, a=[start, self._arrays.tell() - start, ""])


class _Node:
    """A value on its way to be written; the chain of `above` finds what leads back to itself."""

    __slots__ = ("above", "depth", "name", "single", "value")

    def __init__(self, name, value, above, single=False):
        self.name = name
        self.value = value
        self.above = above
        self.depth = above.depth + 1 if above else 0
        self.single = single

    def circle(self):
        node = self.above
        while node is not None:
            if node.value is self.value:
                return node
            node = node.above
        return None


def write_items(found: object, writer: Writer, most: int = MAX_ITEMS) -> None:
    """Write all that the value holds, without recursion, up to so many items."""
    waiting = [_Node("", found, None)]
    while waiting:
        node = waiting.pop()
        if writer.count >= most:
            writer.cut = True
            return
        node.name = writer.unique(node.name)
        kind = type_name(type(node.value))
        try:
            children = _write(node, kind, writer)
        except (MemoryError, OSError):
            raise
        except Exception as error:
            writer.put(node.name, kind, x=_words(error))
            continue
        waiting.extend(_Node(*child) for child in reversed(children))


def _write(node, kind, writer):
    """Write one value, and give those in it."""
    value = node.value
    if type(value) in _PLAIN:
        _write_plain(node, kind, writer)
        return []
    if isinstance(value, _AS_TEXT):
        writer.put(node.name, kind, v=_text(value))
        return []
    if isinstance(value, _BY_NAME):
        return _write_by_name(node, kind, writer)
    circle = node.circle()
    if circle is not None:
        writer.put(node.name, kind, v="leads back to " + (circle.name or "the whole"))
        return []
    if node.depth > MAX_DEPTH:
        writer.put(node.name, kind, x="it is nested more than %d deep" % MAX_DEPTH)
        return []
    for reader in (_numpy, _sparse, _torch, _pandas, _booster, _holding):
        children = reader(node, kind, writer)
        if children is not None:
            return children
    return _by_state(node, kind, writer)


def _write_plain(node, kind, writer):
    value = node.value
    if isinstance(value, complex):
        writer.put(node.name, kind, c=[value.real, value.imag])
    elif type(value) is int and abs(value) >= 1 << 63:
        writer.put(node.name, kind, i="%#x" % value)
    elif isinstance(value, str) and len(value) > _TEXT_BYTES:
        writer.put_numbers(node.name, kind, "B", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, (bytes, bytearray)):
        if len(value) > _BYTES:
            writer.put_numbers(node.name, kind, "B", bytes(value))
        else:
            writer.put(node.name, kind, b=bytes(value).hex())
    else:
        writer.put(node.name, kind, v=value)


def _write_by_name(node, kind, writer):
    """Functions, classes, modules: their name. One that was pickled as code shows its code."""
    value = node.value
    name = type_name(value) if isinstance(value, type) else _qualified(value)
    writer.put(node.name, kind, v=name)
    if not isinstance(value, types.FunctionType) or _is_importable(value):
        return []
    code = value.__code__
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    parts = [
        ("code", code.co_code),
        ("names", code.co_names),
        ("constants", tuple(_code(each) for each in code.co_consts)),
        ("defaults", value.__defaults__),
        ("closure", cells),
    ]
    return [(node.name + "." + part, held, node) for part, held in parts if held]


def _code(constant):
    if isinstance(constant, types.CodeType):
        return (constant.co_code, tuple(_code(each) for each in constant.co_consts))
    return constant


def _is_importable(function):
    found = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _numpy(node, kind, writer):
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    value = node.value
    random, masked = sys.modules.get("numpy.random"), sys.modules.get("numpy.ma")
    if isinstance(value, getattr(random, "RandomState", ())):
        return _held(node, kind, writer, value.get_state(legacy=False))
    if isinstance(value, getattr(random, "Generator", ())):
        return _held(node, kind, writer, value.bit_generator.state)
    if isinstance(value, numpy.dtype):
        writer.put(node.name, kind, v=str(value))
        return []
    if isinstance(value, numpy.ufunc):
        writer.put(node.name, kind, v="numpy." + value.__name__)
        return []
    if isinstance(value, getattr(masked, "MaskedArray", ())):
        mask = masked.getmaskarray(value)
        # What is hidden may be anything.
        data = value.filled(0) if value.dtype.kind in "biufc" else value.data
        parts = {"data": data, "mask": mask}
        return _held(node, kind, writer, parts)
    if not isinstance(value, (numpy.ndarray, numpy.generic)):
        return None
    return _array(node, kind, writer, value, numpy)


def _sparse(node, kind, writer):
    """A matrix in one form: in which order entries stand, and which zeros are stored, is no part
    of it, nor is whether anybody has looked at that."""
    sparse = sys.modules.get("scipy.sparse")
    value = node.value
    kinds = ("csr", "csc", "bsr", "coo")
    if sparse is None or not sparse.issparse(value) or value.format not in kinds:
        return None
    value = value.copy()
    value.sum_duplicates()
    value.eliminate_zeros()
    state = {key: held for key, held in vars(value).items() if not re.match("_?has_", key)}
    return _held(node, kind, writer, state)


def _array(node, kind, writer, value, numpy):
    if type(value) is not numpy.ndarray:
        value = numpy.asarray(value)
    dtype = value.dtype
    if dtype.char == "T":  # NumPy's text of any length
        value, dtype = value.astype(object), numpy.dtype(object)
    if dtype.hasobject and dtype.names:
        return _held(node, kind, writer, {name: value[name] for name in dtype.names})
    if dtype.hasobject:
        return _objects(node, kind, writer, value, numpy.ndindex(value.shape))
    known_as = ""
    if dtype.kind == "V" and not dtype.names and not dtype.name.startswith("void"):
        known_as = dtype.name  # bfloat16 and its like, of ml_dtypes
        value = value.view("u%d" % dtype.itemsize)
    writer.put_array(node.name, kind, value, known_as)
    return []


def _objects(node, kind, writer, value, places):
    """An array of objects: of texts as one, else one by one."""
    flat = [(place, value[place]) for place in _bounded(places)]
    texts = [held for _place, held in flat]
    if len(flat) == value.size and _texts(texts):
        writer.put(node.name, kind, s=texts, d=value.shape)
        return []
    writer.put(node.name, kind, of=value.size)
    steps = ("[" + ",".join(map(str, place)) + "]" if place else "()" for place, _held in flat)
    return [(node.name + step, held, node) for step, (_place, held) in zip(steps, flat)]


def _torch(node, kind, writer):
    torch = sys.modules.get("torch")
    value = node.value
    if not isinstance(value, getattr(torch, "Tensor", ())):
        if isinstance(value, getattr(getattr(torch, "nn", None), "Module", ())):
            return _held(node, kind, writer, _module_parts(value))
        if isinstance(value, (getattr(torch, "dtype", ()), getattr(torch, "device", ()))):
            writer.put(node.name, kind, v=str(value))
            return []
        return None
    value = value.detach().cpu()
    if value.is_quantized:
        parts = {"values": value.int_repr(), "scheme": str(value.qscheme())}
        if "per_tensor" in parts["scheme"]:
            parts.update(scale=value.q_scale(), zero_point=value.q_zero_point())
        else:
            parts.update(
                scale=value.q_per_channel_scales(), zero_point=value.q_per_channel_zero_points()
            )
        return _held(node, kind, writer, parts)
    if value.layout is torch.sparse_coo:
        value = value.coalesce()
        parts = {"indices": value.indices(), "values": value.values(), "shape": tuple(value.shape)}
        return _held(node, kind, writer, parts)
    if value.layout is not torch.strided:
        value = value.to_dense()
    for name in ("resolve_conj", "resolve_neg"):
        value = getattr(value, name)() if hasattr(value, name) else value
    known_as = str(value.dtype).replace("torch.", "")
    if known_as.startswith(("bfloat16", "float8")):
        plain = torch.int16 if known_as == "bfloat16" else torch.uint8
        writer.put_array(node.name, kind, value.contiguous().view(plain).numpy(), known_as)
    else:
        writer.put_array(node.name, kind, value.numpy())
    return []


def _module_parts(module):
    """A torch module's state, its parts by their own names: `layer1.weight`."""
    state = module.__getstate__() if hasattr(module, "__getstate__") else None
    state = dict(state if isinstance(state, dict) else vars(module))
    parts = {}
    for group in ("_parameters", "_buffers", "_modules"):
        parts.update(state.pop(group, None) or {})
    # Hooks are functions; empty ones are in every module.
    parts.update((key, held) for key, held in state.items() if held or "hooks" not in str(key))
    return parts


def _pandas(node, kind, writer):
    pandas = sys.modules.get("pandas")
    value = node.value
    if isinstance(value, getattr(pandas, "DataFrame", ())):
        writer.put(node.name, kind, of=len(value.columns))
        pairs = [
            (_step(label), _column(value.iloc[:, place]))
            for place, label in enumerate(value.columns)
        ]
        pairs += [(".index", value.index), (".columns.names", list(value.columns.names))]
        return [(_joined(node.name, step), held, node) for step, held in pairs]
    if isinstance(value, getattr(pandas, "Series", ())):
        parts = {"values": _column(value), "index": value.index, "name": value.name}
        return _held(node, kind, writer, parts)
    if isinstance(value, getattr(pandas, "Categorical", ())):
        return _held(node, kind, writer, _categorical(value))
    if isinstance(value, getattr(pandas, "RangeIndex", ())):
        writer.put(node.name, kind, v=str(range(value.start, value.stop, value.step)))
        return []
    if isinstance(value, getattr(pandas, "MultiIndex", ())):
        parts = {"levels": list(value.levels), "codes": list(value.codes)}
        parts["names"] = list(value.names)
        return _held(node, kind, writer, parts)
    if isinstance(value, getattr(pandas, "Index", ())):
        return _held(node, kind, writer, {"values": _column(value), "name": value.name})
    if isinstance(value, (getattr(pandas, "Timestamp", ()), getattr(pandas, "Timedelta", ()))):
        writer.put(node.name, kind, v=str(value))
        return []
    if value is getattr(pandas, "NaT", node) or value is getattr(pandas, "NA", node):
        writer.put(node.name, kind, v=str(value))
        return []
    return None


def _categorical(held):
    """Values by the number of their category; where it says nothing which one is the first, the
    categories stand in order."""
    if not held.ordered:
        try:
            held = held.reorder_categories(sorted(held.categories))
        except TypeError:  # texts beside numbers
            pass
    return {"codes": held.codes, "categories": held.categories, "ordered": held.ordered}


def _column(values):
    """A column's values as an array of NumPy, where that says all, or as pandas has them."""
    held = values.array
    if type(held).__name__ in ("NumpyExtensionArray", "PandasArray"):
        return held.to_numpy()
    if str(values.dtype).startswith("str"):
        numpy = sys.modules["numpy"]
        texts = [None if missing else str(text) for text, missing in zip(values, values.isna())]
        return numpy.array([*texts, None], object)[:-1]
    if type(held).__name__ == "Categorical":
        return _categorical(held)
    if type(held).__name__ == "DatetimeArray":
        return {"values": held.view("i8"), "dtype": str(held.dtype)}
    return held


def _booster(node, kind, writer):
    """Boosted trees, whose own state is a buffer that only their library reads."""
    value = node.value
    module = type(value).__module__.partition(".")[0]
    if module == "xgboost" and hasattr(value, "save_raw") and hasattr(value, "save_config"):
        tree = json.loads(bytes(value.save_raw("json")).decode("utf-8"))
        writer.put(node.name, kind, of=len(tree))
        # XGBoost's numbers are float32, whatever its JSON looks like.
        return [(node.name + _step(key), tree[key], node, True) for key in tree]
    if module == "lightgbm" and hasattr(value, "model_to_string"):
        parts = _lightgbm(value.model_to_string())
        for name in ("params", "best_iteration", "best_score"):
            parts["(" + name + ")"] = getattr(value, name, None)
        return _held(node, kind, writer, parts)
    if module == "catboost" and hasattr(value, "save_model") and value.is_fitted():
        place = os.path.join("/tmp", uuid.uuid4().hex)
        value.save_model(place, format="json")
        with open(place, encoding="utf-8") as file:
            tree = json.load(file)
        os.remove(place)
        return _held(node, kind, writer, {"params": value.get_params(), "model": tree})
    return None


def _lightgbm(text):
    """LightGBM's own text: blocks of `name=values`, a block for each tree."""
    parts, trees = {}, []
    current = parts
    for line in text.splitlines():
        name, equals, values = line.partition("=")
        if name == "Tree":
            current = {}
            trees.append(current)
        elif line in ("end of trees", "tree", "parameters:"):
            current = parts
        if equals and name not in ("Tree", "tree_sizes"):
            current[name] = _numbers_in(values)
        elif line.startswith("["):
            key, _colon, setting = line.strip("[]").partition(": ")
            parts.setdefault("parameters", {})[key] = setting
        elif line and not equals:
            parts.setdefault("lines", []).append(line)
    parts["trees"] = trees
    return parts


def _numbers_in(text):
    words = text.split(" ")
    for reader in (int, float):
        try:
            return [reader(word) for word in words]
        except ValueError:
            continue
    return text


def _holding(node, kind, writer):
    """Dicts, lists, tuples, sets, and classes made from them."""
    value = node.value
    if not isinstance(value, _HOLDING):
        return None
    own = [(key, vars(value)[key]) for key in getattr(value, "__dict__", ())]
    if isinstance(value, dict):
        if isinstance(getattr(value, "default_factory", None), _BY_NAME):
            own.append(("default_factory", value.default_factory))
        pairs = [(_step(key), held) for key, held in _bounded(dict.items(value))]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = [("." + str(key), held) for key, held in zip(value._fields, value)]
    else:
        values = list(value)
        if isinstance(value, (set, frozenset)):
            values = sorted(values, key=_text)
        if not own and _write_list(node, kind, writer, values):
            return []
        pairs = [("[%d]" % place, held) for place, held in _bounded(enumerate(values))]
    writer.put(node.name, kind, of=len(value))
    pairs += [("." + str(key), held) for key, held in own]
    return [(_joined(node.name, step), held, node, node.single) for step, held in pairs]


def _write_list(node, kind, writer, values):
    """Whether the values were written as one: numbers of one type, or texts."""
    kinds = {type(each) for each in values}
    if kinds == {int, float} and all(abs(each) <= 1 << 53 for each in values if type(each) is int):
        kinds = {float}
    if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
        return False
    if kinds == {str}:
        if not _texts(values):
            return False
        writer.put(node.name, kind, s=values, d=[len(values)])
    elif kinds == {bool}:
        writer.put_numbers(node.name, kind, "?", bytes(values))
    elif kinds == {int}:
        if not all(-(1 << 63) <= each < 1 << 63 for each in values):
            return False
        writer.put_numbers(node.name, kind, "q", values)
    else:
        writer.put_numbers(node.name, kind, "f" if node.single else "d", values)
    return True


def _texts(values):
    """Whether these are texts (or None) that fit into one line together."""
    total = 0
    for each in values:
        if each is not None and type(each) is not str:
            return False
        total += 4 if each is None else len(each)
    return total <= 8 * _TEXT_BYTES and any(each is not None for each in values)


def _by_state(node, kind, writer):
    """Any other object: what it would be pickled as."""
    value = node.value
    if isinstance(value, _Stand):
        return _held(node, kind, writer, _stand_parts(value))
    reduce = getattr(copyreg, "dispatch_table", {}).get(type(value))
    made = reduce(value) if reduce else value.__reduce_ex__(min(4, pickle.HIGHEST_PROTOCOL))
    if isinstance(made, str):
        writer.put(node.name, kind, v=made)
        return []
    function, arguments, state, listed, mapped = (tuple(made) + (None,) * 3)[:5]
    pairs = _made_by(function, arguments, type(value))
    pairs += _state_parts(state)
    pairs += [("[%d]" % place, each) for place, each in _bounded(enumerate(listed or ()))]
    pairs += [(_step(key), each) for key, each in _bounded(mapped or ())]
    writer.put(node.name, kind, of=len(pairs))
    return [(_joined(node.name, step), held, node) for step, held in pairs]


def _made_by(function, arguments, kind):
    """How the object is made, where that says more than its class."""
    if function is getattr(copyreg, "__newobj__", None):
        arguments = arguments[1:]
    elif function is getattr(copyreg, "__newobj_ex__", None):
        arguments = tuple(arguments[1]) + tuple((arguments[2] or {}).items())
    elif function is getattr(copyreg, "_reconstructor", None):
        arguments = [each for each in arguments[2:] if each is not None]
    elif function is not kind:
        name = type_name(function) if isinstance(function, type) else _qualified(function)
        arguments = [each for each in arguments if each is not kind]
        made = [("(made of)[%d]" % place, each) for place, each in enumerate(arguments)]
        return [("(made by)", name), *made]
    return [("(made of)[%d]" % place, each) for place, each in enumerate(arguments)]


def _state_parts(state):
    slots = None
    if isinstance(state, tuple) and [type(each) for each in state] in _WITH_SLOTS:
        state, slots = state
    pairs = []
    for part in (state, slots):
        if isinstance(part, dict):
            pairs += [(_step(key), held) for key, held in part.items()]
        elif part is not None:
            pairs.append(("(state)", part))
    return pairs


def _stand_parts(value):
    """What a stand-in was made of and filled with; its state's parts by their own names."""
    held = dict(vars(value))
    args, kwargs = held.pop("(made of)", ((), {}))
    parts = {}
    if args or kwargs:
        parts["(made of)"] = list(args) + sorted(kwargs.items())
    for key in ("(list)", "(dict)"):
        if key in held:
            parts[key] = held.pop(key)
    state = held.pop("(state)", None)
    parts.update(held)
    for step, each in _state_parts(state):
        parts[step[1:] if step.startswith(".") else step] = each
    return parts


def _held(node, kind, writer, parts):
    """An object as the parts that a reader took it for."""
    writer.put(node.name, kind, of=len(parts))
    return [(_joined(node.name, _step(key)), held, node) for key, held in parts.items()]


def _bounded(values):
    """As many as are looked at, and one more by which it shows that there are more."""
    return list(itertools.islice(values, MAX_ITEMS + 1))


def _joined(name, step):
    return name + step if name else step[1:] if step.startswith(".") and step[1:] else step


def _step(key):
    """The part of a name that a key stands for: `.coef_`, `[3]`, `[('a', 1)]`."""
    if type(key) is str:
        return "." + _short(key) if key else '.""'
    return "[" + _short(_text(key)) + "]"


def _short(text):
    if len(text) <= _KEY:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return text[:_KEY] + "\u2026" + digest


def _text(value):
    """A text that is the same in every process, without addresses."""
    return _ADDRESS.sub("", repr(value))


def type_name(kind: object) -> str:
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", str(kind))
    return name if module in (None, "builtins") else str(module) + "." + name


def _qualified(value):
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or _text(value)
    module = getattr(value, "__module__", None)
    return name if module in (None, "builtins") else str(module) + "." + name


def _words(error):
    return ("%s: %s" % (type(error).__name__, error))[:500]


def _failure(error):
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return {
        "error": _words(error),
        "module": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        "at": "" if last is None else "%s:%s" % (last[0], last[1]),
    }


if __name__ == "__main__":
    main()
