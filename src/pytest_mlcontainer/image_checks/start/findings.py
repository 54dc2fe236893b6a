"""What is found where an image does not start as it is declared."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.engines import HealthState
from pytest_mlcontainer.image_checks.start.declared import DeclaredStart
from pytest_mlcontainer.image_checks.start.stopping import signal_name, stop_reason
from pytest_mlcontainer.image_checks.start.users import NON_ROOT, user_number
from pytest_mlcontainer.image_checks.start.watching import Listener, Observed
from pytest_mlcontainer.model import Image, ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

KILLED: Final = 128 + signal.SIGKILL
"""Exit code of what was killed."""

_LINES: Final = 6
_HEALTH: Final = "https://docs.docker.com/reference/dockerfile/#healthcheck"
_STOPPING: Final = "https://docs.docker.com/reference/dockerfile/#exec-form-entrypoint-example"


def _error(rule: str, what: str, why: str = "", mend: str = "", link: str = "") -> ImageFinding:
    return ImageFinding(rule, Severity.ERROR, what, why=why, mend=mend, link=link)


def configuration_findings(image: Image, declared: DeclaredStart) -> Iterator[ImageFinding]:
    """Where the image's configuration is another than is declared."""
    labels = dict(image.labels)
    for name, value in declared.labels:
        if name not in labels:
            mend = f'LABEL {name}="{value or "…"}"'
            yield _error("ST001", f"the image has no label {name}", mend=mend)
        elif value is not None and labels[name] != value:
            what = f"the label {name} is {labels[name]!r}, declared is {value!r}"
            yield _error("ST001", what, mend=f'LABEL {name}="{value}"')
    if declared.entrypoint is not None and declared.entrypoint != image.entrypoint:
        what = f"the entrypoint is {_shown(image.entrypoint)}"
        yield _error(
            "ST002",
            f"{what}, declared is {_shown(declared.entrypoint)}",
            mend=f"ENTRYPOINT {_shown(declared.entrypoint)}",
        )
    for port in declared.ports:
        if port not in image.ports:
            exposed = f"it exposes {', '.join(image.ports)}" if image.ports else "it exposes none"
            mend = f"EXPOSE {port.removesuffix('/tcp')}"
            yield _error("ST003", f"port {port} is not exposed", exposed, mend)


def user_findings(
    image: Image, declared: DeclaredStart, passwd: str, seen: int | None
) -> Iterator[ImageFinding]:
    """Where it runs as another user.

    Args:
        passwd: the image's `/etc/passwd`.
        seen: number of the user of the first process; None where that was not seen.
    """
    if not declared.user:
        return
    number = user_number(image.user, passwd) if seen is None else seen
    where = "USER" if seen is None else "the first process"
    wanted = None if declared.user == NON_ROOT else user_number(declared.user, passwd)
    if number is None or (declared.user == NON_ROOT and number != 0):
        return
    if declared.user != NON_ROOT and (wanted == number or declared.user == image.user):
        return
    if declared.user != NON_ROOT and wanted is None:
        what = f"the image has no user {declared.user}, which is declared"
        yield _error("ST004", what, mend=f"RUN useradd --create-home {declared.user}")
        return
    shown = f"{number}{' (root)' if number == 0 else ''}"
    what = f"{where} is user {shown}, declared is {declared.user}"
    said = f"its USER is {image.user}" if image.user else "the image sets no USER"
    mend = "USER 1000" if declared.user == NON_ROOT else f"USER {declared.user}"
    yield _error("ST004", what, said, mend)


def run_findings(image: Image, declared: DeclaredStart, seen: Observed) -> Iterator[ImageFinding]:
    """Where it does not go as it is declared; the first reason alone."""
    if seen.refused is not None:
        error = seen.refused
        yield _error("ST005", f"the default command does not start: {error.what}",
                     error.value, error.remedy)  # fmt: skip
    elif seen.ended is not None:
        yield from _ended(declared, seen)
    elif not declared.serves:
        what = f"the default command has not ended within {declared.timeout_s:g} s"
        codes = ", ".join(map(str, declared.exit_codes))
        mend = "raise start.timeout; or declare that it goes on: serves = true"
        yield _error("ST006", f"{what}, declared is exit code {codes}", _words(seen), mend)
    elif seen.health is not None and seen.health.state is not HealthState.HEALTHY:
        yield _unhealthy(image, seen)
    elif not seen.ready:
        yield _not_listening(declared, seen)


def _ended(declared: DeclaredStart, seen: Observed) -> Iterator[ImageFinding]:
    assert seen.ended is not None
    code = seen.ended.code
    if declared.exit_codes and code in declared.exit_codes:
        return
    how = f"the default command ended with exit code {code}{_signal(code)} after {seen.ran_s:.1f} s"
    if declared.serves:
        how += ", declared is that it goes on running"
    else:
        how += f", declared is {', '.join(map(str, declared.exit_codes))}"
    if seen.ended.oom_killed:
        how += "; its memory ran out"
    mend = "what it printed says why; give it what it needs: start.env, start.writable"
    yield _error("ST006", how, _words(seen), mend)


def _signal(code: int | None) -> str:
    names = {128 + each.value: each.name for each in signal.Signals}
    return f" ({names[code]})" if code in names else ""


def _not_listening(declared: DeclaredStart, seen: Observed) -> ImageFinding:
    what = f"nothing can connect to port {declared.port} after {seen.ran_s:.0f} s"
    there = seen.listeners or ()
    if any(each.port == declared.port for each in there):
        return _error(
            "ST007",
            what,
            f"it listens on the container's own loopback alone (127.0.0.1:{declared.port}), which "
            "nothing outside of the container reaches",
            "bind 0.0.0.0: `uvicorn --host 0.0.0.0`, `flask run --host=0.0.0.0`, "
            "`jupyter --ip=0.0.0.0`",
        )
    others = ", ".join(_address(each) for each in there)
    why = f"it listens on {others}" if others else f"it listens on no port; {_words(seen)}"
    mend = "serves = the port that it listens on, or raise start.timeout if it takes longer"
    return _error("ST007", what, why, mend)


def _address(listener: Listener) -> str:
    return f"{'127.0.0.1:' if listener.loopback else ''}{listener.port}"


def _unhealthy(image: Image, seen: Observed) -> ImageFinding:
    health = seen.health
    assert health is not None
    command = " ".join(image.health[1:])
    state = "unhealthy" if health.state is HealthState.UNHEALTHY else "not healthy"
    what = f"HEALTHCHECK `{command}` is {state} after {seen.ran_s:.0f} s"
    said = _tail(health.output)
    why = f"the last probe ended with exit code {health.exit_code}" + (
        f" and printed:\n{said}" if said else " and printed nothing"
    )
    if health.exit_code is None:
        why = "no probe has ended yet"
    if seen.listeners is not None:
        why += f"\nit listens on: {', '.join(map(_address, seen.listeners)) or 'no port'}"
    lacks = "not found" in health.output or health.exit_code in (126, 127)
    mend = (
        "its program is not in the image: install it, or probe with what is there: "
        'CMD ["python", "-c", "import urllib.request as u; u.urlopen(\'http://localhost:8000/\')"]'
        if lacks
        else "run that command with `docker exec`; a slow start needs --start-period"
    )
    return _error("ST008", what, why, mend, _HEALTH)


def stop_findings(
    image: Image, declared: DeclaredStart, seen: Observed, *, emulated: bool
) -> Iterator[ImageFinding]:
    """Where it does not end in time when it is asked to.

    Args:
        emulated: what is seen of its first process is the emulator's.
    """
    if not seen.ready or seen.ended is not None:
        return
    stopped = seen.stopped
    in_time = seen.stop_s < declared.stop_timeout_s
    if stopped is not None and (in_time or stopped.code != KILLED):
        return
    reason = stop_reason(image, None if emulated else seen.first)
    name = signal_name(image)
    what = f"{name} does not end it within {declared.stop_timeout_s:g} s; SIGKILL did"
    yield _error("ST009", what, reason.why, reason.mend, _STOPPING)


def exposed_findings(image: Image, seen: Observed) -> Iterator[ImageFinding]:
    """Ports that are exposed, and where nothing listens once it is ready."""
    if not seen.ready or seen.listeners is None or seen.ended is not None:
        return
    there = {each.port for each in seen.listeners}
    for port in image.ports:
        number, _slash, protocol = port.partition("/")
        if protocol == "tcp" and int(number) not in there:
            shown = ", ".join(map(_address, seen.listeners)) or "none"
            yield ImageFinding(
                "ST010",
                Severity.WARNING,
                f"port {number} is exposed, and nothing listens on it",
                why=f"it listens on: {shown}",
                mend=f"EXPOSE what it listens on, or leave out `EXPOSE {number}`",
            )


def confined_note(freed: str, seen: Observed, left: tuple[ImageFinding, ...] = ()) -> str:
    """What happened without one of the restrictions, said of a start that failed with it.

    Args:
        left: what is wrong without it, which is something else.
    """
    goes = "it goes as declared"
    if left:
        goes = "that does not happen, but then: " + "; ".join(each.what for each in left)
    if freed == "read-only":
        paths = [path for path in seen.written if not path.startswith(("/tmp/", "/run/", "/dev/"))]
        wrote = f"; there it wrote {first_and_count(paths, _LINES)}" if paths else ""
        return f"with a root file system that it may write to, {goes}{wrote}"
    return f"with a network {goes}"


def _words(seen: Observed) -> str:
    said = _tail(seen.words)
    return f"its last lines:\n{said}" if said else "it printed nothing"


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"  {line[:200]}" for line in lines[-_LINES:])


def _shown(arguments: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in arguments) + "]" if arguments else "none"
