import random


def simulate(start):
    value = start
    for _ in range(10):
        value += random.gauss(0.0, 1.0)
    return value
