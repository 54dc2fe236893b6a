def bucket_of(word):
    return hash(word) % 16


def embed(word):
    return [bucket_of(word), len(word)]
