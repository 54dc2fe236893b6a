"""Values of secrets are taken out of whatever is shown, in every form that they usually have."""

from __future__ import annotations

import base64
import html
import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.errors import ConfigError, MlContainerError, RunError
from pytest_mlcontainer.model import Failure, Platform, Target, Verdict
from pytest_mlcontainer.report.results import Result, RunResult
from pytest_mlcontainer.secrets import Redactor, Value

TOKEN = b"hf_q8/+Zr \xc3\xa9\"<'&w\\2"
KEY = b"""-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu
short
-----END PRIVATE KEY-----
"""
SECRETS = Redactor((Value("HF_TOKEN", TOKEN), Value("/run/secrets/key", KEY)))
LINES = KEY.splitlines()[1:3]


def redacted(data: bytes, *, piece: int = 1 << 20, hidden: Redactor = SECRETS) -> bytes:
    stream = hidden.stream()
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    return b"".join(map(stream.feed, pieces)) + stream.end()


def forms(value: bytes) -> dict[str, bytes]:
    text = value.decode()
    return {
        "plain": value,
        "url": quote(text, safe="").encode(),
        "url path": quote(text).encode(),
        "form": quote_plus(text).encode(),
        "json": json.dumps(text)[1:-1].encode(),
        "utf-8 json": json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        "repr": repr(text)[1:-1].encode(),
        "repr of bytes": repr(value)[2:-1].encode(),
        "html": html.escape(text).encode(),
        "hex": value.hex().encode(),
        "HEX": value.hex().upper().encode(),
    }


@pytest.mark.parametrize("form", sorted(forms(TOKEN)))
def test_every_usual_form_is_replaced(form: str) -> None:
    """Whatever library wrote it into a log."""
    assert redacted(b"token=" + forms(TOKEN)[form] + b";") == b"token=***;"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"u", b"us", b"usr", b"user:"])
def test_base64_is_replaced_wherever_the_value_stands_in_it(
    encode: Callable[[bytes], bytes], before: bytes
) -> None:
    """`Authorization: Basic` has a user before the password; what is left tells nothing of it."""
    encoded = encode(before + TOKEN + b"\n")
    left = redacted(b"Basic " + encoded)
    assert b"***" in left
    assert len(left) < len(b"Basic ***") + len(base64.b64encode(before)) + 5


@pytest.mark.parametrize("command", ["base64", "base64 -w 0", "openssl base64"])
def test_what_programs_make_of_a_file_is_replaced(tmp_path: Path, command: str) -> None:
    """They break lines, each in its own way."""
    file = tmp_path / "key"
    file.write_bytes(KEY)
    argv = [*shlex.split(command), *(["-in"] if "openssl" in command else []), str(file)]
    try:
        printed = subprocess.run(argv, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip(f"no {argv[0]} here")
    left = redacted(printed)
    assert len(left) < len(printed) / 5
    assert b"".join(printed.split())[100:130] not in b"".join(left.split())


def test_each_line_of_a_value_is_replaced() -> None:
    """A log has a line at a time, behind a time stamp or indented; armour is no secret."""
    printed = b"\n".join(b"12:00  | " + line for line in KEY.splitlines())
    left = redacted(printed)
    assert not any(line in left for line in LINES)
    assert b"-----BEGIN PRIVATE KEY-----" in left
    assert redacted(KEY).count(b"***") <= 2


@given(
    st.lists(st.sampled_from((b"x", b"\n", b"***", TOKEN, TOKEN[:7], TOKEN[3:], KEY, *LINES))),
    st.integers(1, 200),
    st.booleans(),
)
def test_pieces_may_end_anywhere(parts: list[bytes], piece: int, much: bool) -> None:
    """What comes out does not depend on how it came in, and holds no value."""
    data = b"".join(parts)
    if much:
        data = b"y" * 70_000 + data + b"z" * 70_000 + data
    whole = redacted(data)
    assert redacted(data, piece=piece * (997 if much else 1)) == whole
    assert not any(value in whole for value in (TOKEN, *LINES))


def test_a_log_that_is_cut_ends_without_the_beginning_of_a_value() -> None:
    """A limit may fall into the middle of one."""
    for data, left in (
        (b"say " + TOKEN[:9], b"say ***"),
        (b"say " + TOKEN[:3], b"say " + TOKEN[:3]),
        (b"say " + TOKEN + TOKEN[:5], b"say ******"),
        (b"z" * 90_000 + TOKEN[:-1], b"z" * 90_000 + b"***"),
    ):
        stream = SECRETS.stream()
        assert stream.feed(data) + stream.end(cut=True) == left
        assert redacted(data).endswith(data[-3:])


def test_values_that_overlap_leave_nothing() -> None:
    """The end of the one is the beginning of the other."""
    hidden = Redactor((Value("a", b"abcdefgh"), Value("b", b"efghijkl"), Value("c", b"hij-klmno")))
    for piece in (1, 3, 100):
        data = b"<" + b"abcdefghijkl" * 2 + b">"
        assert redacted(data, hidden=hidden, piece=piece) == b"<***>"


def test_what_is_no_secret_is_left_alone() -> None:
    """Byte for byte, and without any secret nothing is held back."""
    data = bytes(range(256)) * 999
    assert redacted(data) == data
    stream = Redactor().stream()
    assert stream.feed(data[:3]) == data[:3]


def test_text_errors_failures_and_mappings_are_redacted() -> None:
    """All that goes into reports."""
    token = TOKEN.decode()
    error = SECRETS.error(RunError(f"{token} failed", f"see {token}\ud800", "mend it"))
    assert (type(error), error.args) == (RunError, ("*** failed", "see ***\ud800", "mend it"))
    same = RunError("failed")
    assert SECRETS.error(same) is same
    failure = SECRETS.failure(Failure(token, "b", f"not {token}"))
    assert failure == Failure("***", "b", "not ***")
    target = Target(Platform("linux", "amd64"))
    run = RunResult("1", token, target, 0, 1.5, Failure("a", token, "c"))
    result = Result(run, note=f"of {token}", unlisted=((Verdict.DRIFT, 3),))
    assert SECRETS.clean(result) == replace(
        result, run=replace(run, entrypoint="***", failure=Failure("a", "***", "c")), note="of ***"
    )
    named = Redactor((Value("odd", b"equivalent"),))
    assert named.clean((Verdict.EQUIVALENT, "equivalent")) == (Verdict.EQUIVALENT, "***")
    assert SECRETS.clean(run.target) is run.target
    with pytest.raises(MlContainerError) as caught, SECRETS.guarding():
        raise RunError("it failed", token)
    assert caught.value.value == "***"
    assert caught.value.__suppress_context__
    problem = ConfigError("file", [MlContainerError("a", "b")])
    assert SECRETS.error(problem) is problem


def test_nothing_that_knows_a_value_shows_it() -> None:
    """Not in a traceback with local variables either."""
    for thing in (SECRETS, SECRETS.values[0], SECRETS.stream(), SECRETS.search()):
        assert "hf_q8" not in repr(thing)


@pytest.mark.parametrize("piece", [1, 7, 5000])
def test_a_search_tells_whose_value_it_is(piece: int) -> None:
    """Also across pieces; a short line of a value by itself tells nothing."""
    for name, value in (("HF_TOKEN", TOKEN), ("/run/secrets/key", LINES[1])):
        search = SECRETS.search()
        data = b"0" * 999 + value + b"1" * 999
        for at in range(0, len(data), piece):
            search.feed(data[at : at + piece])
        assert search.found == name
    assert SECRETS.found_in("short -----BEGIN PRIVATE KEY-----") is None
    assert SECRETS.found_in(f"outputs/{TOKEN.decode()}.txt") == "HF_TOKEN"


def test_a_copy_is_redacted(tmp_path: Path) -> None:
    """For logs that a program wrote by itself."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * 65_530 + TOKEN + b"y" * 65_536)
    SECRETS.copy(source, target)
    assert target.read_bytes() == b"x" * 65_530 + b"***" + b"y" * 65_536
