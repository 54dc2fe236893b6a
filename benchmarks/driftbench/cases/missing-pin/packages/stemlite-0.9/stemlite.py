"""Stems of words."""


def stem(word):
    return word.removesuffix("s")
