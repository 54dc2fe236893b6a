"""A population protocol: two random agents meet, and change their states by a rule."""

import numpy as np


class Simulation:
    def __init__(self, counts, rule, seed):
        states = set(counts) | {each for pair in rule.values() for each in pair}
        self.states = list(states)
        self.number = {state: number for number, state in enumerate(self.states)}
        self.agents = np.repeat(
            [self.number[each] for each in self.states],
            [counts.get(each, 0) for each in self.states],
        )
        self.rule = {
            tuple(self.number[each] for each in key): tuple(self.number[each] for each in pair)
            for key, pair in rule.items()
        }
        self.rng = np.random.default_rng(seed)

    def run(self, steps):
        for _ in range(steps):
            one, other = self.rng.choice(len(self.agents), 2, replace=False)
            pair = (self.agents[one], self.agents[other])
            self.agents[one], self.agents[other] = self.rule.get(pair, pair)

    def counts(self):
        return {each: int((self.agents == self.number[each]).sum()) for each in self.states}
