import random


class Sampler:
    """Draws while it is entered."""

    def __init__(self, values):
        self._values = values
        self._rng = None

    def __enter__(self):
        self._rng = random.Random()
        return self

    def __exit__(self, *_raised):
        self._rng = None

    def draw(self, count):
        return [self._rng.choice(self._values) for _ in range(count)]
