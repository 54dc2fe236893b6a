import functools
import os


@functools.lru_cache(maxsize=None)
def workers():
    return len(os.sched_getaffinity(0))


def chunked(values, size):
    return [values[at : at + size] for at in range(0, len(values), size)]
