import math


class Flow:
    """A driven pendulum."""

    def __init__(self, strength):
        self.strength = strength
        self.calls = 0

    def __call__(self, t, state):
        self.calls += 1
        angle, speed = state
        push = self.strength * math.cos(0.66 * t) - math.sin(angle)
        return [speed, push - 0.5 * speed]
