"""The check `start`: the image's default command starts, and ends, as it is declared."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.start.declared import DeclaredStart, parse_declared
from pytest_mlcontainer.image_checks.start.findings import (
    KILLED,
    configuration_findings,
    confined_note,
    exposed_findings,
    run_findings,
    stop_findings,
    user_findings,
)
from pytest_mlcontainer.image_checks.start.users import read_passwd
from pytest_mlcontainer.image_checks.start.watching import STEADY_S, Observed, observe
from pytest_mlcontainer.model import CheckReport, Image, ImageFinding, Platform, Target

_NOT_RUN = (
    "the default command was not started: neither start.serves nor start.exit-codes says how it "
    "goes on, and it may train for an hour"
)


def check_start(inputs: CheckInputs) -> CheckReport:
    """What is declared, held against the image's configuration and against a start of it.

    Raises:
        EngineError: the engine goes away or does not answer.
    """
    platform = inputs.platform
    assert platform is not None
    image, target = inputs.image(platform), inputs.target(platform)
    declared = parse_declared(inputs.check).on(target)
    findings = list(configuration_findings(image, declared))
    notes: list[str] = []
    seen = None
    if declared.is_run:
        seen = _observed(inputs, image, platform, declared)
        findings += _of_run(inputs, image, target, declared, seen)
        notes += [*_emulated(target), *_unseen(declared, image, seen)]
    else:
        notes.append(_NOT_RUN)
    if declared.user:
        passwd = read_passwd(inputs.engine(platform), image, platform)
        findings += user_findings(image, declared, passwd, None if seen is None else seen.user)
    report = inputs.report(tuple(findings), tuple(notes))
    if seen is None:
        return report
    return replace(report, headline=_headline(declared, seen), figures=tuple(_figures(seen)))


def _observed(
    inputs: CheckInputs, image: Image, platform: Platform, declared: DeclaredStart
) -> Observed:
    inputs.log(f"starting {image.reference}")
    spec = declared.spec(image, platform)
    return observe(inputs.engine(platform), spec, image, declared, stops=True)


def _of_run(
    inputs: CheckInputs,
    image: Image,
    target: Target,
    declared: DeclaredStart,
    seen: Observed,
) -> Iterator[ImageFinding]:
    failed = tuple(run_findings(image, declared, seen))
    emulated = f"{target.platform} is emulated here" if target.emulated else ""
    if failed:
        rules = {each.rule for each in failed}
        known = _known_restriction(inputs, image, target.platform, declared, rules)
        yield from (
            replace(each, why="\n".join(filter(None, (known, each.why, emulated))))
            for each in failed
        )
    yield from stop_findings(image, declared, seen, emulated=target.emulated is True)
    yield from exposed_findings(image, seen)


def _known_restriction(
    inputs: CheckInputs,
    image: Image,
    platform: Platform,
    declared: DeclaredStart,
    rules: Container[str],
) -> str:
    """Which restriction is to blame, known by starting it once more without that one.

    Args:
        rules: by which it failed. Without the restriction another may come to light.
    """
    freed = {
        "read-only": replace(declared, read_only=False) if declared.read_only else None,
        "network": replace(declared, network="bridge") if declared.network == "none" else None,
    }
    for name, milder in freed.items():
        if milder is None:
            continue
        inputs.log(f"starting {image.reference} once more, without {name}")
        spec = milder.spec(image, platform)
        seen = observe(inputs.engine(platform), spec, image, milder, stops=False)
        left = tuple(run_findings(image, milder, seen))
        if not any(each.rule in rules for each in left):
            return confined_note(name, seen, left)
    return ""


def _emulated(target: Target) -> Iterator[str]:
    if target.emulated:
        cpu = "" if target.cpu is None else f" (emulated CPU: {target.cpu})"
        yield (
            f"{target.platform} is emulated here{cpu}: what runs into start.timeout or "
            "start.stop-timeout may be in time on a machine of its own kind"
        )


def _unseen(declared: DeclaredStart, image: Image, seen: Observed) -> Iterator[str]:
    if seen.refused is not None or seen.ended is not None:
        return
    if declared.port is not None and seen.listeners is None:
        yield (
            f"whether anything listens on port {declared.port} was not seen: that takes a `cat` in "
            "the image and a network of its own"
        )
    if image.health and declared.serves and seen.health is None:
        yield "the engine did not say what came of HEALTHCHECK"


def _headline(declared: DeclaredStart, seen: Observed) -> str:
    if seen.refused is not None:
        return ""
    if seen.ended is not None:
        return f"ended with exit code {seen.ended.code} after {seen.ran_s:.1f} s"
    if not seen.ready:
        return f"still running after {seen.ran_s:.1f} s"
    if seen.health is not None:
        up = f"healthy after {seen.ran_s:.1f} s"
    elif declared.port is not None and seen.listeners is not None:
        up = f"listening on port {declared.port} after {seen.ran_s:.1f} s"
    else:
        up = f"still running after {min(STEADY_S, declared.timeout_s):g} s"
    if seen.stopped is None:
        return up
    killed = seen.stopped.code == KILLED and seen.stop_s >= declared.stop_timeout_s
    return f"{up}, {'killed after' if killed else 'stopped in'} {seen.stop_s:.1f} s"


def _figures(seen: Observed) -> Iterator[tuple[str, float | int | None]]:
    if seen.refused is None:
        yield "ran_s", round(seen.ran_s, 2)
        yield "exit_code", None if seen.ended is None else seen.ended.code
        yield "stop_s", round(seen.stop_s, 2) if seen.stopped is not None else None
