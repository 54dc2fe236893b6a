"""Secrets that are written in a Dockerfile, or given to it as build arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.stages import Recipe, pairs
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.secrets import is_secret_name

# Tokens whose form tells whose they are; none is printed anywhere.
_TOKENS: Final = (
    ("Hugging Face", r"\bhf_[A-Za-z0-9]{30,}\b"),
    ("GitHub", r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b"),
    ("GitLab", r"\bglpat-[\w-]{20,}"),
    ("AWS", r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("Google", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("OpenAI", r"\bsk-(proj-)?[A-Za-z0-9_-]{32,}"),
    ("Slack", r"\bxox[baprs]-[A-Za-z0-9-]{20,}"),
    ("npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("PyPI", r"\bpypi-AgE[A-Za-z0-9_-]{40,}"),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
)
_TOKEN: Final = tuple((name, re.compile(pattern)) for name, pattern in _TOKENS)
_INVENTED: Final = re.compile(r"EXAMPLE|example|x{6,}|X{6,}|0{8,}|(?i:your|changeme|placeholder)")
_IN_URL: Final = re.compile(r"\b(?:https?|git|ftp)(?:\+\w+)?://([^\s/@\"'`:]*):([^\s/@\"'`]+)@")
_USER_IN_URL: Final = re.compile(r"\bhttps?://(\$\{?\w+\}?)@")
_NO_SECRET: Final = re.compile(r"\d+(\.\d+)?|true|false|yes|no|on|off|none|null|/.*", re.IGNORECASE)
# What a RUN sets or sends, where a secret is written out: its name and value, or a value alone.
_SET_IN_RUN: Final = re.compile(r"""(?:^|[\s;&|('"])([A-Za-z_]\w*)=["']?([^\s"'$`;&|)]+)""")
_SENT_IN_RUN: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"""--(?:\w+-)?(?:token|password|passwd|api-key)(?:=|\s+)["']?([^\s"'$`;&|-][^\s"'$`;&|]*)""",
        r"""\bauthorization:\s*(?:bearer|token|basic)\s+([^\s"'$`]{8,})""",
        r"""\blogin\s+\S+\s+password\s+([^\s"'$`]+)""",
        r"""\bwandb\s+login\s+(?:--\S+\s+)*([0-9a-f]{40})\b""",
        r"""["'](?:api_?)?(?:key|token|password|secret)\\?["']\s*:\s*\\?["']([\w-]{16,})\\?["']""",
    )
)
# A command that is given a secret by a variable: its name.
_GIVEN_IN_RUN: Final = re.compile(
    r"""(?:--(?:\w+-)?(?:token|password|passwd|api-key)[=\s]+|\bwandb\s+login\s+|"""
    r"""\bauthorization:\s*(?:bearer|token|basic)\s+)["']?\$\{?(\w+)""",
    re.IGNORECASE,
)
_LINK: Final = "https://docs.docker.com/build/building/secrets/"
_MEND: Final = (
    "RUN --mount=type=secret,id={id},env={name} …\n"
    'and [tool.mlcontainer] build-secrets = {{ {id} = "env:{name}" }}; at run time it is in '
    "`secrets` of the entrypoint"
)


def credential_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Secrets in any stage: also one that is not in the image is in caches and logs."""
    arguments = {
        name for each in recipe.instructions if each.word == "ARG" for name, _value in pairs(each)
    }
    for each in recipe.instructions:
        literal = _literal(each)
        if literal:
            yield _finding(each, place, Severity.ERROR, literal, "TOKEN")
            continue
        named = _named(each) or _given(each, arguments)
        if named:
            name, what = named
            yield _finding(each, place, Severity.WARNING, what, name)


def _literal(each: Instruction) -> str:
    """What a secret is whose very text is there; "" for none."""
    text = "\n".join((each.rest, *each.heredocs))
    for whose, pattern in _TOKEN:
        found = pattern.search(text)
        if found and not _INVENTED.search(found[0]):
            kind = whose if whose.startswith("a ") else f"a token of {whose}"
            return f"{kind} is written in the Dockerfile"
    for found in _IN_URL.finditer(text):
        if "$" not in found[2] and not _INVENTED.search(found[2]) and found[2] != "password":
            return "a password is written in a URL"
    return ""


def _named(each: Instruction) -> tuple[str, str] | None:
    """The name of a variable that holds a secret, and what is wrong; None for most."""
    if each.word in ("ENV", "ARG", "LABEL"):
        for name, value in pairs(each):
            if not is_secret_name(name) or _NO_SECRET.fullmatch(value):
                continue
            if each.word == "ARG":
                return name, f"the secret {name} is a build argument"
            if value:
                how = "is a label of" if each.word == "LABEL" else "is set in"
                return name, f"the secret {name} {how} the image"
    elif each.word == "RUN":
        return _written_in_run(each) or _put_into_url(each)
    return None


def _written_in_run(each: Instruction) -> tuple[str, str] | None:
    """A secret that a command has as text."""
    text = "\n".join((each.rest, *each.heredocs))
    for name, value in _SET_IN_RUN.findall(text):
        if is_secret_name(name) and _is_text(value):
            return name, f"the secret {name} is written in a command"
    for pattern in _SENT_IN_RUN:
        if any(map(_is_text, pattern.findall(text))):
            return "TOKEN", "a secret is written in a command"
    return None


def _given(each: Instruction, arguments: set[str]) -> tuple[str, str] | None:
    """A build argument that a command takes for a token or a password."""
    found = _GIVEN_IN_RUN.search(each.rest) if each.word == "RUN" else None
    # One that is called like a secret was told of where it is declared.
    if found and found[1] in arguments and not (is_secret_name(found[1]) or _mounts_secret(each)):
        return found[1], f"the build argument {found[1]} is used as a secret"
    return None


def _is_text(value: str) -> bool:
    return not (_NO_SECRET.fullmatch(value) or _INVENTED.search(value))


def _put_into_url(each: Instruction) -> tuple[str, str] | None:
    if not _mounts_secret(each):
        found = _IN_URL.search(each.rest)
        held = found[2] if found else (_USER_IN_URL.search(each.rest) or ["", ""])[1]
        if held.startswith("$") and not held.startswith("$("):
            return held.strip("${}"), "a secret is put into a URL by a build argument"
    return None


def _mounts_secret(each: Instruction) -> bool:
    return any(name == "mount" and "type=secret" in value for name, value in each.flags)


def _finding(
    each: Instruction, place: str, severity: Severity, what: str, name: str
) -> ImageFinding:
    id = re.sub(r"\W+", "_", name).lower() or "token"
    return ImageFinding(
        rule="ML007",
        severity=severity,
        what=what,
        place=place,
        line=each.line,
        why="whoever has the image, its build cache or the build's log can read it; a later "
        "instruction removes it from none of them",
        mend=_MEND.format(id=id, name=name)
        + (
            "\nand revoke this one: it is in the history of the repository"
            if severity is Severity.ERROR
            else ""
        ),
        link=_LINK,
    )
