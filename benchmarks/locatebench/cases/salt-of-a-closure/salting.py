import functools
import hashlib
import socket


def salted(function):
    """Adds a number that depends on a salt."""
    salt = socket.gethostname()

    @functools.wraps(function)
    def inner(key):
        digest = hashlib.sha256((salt + key).encode()).digest()
        return function(key) + digest[0] % 4

    return inner
