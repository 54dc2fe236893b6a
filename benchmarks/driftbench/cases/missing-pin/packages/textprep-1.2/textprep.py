"""Tokens of a text."""

from stemlite import stem


def tokens(text):
    return [stem(word) for word in text.lower().split()]
