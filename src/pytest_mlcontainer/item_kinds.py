"""Guesses what a compared item holds (labels, a metric, predictions), from its name and numbers."""

from __future__ import annotations

import math
import re
from pathlib import PurePosixPath

from pytest_mlcontainer.model import Difference, Verdict

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d?|\d+")
_LAST = re.compile(r"(?:[./]|^)([^./\[\]]+)(?:\[\d+\])*$")
_METRICS = frozenset({
    "accuracy", "acc", "auc", "auroc", "auprc", "f1", "fbeta", "precision", "recall",
    "sensitivity", "specificity", "mae", "mse", "rmse", "mape", "smape", "loss", "r2",
    "logloss", "perplexity", "ppl", "bleu", "rouge", "wer", "cer", "ndcg", "mrr", "iou", "dice",
    "brier", "kappa", "mcc", "score", "error", "silhouette", "inertia", "likelihood", "elbo",
})  # fmt: skip
_LABELS = frozenset({
    "label", "labels", "class", "classes", "pred", "preds", "prediction", "predictions",
    "predicted", "category", "categories", "cluster", "clusters", "decision", "decisions",
    "assignment", "assignments", "flag", "flags", "answer", "answers",
})  # fmt: skip
# What counts or points to something, and is no choice among labels.
_PLACES = frozenset({
    "feature", "features", "index", "indices", "idx", "node", "nodes", "child", "children", "left",
    "right", "parent", "parents", "split", "splits", "depth", "count", "counts", "num", "n", "size",
    "sizes", "offset", "offsets", "length", "lengths", "id", "ids", "shape", "shapes", "rank",
    "ranks", "order", "tree", "trees", "threshold", "thresholds", "samples",
})  # fmt: skip
_NAMING = frozenset({"id", "ids", "category", "class", "label"})
# Whole numbers that are no amounts: `class_to_idx.cat`, `vocab.json:the`, `opset.ai.onnx`.
_INDICES = frozenset({
    "class", "classes", "label", "labels", "label2", "idx", "index", "indices", "ids", "vocab",
    "vocabulary", "stoi", "token", "encoder", "encoding", "mapping", "category", "categories",
    "tokenizer", "version", "opset", "seed", "seeds",
})  # fmt: skip
# Names that other arrays are in the order of, or hold the numbers of.
_NUMBERED = frozenset({
    "class", "classes", "category", "categories", "label", "labels", "vocab", "vocabulary",
    "token", "tokens", "itos", "feature", "features", "column", "columns", "encoder", "level",
    "levels", "target", "targets",
})  # fmt: skip
_POINTERS = frozenset({
    "indptr", "indices", "index", "idx", "offset", "offsets", "neighbors", "neighbours", "nn",
    "knn", "topk", "ranking", "rankings", "order", "argsort", "permutation", "retrieved", "hits",
})  # fmt: skip
_COUNTING = frozenset({"n", "num", "number", "count", "counts", "total", "max", "min", "support"})
# What a format calls an array that nobody named.
_NAMELESS = frozenset({
    "arr", "array", "data", "values", "value", "x", "y", "out", "output", "result", "results",
})  # fmt: skip
_PROBABILITIES = frozenset({
    "proba", "probas", "prob", "probs", "probability", "probabilities", "softmax", "confidence",
    "confidences",
})  # fmt: skip
_WEIGHTS = frozenset({
    "weight", "weights", "coef", "coefs", "coefficient", "coefficients", "kernel", "bias",
    "biases", "intercept", "embedding", "embeddings", "param", "params", "parameter",
    "parameters", "theta", "beta", "model", "state",
})  # fmt: skip
_WHOLE = re.compile(r"[-+]?\d+")
_ULP_OF_BITS = 4
_SCALE_OF_BITS = 1e-6


def is_float(difference: Difference) -> bool:
    """Whether its values are floating-point numbers, of one type on both sides."""
    return difference.max_ulp is not None


def is_integer(difference: Difference) -> bool:
    """Whether its values are whole numbers, of a type that holds no others. Times are none."""
    return (
        difference.max_ulp is None
        and difference.max_abs is not None
        and _WHOLE.fullmatch(difference.worst_expected) is not None
        and difference.unit == "elements"
        and not difference.rule.startswith("dtype")
    )


def is_discrete(difference: Difference) -> bool:
    """Whether its values have no distance: booleans and text, in arrays or alone."""
    return (
        difference.max_abs is None
        and difference.unit == "elements"
        and difference.differing > 0
        and difference.verdict is not Verdict.FAILED
    )


def is_boolean(difference: Difference) -> bool:
    return is_discrete(difference) and difference.worst_expected in ("True", "False")


def is_labels(difference: Difference) -> bool:
    """Whether its values choose among a few: what a classifier predicts, say."""
    if is_boolean(difference):
        return difference.size > 1
    if difference.size < 2 or not (is_integer(difference) or is_discrete(difference)):
        return False
    # A tree's numbers of features and nodes are not what it predicts, whatever its file is called.
    own = _words(difference.item) or words_of(difference)
    if not own.isdisjoint(_PLACES):
        return False
    words = {each for each in own if not each.isdigit()}
    named_by_file = words <= _NAMELESS or not difference.item
    return not _LABELS.isdisjoint(words_of(difference) if named_by_file else own)


def is_identifier(difference: Difference) -> bool:
    """Whether its whole numbers name things, so that there is no distance between two of them."""
    named = own_words(difference)
    return is_integer(difference) and not named.isdisjoint(_NAMING) and named.isdisjoint(_COUNTING)


def is_index(difference: Difference) -> bool:
    """Whether it is one whole number that stands for a name or a version."""
    return (
        is_integer(difference)
        and difference.size == 1
        and not words_of(difference).isdisjoint(_INDICES)
        and own_words(difference).isdisjoint(_COUNTING)
    )


def is_pointers(difference: Difference) -> bool:
    """Whether its whole numbers say where in another array something is."""
    return is_integer(difference) and not own_words(difference).isdisjoint(_POINTERS)


def is_in_order(difference: Difference) -> bool:
    """Whether the order of its values is part of them: other arrays go by it, as coefficients do by
    the names of features, and codes by a list of classes."""
    words = words_of(difference)
    return not words.isdisjoint(_NUMBERED) or not words.isdisjoint(_WEIGHTS)


def is_metric(difference: Difference) -> bool:
    """Whether it is one number, called as a measure of quality is."""
    return (
        is_float(difference)
        and difference.size == 1
        and difference.unit == "elements"
        and not _METRICS.isdisjoint(own_words(difference))
    )


def is_probability(difference: Difference) -> bool:
    return is_float(difference) and not _PROBABILITIES.isdisjoint(words_of(difference))


def is_weights(difference: Difference) -> bool:
    return is_float(difference) and not _WEIGHTS.isdisjoint(words_of(difference))


def is_bits(difference: Difference) -> bool:
    """Whether its numbers differ by no more than rounding alone explains."""
    if not is_float(difference) or not difference.differing or not _finite(difference.max_abs):
        return False
    of_scale = difference.scale_error
    return (difference.max_ulp or 0) <= _ULP_OF_BITS or (
        of_scale is not None and of_scale <= _SCALE_OF_BITS
    )


def own_name(difference: Difference) -> str:
    """The last part of its name: `accuracy` of `outputs/m.json:test.accuracy`."""
    if not difference.item:
        return PurePosixPath(difference.output).stem
    found = _LAST.search(difference.item)
    return found[1] if found else difference.item


def own_words(difference: Difference) -> frozenset[str]:
    """The words of its last part, in lower case."""
    return _words(own_name(difference))


def words_of(difference: Difference) -> frozenset[str]:
    """The words of its name and of its output's, in lower case; file endings are not among them."""
    return _words(PurePosixPath(difference.output).stem) | _words(difference.item)


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(name[:500]))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
