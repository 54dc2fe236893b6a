"""Names of numbers that a clock, the system or a generator of ids gave, not a model.

They are narrow on purpose: `fit_time` is how long a program took whatever it computes, while a
`survival_time` or an `arrival_time` is what it predicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORK: Final = (
    "train|training|fit|fitting|score|scoring|step|epoch|batch|iter|iteration|loop|load|loading"
    "|data|dataloader|total|wall|wall_clock|cpu|user|sys|run|exec|execution|infer|inference"
    "|predict|prediction|eval|evaluation|val|validation|test|testing|build|compile|compilation"
    "|startup|setup|preprocess|preprocessing|postprocess|process|processing|forward|backward"
    "|learn|learning|rollout|encode|encoding|decode|decoding|tokenize|tokenization"
    "|optim|optimizer|search|tune|tuning|refit|compute|io|save|saving|read|write|cross_val"
)
_HOW: Final = "rank|mean|std|avg|average|median|max|min|sum|last|first|per|p[0-9]{1,3}"
_UNIT: Final = (
    r"(?:_(?:s|ms|us|ns|secs?|seconds?|millis|mins?|minutes?|h|hours?|total|per_(?:step|epoch)"
    rf"|{_HOW}))*"
)
_MEMORY: Final = (
    "(?:(?:gpu|cuda|cpu|host|process|resident|virtual|peak|max|device)_(?:mem|memory|ram|rss)"
    "|rss|vram|memory_(?:allocated|reserved|usage|used))"
)
# Of any number of values: nothing else is called so.
_SURE: Final = re.compile(
    rf"(?:(?:{_HOW}|{_WORK})_)*(?:(?:{_WORK})_(?:times?|durations?|latency|seconds|secs|ms)"
    r"|time_(?:this_iter|since_restore|total)|elapsed(?:_time)?|time_elapsed|runtime|wall_?clock|wall_?time|time_?taken|took|throughput|eta|fps"
    r"|(?:[a-z]+_)?(?:samples|steps|tokens|items|iterations|iters|examples|images|records|rows"
    r"|batches|it|words|frames|requests)_per_(?:s|secs?|seconds?|mins?|minutes?))"
    rf"{_UNIT}"
    r"|(?:time_?stamp|unix_?time|created|started|finished|updated|saved|trained|generated|exported)"
    rf"_(?:at|on|time|ts){_UNIT}|time_?stamps?{_UNIT}"
    rf"|(?:start|end|begin|finish|creation)_(?:time_?stamp|ts){_UNIT}"
    rf"|(?:(?:{_HOW}|peak|max|current|used)_)*{_MEMORY}(?:_(?:allocated|reserved|used|usage|peak))?"
    r"(?:_(?:k|m|g)i?b|_bytes|_percent|_pct)?|(?:cpu|gpu|ram|vram)_(?:util(?:i[sz]ation)?_)?(?:percent|pct|util(?:i[sz]ation)?)",
)
# Of one value alone: a column of such may well be data.
_LONE: Final = re.compile(
    rf"(?:time|duration|seconds|secs|latency|timings?){_UNIT}"
    rf"|(?:created|started|finished|updated|saved|trained|generated|exported){_UNIT}"
    rf"|(?:start|end|begin|finish|creation|(?:last_)?(?:update|modified|modification))_time{_UNIT}|ts"
)
_ABOVE: Final = re.compile(r"(?:(?:timings?|durations?|latency|latencies|elapsed)(?:_[a-z]{1,7})?)")
_ID: Final = re.compile(
    r"(?:[a-z]+_)?(?:run|session|trace|span|job|request|experiment|process|invocation"
    r"|correlation)_?(?:id|uuid|uid)|uuid|guid|p?pid|nonce"
)
_DIGEST: Final = re.compile(r"(?:^|_)(?:md5|sha_?[0-9]{1,3}|digest|checksum|hash|etag)(?:sum)?$")
_RUN_DATE: Final = re.compile(
    rf"today|date|(?:{_WORK}|report|creation|created|generation|generated|export|release)_(?:date|day)"
)
_HOST: Final = re.compile(r"(?:host|node|machine)_?(?:name|ip|address)|host|fqdn|ip_address")
# In a log of training, where they are how long it took so far; else they are data.
_IN_LOGS: Final = re.compile(
    r"passed(?:_time)?|remaining(?:_time)?|time_left|time_passed|times|durs?|durations"
)
_COUNTERS: Final = re.compile(
    r"(?:global_|train_|training_)?(?:step|epoch|iter|iteration|batch|round|episode|update)s?"
)
_SPLITS: Final = "train|training|learn|val|valid|validation|eval|test"
_SCORES: Final = (
    "loss|logloss|acc|accuracy|error|err|auc|f1|mse|rmse|mae|perplexity|ppl|score|reward|iou|map"
)
# `acc` alone may be an acceleration, and `error` that of a sensor: those take more of a name.
_OF_TRAINING: Final = re.compile(
    rf"loss|perplexity|grad_norm|lr|learning_rate|(?:{_SPLITS})_(?:\w+_)?(?:{_SCORES})"
    rf"|(?:avg|mean|total|running)_loss|(?:ep|episode|mean)_(?:rew|reward|return)(?:_mean)?"
)
_SECTIONS: Final = re.compile(rf"{_SPLITS}|metrics|lr|loss|losses|rollout")
_PARTS: Final = re.compile(r"[^.\[\]/]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_INDEX: Final = re.compile(r"[0-9*]+")


def is_measured(item: str, size: int) -> bool:
    """Whether an item is called as what a clock or the system says: how long something took, when
    it was, how much memory was in use.

    Args:
        item: its path, `history[3].fit_time`.
        size: how many values it has.
    """
    parts = _parts(item)
    if not parts:
        return False
    if _SURE.fullmatch(parts[-1]):
        return True
    if size != 1:
        return False
    return bool(_LONE.fullmatch(parts[-1])) or any(_ABOVE.fullmatch(each) for each in parts[:-1])


def depends_on_neighbours(name: str) -> bool:
    """Whether a column of this name is a clock's in a log of training, and data elsewhere."""
    parts = _parts(name)
    return bool(parts) and any(each.fullmatch(parts[-1]) for each in (_LONE, _IN_LOGS))


def is_counter(name: str) -> bool:
    """Whether a column of this name counts the steps of something."""
    parts = _parts(name)
    return bool(parts) and _COUNTERS.fullmatch(parts[-1]) is not None


def are_of_training(names: Iterable[str]) -> bool:
    """Whether columns of these names are a log of training: what counts its steps, and what only
    training has, as Ultralytics, fastai, Lightning and CatBoost call it: `train/box_loss`, `lr`.
    """
    names = tuple(names)
    paths = [parts for parts in map(_parts, names) if parts]
    ends = {parts[-1] for parts in paths}
    if {"loss", "val_loss"} <= ends:  # Keras counts no steps in its history
        return True
    if not any(map(is_counter, names)):
        return False
    if any(end.startswith("passed") for end in ends) and any(
        end.startswith("remaining") for end in ends
    ):
        return True
    return any(_OF_TRAINING.fullmatch(end) for end in ends) or any(
        _SECTIONS.fullmatch(parts[0]) for parts in paths if len(parts) > 1
    )


def is_id(item: str) -> bool:
    """Whether an item is called as what tells one run from another."""
    parts = _parts(item)
    return bool(parts) and _ID.fullmatch(parts[-1]) is not None


def is_date_of_run(item: str) -> bool:
    """Whether a single date is called as the day of a run is."""
    parts = _parts(item)
    return bool(parts) and (is_measured(item, 1) or _RUN_DATE.fullmatch(parts[-1]) is not None)


def is_digest(item: str) -> bool:
    """Whether an item is called as a digest of contents, which no two runs draw at random."""
    parts = _parts(item)
    return bool(parts) and _DIGEST.search(parts[-1]) is not None


def is_process(item: str) -> bool:
    """Whether an item is called as the number of a process."""
    parts = _parts(item)
    return bool(parts) and parts[-1] in ("pid", "ppid", "process_id")


def is_host(item: str) -> bool:
    """Whether an item is called as the machine is on which something ran."""
    parts = _parts(item)
    return bool(parts) and _HOST.fullmatch(parts[-1]) is not None


def _parts(item: str) -> list[str]:
    """The words of a path in snake case, without places in lists."""
    found = (part for part in _PARTS.findall(item[-500:]) if not _INDEX.fullmatch(part))
    return [re.sub(r"[\s-]+", "_", _HUMP.sub("_", part)).lower().strip("_") for part in found]
