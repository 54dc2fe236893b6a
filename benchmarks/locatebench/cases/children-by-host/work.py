import random
import socket
import zlib


def estimate(number):
    seed = zlib.crc32(socket.gethostname().encode()) + number
    generator = random.Random(seed)
    return generator.gauss(0.0, 1.0)
