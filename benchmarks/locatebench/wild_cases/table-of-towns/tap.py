"""Rows of a table, as they are sent on."""

import csv


def rows(path):
    with open(path, newline="", errors="replace") as file:
        yield from csv.DictReader(file)
