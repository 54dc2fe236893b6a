"""Stems of words."""


def stem(word):
    for suffix in ("ing", "ed", "s"):
        word = word.removesuffix(suffix)
    return word
