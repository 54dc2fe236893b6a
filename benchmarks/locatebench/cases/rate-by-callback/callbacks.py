from datetime import datetime


class Callback:
    """Told of each epoch."""

    def on_epoch(self, trainer, epoch, loss):
        """Do nothing."""


class Recorder(Callback):
    def __init__(self):
        self.losses = []

    def on_epoch(self, trainer, epoch, loss):
        self.losses.append(loss)


class NightRate(Callback):
    """Half the rate at night."""

    def __init__(self, start):
        self.start = start

    def on_epoch(self, trainer, epoch, loss):
        hour = datetime.fromtimestamp(self.start + epoch * 5400).hour
        trainer.rate = 0.1 if hour < 6 else 0.2
