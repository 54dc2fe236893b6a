"""Weights and data that a build fetches without knowing which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.fetched_scripts import CHECKED, moves, run_as_it_comes
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, script_text, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import ImageFinding, Severity

# Paths of URLs: by their end, by the words in the name of an archive, by the branch of a hub.
_WEIGHTS: Final = re.compile(
    r"\.(ckpt|pt|pth|safetensors|onnx|gguf|ggml|h5|keras|tflite|npz|joblib|pkl|csv|parquet|jsonl)$"
    r"|model[^/]*\.bin$|/resolve/(main|master)/"
    r"|(model|weight|checkpoint|pretrained|embedding|dataset|/data)(?!.*/(archive|tarball|zipball)/)"
    r".*\.(zip|tar|tgz|tar\.\w+)$",
    re.IGNORECASE,
)
# Not of a folder: `from_pretrained("/models/a")` fetches nothing.
_HUB_CALL: Final = re.compile(
    r"\b(from_pretrained|snapshot_download|hf_hub_download|load_dataset|SentenceTransformer"
    r"|hub\.load|nltk\.download)\((?!\s*\\?[\"'][./])"
)
# Programs that fetch by the name of what they fetch → the words that do so.
_FETCHES: Final = {
    "hf": ("download",), "huggingface-cli": ("download",), "modelscope": ("download",),
    "gdown": (), "ollama": ("pull",), "kaggle": ("download",), "azcopy": ("copy", "sync"),
    "aws": ("cp", "sync"), "gsutil": ("cp", "rsync"), "gcloud": ("cp", "rsync"),
}  # fmt: skip
_BUCKETS: Final = ("s3://", "gs://")
_HUB: Final = re.compile(r"https://(\w+@)?huggingface\.co/")
_LINK: Final = "https://docs.docker.com/reference/dockerfile/#add---checksum"


def download_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Instructions that fetch weights or data with neither a checksum nor a revision."""
    scripts = {id(each) for stage in recipe.stages for each in run_as_it_comes(stage.body)}
    for each in recipe.instructions:
        how = "" if id(each) in scripts else _fetched(each)
        if how:
            yield ImageFinding(
                rule="ML014",
                severity=Severity.INFO,
                what=f"{how} fetches what it gets without a checksum or a revision",
                place=place,
                line=each.line,
                why="tomorrow the same line may fetch something else, and results change with it; "
                "each push and pull of the image carries it",
                mend="ADD --checksum=sha256:… URL PATH\n"
                "or --revision COMMIT (revision=… in Python)\n"
                "or mount weights and data where they are needed (inputs)",
                link=_LINK,
            )


def _fetched(each: Instruction) -> str:
    """What fetches weights, as a message names it; "" for nothing."""
    if each.word == "ADD" and "checksum" not in dict(each.flags):
        return "ADD" if any(map(_is_file, each.copied[0])) else ""
    text = script_text(each)
    if CHECKED.search(text):
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
    if program in _FETCHES and _is_download(command):
        verb = next((word for word in words if word in _FETCHES[program]), program)
        return " ".join(words[: words.index(verb) + 1] if verb != program else (program,))
    if words[1:3] == ("-m", "nltk.downloader"):
        return "nltk.downloader"
    if program == "git" and "clone" in words and any(map(_HUB.match, words)):
        return "git clone"
    return ""


def _is_download(command: ShellCommand) -> bool:
    """Whether it fetches something, and no revision says which."""
    verbs, words = _FETCHES[command.program], command.words[1:]
    if command.has("--revision") or (verbs and not set(verbs) & set(words)):
        return False
    if command.program in ("aws", "gsutil", "gcloud"):  # from a bucket, not into one
        at = next(at for at, word in enumerate(words) if word in verbs)
        places = [word for word in words[at + 1 :] if not word.startswith("-")]
        return bool(places) and places[0].startswith(_BUCKETS)
    return True


def _is_file(word: str) -> bool:
    """Whether ADD fetches it as a file without a version; of a repository it takes a commit."""
    return _is_weights(word) or (moves(word) and not urlsplit(word).path.endswith(".git"))


def _is_weights(word: str) -> bool:
    return "://" in word and _WEIGHTS.search(urlsplit(word).path) is not None
