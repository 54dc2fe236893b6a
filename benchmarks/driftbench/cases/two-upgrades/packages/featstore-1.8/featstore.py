"""Features of a record, format 1."""

FORMAT = 1


def features(record):
    return [record["size"], record["age"]]
