"""Weights and data that a build fetches without knowing which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, script_text, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity

# Ends of the paths of URLs.
_WEIGHTS: Final = re.compile(
    r"(\.(ckpt|pt|pth|safetensors|onnx|gguf|ggml|h5|keras|tflite|npz|joblib|pkl)|model[^/]*\.bin)$",
    re.IGNORECASE,
)
_CHECKED: Final = re.compile(r"\b(sha\d+|md5|b2)sum\b|\bopenssl dgst\b|--checksum\b|hashlib")
_HUB_CALL: Final = re.compile(r"\b(from_pretrained|snapshot_download|hf_hub_download)\(")
_HUB: Final = re.compile(r"https://(\w+@)?huggingface\.co/")
_LINK: Final = "https://docs.docker.com/reference/dockerfile/#add---checksum"


def download_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Instructions that fetch weights or data with neither a checksum nor a revision."""
    for each in recipe.instructions:
        how = _fetched(each)
        if how:
            yield ImageFinding(
                rule="ML014",
                severity=Severity.INFO,
                what=f"{how} fetches weights or data without a checksum or a revision",
                place=place,
                line=each.line,
                why="tomorrow the same line may fetch others, and results change with them; each "
                "push and pull of the image carries them",
                mend="ADD --checksum=sha256:… URL PATH\n"
                "or --revision COMMIT (revision=… in Python)\n"
                "or mount them where they are needed (inputs)",
                link=_LINK,
            )


def _fetched(each: Instruction) -> str:
    """What fetches weights, as a message names it; "" for nothing."""
    if each.word == "ADD" and "checksum" not in dict(each.flags):
        return "ADD" if any(map(_is_weights, each.copied[0])) else ""
    text = script_text(each)
    if _CHECKED.search(text):
        return ""
    found = next(filter(None, map(_fetches, shell_commands(each))), "")
    call = _HUB_CALL.search(text)
    if not found and call and "revision" not in text:
        return f"{call[1]}()"
    return found


def _fetches(command: ShellCommand) -> str:
    words, program = command.words, command.program
    if program in ("curl", "wget", "aria2c") and any(map(_is_weights, words[1:])):
        return program
    if program in ("hf", "huggingface-cli") and words[1:2] == ("download",):
        return "" if command.has("--revision") else f"{program} download"
    if program == "git" and "clone" in words and any(map(_HUB.match, words)):
        return "git clone"
    return ""


def _is_weights(word: str) -> bool:
    return "://" in word and _WEIGHTS.search(urlsplit(word).path) is not None
