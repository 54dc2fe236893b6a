"""Chooses the pairs of records that somebody is to label."""

import random


class Labeler:
    def __init__(self, records):
        self.records = records
        self.blocks = {}
        for name in records:
            self.blocks.setdefault(name[0], set()).add(name)

    def candidates(self):
        for block in self.blocks.values():
            names = list(block)
            for index, name in enumerate(names):
                for other in names[index + 1 :]:
                    yield (name, other)

    def sample(self, size):
        return random.sample(list(self.candidates()), size)
