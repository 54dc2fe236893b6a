"""Inputs to start from, and what is done to them."""

from __future__ import annotations

import copy
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chaos.hostile_cases import cases
from benchmarks.chaos.hostile_tars import BLOCK, END, base_256, file, header, mend, pax
from pytest_mlcontainer.model import Output, Platform, Rule, Run, Target, Tolerance
from pytest_mlcontainer.records import FILE, Conditions, write_record

_LONGEST = 32 * BLOCK
_NUMBERS = (
    b"00000000000", b"77777777777", b"-1", b" 7 ", b"\xff" * 12, base_256(2**62), base_256(-1),
    b"1_0", b"", b"\0" * 12, b"8", b"00000001000",
)  # fmt: skip
_NAMES = (
    b"..", b"outputs/../..", b"/etc/passwd", b"outputs/" + b"d/" * 45, b"\xff\xfe", b"", b".",
    b"outputs/x", b"outputs/x/y", b"outputs//x", b"outputs/x/", b"/", b"outputs/a\nb",
    b"data/a.npz",
)  # fmt: skip
_FIELDS = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8), (156, 1),
           (157, 100), (257, 8), (345, 155), (482, 13))  # fmt: skip
_KINDS = b"01234567SKLxXgDMVNZ\0"
_KEYS = (b"path", b"linkpath", b"size", b"uid", b"GNU.sparse.realsize", b"GNU.sparse.map", b"a")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**18, 10**400, 1.5, float("nan"), float("inf"), -1e308, "", "..",
    "../secret", "/etc/passwd", "a\0b", "\ud800", "\udcff", "x" * 5000, "(", "(a+)+$", [], {}, [[]],
    [None], {"a": 1}, "canaries/secret", "outputs/model", "host", "linux/amd64", 2**64, "\u202e",
)  # fmt: skip


def tar_seeds() -> list[bytes]:
    """Small streams: a valid one, and the hostile ones."""
    valid = b"".join((
        header(b"outputs", b"5"), file(b"outputs/a", b"a" * 600),
        header(b"outputs/l", b"2", link=b"a"), header(b"outputs/h", b"1", link=b"outputs/a"),
        pax((b"path", b"outputs/" + b"p" * 120)), file(b"outputs/p"), END,
    ))  # fmt: skip
    streams = [case.stream() for case in cases() if case.stream is not None and not case.heavy]
    small = [data for data in (b"".join(stream) for stream in streams) if len(data) <= _LONGEST]
    return [valid] * 10 + small


def mutate_tar(data: bytes, others: Sequence[bytes], dice: random.Random) -> bytes:
    """The stream with one to five changes."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 5))):
        if changed:
            dice.choice(_CHANGES)(changed, others, dice)
    return bytes(changed)


def _change_field(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(max(1, len(data) // BLOCK)) * BLOCK
    if len(data) < at + BLOCK:
        return
    start, width = dice.choice(_FIELDS)
    value = {
        1: lambda: bytes((dice.choice(_KINDS),)),
        100: lambda: dice.choice(_NAMES),
        155: lambda: dice.choice(_NAMES),
    }.get(width, lambda: dice.choice(_NUMBERS))()
    data[at + start : at + start + width] = value[:width].ljust(width, b"\0")
    _mend(data, at, dice)


def _flip(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at] ^= 1 << dice.randrange(8)
    _mend(data, at // BLOCK * BLOCK, dice)


def _mend(data: bytearray, at: int, dice: random.Random) -> None:
    block = bytes(data[at : at + BLOCK])
    if dice.random() < 0.85 and len(block) == BLOCK:
        data[at : at + BLOCK] = mend(block)


def _splice(data: bytearray, others: Sequence[bytes], dice: random.Random) -> None:
    other = dice.choice(others)
    start = dice.randrange(len(other) // BLOCK + 1) * BLOCK
    at = dice.randrange(len(data) // BLOCK + 1) * BLOCK
    data[at:at] = other[start : start + BLOCK * dice.randint(1, 4)]
    del data[_LONGEST * 2 :]


def _cut(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    if dice.random() < 0.3:
        del data[dice.randrange(len(data)) :]
    else:
        at = dice.randrange(len(data) // BLOCK + 1) * BLOCK
        del data[at : at + BLOCK]


def _extend(data: bytearray, _others: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data) // BLOCK + 1) * BLOCK
    value = dice.choice((*_NAMES, *_NUMBERS))
    data[at:at] = pax((dice.choice(_KEYS), value), kind=dice.choice((b"x", b"x", b"g", b"X")))


_CHANGES = (_change_field, _change_field, _flip, _splice, _cut, _extend)


def record_seeds(folder: Path) -> tuple[list[str], dict[str, bytes]]:
    """Valid `record.json`s of the record in `folder`, which is made, and archives by ending."""
    (folder / "outputs").mkdir(parents=True, exist_ok=True)
    for name in ("stdout.log", "stderr.log", "outputs/model"):
        (folder / name).write_bytes(b"weights")
    run = Run(
        id="1", entrypoint="train", target=Target(Platform("linux", "amd64")), exit_code=0,
        duration_s=1.0, folder=folder, stdout=folder / "stdout.log", stderr=folder / "stderr.log",
        outputs=(Output("outputs/model", folder / "outputs" / "model", 7),),
    )  # fmt: skip
    conditions = Conditions((Rule("*", None, Tolerance(rtol=0.1)),), (("[0-9]", "N"),), ("*",))
    texts = []
    for digests in (True, False):
        write_record(run, conditions, digests=digests)
        texts.append((folder / FILE).read_text())
    return texts, _archives(folder)


def _archives(folder: Path) -> dict[str, bytes]:
    plain, packed, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for stream, mode in ((plain, "w"), (packed, "w:gz")):
        with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
            archive.add(folder, "record")
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            target.write(path, path.relative_to(folder))
    return {".tar": plain.getvalue(), ".tar.gz": packed.getvalue(), ".zip": zipped.getvalue()}


def mutate_json(value: Any, dice: random.Random) -> bytes:
    """The JSON text with values, keys or bytes of it changed."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        _change_value(value, dice)
    text = json.dumps(value).encode()
    if dice.random() < 0.15:
        changed = bytearray(text)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.choice(b'"[]{},:\\0e9-u \xff')
        text = bytes(changed)
    if dice.random() < 0.03:
        text = text[: dice.randrange(len(text))]
    if dice.random() < 0.03:
        depth = dice.choice((10, 500, 100_000))
        text = text.replace(b"null", b"[" * depth + b"]" * depth, 1)
    return text


def _change_value(value: Any, dice: random.Random) -> None:
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = dice.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and dice.random() < 0.7:
            value = value[key]
            continue
        draw = dice.random()
        if draw < 0.1:
            del value[key]
        elif draw < 0.2 and isinstance(value, dict):
            value[dice.choice(("", "x", "\ud800", "a" * 300))] = value.pop(key)
        elif draw < 0.3 and isinstance(value, list):
            value.extend(copy.deepcopy(value[key]) for _ in range(dice.randint(1, 3)))
        else:
            value[key] = copy.deepcopy(dice.choice(_VALUES))
        return
