"""TensorBoard's event files: what was logged counts, and when it was logged does not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, Only

NAME = "events.out.tfevents.1764343264.host.7.0"


def varint(value: int) -> bytes:
    value %= 1 << 64
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def of_bytes(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def record(event: bytes) -> bytes:
    """Checksums are not looked at."""
    return struct.pack("<Q", len(event)) + b"crc1" + event + b"crc2"


def value(tag: str, content: bytes) -> bytes:
    return of_bytes(5, of_bytes(1, of_bytes(1, tag.encode()) + content))


def scalar(tag: str, number: float) -> bytes:
    return value(tag, varint(2 << 3 | 5) + struct.pack("<f", number))


def tensor(tag: str, *numbers: float) -> bytes:
    """As TensorFlow 2 writes scalars and arrays, with notes for how they are shown."""
    content = np.array(numbers, "<f4").tobytes()
    return value(tag, of_bytes(9, b"plugin") + of_bytes(8, b"\x08\x01" + of_bytes(4, content)))


def histogram(tag: str, low: float, buckets: list[float]) -> bytes:
    parts = varint(1 << 3 | 1) + struct.pack("<d", low)
    return value(tag, of_bytes(5, parts + of_bytes(7, np.array(buckets, "<f8").tobytes())))


def events(*summaries: bytes, wall: float = 1764343264.5, steps: int = 1) -> bytes:
    def at(step: int, rest: bytes) -> bytes:
        return record(b"\x09" + struct.pack("<d", wall + step) + b"\x10" + varint(step) + rest)

    first = record(b"\x09" + struct.pack("<d", wall) + of_bytes(3, b"brain.Event:2"))
    return first + b"".join(at(step * steps, each) for step, each in enumerate(summaries))


LOSSES = [scalar("loss", 1 / (step + 3)) for step in range(5)]


def test_the_time_of_day_does_not_count_and_values_do(compare: Compare) -> None:
    differences, _notes = compare(NAME, events(*LOSSES), events(*LOSSES, wall=1764999999.25))
    assert {each.verdict for each in differences} == {Verdict.IDENTICAL}
    other = [*LOSSES[:4], scalar("loss", 1 / 7 * 1.001)]
    differences, _notes = compare(NAME, events(*other), events(*LOSSES))
    (found,) = [each for each in differences if not each.verdict.passes]
    assert (found.item, found.differing, found.worst_index) == ("loss.value", 1, (4,))
    noisy = [*LOSSES[:4], scalar("loss", float(np.nextafter(np.float32(1 / 7), np.float32(1))))]
    differences, _notes = compare(NAME, events(*noisy), events(*LOSSES))
    assert all(each.verdict.passes for each in differences)


def test_steps_are_whole_numbers_and_missing_ones_are_seen(compare: Compare) -> None:
    differences, _notes = compare(NAME, events(*LOSSES, steps=3), events(*LOSSES, steps=2))
    assert [each.item for each in differences if not each.verdict.passes] == ["loss.step"]
    differences, _notes = compare(NAME, events(*LOSSES[:4]), events(*LOSSES))
    failing = {each.item for each in differences if not each.verdict.passes}
    assert failing == {"loss.step", "loss.value"}


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (tensor("acc", 0.5), tensor("acc", 0.25)),
        (tensor("emb", 0.5, 1.5), tensor("emb", 0.5, 1.75)),
        (histogram("w", -1.0, [3, 4]), histogram("w", -1.0, [3, 5])),
        (value("img", of_bytes(4, b"png")), value("img", of_bytes(4, b"gif"))),
        (of_bytes(4, b"graph a"), of_bytes(4, b"graph b")),
        (scalar("acc", 0.5), scalar("auc", 0.5)),
    ],
)
def test_all_that_can_be_logged_is_compared(
    compare: Compare, actual: bytes, expected: bytes
) -> None:
    one, other = events(*LOSSES, actual), events(*LOSSES, expected)
    assert any(not each.verdict.passes for each in compare(NAME, one, other)[0])
    assert all(each.verdict.passes for each in compare(NAME, one, one + b"")[0])


def text(tag: str, said: str) -> bytes:
    """As `add_text` of PyTorch and TensorFlow write it."""
    about = of_bytes(9, of_bytes(1, of_bytes(1, b"text")))
    return value(tag, about + of_bytes(8, b"\x08\x07" + of_bytes(8, said.encode())))


def double(number: float) -> bytes:
    return struct.pack("<d", number)


def hparams(rate: float, optimiser: str = "adam", started: float = 1.0) -> bytes:
    """As TensorBoard's plugin of hyperparameters keeps them, in the description of a tag."""
    pairs = {"lr": b"\x11" + double(rate), "optimiser": of_bytes(3, optimiser.encode())}
    held = [of_bytes(1, of_bytes(1, k.encode()) + of_bytes(2, v)) for k, v in pairs.items()]
    session = of_bytes(3, b"".join(held) + b"\x29" + double(started))
    plugin = of_bytes(1, b"hparams") + of_bytes(2, session)
    return value("_hparams_/session_start_info", of_bytes(9, of_bytes(1, plugin)))


def test_a_text_that_was_logged_is_shown_as_it_is(compare: Compare) -> None:
    """Two digests would say nothing to a reader."""
    found, _notes = compare(NAME, events(text("cfg", "lr 0.2")), events(text("cfg", "lr 0.1")))
    (off,) = [each for each in found if not each.verdict.passes]
    assert (off.item, off.worst_actual, off.worst_expected) == ("cfg.value", "lr 0.2", "lr 0.1")


def test_what_only_a_digest_tells_is_no_id_to_leave_out(compare: Compare) -> None:
    sides = [events(value("img", of_bytes(4, of_bytes(4, data)))) for data in (b"one", b"two")]
    (off,) = [each for each in compare(NAME, *sides)[0] if not each.verdict.passes]
    assert "ignore" not in off.note


def test_hyperparameters_count_and_when_a_session_began_does_not(compare: Compare) -> None:
    expected = events(hparams(0.1))
    found, _notes = compare(NAME, events(hparams(0.1, started=9.0)), expected)
    assert {each.verdict for each in found} == {Verdict.IDENTICAL}
    found, _notes = compare(NAME, events(hparams(0.2, "sgd")), expected)
    off = {each.item: (each.worst_actual, each.worst_expected) for each in found if each.differing}
    assert off == {"#hparams.lr": ("0.2", "0.1"), "#hparams.optimiser": ("sgd", "adam")}
    found, _notes = compare(NAME, events(*LOSSES), events(*LOSSES, hparams(0.1)))
    assert {each.item for each in found if not each.verdict.passes} == {"#hparams"}


def test_a_rule_holds_for_a_tag(compare: Compare) -> None:
    other = [*LOSSES[:4], scalar("loss", 0.15)]
    rule = Tolerance(rtol=0.1)
    differences, _notes = compare(NAME, events(*other), events(*LOSSES), rule, item="loss.value")
    assert all(each.verdict.passes for each in differences)


def test_a_file_that_was_cut_off_says_so(only: Only) -> None:
    found = only(NAME, events(*LOSSES)[:-9], events(*LOSSES))
    assert found.verdict is Verdict.FAILED
    assert "is a broken event file: the file ends within a record" in found.note


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_never_crashes_the_reader(compare: Compare, data: st.DataObject) -> None:
    whole = events(*LOSSES, tensor("emb", 0.5, 1.5), histogram("w", -1.0, [3, 4]))
    at = data.draw(st.integers(40, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(min_size=1, max_size=4)) + whole[at + 1 :]
    for each in compare(NAME, damaged, whole)[0]:
        assert " raised " not in each.note
