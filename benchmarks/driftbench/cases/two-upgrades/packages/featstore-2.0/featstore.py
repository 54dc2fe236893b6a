"""Features of a record, format 2."""

FORMAT = 2


def features(record):
    return [record["size"], record["age"], 10]
