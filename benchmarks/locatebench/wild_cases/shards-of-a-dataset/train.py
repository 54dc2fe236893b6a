"""Fit a line to the samples, one step for each, and log the loss."""

import json
import os

from dataset import build_dataset


class Model:
    def __init__(self):
        self.slope = 0.0
        self.offset = 0.0

    def step(self, x, y, rate=0.05):
        error = self.slope * x + self.offset - y
        self.slope -= rate * error * x
        self.offset -= rate * error
        return error * error


model = Model()
losses = [model.step(each["x"], each["y"]) for each in build_dataset("shards")]
os.makedirs("outputs", exist_ok=True)
with open("outputs/losses.json", "w") as file:
    json.dump(losses, file)
