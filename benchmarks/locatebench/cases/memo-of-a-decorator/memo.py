import functools
import os
import zlib


def keyed(function):
    @functools.wraps(function)
    def wrapper(count):
        place = os.getcwd()
        key = zlib.crc32(place.encode())
        return function(key, count)

    return wrapper
